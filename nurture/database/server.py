"""Statements to a PostgreSQL server that no transaction may hold, such as making and dropping a database."""

import sqlalchemy as sa


def run_on_server(url: sa.URL, statement: str) -> None:
    """Run one statement outside any transaction. Raises DBAPIError when the server does not answer or refuses it."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()

"""`nurture migrate`: create or upgrade the database."""

from nurture.cli import output
from nurture.cli.context import Json


def migrate(*, as_json: Json = False) -> None:
    """Create or upgrade the database. Publishes the playbook if none is active yet.

    Example: nurture migrate
    """
    from nurture.app import installation
    from nurture.database import migrations
    from nurture.runtime.settings import load_settings

    services = installation.migrate(load_settings())
    try:
        database = services.settings.shown()["NURTURE_DATABASE_URL"]
        done = {"database": database, "revision": migrations.HEAD}
    finally:
        services.close()
    output.print_result(done, as_json=as_json, title="database is up to date")

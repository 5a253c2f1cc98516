"""Open the database, describe and migrate its tables, and build the statements that every room uses."""

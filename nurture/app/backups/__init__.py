"""Backups of the database: restore one privately and say whether it could take the database's place."""

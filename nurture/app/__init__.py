"""The actions that the fronts (command line, HTTP, workers) call, one file per noun.

A front opens an installation with `installation.open_existing` (or `migrate`) and passes the `Services` it gets to
the functions here. They check their arguments, run their own transactions, write the audit log, and return plain
values; errors are those of `domain.errors`. A front imports no query and no table. Only this folder connects the
rooms with the database, the clock, the keys and the settings.
"""

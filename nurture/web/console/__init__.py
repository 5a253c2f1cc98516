"""The console: pages for operators, behind a login."""

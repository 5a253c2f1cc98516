"""Consents, preferences and suppressions: recorded from events, files, public pages and confirmed requests."""

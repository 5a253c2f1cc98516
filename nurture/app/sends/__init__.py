"""Sends: one measure handed by operators to one person, a list or an audience."""

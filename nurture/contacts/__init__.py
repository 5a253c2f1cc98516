"""Accepted events and the people they belong to: the inbox, identities, locks and saved state."""

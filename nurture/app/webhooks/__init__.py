"""Signed calls of other systems: reports of mail providers, and what shops tell."""

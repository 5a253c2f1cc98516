"""Accounts, sessions and API keys as stored."""

"""Accounts of the console and API keys: users and keys, passwords, and limits on wrong passwords."""

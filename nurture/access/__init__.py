"""Store users, sessions and API keys."""

"""The pure rules of consent: permissions per topic, preferences, and requests that wait for confirmation."""

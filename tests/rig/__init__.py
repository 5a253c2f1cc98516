"""Real servers for the tests: PostgreSQL, Redis (or Valkey) and an SMTP sink, without Docker, as root or not.

Each server lives on a private loopback port in a temporary directory and is stopped with the test session,
however that ends. Nothing here knows a rule of the engine.
"""

"""Read the private ledger of a simulation, and count it for its page."""

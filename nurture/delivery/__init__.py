"""From a due message to a recorded outcome: claim, guard, compose, the last gate, the transport."""

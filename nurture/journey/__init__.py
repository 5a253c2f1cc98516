"""Events and alarms become state: batches, merges, objects, replay, retention and erasure."""

"""Read-only queries and the words for their answers: people, why, timeline, the ledger. Writes nothing."""

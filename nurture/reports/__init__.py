"""Read-only reports: one person, the timeline, why a mail was or was not sent, the ledger, backlog, metrics."""

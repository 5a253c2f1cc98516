"""Commands for what waits for a decision of an operator: open cases, conflicts of identity, the quarantine."""

"""Signs of trouble: what processes and lanes wrote about themselves, and the rule that finds trouble in it."""

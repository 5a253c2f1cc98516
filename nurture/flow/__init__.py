"""One module per room: read a batch, apply the pure rule, write a batch, return counts."""

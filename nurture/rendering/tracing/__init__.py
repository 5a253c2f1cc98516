"""A cache of rendered templates: how values were used is recorded once and replayed for other values."""

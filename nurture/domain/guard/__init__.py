"""The pure rules of the guard: the last word on one due message."""

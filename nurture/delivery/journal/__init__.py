"""The delivery journal: how far each mail got, written by the sending process, read after a crash."""

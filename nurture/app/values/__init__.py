"""Published values: read files of numbers, tell what a publication would change, publish, and show."""

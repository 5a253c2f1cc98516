"""Commands by which rows and events leave for other systems."""

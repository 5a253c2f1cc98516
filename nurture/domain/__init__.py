"""Pure values and rules. Imports only the standard library; reads no clock, no file, no environment."""

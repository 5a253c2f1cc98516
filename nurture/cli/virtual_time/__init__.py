"""The commands that play the programme on virtual time."""

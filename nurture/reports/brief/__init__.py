"""The Monday brief: one page about a week, for the owner of the programme."""

"""Reports on how people move through the stages."""

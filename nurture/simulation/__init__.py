"""Simulate the programme on virtual time: made-up or real people in the real pipeline, tick by tick."""

"""Measurement: from enrolments and outcomes to verdicts, and what follows from them."""

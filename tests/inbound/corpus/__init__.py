"""Shapes of inbound mail, written from RFCs and documented formats, with the right reading of each."""

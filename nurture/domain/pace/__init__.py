"""The pace of work: which class goes first and with which share, and which receiving domain rests."""

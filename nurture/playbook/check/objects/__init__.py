"""Checks of the objects that a measure names: those that its mails show, and the lists of people who watch them."""

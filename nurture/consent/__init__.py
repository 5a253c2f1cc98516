"""What people permit and refuse: recorded from events, files, pages and confirmed requests."""

"""Reports about our mail (bounces, complaints, clicks, replies) and their effects; people who never react."""

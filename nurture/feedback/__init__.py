"""What others report about our mail: bounces, complaints, clicks, replies; and people who never react."""

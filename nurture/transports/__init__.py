"""Transports: the lanes of MAIL_URL, a local Maildir, SMTP."""

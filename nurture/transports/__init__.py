"""Where mail leaves: the lanes of NURTURE_MAIL_URL, a local Maildir, SMTP."""

"""What comes back: mails, bounces, complaints and the webhooks of providers, read into one vocabulary."""

"""Read inbound mail (bounces, complaints, replies) and provider webhooks into one vocabulary."""

"""The HTTP API: Segment, Customer.io, transactional mail and the webhooks of providers."""

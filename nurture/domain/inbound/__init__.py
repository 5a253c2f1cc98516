"""Pure rules for inbound mail and reports: refusals, quotes in replies, and replies that ask to unsubscribe."""

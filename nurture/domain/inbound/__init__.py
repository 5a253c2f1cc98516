"""Pure rules for inbound mail: signed return paths, refusals, quotes in replies, replies that ask to unsubscribe."""

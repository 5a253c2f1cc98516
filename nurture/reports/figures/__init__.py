"""Orders and answers, as reports read them."""

"""Models: learn churn, value and lead score, report how right they were, and publish their numbers each week."""

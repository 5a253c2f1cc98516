"""Tables and set-based queries by room. Only this package touches tables; reads no clock, decides nothing."""

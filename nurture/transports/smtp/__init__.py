"""The SMTP client: pooled, pipelined connections that report how far each mail got (RFC 5321, RFC 2920)."""

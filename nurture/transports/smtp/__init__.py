"""The SMTP client: pooled, pipelined connections that know how far each mail got (RFC 5321, 2920)."""

"""The public pages behind the links of a mail."""

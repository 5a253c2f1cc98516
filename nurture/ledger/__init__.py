"""The ledger: message rows that several rooms read and settle (`messages`, one row for each decided mail)."""

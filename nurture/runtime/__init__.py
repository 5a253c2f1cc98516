"""Clock, settings, log and failpoints of a process. Imports only the domain."""

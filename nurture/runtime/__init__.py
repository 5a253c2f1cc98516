"""What every process stands on: clock, settings, log, failpoints, notifications. Imports only the domain."""

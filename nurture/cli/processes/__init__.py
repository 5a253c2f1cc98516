"""The commands that run a process or prepare the database for one."""

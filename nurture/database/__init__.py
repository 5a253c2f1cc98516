"""Opening the database, its schema and migrations, and the statements that every room builds on."""

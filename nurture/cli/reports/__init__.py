"""Reports that have many columns of their own."""

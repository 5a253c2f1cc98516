"""Benchmarks: the product's own processes over real sockets and files, each row beside its floor of the same run."""

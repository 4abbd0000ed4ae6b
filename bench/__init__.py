"""Benchmarks: what the code promises, measured; each is runnable alone, as ``python -m bench.NAME``."""

"""Benchmarks: a floor beside the contestant in the same run (guide performance §6)."""

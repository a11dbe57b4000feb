"""Benchmarks: captions, classification, scores and report of several systems on a manifest; see `run_benchmark`."""

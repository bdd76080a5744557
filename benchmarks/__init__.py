"""Benchmarks: zlake beside named peers and raw baselines, in one run."""

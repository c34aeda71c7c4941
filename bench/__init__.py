"""Benchmarks: HotSync beside other ways, in one run on one machine."""

"""Benchmarks: ratios against the least app that writes and reads the same rows, measured in the same run."""

"""Benchmarks: each case runs ours and its floor alternately in one run; what counts is the ratio."""

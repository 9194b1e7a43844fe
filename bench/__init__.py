"""Benchmarks. Each case runs ours and its rival or floor in turn, within one run; the ratio is what counts."""

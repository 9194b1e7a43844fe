"""Contracts between the packages: settings, symbols, instruments, raw records, events, topics. Does no I/O."""

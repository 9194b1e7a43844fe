"""The contracts between rooms: settings, symbols, instruments, raw records, events, topics. No I/O."""

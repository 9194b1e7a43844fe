"""The whole system on one machine: broker, embedded ClickHouse, simulated exchanges, supervisor, command line."""

"""Run the whole system on one machine, with a broker, an embedded ClickHouse and a supervisor."""

"""Ingest: connect to the exchanges, subscribe, keep connections alive, and write every frame unchanged to Kafka."""

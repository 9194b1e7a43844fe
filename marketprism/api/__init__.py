"""The API: what the topics say now, and what ClickHouse keeps, over HTTP and WebSocket. It only reads."""

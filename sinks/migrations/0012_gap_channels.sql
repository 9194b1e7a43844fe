-- Which channel has the hole, which trades are missing, and since when. Events from before these fields are of books.
ALTER TABLE {database}.gaps
    ADD COLUMN IF NOT EXISTS channel LowCardinality(String) DEFAULT 'books' COMMENT 'what has the hole: books or trades'
        AFTER type,
    ADD COLUMN IF NOT EXISTS first_missing String CODEC(ZSTD) COMMENT 'id of the first missing trade; empty: unknown'
        AFTER duration,
    ADD COLUMN IF NOT EXISTS last_missing String CODEC(ZSTD) COMMENT 'id of the last missing trade; empty: unknown'
        AFTER first_missing,
    ADD COLUMN IF NOT EXISTS since DateTime64(6, 'UTC') DEFAULT local_timestamp CODEC(Delta, ZSTD)
        COMMENT 'receipt of the last frame before the hole' AFTER last_missing;

DROP VIEW IF EXISTS {database}.gaps_parse;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.gaps_parse TO {database}.gaps AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String), exchange Nullable(String), symbol Nullable(String),
    timestamp Nullable(Int64), local_timestamp Nullable(Int64),
    type Nullable(String), id Nullable(String), cause Nullable(String),
    expected Nullable(Int64), received Nullable(Int64), duration Nullable(Int64),
    channel Nullable(String), first_missing Nullable(String), last_missing Nullable(String),
    since Nullable(Int64))') AS event
SELECT
    event.exchange AS exchange, event.symbol AS symbol,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS timestamp,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS local_timestamp,
    event.type AS type, event.id AS id, event.cause AS cause,
    event.expected AS expected, event.received AS received, event.duration AS duration,
    if(JSONHas(value, 'channel'), event.channel, 'books') AS channel,
    if(JSONHas(value, 'first_missing'), event.first_missing, '') AS first_missing,
    if(JSONHas(value, 'last_missing'), event.last_missing, '') AS last_missing,
    fromUnixTimestamp64Micro(if(JSONHas(value, 'since'), event.since, event.local_timestamp), 'UTC') AS since,
    event.source AS source, _partition, _offset
FROM {database}.gaps_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not stand first') = 0;

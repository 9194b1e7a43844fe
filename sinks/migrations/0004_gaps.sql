-- What was missed, and for how long.
CREATE TABLE IF NOT EXISTS {database}.gaps
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    local_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    type LowCardinality(String) COMMENT 'opened or closed',
    id String CODEC(ZSTD) COMMENT 'ties opened and closed',
    cause LowCardinality(String),
    expected Int64 CODEC(ZSTD),
    received Int64 CODEC(ZSTD),
    duration Int64 CODEC(ZSTD) COMMENT 'microseconds without a live book, at closed',
    source String CODEC(ZSTD),
    _partition UInt16 CODEC(ZSTD),
    _offset UInt64 CODEC(Delta, ZSTD),
    _inserted DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD),
    PROJECTION held
    (
        SELECT _partition, substringIndex(source, ':', 2), max(_offset), argMax(source, _offset)
        GROUP BY _partition, substringIndex(source, ':', 2)
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(local_timestamp)
ORDER BY (exchange, symbol, local_timestamp, _offset)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE VIEW IF NOT EXISTS {database}.gaps_held AS
SELECT
    _partition AS partition, substringIndex(source, ':', 2) AS origin,
    max(_offset) AS offset, argMax(source, _offset) AS highest_source
FROM {database}.gaps
GROUP BY partition, origin;

CREATE TABLE IF NOT EXISTS {database}.gaps_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.gaps_parse TO {database}.gaps AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String), exchange Nullable(String), symbol Nullable(String),
    timestamp Nullable(Int64), local_timestamp Nullable(Int64),
    type Nullable(String), id Nullable(String), cause Nullable(String),
    expected Nullable(Int64), received Nullable(Int64), duration Nullable(Int64))') AS event
SELECT
    event.exchange AS exchange, event.symbol AS symbol,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS timestamp,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS local_timestamp,
    event.type AS type, event.id AS id, event.cause AS cause,
    event.expected AS expected, event.received AS received, event.duration AS duration,
    event.source AS source, _partition, _offset
FROM {database}.gaps_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not stand first') = 0;

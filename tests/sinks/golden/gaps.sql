CREATE TABLE IF NOT EXISTS marketprism.gaps
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `type` LowCardinality(String) COMMENT 'opened, closed or filled',
    `id` String CODEC(ZSTD) COMMENT 'the same in opened, closed and filled',
    `cause` LowCardinality(String) COMMENT 'why data is missing: sequence, disconnected, absent, lost, …',
    `channel` LowCardinality(String) COMMENT 'the channel with the gap',
    `since` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt of the last frame before the gap',
    `first_missing` String CODEC(ZSTD) COMMENT 'id of the first missing trade (Deribit: its trade_seq); empty: unknown',
    `last_missing` String CODEC(ZSTD) COMMENT 'id of the last missing trade; empty: unknown',
    `expected` Int64 CODEC(ZSTD) COMMENT 'id expected at a sequence gap of a book, else 0',
    `received` Int64 CODEC(ZSTD) COMMENT 'id received at a sequence gap of a book, else 0',
    `duration` Int64 CODEC(ZSTD) COMMENT 'microseconds since `since`, at closed and filled',
    `source` String CODEC(ZSTD) COMMENT 'the line that caused the event',
    `_partition` UInt16 CODEC(ZSTD) COMMENT 'of the event\'s topic',
    `_offset` UInt64 CODEC(Delta, ZSTD) COMMENT 'in the partition of the event\'s topic',
    `_inserted` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when the row was stored',
    PROJECTION held
    (
        SELECT _partition, substringIndex(source, ':', 2), max(_offset), argMax(source, _offset)
        GROUP BY _partition, substringIndex(source, ':', 2)
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(local_timestamp)
ORDER BY (exchange, symbol, local_timestamp, _offset)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1
COMMENT 'missing books and trades: opened with the cause, closed with the duration, filled from the past';

CREATE TABLE IF NOT EXISTS marketprism_internal.gaps_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.gaps_parse TO marketprism.gaps AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    type Nullable(String),
    id Nullable(String),
    cause Nullable(String),
    channel Nullable(String),
    since Nullable(Int64),
    first_missing Nullable(String),
    last_missing Nullable(String),
    expected Nullable(Int64),
    received Nullable(Int64),
    duration Nullable(Int64))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.type AS `type`,
    event.id AS `id`,
    event.cause AS `cause`,
    event.channel AS `channel`,
    fromUnixTimestamp64Micro(event.since, 'UTC') AS `since`,
    event.first_missing AS `first_missing`,
    event.last_missing AS `last_missing`,
    event.expected AS `expected`,
    event.received AS `received`,
    event.duration AS `duration`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.gaps_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0;

CREATE TABLE IF NOT EXISTS marketprism.dead_letters
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit; `?` if unknown',
    `symbol` LowCardinality(String) COMMENT 'our name of the instrument; `?` if unknown',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest; of a rejected row, when it was published',
    `topic` LowCardinality(String) COMMENT 'where it came from, without the prefix',
    `reason` String CODEC(ZSTD) COMMENT 'why it could not be processed or stored',
    `encoding` LowCardinality(String) COMMENT 'of `frame`',
    `frame` String CODEC(ZSTD) COMMENT 'the bytes, as text or base64',
    `frame_bytes` UInt64 CODEC(ZSTD) COMMENT 'of the whole frame; `frame` may be cut',
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
COMMENT 'unparseable frames, rejected rows, poison records: the reason and the bytes';

CREATE TABLE IF NOT EXISTS marketprism_internal.dead_letters_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.dead_letters_parse TO marketprism.dead_letters AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    local_timestamp Nullable(Int64),
    topic Nullable(String),
    reason Nullable(String),
    encoding Nullable(String),
    frame Nullable(String),
    frame_bytes Nullable(UInt64))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.topic AS `topic`,
    event.reason AS `reason`,
    event.encoding AS `encoding`,
    event.frame AS `frame`,
    event.frame_bytes AS `frame_bytes`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.dead_letters_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0;

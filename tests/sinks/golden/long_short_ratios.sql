CREATE TABLE IF NOT EXISTS marketprism.long_short_ratios
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `scope` LowCardinality(String) COMMENT 'of top traders: their number, or the size of their positions; of all; or what takers traded',
    `period` LowCardinality(String) COMMENT '5m, …',
    `long` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'share; of taker_volume the volume bought',
    `short` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'share; of taker_volume the volume sold',
    `ratio` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'long / short, where the exchange publishes it',
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
COMMENT 'long and short accounts, positions and taker volumes, by instrument or currency';

CREATE TABLE IF NOT EXISTS marketprism_internal.long_short_ratios_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.long_short_ratios_parse TO marketprism.long_short_ratios AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    scope Nullable(String),
    period Nullable(String),
    long Nullable(Decimal(38, 18)),
    short Nullable(Decimal(38, 18)),
    ratio Nullable(Decimal(38, 18)))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.scope AS `scope`,
    event.period AS `period`,
    event.long AS `long`,
    event.short AS `short`,
    event.ratio AS `ratio`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.long_short_ratios_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.long IS NULL AND JSONExtractRaw(value, 'long') != 'null', 'long is missing or malformed') = 0
    AND throwIf(event.short IS NULL AND JSONExtractRaw(value, 'short') != 'null', 'short is missing or malformed') = 0
    AND throwIf(event.ratio IS NULL AND JSONExtractRaw(value, 'ratio') != 'null', 'ratio is missing or malformed') = 0;

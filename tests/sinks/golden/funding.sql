CREATE TABLE IF NOT EXISTS marketprism.funding
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `type` LowCardinality(String) COMMENT 'estimated: of the running period; settled: paid',
    `rate` Decimal(76, 18) CODEC(ZSTD) COMMENT 'fraction of the position, for one interval',
    `interval_hours` Nullable(Int64) CODEC(ZSTD) COMMENT 'hours that the rate covers, where known',
    `next_funding_at` Nullable(DateTime64(6, 'UTC')) CODEC(Delta, ZSTD) COMMENT 'of the next payment; null: settled, or continuous',
    `mark_price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'price by which positions are valued, quote units',
    `index_price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'spot price of the index, quote units',
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
COMMENT 'funding rates of perpetuals, with mark and index prices where the exchange sends them';

CREATE TABLE IF NOT EXISTS marketprism_internal.funding_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.funding_parse TO marketprism.funding AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    type Nullable(String),
    rate Nullable(Decimal(38, 18)),
    interval_hours Nullable(Int64),
    next_funding_at Nullable(Int64),
    mark_price Nullable(Decimal(38, 18)),
    index_price Nullable(Decimal(38, 18)))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    ifNull(event.type, 'estimated') AS `type`,
    event.rate AS `rate`,
    event.interval_hours AS `interval_hours`,
    fromUnixTimestamp64Micro(event.next_funding_at, 'UTC') AS `next_funding_at`,
    event.mark_price AS `mark_price`,
    event.index_price AS `index_price`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.funding_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.type IS NULL AND JSONExtractRaw(value, 'type') != '', 'type is malformed') = 0
    AND throwIf(event.interval_hours IS NULL AND JSONExtractRaw(value, 'interval_hours') != 'null', 'interval_hours is missing or malformed') = 0
    AND throwIf(event.next_funding_at IS NULL AND JSONExtractRaw(value, 'next_funding_at') != 'null', 'next_funding_at is missing or malformed') = 0
    AND throwIf(event.mark_price IS NULL AND JSONExtractRaw(value, 'mark_price') != 'null', 'mark_price is missing or malformed') = 0
    AND throwIf(event.index_price IS NULL AND JSONExtractRaw(value, 'index_price') != 'null', 'index_price is missing or malformed') = 0;

CREATE TABLE IF NOT EXISTS marketprism.liquidations
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `side` LowCardinality(String) COMMENT 'of the liquidation order: sell closes a long position',
    `price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'of the order, usually the bankruptcy price',
    `average_price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'of its execution',
    `amount` Decimal(76, 18) CODEC(ZSTD) COMMENT 'base units',
    `sampled` Bool CODEC(ZSTD) COMMENT 'the exchange publishes only some of them',
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
COMMENT 'liquidations of positions; `sampled` where the exchange publishes only some';

CREATE TABLE IF NOT EXISTS marketprism_internal.liquidations_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.liquidations_parse TO marketprism.liquidations AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    side Nullable(String),
    price Nullable(Decimal(38, 18)),
    average_price Nullable(Decimal(38, 18)),
    amount Nullable(Decimal(38, 18)),
    sampled Nullable(Bool))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.side AS `side`,
    event.price AS `price`,
    event.average_price AS `average_price`,
    event.amount AS `amount`,
    event.sampled AS `sampled`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.liquidations_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.price IS NULL AND JSONExtractRaw(value, 'price') != 'null', 'price is missing or malformed') = 0
    AND throwIf(event.average_price IS NULL AND JSONExtractRaw(value, 'average_price') != 'null', 'average_price is missing or malformed') = 0;

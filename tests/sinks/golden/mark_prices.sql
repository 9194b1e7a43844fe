CREATE TABLE IF NOT EXISTS marketprism.mark_prices
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `mark_price` Decimal(76, 18) CODEC(ZSTD) COMMENT 'price by which positions are valued, quote units',
    `index_price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'spot price of the index, quote units',
    `settlement_price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'the exchange\'s estimate for the delivery, quote units',
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
COMMENT 'mark, index and estimated settlement prices of derivatives';

CREATE TABLE IF NOT EXISTS marketprism_internal.mark_prices_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.mark_prices_parse TO marketprism.mark_prices AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    mark_price Nullable(Decimal(38, 18)),
    index_price Nullable(Decimal(38, 18)),
    settlement_price Nullable(Decimal(38, 18)))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.mark_price AS `mark_price`,
    event.index_price AS `index_price`,
    event.settlement_price AS `settlement_price`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.mark_prices_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.index_price IS NULL AND JSONExtractRaw(value, 'index_price') != 'null', 'index_price is missing or malformed') = 0
    AND throwIf(event.settlement_price IS NULL AND JSONExtractRaw(value, 'settlement_price') != 'null', 'settlement_price is missing or malformed') = 0;

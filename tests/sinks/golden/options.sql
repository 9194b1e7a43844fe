CREATE TABLE IF NOT EXISTS marketprism.options
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `mark_iv` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'implied volatility of the mark price, a fraction a year',
    `bid_iv` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'of the best bid, a fraction a year',
    `ask_iv` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'of the best ask, a fraction a year',
    `delta` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'the option\'s change per unit of change of the underlying',
    `gamma` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'change of delta per unit of change of the underlying',
    `vega` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'the option\'s change per percentage point of volatility, as the exchange publishes it',
    `theta` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'the option\'s change per day, as the exchange publishes it',
    `rho` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'the option\'s change per percentage point of interest, as the exchange publishes it',
    `underlying_price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'quote units',
    `underlying_index` LowCardinality(Nullable(String)) COMMENT 'what the underlying price is of, as the exchange calls it',
    `open_interest` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'base units',
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
COMMENT 'implied volatilities, greeks and underlying of options';

CREATE TABLE IF NOT EXISTS marketprism_internal.options_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.options_parse TO marketprism.options AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    mark_iv Nullable(Decimal(38, 18)),
    bid_iv Nullable(Decimal(38, 18)),
    ask_iv Nullable(Decimal(38, 18)),
    delta Nullable(Decimal(38, 18)),
    gamma Nullable(Decimal(38, 18)),
    vega Nullable(Decimal(38, 18)),
    theta Nullable(Decimal(38, 18)),
    rho Nullable(Decimal(38, 18)),
    underlying_price Nullable(Decimal(38, 18)),
    underlying_index Nullable(String),
    open_interest Nullable(Decimal(38, 18)))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.mark_iv AS `mark_iv`,
    event.bid_iv AS `bid_iv`,
    event.ask_iv AS `ask_iv`,
    event.delta AS `delta`,
    event.gamma AS `gamma`,
    event.vega AS `vega`,
    event.theta AS `theta`,
    event.rho AS `rho`,
    event.underlying_price AS `underlying_price`,
    event.underlying_index AS `underlying_index`,
    event.open_interest AS `open_interest`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.options_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.mark_iv IS NULL AND JSONExtractRaw(value, 'mark_iv') != 'null', 'mark_iv is missing or malformed') = 0
    AND throwIf(event.bid_iv IS NULL AND JSONExtractRaw(value, 'bid_iv') != 'null', 'bid_iv is missing or malformed') = 0
    AND throwIf(event.ask_iv IS NULL AND JSONExtractRaw(value, 'ask_iv') != 'null', 'ask_iv is missing or malformed') = 0
    AND throwIf(event.delta IS NULL AND JSONExtractRaw(value, 'delta') != 'null', 'delta is missing or malformed') = 0
    AND throwIf(event.gamma IS NULL AND JSONExtractRaw(value, 'gamma') != 'null', 'gamma is missing or malformed') = 0
    AND throwIf(event.vega IS NULL AND JSONExtractRaw(value, 'vega') != 'null', 'vega is missing or malformed') = 0
    AND throwIf(event.theta IS NULL AND JSONExtractRaw(value, 'theta') != 'null', 'theta is missing or malformed') = 0
    AND throwIf(event.rho IS NULL AND JSONExtractRaw(value, 'rho') != 'null', 'rho is missing or malformed') = 0
    AND throwIf(event.underlying_price IS NULL AND JSONExtractRaw(value, 'underlying_price') != 'null', 'underlying_price is missing or malformed') = 0
    AND throwIf(event.underlying_index IS NULL AND JSONExtractRaw(value, 'underlying_index') != 'null', 'underlying_index is missing or malformed') = 0
    AND throwIf(event.open_interest IS NULL AND JSONExtractRaw(value, 'open_interest') != 'null', 'open_interest is missing or malformed') = 0;

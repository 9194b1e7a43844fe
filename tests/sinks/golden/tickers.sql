CREATE TABLE IF NOT EXISTS marketprism.tickers
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `last` Decimal(76, 18) CODEC(ZSTD) COMMENT 'price of the last trade, quote units',
    `open` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'price at the start of the window, quote units',
    `high` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'highest price, quote units',
    `low` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'lowest price, quote units',
    `volume` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'base units',
    `quote_volume` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'quote units',
    `trades` Nullable(Int64) CODEC(ZSTD) COMMENT 'number of trades',
    `window` LowCardinality(String) COMMENT 'the period summarised: 24h',
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
COMMENT 'the exchanges\' own 24 h summaries';

CREATE TABLE IF NOT EXISTS marketprism_internal.tickers_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.tickers_parse TO marketprism.tickers AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    last Nullable(Decimal(38, 18)),
    open Nullable(Decimal(38, 18)),
    high Nullable(Decimal(38, 18)),
    low Nullable(Decimal(38, 18)),
    volume Nullable(Decimal(38, 18)),
    quote_volume Nullable(Decimal(38, 18)),
    trades Nullable(Int64),
    window Nullable(String))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.last AS `last`,
    event.open AS `open`,
    event.high AS `high`,
    event.low AS `low`,
    event.volume AS `volume`,
    event.quote_volume AS `quote_volume`,
    event.trades AS `trades`,
    event.window AS `window`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.tickers_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.open IS NULL AND JSONExtractRaw(value, 'open') != 'null', 'open is missing or malformed') = 0
    AND throwIf(event.high IS NULL AND JSONExtractRaw(value, 'high') != 'null', 'high is missing or malformed') = 0
    AND throwIf(event.low IS NULL AND JSONExtractRaw(value, 'low') != 'null', 'low is missing or malformed') = 0
    AND throwIf(event.volume IS NULL AND JSONExtractRaw(value, 'volume') != 'null', 'volume is missing or malformed') = 0
    AND throwIf(event.quote_volume IS NULL AND JSONExtractRaw(value, 'quote_volume') != 'null', 'quote_volume is missing or malformed') = 0
    AND throwIf(event.trades IS NULL AND JSONExtractRaw(value, 'trades') != 'null', 'trades is missing or malformed') = 0;

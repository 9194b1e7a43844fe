CREATE TABLE IF NOT EXISTS marketprism.candles
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `origin` LowCardinality(String) COMMENT 'exchange: its own klines; trades: made of its trades',
    `contract` LowCardinality(String) COMMENT 'continuous contract of the pair (current_quarter); empty: the instrument itself',
    `interval` LowCardinality(String) COMMENT '1m, 1h, 1d, 1M, …',
    `start` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'the first instant of the interval',
    `end` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'the start of the next candle',
    `open` Decimal(76, 18) CODEC(ZSTD) COMMENT 'first price, quote units',
    `high` Decimal(76, 18) CODEC(ZSTD) COMMENT 'highest price, quote units',
    `low` Decimal(76, 18) CODEC(ZSTD) COMMENT 'lowest price, quote units',
    `close` Decimal(76, 18) CODEC(ZSTD) COMMENT 'last price, quote units',
    `volume` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'base units',
    `quote_volume` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'quote units',
    `trades` Nullable(Int64) CODEC(ZSTD) COMMENT 'number of trades',
    `taker_buy_volume` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'base units bought by takers',
    `taker_buy_quote_volume` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'quote units paid by takers who bought',
    `closed` Bool CODEC(ZSTD) COMMENT 'no further update follows',
    `complete` Bool CODEC(ZSTD) COMMENT 'false: trades or its last updates may be missing',
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
COMMENT 'candles of every interval, open and closed: the exchanges\' own, and those made of the trades';

CREATE TABLE IF NOT EXISTS marketprism_internal.candles_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.candles_parse TO marketprism.candles AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    origin Nullable(String),
    contract Nullable(String),
    interval Nullable(String),
    start Nullable(Int64),
    end Nullable(Int64),
    open Nullable(Decimal(38, 18)),
    high Nullable(Decimal(38, 18)),
    low Nullable(Decimal(38, 18)),
    close Nullable(Decimal(38, 18)),
    volume Nullable(Decimal(38, 18)),
    quote_volume Nullable(Decimal(38, 18)),
    trades Nullable(Int64),
    taker_buy_volume Nullable(Decimal(38, 18)),
    taker_buy_quote_volume Nullable(Decimal(38, 18)),
    closed Nullable(Bool),
    complete Nullable(Bool))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.origin AS `origin`,
    event.contract AS `contract`,
    event.interval AS `interval`,
    fromUnixTimestamp64Micro(event.start, 'UTC') AS `start`,
    fromUnixTimestamp64Micro(event.end, 'UTC') AS `end`,
    event.open AS `open`,
    event.high AS `high`,
    event.low AS `low`,
    event.close AS `close`,
    event.volume AS `volume`,
    event.quote_volume AS `quote_volume`,
    event.trades AS `trades`,
    event.taker_buy_volume AS `taker_buy_volume`,
    event.taker_buy_quote_volume AS `taker_buy_quote_volume`,
    event.closed AS `closed`,
    event.complete AS `complete`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.candles_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.volume IS NULL AND JSONExtractRaw(value, 'volume') != 'null', 'volume is missing or malformed') = 0
    AND throwIf(event.quote_volume IS NULL AND JSONExtractRaw(value, 'quote_volume') != 'null', 'quote_volume is missing or malformed') = 0
    AND throwIf(event.trades IS NULL AND JSONExtractRaw(value, 'trades') != 'null', 'trades is missing or malformed') = 0
    AND throwIf(event.taker_buy_volume IS NULL AND JSONExtractRaw(value, 'taker_buy_volume') != 'null', 'taker_buy_volume is missing or malformed') = 0
    AND throwIf(event.taker_buy_quote_volume IS NULL AND JSONExtractRaw(value, 'taker_buy_quote_volume') != 'null', 'taker_buy_quote_volume is missing or malformed') = 0;

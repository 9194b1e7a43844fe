CREATE TABLE IF NOT EXISTS marketprism.quotes
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `origin` LowCardinality(String) COMMENT 'bbo: the exchange\'s own channel; book: the rebuilt book; rest: polled, as no socket has it',
    `sequence` Int64 CODEC(Delta, ZSTD) COMMENT 'update id; 0: the exchange sends none',
    `bids.price` Array(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'prices, quote units: the buy side\'s levels, best first',
    `bids.amount` Array(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'amounts, base units: the buy side\'s levels, best first',
    `asks.price` Array(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'prices, quote units: the sell side\'s levels, best first',
    `asks.amount` Array(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'amounts, base units: the sell side\'s levels, best first',
    `bid_price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'price of the best bid, quote units; NULL: the side is empty',
    `bid_amount` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'amount of the best bid, base units; NULL: the side is empty',
    `ask_price` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'price of the best ask, quote units; NULL: the side is empty',
    `ask_amount` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'amount of the best ask, base units; NULL: the side is empty',
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
COMMENT 'top of book: `bbo` from the exchange, `book` from the rebuilt book, `rest` while no socket brings one';

CREATE TABLE IF NOT EXISTS marketprism_internal.quotes_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.quotes_parse TO marketprism.quotes AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    origin Nullable(String),
    sequence Nullable(Int64),
    bids Array(Array(Nullable(Decimal(38, 18)))),
    asks Array(Array(Nullable(Decimal(38, 18)))))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.origin AS `origin`,
    event.sequence AS `sequence`,
    arrayMap(level -> level[1], event.bids) AS `bids.price`,
    arrayMap(level -> level[2], event.bids) AS `bids.amount`,
    arrayMap(level -> level[1], event.asks) AS `asks.price`,
    arrayMap(level -> level[2], event.asks) AS `asks.amount`,
    event.bids[1][1] AS `bid_price`,
    event.bids[1][2] AS `bid_amount`,
    event.asks[1][1] AS `ask_price`,
    event.asks[1][2] AS `ask_amount`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.quotes_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(position(value, '"bids":[') = 0, 'bids is missing or not an array') = 0
    AND throwIf(position(value, '"asks":[') = 0, 'asks is missing or not an array') = 0;

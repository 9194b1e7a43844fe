-- Top of book. The best level also stands in plain columns.
CREATE TABLE IF NOT EXISTS {database}.quotes
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    local_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    origin LowCardinality(String) COMMENT 'bbo: the exchange said so; book: the rebuilt book',
    sequence Int64 CODEC(Delta, ZSTD),
    bid_price Nullable(Decimal(38, 18)) CODEC(ZSTD) COMMENT 'the best; NULL where the side is empty',
    bid_amount Nullable(Decimal(38, 18)) CODEC(ZSTD),
    ask_price Nullable(Decimal(38, 18)) CODEC(ZSTD),
    ask_amount Nullable(Decimal(38, 18)) CODEC(ZSTD),
    `bids.price` Array(Decimal(38, 18)) CODEC(ZSTD),
    `bids.amount` Array(Decimal(38, 18)) CODEC(ZSTD),
    `asks.price` Array(Decimal(38, 18)) CODEC(ZSTD),
    `asks.amount` Array(Decimal(38, 18)) CODEC(ZSTD),
    source String CODEC(ZSTD),
    _partition UInt16 CODEC(ZSTD),
    _offset UInt64 CODEC(Delta, ZSTD),
    _inserted DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD),
    PROJECTION held
    (
        SELECT _partition, substringIndex(source, ':', 2), max(_offset), argMax(source, _offset)
        GROUP BY _partition, substringIndex(source, ':', 2)
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(local_timestamp)
ORDER BY (exchange, symbol, local_timestamp, _offset)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE VIEW IF NOT EXISTS {database}.quotes_held AS
SELECT
    _partition AS partition, substringIndex(source, ':', 2) AS origin,
    max(_offset) AS offset, argMax(source, _offset) AS highest_source
FROM {database}.quotes
GROUP BY partition, origin;

CREATE TABLE IF NOT EXISTS {database}.quotes_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.quotes_parse TO {database}.quotes AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String), exchange Nullable(String), symbol Nullable(String),
    timestamp Nullable(Int64), local_timestamp Nullable(Int64),
    origin Nullable(String), sequence Nullable(Int64),
    bids Array(Array(Nullable(Decimal(38, 18)))), asks Array(Array(Nullable(Decimal(38, 18)))))') AS event
SELECT
    event.exchange AS exchange, event.symbol AS symbol,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS timestamp,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS local_timestamp,
    event.origin AS origin, event.sequence AS sequence,
    event.bids[1][1] AS bid_price, event.bids[1][2] AS bid_amount,
    event.asks[1][1] AS ask_price, event.asks[1][2] AS ask_amount,
    arrayMap(level -> level[1], event.bids) AS `bids.price`, arrayMap(level -> level[2], event.bids) AS `bids.amount`,
    arrayMap(level -> level[1], event.asks) AS `asks.price`, arrayMap(level -> level[2], event.asks) AS `asks.amount`,
    event.source AS source, _partition, _offset
FROM {database}.quotes_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not stand first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(position(value, '"bids":[') = 0 OR position(value, '"asks":[') = 0, 'bids or asks missing') = 0;

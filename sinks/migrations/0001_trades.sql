-- One row per trade. Prices and amounts are Decimal(38, 18): 18 decimals is the finest that any exchange or any
-- contract conversion yields, and 20 digits before the point hold the supply of every coin; 128 bits stay fast.
-- A daily partition makes a block of one UTC day one part, written whole or not at all.
CREATE TABLE IF NOT EXISTS {database}.trades
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    local_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    id String CODEC(ZSTD),
    price Decimal(38, 18) CODEC(ZSTD),
    amount Decimal(38, 18) CODEC(ZSTD) COMMENT 'base units',
    side LowCardinality(String) COMMENT 'of the taker',
    kind LowCardinality(String),
    source String CODEC(ZSTD) COMMENT 'exchange:partition:offset:line:n of the raw line that caused it',
    _partition UInt16 CODEC(ZSTD) COMMENT 'of the topic',
    _offset UInt64 CODEC(Delta, ZSTD) COMMENT 'in the topic',
    _inserted DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD),
    INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
    PROJECTION held
    (
        SELECT _partition, substringIndex(source, ':', 2), max(_offset), argMax(source, _offset)
        GROUP BY _partition, substringIndex(source, ':', 2)
    ),
    PROJECTION minutes
    (
        SELECT
            exchange, symbol, toStartOfMinute(timestamp),
            argMin(price, (timestamp, local_timestamp, _offset)), max(price), min(price),
            argMax(price, (timestamp, local_timestamp, _offset)),
            sum(amount), sum(toDecimal256(price, 18) * amount), count(), sumIf(amount, side = 'buy')
        GROUP BY exchange, symbol, toStartOfMinute(timestamp)
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(local_timestamp)
ORDER BY (exchange, symbol, local_timestamp, _offset)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- What ClickHouse holds of each topic partition and origin: the sink goes on from there. Stored sources only grow
-- with the offset, so the one at the highest offset is the highest.
CREATE VIEW IF NOT EXISTS {database}.trades_held AS
SELECT
    _partition AS partition, substringIndex(source, ':', 2) AS origin,
    max(_offset) AS offset, argMax(source, _offset) AS highest_source
FROM {database}.trades
GROUP BY partition, origin;

CREATE TABLE IF NOT EXISTS {database}.trades_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

-- Nullable(…) makes a missing or malformed field NULL, which no column takes: ClickHouse refuses the row.
CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.trades_parse TO {database}.trades AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String), exchange Nullable(String), symbol Nullable(String),
    timestamp Nullable(Int64), local_timestamp Nullable(Int64), id Nullable(String),
    price Nullable(Decimal(38, 18)), amount Nullable(Decimal(38, 18)),
    side Nullable(String), kind Nullable(String))') AS event
SELECT
    event.exchange AS exchange, event.symbol AS symbol,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS timestamp,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS local_timestamp,
    event.id AS id, event.price AS price, event.amount AS amount, event.side AS side, event.kind AS kind,
    event.source AS source, _partition, _offset
FROM {database}.trades_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not stand first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0;

-- Candles of any whole number of seconds, by exchange time: SELECT * FROM candles(interval_seconds = 300) WHERE …
-- Whole minutes come from the projection `minutes`, shorter ones from the trades themselves.
CREATE VIEW IF NOT EXISTS {database}.candles AS
SELECT
    exchange, symbol,
    toStartOfInterval(toStartOfMinute(timestamp), toIntervalSecond({interval_seconds:UInt32})) AS start,
    argMin(price, (timestamp, local_timestamp, _offset)) AS open, max(price) AS high, min(price) AS low,
    argMax(price, (timestamp, local_timestamp, _offset)) AS close,
    sum(amount) AS volume, sum(toDecimal256(price, 18) * amount) AS quote_volume,
    count() AS trades, sumIf(amount, side = 'buy') AS buy_volume
FROM {database}.trades
WHERE {interval_seconds:UInt32} % 60 = 0
GROUP BY exchange, symbol, start
UNION ALL
SELECT
    exchange, symbol,
    toStartOfInterval(timestamp, toIntervalSecond({interval_seconds:UInt32})) AS start,
    argMin(price, (timestamp, local_timestamp, _offset)) AS open, max(price) AS high, min(price) AS low,
    argMax(price, (timestamp, local_timestamp, _offset)) AS close,
    sum(amount) AS volume, sum(toDecimal256(price, 18) * amount) AS quote_volume,
    count() AS trades, sumIf(amount, side = 'buy') AS buy_volume
FROM {database}.trades
WHERE {interval_seconds:UInt32} % 60 != 0
GROUP BY exchange, symbol, start;

-- Arbitrage opportunities: buy on one exchange, sell on another. Each side's fields carry its name before them.
-- Floats are compressed by ZSTD alone: Gorilla pays where neighbours are alike, and each signal stands for itself.
CREATE TABLE IF NOT EXISTS {database}.signals
(
    id String CODEC(ZSTD) COMMENT 'one opportunity, from opened to closed',
    symbol LowCardinality(String),
    type LowCardinality(String) COMMENT 'opened, updated, closed',
    reason LowCardinality(String) COMMENT 'why it closed',
    timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    local_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    opened_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    lifetime Int64 CODEC(ZSTD) COMMENT 'microseconds since opened_at',
    buy_exchange LowCardinality(String),
    buy_source String CODEC(ZSTD),
    buy_origin LowCardinality(String),
    buy_sequence Int64 CODEC(ZSTD),
    buy_book LowCardinality(String),
    buy_price Decimal(38, 18) CODEC(ZSTD),
    buy_average_price Decimal(38, 18) CODEC(ZSTD),
    buy_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    buy_local_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    buy_age Int64 CODEC(ZSTD),
    buy_fee_bps Float64 CODEC(ZSTD),
    sell_exchange LowCardinality(String),
    sell_source String CODEC(ZSTD),
    sell_origin LowCardinality(String),
    sell_sequence Int64 CODEC(ZSTD),
    sell_book LowCardinality(String),
    sell_price Decimal(38, 18) CODEC(ZSTD),
    sell_average_price Decimal(38, 18) CODEC(ZSTD),
    sell_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    sell_local_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    sell_age Int64 CODEC(ZSTD),
    sell_fee_bps Float64 CODEC(ZSTD),
    gross_bps Float64 CODEC(ZSTD),
    net_bps Float64 CODEC(ZSTD),
    amount Decimal(38, 18) CODEC(ZSTD) COMMENT 'base units',
    profit Decimal(38, 18) CODEC(ZSTD) COMMENT 'quote units, net of fees',
    peak_net_bps Float64 CODEC(ZSTD),
    peak_amount Decimal(38, 18) CODEC(ZSTD),
    peak_profit Decimal(38, 18) CODEC(ZSTD),
    spread_mean_bps Float64 CODEC(ZSTD),
    spread_stdev_bps Float64 CODEC(ZSTD),
    spread_zscore Float64 CODEC(ZSTD),
    spread_count Int64 CODEC(ZSTD),
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
ORDER BY (symbol, local_timestamp, _offset)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE VIEW IF NOT EXISTS {database}.signals_held AS
SELECT
    _partition AS partition, substringIndex(source, ':', 2) AS origin,
    max(_offset) AS offset, argMax(source, _offset) AS highest_source
FROM {database}.signals
GROUP BY partition, origin;

CREATE TABLE IF NOT EXISTS {database}.signals_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.signals_parse TO {database}.signals AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String), symbol Nullable(String),
    timestamp Nullable(Int64), local_timestamp Nullable(Int64),
    id Nullable(String), type Nullable(String), reason Nullable(String),
    opened_at Nullable(Int64), lifetime Nullable(Int64),
    buy Tuple(
        exchange Nullable(String), source Nullable(String), origin Nullable(String), sequence Nullable(Int64),
        book Nullable(String), price Nullable(Decimal(38, 18)), average_price Nullable(Decimal(38, 18)),
        timestamp Nullable(Int64), local_timestamp Nullable(Int64), age Nullable(Int64), fee_bps Nullable(Float64)),
    sell Tuple(
        exchange Nullable(String), source Nullable(String), origin Nullable(String), sequence Nullable(Int64),
        book Nullable(String), price Nullable(Decimal(38, 18)), average_price Nullable(Decimal(38, 18)),
        timestamp Nullable(Int64), local_timestamp Nullable(Int64), age Nullable(Int64), fee_bps Nullable(Float64)),
    gross_bps Nullable(Float64), net_bps Nullable(Float64),
    amount Nullable(Decimal(38, 18)), profit Nullable(Decimal(38, 18)), peak_net_bps Nullable(Float64),
    peak_amount Nullable(Decimal(38, 18)), peak_profit Nullable(Decimal(38, 18)),
    spread_mean_bps Nullable(Float64), spread_stdev_bps Nullable(Float64), spread_zscore Nullable(Float64),
    spread_count Nullable(Int64))') AS event
SELECT
    event.symbol AS symbol,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS timestamp,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS local_timestamp,
    event.id AS id, event.type AS type, event.reason AS reason,
    fromUnixTimestamp64Micro(event.opened_at, 'UTC') AS opened_at, event.lifetime AS lifetime,
    event.buy.exchange AS buy_exchange, event.buy.source AS buy_source, event.buy.origin AS buy_origin,
    event.buy.sequence AS buy_sequence, event.buy.book AS buy_book, event.buy.price AS buy_price,
    event.buy.average_price AS buy_average_price,
    fromUnixTimestamp64Micro(event.buy.timestamp, 'UTC') AS buy_timestamp,
    fromUnixTimestamp64Micro(event.buy.local_timestamp, 'UTC') AS buy_local_timestamp,
    event.buy.age AS buy_age, event.buy.fee_bps AS buy_fee_bps,
    event.sell.exchange AS sell_exchange, event.sell.source AS sell_source, event.sell.origin AS sell_origin,
    event.sell.sequence AS sell_sequence, event.sell.book AS sell_book, event.sell.price AS sell_price,
    event.sell.average_price AS sell_average_price,
    fromUnixTimestamp64Micro(event.sell.timestamp, 'UTC') AS sell_timestamp,
    fromUnixTimestamp64Micro(event.sell.local_timestamp, 'UTC') AS sell_local_timestamp,
    event.sell.age AS sell_age, event.sell.fee_bps AS sell_fee_bps,
    event.gross_bps AS gross_bps, event.net_bps AS net_bps, event.amount AS amount, event.profit AS profit,
    event.peak_net_bps AS peak_net_bps, event.peak_amount AS peak_amount, event.peak_profit AS peak_profit,
    event.spread_mean_bps AS spread_mean_bps, event.spread_stdev_bps AS spread_stdev_bps,
    event.spread_zscore AS spread_zscore, event.spread_count AS spread_count,
    event.source AS source, _partition, _offset
FROM {database}.signals_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not stand first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0;

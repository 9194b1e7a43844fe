CREATE TABLE IF NOT EXISTS marketprism.trades
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `id` String CODEC(ZSTD) COMMENT 'the exchange\'s id of the trade',
    `price` Decimal(76, 18) CODEC(ZSTD) COMMENT 'quote units per base unit',
    `amount` Decimal(76, 18) CODEC(ZSTD) COMMENT 'base units',
    `side` LowCardinality(String) COMMENT 'of the taker',
    `kind` LowCardinality(String) COMMENT 'normal, or the exchange\'s mark: liquidation, insurance_fund, adl, …',
    `exchange_amount` Decimal(76, 18) CODEC(ZSTD) COMMENT 'in the unit of the exchange: contracts, USD, or base units',
    `on_book` Bool DEFAULT kind = 'normal' OR startsWith(kind, 'liquidation') CODEC(ZSTD) COMMENT 'executed on the order book; candles are made of these trades',
    `source` String CODEC(ZSTD) COMMENT 'the line that caused the event',
    `_partition` UInt16 CODEC(ZSTD) COMMENT 'of the event\'s topic',
    `_offset` UInt64 CODEC(Delta, ZSTD) COMMENT 'in the partition of the event\'s topic',
    `_inserted` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when the row was stored',
    INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
    PROJECTION candles_by_minute
    (
        SELECT
            exchange, symbol, toStartOfMinute(timestamp), on_book,
            argMin(price, (timestamp, local_timestamp, _offset)), max(price), min(price),
            argMax(price, (timestamp, local_timestamp, _offset)),
            sum(amount), sum(price * amount), count(), sumIf(amount, side = 'buy')
        GROUP BY exchange, symbol, toStartOfMinute(timestamp), on_book
    ),
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
COMMENT 'trades';

CREATE TABLE IF NOT EXISTS marketprism_internal.trades_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.trades_parse TO marketprism.trades AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    id Nullable(String),
    price Nullable(Decimal(38, 18)),
    amount Nullable(Decimal(38, 18)),
    side Nullable(String),
    kind Nullable(String),
    exchange_amount Nullable(Decimal(38, 18)))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.id AS `id`,
    event.price AS `price`,
    event.amount AS `amount`,
    event.side AS `side`,
    event.kind AS `kind`,
    event.exchange_amount AS `exchange_amount`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.trades_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0;

CREATE TABLE IF NOT EXISTS marketprism.instruments
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `type` LowCardinality(String) COMMENT 'listed: first known; changed: one field',
    `field` LowCardinality(String) COMMENT 'name of the column that changed; empty unless changed',
    `old` String CODEC(ZSTD) COMMENT 'its value before; empty unless changed',
    `new` String CODEC(ZSTD) COMMENT 'its value now; empty unless changed',
    `feed` LowCardinality(String) COMMENT 'the feed that lists it, such as binance-usdm',
    `exchange_symbol` String CODEC(ZSTD) COMMENT 'the exchange\'s own name',
    `kind` LowCardinality(String) COMMENT 'spot, perp, future, option',
    `base` LowCardinality(String) COMMENT 'currency that is traded',
    `quote` LowCardinality(String) COMMENT 'currency of the price',
    `settle` LowCardinality(String) COMMENT 'currency of settlement; empty: unknown',
    `tick_size` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'smallest step of prices',
    `lot_size` Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'smallest step of amounts, in the exchange\'s unit',
    `contract_size` Decimal(76, 18) CODEC(ZSTD) COMMENT 'of one unit of amount: base units, or quote units if inverse',
    `inverse` Bool CODEC(ZSTD) COMMENT 'its contracts are worth a fixed number of quote units',
    `expiry` String CODEC(ZSTD) COMMENT 'YYMMDD; empty: none',
    `status` LowCardinality(String) COMMENT 'trading, halted, closed',
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
COMMENT 'definitions of instruments: listed, changed, delisted';

CREATE TABLE IF NOT EXISTS marketprism_internal.instruments_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.instruments_parse TO marketprism.instruments AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    type Nullable(String),
    field Nullable(String),
    old Nullable(String),
    new Nullable(String),
    feed Nullable(String),
    exchange_symbol Nullable(String),
    kind Nullable(String),
    base Nullable(String),
    quote Nullable(String),
    settle Nullable(String),
    tick_size Nullable(Decimal(38, 18)),
    lot_size Nullable(Decimal(38, 18)),
    contract_size Nullable(Decimal(38, 18)),
    inverse Nullable(Bool),
    expiry Nullable(String),
    status Nullable(String))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.type AS `type`,
    event.field AS `field`,
    event.old AS `old`,
    event.new AS `new`,
    event.feed AS `feed`,
    event.exchange_symbol AS `exchange_symbol`,
    event.kind AS `kind`,
    event.base AS `base`,
    event.quote AS `quote`,
    event.settle AS `settle`,
    event.tick_size AS `tick_size`,
    event.lot_size AS `lot_size`,
    event.contract_size AS `contract_size`,
    event.inverse AS `inverse`,
    event.expiry AS `expiry`,
    event.status AS `status`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.instruments_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.tick_size IS NULL AND JSONExtractRaw(value, 'tick_size') != 'null', 'tick_size is missing or malformed') = 0
    AND throwIf(event.lot_size IS NULL AND JSONExtractRaw(value, 'lot_size') != 'null', 'lot_size is missing or malformed') = 0;

CREATE TABLE IF NOT EXISTS marketprism.quality
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `type` LowCardinality(String) COMMENT 'report: counts since the last; difference: a disagreement',
    `check` LowCardinality(String) COMMENT 'book: the top at an update id; candle: a closed candle',
    `compared` Int64 CODEC(ZSTD) COMMENT 'pairs of tops or candles, in a report since the last',
    `agreed` Int64 CODEC(ZSTD) COMMENT 'of those compared',
    `differed` Int64 CODEC(ZSTD) COMMENT 'of those compared',
    `sequence` Int64 CODEC(ZSTD) COMMENT 'update id at which both were compared; of a report the book\'s; 0: candles',
    `bbo` Array(Nullable(Decimal(76, 18))) CODEC(ZSTD) COMMENT 'bid price, bid amount, ask price, ask amount; NULL: empty side',
    `book` Array(Nullable(Decimal(76, 18))) CODEC(ZSTD) COMMENT 'the same of the rebuilt book',
    `interval` LowCardinality(String) COMMENT 'of the candles: 1m, 1h, …; empty: books',
    `start` Nullable(DateTime64(6, 'UTC')) CODEC(Delta, ZSTD) COMMENT 'of the candle that differs; null: books and reports',
    `late` Int64 CODEC(ZSTD) COMMENT 'trades since the last report that came after their candle was closed',
    `cause` LowCardinality(String) COMMENT 'of a candle\'s difference: gap, late, not_on_book, aggregated, both_sides; empty: unknown',
    `fields` Array(LowCardinality(String)) CODEC(ZSTD) COMMENT 'columns of the candle that differ',
    `theirs` Array(Nullable(Decimal(76, 18))) CODEC(ZSTD) COMMENT 'values of `fields` in the exchange\'s candle',
    `ours` Array(Nullable(Decimal(76, 18))) CODEC(ZSTD) COMMENT 'the same in the candle of trades; NULL: no trades',
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
COMMENT 'rebuilt books and candles of trades against the exchange\'s own BBO and candles';

CREATE TABLE IF NOT EXISTS marketprism_internal.quality_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.quality_parse TO marketprism.quality AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    type Nullable(String),
    check Nullable(String),
    compared Nullable(Int64),
    agreed Nullable(Int64),
    differed Nullable(Int64),
    sequence Nullable(Int64),
    bbo Array(Nullable(Decimal(38, 18))),
    book Array(Nullable(Decimal(38, 18))),
    interval Nullable(String),
    start Nullable(Int64),
    late Nullable(Int64),
    cause Nullable(String),
    fields Array(Nullable(String)),
    theirs Array(Nullable(Decimal(38, 18))),
    ours Array(Nullable(Decimal(38, 18))))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.type AS `type`,
    ifNull(event.check, 'book') AS `check`,
    event.compared AS `compared`,
    event.agreed AS `agreed`,
    event.differed AS `differed`,
    event.sequence AS `sequence`,
    event.bbo AS `bbo`,
    event.book AS `book`,
    ifNull(event.interval, '') AS `interval`,
    fromUnixTimestamp64Micro(event.start, 'UTC') AS `start`,
    ifNull(event.late, 0) AS `late`,
    ifNull(event.cause, '') AS `cause`,
    event.fields AS `fields`,
    event.theirs AS `theirs`,
    event.ours AS `ours`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.quality_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0
    AND throwIf(event.check IS NULL AND JSONExtractRaw(value, 'check') != '', 'check is malformed') = 0
    AND throwIf(position(value, '"bbo":[') = 0, 'bbo is missing or not an array') = 0
    AND throwIf(position(value, '"book":[') = 0, 'book is missing or not an array') = 0
    AND throwIf(event.interval IS NULL AND JSONExtractRaw(value, 'interval') != '', 'interval is malformed') = 0
    AND throwIf(event.start IS NULL AND JSONExtractRaw(value, 'start') NOT IN ('', 'null'), 'start is malformed') = 0
    AND throwIf(event.late IS NULL AND JSONExtractRaw(value, 'late') != '', 'late is malformed') = 0
    AND throwIf(event.cause IS NULL AND JSONExtractRaw(value, 'cause') != '', 'cause is malformed') = 0
    AND throwIf(JSONHas(value, 'fields') AND position(value, '"fields":[') = 0, 'fields is not an array') = 0
    AND throwIf(JSONHas(value, 'theirs') AND position(value, '"theirs":[') = 0, 'theirs is not an array') = 0
    AND throwIf(JSONHas(value, 'ours') AND position(value, '"ours":[') = 0, 'ours is not an array') = 0;

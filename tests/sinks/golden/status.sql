CREATE TABLE IF NOT EXISTS marketprism.status
(
    `exchange` LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    `symbol` LowCardinality(String) COMMENT 'our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C',
    `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'exchange time; receipt time where the exchange sends none',
    `local_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD) COMMENT 'receipt by ingest',
    `type` LowCardinality(String) COMMENT 'connected, disconnected, …; report: one channel, every 10 s',
    `channels` Array(LowCardinality(String)) CODEC(ZSTD) COMMENT 'affected channels; empty: the whole connection',
    `reason` String CODEC(ZSTD) COMMENT 'what happened or is done about it; empty: nothing to add',
    `messages` Int64 CODEC(ZSTD) COMMENT 'since the last report',
    `repeated` Int64 CODEC(ZSTD) COMMENT 'duplicates among them, which were dropped',
    `age` Int64 CODEC(ZSTD) COMMENT 'microseconds since the last message; of silent and resumed: the silence',
    `latency_median` Int64 CODEC(ZSTD) COMMENT 'microseconds from exchange time to receipt, by the exchange\'s clock; 0: no times',
    `latency_max` Int64 CODEC(ZSTD) COMMENT 'microseconds from exchange time to receipt, the longest',
    `clock_offset` Int64 CODEC(ZSTD) COMMENT 'microseconds, the exchange\'s clock minus ours',
    `round_trip` Int64 CODEC(ZSTD) COMMENT 'microseconds, of the request for the exchange\'s clock',
    `reconnects` Int64 CODEC(ZSTD) COMMENT 'after a loss, since the start',
    `renewals` Int64 CODEC(ZSTD) COMMENT 'without a break, since the start',
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
COMMENT 'feed health: connections, subscriptions, silent channels, data age, latency, clocks';

CREATE TABLE IF NOT EXISTS marketprism_internal.status_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS marketprism_internal.status_parse TO marketprism.status AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String),
    exchange Nullable(String),
    symbol Nullable(String),
    timestamp Nullable(Int64),
    local_timestamp Nullable(Int64),
    type Nullable(String),
    channels Array(Nullable(String)),
    reason Nullable(String),
    messages Nullable(Int64),
    repeated Nullable(Int64),
    age Nullable(Int64),
    latency_median Nullable(Int64),
    latency_max Nullable(Int64),
    clock_offset Nullable(Int64),
    round_trip Nullable(Int64),
    reconnects Nullable(Int64),
    renewals Nullable(Int64))') AS event
SELECT
    event.exchange AS `exchange`,
    event.symbol AS `symbol`,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS `timestamp`,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS `local_timestamp`,
    event.type AS `type`,
    event.channels AS `channels`,
    event.reason AS `reason`,
    event.messages AS `messages`,
    event.repeated AS `repeated`,
    event.age AS `age`,
    event.latency_median AS `latency_median`,
    event.latency_max AS `latency_max`,
    event.clock_offset AS `clock_offset`,
    event.round_trip AS `round_trip`,
    event.reconnects AS `reconnects`,
    event.renewals AS `renewals`,
    event.source AS `source`,
    _partition,
    _offset
FROM marketprism_internal.status_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not come first') = 0
    AND throwIf(position(value, '"channels":[') = 0, 'channels is missing or not an array') = 0;

-- The amount as the exchange counts it: contracts, or USD. The view that fills the table is made anew with it.
ALTER TABLE {database}.trades
    ADD COLUMN IF NOT EXISTS exchange_amount Decimal(38, 18) DEFAULT amount CODEC(ZSTD)
    COMMENT 'in the unit of the exchange: contracts, USD, or base units' AFTER kind;

DROP VIEW IF EXISTS {database}.trades_parse;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.trades_parse TO {database}.trades AS
WITH JSONExtract(value, 'Tuple(
    source Nullable(String), exchange Nullable(String), symbol Nullable(String),
    timestamp Nullable(Int64), local_timestamp Nullable(Int64), id Nullable(String),
    price Nullable(Decimal(38, 18)), amount Nullable(Decimal(38, 18)),
    side Nullable(String), kind Nullable(String), exchange_amount Nullable(Decimal(38, 18)))') AS event
SELECT
    event.exchange AS exchange, event.symbol AS symbol,
    fromUnixTimestamp64Micro(event.timestamp, 'UTC') AS timestamp,
    fromUnixTimestamp64Micro(event.local_timestamp, 'UTC') AS local_timestamp,
    event.id AS id, event.price AS price, event.amount AS amount, event.side AS side, event.kind AS kind,
    event.exchange_amount AS exchange_amount,
    event.source AS source, _partition, _offset
FROM {database}.trades_entry
WHERE throwIf(NOT match(value, '^[{]"source":"[^":]+:[0-9]+:[0-9]+:[0-9]+:[0-9]+"'), 'source does not stand first') = 0
    AND throwIf(match(value, '"-?[0-9]+[.][0-9]{19}'), 'a decimal has more than 18 decimal places') = 0;

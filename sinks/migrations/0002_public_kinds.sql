-- `market.funding` says whether a rate is an estimate. What was stored before is one.
ALTER TABLE {database}.funding ADD COLUMN IF NOT EXISTS `type` LowCardinality(String) DEFAULT 'estimated';

-- Candles of any whole number of seconds, by exchange time, from the trades on the order book:
-- SELECT * FROM candles_of_trades(interval_seconds = 300) WHERE …
-- The table `candles` has those of the exchanges. A database of an earlier version had this view under that name.
-- Whole minutes come from the projection `candles_by_minute`, shorter intervals from the trades themselves.
CREATE VIEW IF NOT EXISTS {database}.candles_of_trades AS
SELECT
    exchange, symbol,
    toStartOfInterval(toStartOfMinute(timestamp), toIntervalSecond({interval_seconds:UInt32})) AS start,
    argMin(price, (timestamp, local_timestamp, _offset)) AS open, max(price) AS high, min(price) AS low,
    argMax(price, (timestamp, local_timestamp, _offset)) AS close,
    sum(amount) AS volume, sum(price * amount) AS quote_volume,
    count() AS trades, sumIf(amount, side = 'buy') AS buy_volume
FROM {database}.trades
WHERE on_book AND {interval_seconds:UInt32} % 60 = 0
GROUP BY exchange, symbol, start
UNION ALL
SELECT
    exchange, symbol,
    toStartOfInterval(timestamp, toIntervalSecond({interval_seconds:UInt32})) AS start,
    argMin(price, (timestamp, local_timestamp, _offset)) AS open, max(price) AS high, min(price) AS low,
    argMax(price, (timestamp, local_timestamp, _offset)) AS close,
    sum(amount) AS volume, sum(price * amount) AS quote_volume,
    count() AS trades, sumIf(amount, side = 'buy') AS buy_volume
FROM {database}.trades
WHERE on_book AND {interval_seconds:UInt32} % 60 != 0
GROUP BY exchange, symbol, start;

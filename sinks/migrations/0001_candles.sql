-- Candles of any whole number of seconds, by exchange time: SELECT * FROM candles(interval_seconds = 300) WHERE …
-- Whole minutes come from the projection `candles_by_minute`, shorter ones from the trades themselves.
CREATE VIEW IF NOT EXISTS {database}.candles AS
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

-- The same for all trades, on and off the order book.
CREATE VIEW IF NOT EXISTS {database}.candles_of_all_trades AS
SELECT
    exchange, symbol,
    toStartOfInterval(toStartOfMinute(timestamp), toIntervalSecond({interval_seconds:UInt32})) AS start,
    argMin(price, (timestamp, local_timestamp, _offset)) AS open, max(price) AS high, min(price) AS low,
    argMax(price, (timestamp, local_timestamp, _offset)) AS close,
    sum(amount) AS volume, sum(price * amount) AS quote_volume,
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
    sum(amount) AS volume, sum(price * amount) AS quote_volume,
    count() AS trades, sumIf(amount, side = 'buy') AS buy_volume
FROM {database}.trades
WHERE {interval_seconds:UInt32} % 60 != 0
GROUP BY exchange, symbol, start;

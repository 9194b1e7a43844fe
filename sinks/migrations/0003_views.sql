-- The rebuilt book at a time of receipt, level 1 being the best:
-- SELECT * FROM book_at(exchange = 'okx', symbol = 'BTC-USDT', at = '2026-01-31 12:00:00')
-- It is the last snapshot of the day before, and the updates since. Of each price the last change counts.
-- There are no rows while the book was not live: within a gap, before its first snapshot, from a status `stopped`,
-- `silent` or `delisted` until its next event, and once it had been silent for two minutes, since a live book publishes
-- a snapshot every minute.
CREATE VIEW IF NOT EXISTS {database}.book_at AS
WITH
    (
        SELECT (maxOrNull(local_timestamp), maxOrNull(_offset))
        FROM
        (
            SELECT local_timestamp, _offset
            FROM {database}.books
            WHERE exchange = {exchange:String} AND symbol = {symbol:String} AND type = 'snapshot'
                AND local_timestamp > {at:DateTime64(6, 'UTC')} - toIntervalDay(1)
                AND local_timestamp <= {at:DateTime64(6, 'UTC')}
            ORDER BY local_timestamp DESC, _offset DESC
            LIMIT 1
        )
    ) AS snapshot,
    (
        SELECT max(local_timestamp)
        FROM {database}.status
        WHERE exchange = {exchange:String} AND symbol = {symbol:String}
            AND type IN ('stopped', 'silent', 'delisted') AND (empty(channels) OR has(channels, 'books'))
            AND local_timestamp > {at:DateTime64(6, 'UTC')} - toIntervalMinute(2)
            AND local_timestamp <= {at:DateTime64(6, 'UTC')}
    ) AS ended_at
SELECT
    side,
    row_number() OVER (PARTITION BY side ORDER BY if(side = 'bid', -price, price)) AS level,
    price,
    amount
FROM
(
    SELECT change.1 AS side, change.2 AS price, argMax(change.3, _offset) AS amount
    FROM
    (
        SELECT
            _offset,
            arrayJoin(arrayConcat(
                arrayMap((price, amount) -> ('bid', price, amount), `bids.price`, `bids.amount`),
                arrayMap((price, amount) -> ('ask', price, amount), `asks.price`, `asks.amount`))) AS change
        FROM {database}.books
        WHERE exchange = {exchange:String} AND symbol = {symbol:String}
            AND local_timestamp >= snapshot.1 AND local_timestamp <= {at:DateTime64(6, 'UTC')}
            AND _offset >= snapshot.2
    )
    GROUP BY side, price
    HAVING amount > 0
)
WHERE
    EXISTS (
        SELECT 1
        FROM {database}.books
        WHERE exchange = {exchange:String} AND symbol = {symbol:String}
            AND local_timestamp > greatest({at:DateTime64(6, 'UTC')} - toIntervalMinute(2), ended_at)
            AND local_timestamp <= {at:DateTime64(6, 'UTC')}
    )
    AND NOT EXISTS (
        SELECT 1
        FROM {database}.gaps
        WHERE exchange = {exchange:String} AND symbol = {symbol:String} AND channel = 'books'
            AND local_timestamp >= snapshot.1 AND since < {at:DateTime64(6, 'UTC')}
        GROUP BY id
        HAVING countIf(type = 'closed' AND local_timestamp <= {at:DateTime64(6, 'UTC')}) = 0
    )
COMMENT 'the rebuilt book at a time: book_at(exchange = …, symbol = …, at = …); no rows while it was not live';

-- What follows from a quote's best levels. All of it is NULL while a side is empty.
CREATE VIEW IF NOT EXISTS {database}.spreads AS
SELECT
    exchange, symbol, timestamp, local_timestamp, origin, bid_price, bid_amount, ask_price, ask_amount,
    (bid_price + ask_price) / 2 AS mid,
    ask_price - bid_price AS spread,
    (ask_price - bid_price) * 20000 / nullIf(bid_price + ask_price, 0) AS spread_bps,
    (bid_amount - ask_amount) / nullIf(bid_amount + ask_amount, 0) AS imbalance,
    (bid_price * ask_amount + ask_price * bid_amount) / nullIf(bid_amount + ask_amount, 0) AS microprice,
    _partition, _offset
FROM {database}.quotes
COMMENT 'mid, spread, imbalance and microprice of each quote';

ALTER TABLE {database}.spreads
    COMMENT COLUMN exchange 'binance, okx, htx or deribit',
    COMMENT COLUMN symbol 'our name of the instrument',
    COMMENT COLUMN timestamp 'exchange time; receipt time where the exchange sends none',
    COMMENT COLUMN local_timestamp 'receipt by ingest',
    COMMENT COLUMN origin 'bbo: the exchange''s own channel; book: the rebuilt book',
    COMMENT COLUMN bid_price 'best bid, quote units',
    COMMENT COLUMN bid_amount 'amount at the best bid, base units',
    COMMENT COLUMN ask_price 'best ask, quote units',
    COMMENT COLUMN ask_amount 'amount at the best ask, base units',
    COMMENT COLUMN mid 'mean of both prices, quote units',
    COMMENT COLUMN spread 'ask minus bid, quote units',
    COMMENT COLUMN spread_bps 'the spread by the mid, basis points',
    COMMENT COLUMN imbalance 'from -1, all of the amount is on the ask, to 1, all is on the bid',
    COMMENT COLUMN microprice 'both prices weighted with the amount of the other side, quote units',
    COMMENT COLUMN _partition 'of the quote''s topic',
    COMMENT COLUMN _offset 'in the partition of the quote''s topic';

-- Volume-weighted average price of the trades on the order book, by exchange time, in any whole number of seconds:
-- SELECT * FROM vwap(interval_seconds = 60) WHERE …
-- Of a longer time it is sum(quote_volume) / sum(volume).
CREATE VIEW IF NOT EXISTS {database}.vwap AS
SELECT exchange, symbol, start, quote_volume / nullIf(volume, 0) AS vwap, volume, quote_volume, trades
FROM {database}.candles_of_trades(interval_seconds = {interval_seconds:UInt32})
COMMENT 'volume-weighted average price of the trades on the book: vwap(interval_seconds = …)';

ALTER TABLE {database}.candles_of_trades
    MODIFY COMMENT 'candles of the trades on the order book: candles_of_trades(interval_seconds = …)';

ALTER TABLE {database}.candles_of_all_trades
    MODIFY COMMENT 'candles of all trades, on and off the order book: candles_of_all_trades(interval_seconds = …)';

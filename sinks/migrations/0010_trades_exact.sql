-- Arithmetic on prices and amounts, and candles of trades on the order book.
--
-- Decimal(76, 18) holds what Decimal(38, 18) holds, 20 digits before the point and 18 behind it, and leaves room for
-- what is computed: a product of any two is exact, and sums of products are, below 5.7e40. A quotient is cut off after
-- as many decimals as its dividend has: 18 for a ratio of prices, 36 for a VWAP, whose notional must stay below 5.7e22.
-- Beyond these bounds ClickHouse wraps around without an error, as it did with Decimal(38, 18) at 170. `divideDecimal`
-- divides sums of any size, and `multiplyDecimal` reports a product of three that does not fit. Events are still parsed
-- as Decimal(38, 18), which bounds what is stored.
--
-- `on_book` is the one place that decides which kinds are trades on the order book: normal ones and liquidations,
-- which Deribit executes there. All others are off it: insurance fund and ADL (USD-M) and legs of block trades and
-- combinations (Deribit) are executed at prices that the book never had. So is a kind that nobody knows yet: a candle
-- that lacks a trade is less wrong than one with a wrong high.
--
-- The server rewrites what is stored in the background, and reads it meanwhile as it is. So the projection has a new name:
-- parts of before hold the old one, whose sums are of another type.
ALTER TABLE {database}.trades
    DROP PROJECTION IF EXISTS minutes SETTINGS alter_sync = 0;

ALTER TABLE {database}.trades
    ADD COLUMN IF NOT EXISTS on_book Bool DEFAULT kind = 'normal' OR startsWith(kind, 'liquidation') CODEC(ZSTD)
        COMMENT 'executed on the order book: what candles are made of' AFTER exchange_amount,
    MODIFY COLUMN price Decimal(76, 18) CODEC(ZSTD),
    MODIFY COLUMN amount Decimal(76, 18) CODEC(ZSTD) COMMENT 'base units',
    MODIFY COLUMN exchange_amount Decimal(76, 18) DEFAULT amount CODEC(ZSTD)
        COMMENT 'in the unit of the exchange: contracts, USD, or base units'
    SETTINGS alter_sync = 0;

ALTER TABLE {database}.trades
    ADD PROJECTION IF NOT EXISTS candles_by_minute
    (
        SELECT
            exchange, symbol, toStartOfMinute(timestamp), on_book,
            argMin(price, (timestamp, local_timestamp, _offset)), max(price), min(price),
            argMax(price, (timestamp, local_timestamp, _offset)),
            sum(amount), sum(price * amount), count(), sumIf(amount, side = 'buy')
        GROUP BY exchange, symbol, toStartOfMinute(timestamp), on_book
    )
    SETTINGS alter_sync = 0;

ALTER TABLE {database}.trades MATERIALIZE PROJECTION candles_by_minute SETTINGS mutations_sync = 0;

-- Candles of any whole number of seconds, by exchange time: SELECT * FROM candles(interval_seconds = 300) WHERE …
-- Whole minutes come from the projection `candles_by_minute`, shorter ones from the trades themselves.
DROP VIEW IF EXISTS {database}.candles;

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

-- The same of all trades, wherever they were executed.
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

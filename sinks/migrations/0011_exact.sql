-- Arithmetic on the prices and amounts of all other tables: see 0010_trades_exact.sql.
ALTER TABLE {database}.books
    MODIFY COLUMN `bids.price` Array(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN `bids.amount` Array(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN `asks.price` Array(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN `asks.amount` Array(Decimal(76, 18)) CODEC(ZSTD)
    SETTINGS alter_sync = 0;

ALTER TABLE {database}.quotes
    MODIFY COLUMN bid_price Nullable(Decimal(76, 18)) CODEC(ZSTD) COMMENT 'the best; NULL where the side is empty',
    MODIFY COLUMN bid_amount Nullable(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN ask_price Nullable(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN ask_amount Nullable(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN `bids.price` Array(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN `bids.amount` Array(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN `asks.price` Array(Decimal(76, 18)) CODEC(ZSTD),
    MODIFY COLUMN `asks.amount` Array(Decimal(76, 18)) CODEC(ZSTD)
    SETTINGS alter_sync = 0;

ALTER TABLE {database}.quality
    MODIFY COLUMN bbo Array(Nullable(Decimal(76, 18))) CODEC(ZSTD)
        COMMENT 'bid price, bid amount, ask price, ask amount; NULL: empty side',
    MODIFY COLUMN book Array(Nullable(Decimal(76, 18))) CODEC(ZSTD) COMMENT 'likewise, of the rebuilt book'
    SETTINGS alter_sync = 0;

ALTER TABLE {database}.signals
    MODIFY COLUMN buy_price Decimal(76, 18) CODEC(ZSTD),
    MODIFY COLUMN buy_average_price Decimal(76, 18) CODEC(ZSTD),
    MODIFY COLUMN sell_price Decimal(76, 18) CODEC(ZSTD),
    MODIFY COLUMN sell_average_price Decimal(76, 18) CODEC(ZSTD),
    MODIFY COLUMN amount Decimal(76, 18) CODEC(ZSTD) COMMENT 'base units',
    MODIFY COLUMN profit Decimal(76, 18) CODEC(ZSTD) COMMENT 'quote units, net of fees',
    MODIFY COLUMN peak_amount Decimal(76, 18) CODEC(ZSTD),
    MODIFY COLUMN peak_profit Decimal(76, 18) CODEC(ZSTD)
    SETTINGS alter_sync = 0;

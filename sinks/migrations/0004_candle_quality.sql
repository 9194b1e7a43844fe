-- `market.quality` also compares candles. What was stored before compares books.
ALTER TABLE {database}.quality
    ADD COLUMN IF NOT EXISTS `check` LowCardinality(String) DEFAULT 'book',
    ADD COLUMN IF NOT EXISTS `interval` LowCardinality(String),
    ADD COLUMN IF NOT EXISTS `start` Nullable(DateTime64(6, 'UTC')),
    ADD COLUMN IF NOT EXISTS `late` Int64,
    ADD COLUMN IF NOT EXISTS `cause` LowCardinality(String),
    ADD COLUMN IF NOT EXISTS `fields` Array(LowCardinality(String)),
    ADD COLUMN IF NOT EXISTS `theirs` Array(Nullable(Decimal(76, 18))),
    ADD COLUMN IF NOT EXISTS `ours` Array(Nullable(Decimal(76, 18)));

-- The quality of each instrument's data by hour of receipt, from the hour of `since` until `until`, at most until now:
-- SELECT * FROM data_quality(since = '2026-01-31', until = '2026-02-01') WHERE …
-- docs/quality.md explains it. The columns are named for their comments, which SHOW CREATE TABLE prints: a view with
-- parameters has no columns in system.columns, and their types are those of its query.
CREATE VIEW IF NOT EXISTS {database}.data_quality
(
    exchange LowCardinality(String) COMMENT 'binance, okx, htx or deribit',
    symbol LowCardinality(String) COMMENT 'our name of the instrument',
    hour DateTime('UTC') COMMENT 'begin of the hour of receipt',
    score Float64 COMMENT 'the lowest part times 100, from 0 to 100',
    reason String COMMENT 'column that the lowest part is made of; empty: all parts are 1',
    expected_seconds Decimal(18, 6) COMMENT 'time of the hour in which it was to be delivered, seconds',
    trades_coverage Nullable(Float64) COMMENT 'share of this time without missing trades, 0 to 1; NULL: not ingested',
    books_coverage Nullable(Float64) COMMENT 'share of this time without a missing book, 0 to 1; NULL: not ingested',
    gaps UInt64 COMMENT 'gaps of trades and books that were open in the hour, filled ones too',
    gaps_filled UInt64 COMMENT 'of these gaps, those that were filled from the past',
    gap_seconds Decimal(18, 6) COMMENT 'time within gaps, filled ones too, of trades plus of books, seconds',
    trades UInt64 COMMENT 'trades received live',
    trades_lost Nullable(UInt64) COMMENT 'trades still missing, by their numbers; NULL: a gap has no numbers',
    trades_late UInt64 COMMENT 'trades that came after their candle was closed',
    book_compared UInt64 COMMENT 'truth checks of the book',
    book_differed UInt64 COMMENT 'of these, those in which the exchange''s BBO differed',
    candle_compared UInt64 COMMENT 'candles of trades compared with the exchange''s own',
    candle_differed UInt64 COMMENT 'of these, those that differed',
    candle_explained UInt64 COMMENT 'of those that differed, those whose cause is known',
    latency_channel String COMMENT 'trades; books, if no trade has a time; empty: neither has one',
    latency_p50 Nullable(Int64) COMMENT 'median from exchange time to receipt, by the exchange''s clock, microseconds',
    latency_p99 Nullable(Int64) COMMENT '99th percentile of the same, microseconds'
)
AS WITH
    toDateTime64(toStartOfHour({since:DateTime64(6, 'UTC')}), 6, 'UTC') AS begin,
    assumeNotNull((SELECT least({until:DateTime64(6, 'UTC')}, now64(6, 'UTC')))) AS finish,
    fromUnixTimestamp64Micro(0, 'UTC') AS never,

    -- Each gap once. An id can be used again: an `opened` belongs to the next `closed`.
    gap AS
    (
        SELECT
            exchange, symbol, channel, id,
            min(opening.2) AS start,
            min(opening.1) AS found,
            any(opening.3) AS first, any(opening.4) AS last,
            channel = 'trades' AND first != '' AS has_numbers,
            max(filled) >= found AS is_filled,
            -- A gap with numbers closes when they have arrived; the time without them ended when that was found.
            channel = 'trades' AND (is_filled OR (has_numbers AND closed > never)) AS is_mended,
            greatest(start, least(multiIf(has_numbers, found, closed > never, closed, finish), finish)) AS stop
        FROM
        (
            SELECT
                exchange, symbol, channel, id, filled,
                arrayJoin(openings) AS opening,
                arrayMin(arrayFilter(at -> at >= opening.1, closings)) AS closed
            FROM
            (
                SELECT
                    exchange, symbol, channel, id,
                    groupArrayIf((local_timestamp, since, first_missing, last_missing), type = 'opened') AS openings,
                    groupArrayIf(local_timestamp, type = 'closed') AS closings,
                    maxIf(local_timestamp, type = 'filled') AS filled
                FROM {database}.gaps
                WHERE since < finish
                GROUP BY exchange, symbol, channel, id
            )
        )
        GROUP BY exchange, symbol, channel, id, closed
    ),

    -- Signs of a channel's life: whether it is to be delivered, and whether it is silent. Reports, which come every 10 s,
    -- are taken by the minute.
    sign AS
    (
        SELECT
            exchange, symbol, channel, local_timestamp AS first, local_timestamp AS last, _offset AS number,
            toNullable(type NOT IN ('stopped', 'delisted')) AS is_expected,
            if(type = 'connected', NULL, type IN ('silent', 'refused')) AS is_silent,
            never AS heard
        FROM {database}.status
        ARRAY JOIN if(empty(channels), ['trades', 'books'], channels) AS channel
        WHERE type IN ('connected', 'silent', 'refused', 'resumed', 'stopped', 'delisted')
            AND channel IN ('trades', 'books') AND local_timestamp < finish
        UNION ALL
        SELECT
            exchange, symbol, channels[1] AS channel, min(local_timestamp), max(local_timestamp), 0, NULL, NULL,
            maxIf(local_timestamp, messages > 0)
        FROM {database}.status
        WHERE type = 'report' AND channels[1] IN ('trades', 'books')
            AND local_timestamp >= begin - toIntervalHour(1) AND local_timestamp < finish
        GROUP BY exchange, symbol, channel, toStartOfMinute(local_timestamp)
    ),
    followed AS
    (
        SELECT
            *,
            max(last) OVER (series ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS latest,
            leadInFrame(first, 1, finish) OVER (series ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next,
            row_number() OVER series AS place
        FROM sign
        WINDOW series AS (PARTITION BY exchange, symbol, channel ORDER BY first, number)
    ),

    -- The times at which something may change, and the begins of hours; until the next one all stays the same. `in_gap`
    -- and `missing` add up, the others last until they are given again. `is_reported`: there has been a report.
    change AS
    (
        SELECT
            exchange, symbol, channel, edge.1 AS at, toUInt64(0) AS number, edge.2 AS in_gap,
            if(is_mended, 0, edge.2) AS missing, NULL AS is_expected, NULL AS is_silent, 0 AS is_reported
        FROM gap
        ARRAY JOIN [(start, 1), (stop, -1)] AS edge
        UNION ALL
        SELECT exchange, symbol, channel, edge.1, edge.2, 0, edge.3, edge.4, edge.5, edge.6
        FROM followed
        ARRAY JOIN arrayConcat(
            [(first, number, 0, is_expected, is_silent, is_expected IS NULL)],
            if(heard > never, [(heard, 0, 0, NULL, 0, 1)], []),
            if(next > latest + toIntervalMinute(1),
                [(latest, 0, 1, NULL, NULL, 0), (next, 0, -1, NULL, NULL, 0)], []),
            if(place = 1, arrayMap(
                n -> (least(begin + toIntervalHour(n), finish), 0, 0, NULL, NULL, 0),
                range(toUInt64(greatest(dateDiff('hour', begin, finish), 0)) + 2)), [])) AS edge
    ),
    stretch AS
    (
        SELECT
            exchange, symbol, channel, at,
            leadInFrame(at, 1, at) OVER (series ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next,
            dateDiff('microsecond', at, next) AS length,
            ifNull(anyLast(is_expected) OVER past, max(is_reported) OVER past) > 0 AS is_expected,
            sum(in_gap) OVER past > 0 AS in_gap,
            sum(missing) OVER past > 0 OR ifNull(anyLast(is_silent) OVER past, 0) > 0 AS is_missing
        FROM change
        WINDOW
            series AS (PARTITION BY exchange, symbol, channel ORDER BY at, number),
            past AS (series ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),

    -- By hour. Times are in microseconds.
    covered AS
    (
        SELECT
            exchange, symbol, toStartOfHour(at) AS hour,
            sumIf(length, is_expected AND channel = 'trades') AS trades_expected,
            sumIf(length, is_expected AND channel = 'books') AS books_expected,
            sumIf(length, is_expected AND is_missing AND channel = 'trades') AS trades_missing,
            sumIf(length, is_expected AND is_missing AND channel = 'books') AS books_missing,
            sumIf(length, in_gap) AS gap_time
        FROM stretch
        WHERE at >= begin AND at < finish
        GROUP BY exchange, symbol, hour
        HAVING trades_expected > 0 OR books_expected > 0
    ),
    counted AS
    (
        SELECT
            exchange, symbol, hour, count() AS gaps, countIf(is_filled) AS filled,
            sumIf(toInt64OrZero(last) - toInt64OrZero(first) + 1,
                has_numbers AND NOT is_mended AND toStartOfHour(start) = hour) AS lost,
            countIf(channel = 'trades' AND NOT has_numbers AND NOT is_mended) AS unnumbered
        FROM gap
        ARRAY JOIN arrayMap(
            n -> toStartOfHour(greatest(start, begin)) + toIntervalHour(n),
            range(toUInt64(greatest(
                dateDiff('hour', greatest(start, begin), stop - toIntervalMicrosecond(1)), 0)) + 1)) AS hour
        WHERE stop > begin OR start >= begin
        GROUP BY exchange, symbol, hour
    ),
    compared AS
    (
        SELECT
            exchange, symbol, toStartOfHour(local_timestamp) AS hour,
            sumIf(compared, type = 'report' AND check = 'book') AS book_compared,
            sumIf(differed, type = 'report' AND check = 'book') AS book_differed,
            sumIf(compared, type = 'report' AND check = 'candle') AS candle_compared,
            sumIf(differed, type = 'report' AND check = 'candle') AS candle_differed,
            countIf(type = 'difference' AND check = 'candle' AND cause = '') AS candle_unknown,
            sumIf(late, type = 'report') AS late
        FROM {database}.quality
        WHERE local_timestamp >= begin AND local_timestamp < finish
        GROUP BY exchange, symbol, hour
    ),
    -- Where the exchange sends no time, `timestamp` is that of receipt. A backfill brings trades of two minutes ago and
    -- more (marketprism/backfill/job.py): they were not received then.
    traded AS
    (
        SELECT
            exchange, symbol, toStartOfHour(local_timestamp) AS hour, count() AS trades,
            countIf(timestamp != local_timestamp) AS timed,
            quantilesExactIf(0.5, 0.99)(
                dateDiff('microsecond', timestamp, local_timestamp), timestamp != local_timestamp) AS latency
        FROM {database}.trades
        WHERE local_timestamp >= begin AND local_timestamp < finish
            AND timestamp > local_timestamp - toIntervalMinute(2)
        GROUP BY exchange, symbol, hour
    ),
    booked AS
    (
        SELECT exchange, symbol, toStartOfHour(local_timestamp) AS hour, count() AS books
        FROM {database}.books
        WHERE local_timestamp >= begin AND local_timestamp < finish
        GROUP BY exchange, symbol, hour
    ),
    -- Only of hours in which no trade has a time.
    delayed AS
    (
        SELECT
            exchange, symbol, toStartOfHour(local_timestamp) AS hour, count() AS timed,
            quantilesExact(0.5, 0.99)(dateDiff('microsecond', timestamp, local_timestamp)) AS latency
        FROM {database}.books
        WHERE local_timestamp >= begin AND local_timestamp < finish AND timestamp != local_timestamp
            AND (exchange, symbol, hour) IN (
                SELECT exchange, symbol, hour FROM booked EXCEPT
                SELECT exchange, symbol, hour FROM traded WHERE timed > 0)
        GROUP BY exchange, symbol, hour
    ),
    clock AS
    (
        SELECT exchange, symbol, toStartOfHour(local_timestamp) AS hour, quantileExact(0.5)(clock_offset) AS offset
        FROM {database}.status
        WHERE type = 'report' AND channels[1] IN ('trades', 'books')
            AND local_timestamp >= begin AND local_timestamp < finish
        GROUP BY exchange, symbol, hour
    ),

    figures AS
    (
        SELECT
            exchange, symbol, hour,
            toDecimal64(greatest(trades_expected, books_expected), 6) / 1000000 AS expected_seconds,
            ifNull(counted.gaps, 0) AS gaps,
            ifNull(counted.filled, 0) AS gaps_filled,
            toDecimal64(gap_time, 6) / 1000000 AS gap_seconds,
            ifNull(traded.trades, 0) AS trades,
            toUInt64(ifNull(counted.lost, 0)) AS lost,
            if(lost = 0 AND ifNull(counted.unnumbered, 0) > 0, NULL, lost) AS trades_lost,
            toUInt64(ifNull(compared.late, 0)) AS trades_late,
            toUInt64(ifNull(compared.book_compared, 0)) AS book_compared,
            toUInt64(ifNull(compared.book_differed, 0)) AS book_differed,
            toUInt64(ifNull(compared.candle_compared, 0)) AS candle_compared,
            toUInt64(ifNull(compared.candle_differed, 0)) AS candle_differed,
            toUInt64(greatest(candle_differed - toInt64(ifNull(compared.candle_unknown, 0)), 0)) AS candle_explained,
            multiIf(ifNull(traded.timed, 0) > 0, 'trades', ifNull(delayed.timed, 0) > 0, 'books', '')
                AS latency_channel,
            if(latency_channel = 'trades', traded.latency, delayed.latency) AS latency,
            if(latency_channel = '', NULL, latency[1] + ifNull(clock.offset, 0)) AS latency_p50,
            if(latency_channel = '', NULL, latency[2] + ifNull(clock.offset, 0)) AS latency_p99,
            -- A live book publishes a snapshot a minute.
            ifNull(booked.books, 0) = 0 AND expected_seconds >= 120 AS has_no_book,
            if(trades_expected > 0, if(has_no_book AND trades = 0, 0, 1 - trades_missing / trades_expected), NULL)
                AS trades_coverage,
            if(books_expected > 0, if(has_no_book, 0, 1 - books_missing / books_expected), NULL) AS books_coverage
        FROM covered
        LEFT JOIN counted USING (exchange, symbol, hour)
        LEFT JOIN compared USING (exchange, symbol, hour)
        LEFT JOIN traded USING (exchange, symbol, hour)
        LEFT JOIN booked USING (exchange, symbol, hour)
        LEFT JOIN delayed USING (exchange, symbol, hour)
        LEFT JOIN clock USING (exchange, symbol, hour)
    )
SELECT
    exchange, symbol, hour,
    assumeNotNull(part.1) * 100 AS score, if(part.1 < 1, part.2, '') AS reason,
    expected_seconds, trades_coverage, books_coverage, gaps, gaps_filled, gap_seconds, trades, trades_lost, trades_late,
    book_compared, book_differed, candle_compared, candle_differed, candle_explained,
    latency_channel, latency_p50, latency_p99
FROM
(
    SELECT
        *,
        [
            (trades_coverage, 'trades_coverage'),
            (books_coverage, 'books_coverage'),
            (trades / nullIf(trades + trades_lost, 0), 'trades_lost'),
            (1 - trades_late / nullIf(greatest(trades, trades_late), 0), 'trades_late'),
            (1 - book_differed / nullIf(book_compared, 0), 'book_differed'),
            (1 - (candle_differed - candle_explained) / nullIf(candle_compared, 0), 'candle_differed')
        ] AS parts,
        arraySort(each -> each.1, arrayFilter(each -> isNotNull(each.1), parts))[1] AS part
    FROM figures
)
COMMENT 'quality of the data by instrument and hour, with a score: data_quality(since = …, until = …)'

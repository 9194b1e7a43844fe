-- Quotes are also polled by REST.
ALTER TABLE {database}.spreads
    COMMENT COLUMN origin 'bbo: the exchange''s own channel; book: the rebuilt book; rest: polled, as no socket has it';

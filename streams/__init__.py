"""Stream processing: raw records in; trades, books, quotes, gaps, quality, signals out. No sockets, REST or SQL."""

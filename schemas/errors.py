"""The one exception tree. Every error raised on purpose derives from `MarketPrismError`."""


class MarketPrismError(Exception):
    """Base of all errors; its text says what is wrong and what to do."""


class SettingsError(MarketPrismError):
    """A setting is missing or unusable."""


class SymbolError(MarketPrismError):
    """A symbol or feed name that nobody knows."""


class RawRecordError(MarketPrismError):
    """Bytes of a raw topic that are not a raw record."""


class FrameError(MarketPrismError):
    """A frame that cannot become events; it goes to `dead_letters` with this text as the reason."""


class RangeError(MarketPrismError):
    """A result that does not fit the columns of ClickHouse; what it was computed for becomes a dead letter."""


class ExchangeError(MarketPrismError):
    """An exchange refused or answered something unusable."""


class StackError(MarketPrismError):
    """A part of the local stack (broker, ClickHouse, a process) cannot be started or reached."""


class StorageError(MarketPrismError):
    """ClickHouse refused a block, a migration or a query."""

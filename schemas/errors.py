"""The one exception tree. Every error raised on purpose derives from `MarketPrismError`."""


class MarketPrismError(Exception):
    """Base of all errors. Its text says what is wrong and what to do."""


class SettingsError(MarketPrismError):
    """A setting is missing or unusable."""


class SymbolError(MarketPrismError):
    """Unknown symbol or feed name."""


class RawRecordError(MarketPrismError):
    """Bytes of a raw topic that are not a raw record."""


class ControlError(MarketPrismError):
    """A record of `control.ingest` that is not a request, or one that cannot be carried out."""


class FrameError(MarketPrismError):
    """A frame that cannot become events. It goes to `dead_letters` with this text as the reason."""


class EventError(MarketPrismError):
    """A record of an event topic that is not such an event."""


class RangeError(MarketPrismError):
    """A result that does not fit the columns of ClickHouse. Its inputs become a dead letter."""


class CheckpointError(MarketPrismError):
    """A checkpoint that another version of the worker has written."""


class ExchangeError(MarketPrismError):
    """An exchange rejected a request or gave an unusable answer."""


class RejectedError(ExchangeError):
    """An exchange rejected a request for a reason that repeating it does not mend."""


class StackError(MarketPrismError):
    """A part of the local stack (broker, ClickHouse, a process) cannot be started or reached."""


class StorageError(MarketPrismError):
    """ClickHouse rejected a block, a migration or a query."""

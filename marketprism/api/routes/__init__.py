"""The routes: one module for each group, all in `ROUTERS`."""

from marketprism.api.routes import (
    books,
    candles,
    exchanges,
    history,
    latest,
    quality,
    service,
    signals,
    sql,
    stream,
)

ROUTERS = tuple(
    module.router for module in (exchanges, books, latest, history, candles, signals, quality, sql, stream, service)
)

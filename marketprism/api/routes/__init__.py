"""The routes: one module for each group, all in `ROUTERS`."""

from marketprism.api.routes import books, exchanges, service, stream

ROUTERS = tuple(module.router for module in (exchanges, books, stream, service))

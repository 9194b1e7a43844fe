"""The page's application: the API's, with the page on all other paths."""

import hmac
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from marketprism.api.app import create_app as create_api
from marketprism.api.guard import COOKIE
from marketprism.api.problems import RequestProblem
from schemas.settings import Settings

_STATIC = Path(__file__).with_name("static")
_ABSENT = ("favicon.ico", "robots.txt")  # what browsers and crawlers ask for by themselves
_MONTH = 30 * 24 * 3600  # s


def create_app(settings: Settings) -> FastAPI:
    """Return the application of the API and the page."""
    app = create_api(settings)
    app.mount("/static", StaticFiles(directory=_STATIC))
    app.mount("/charts", StaticFiles(directory=charts_directory()))

    @app.get("/{path:path}", include_in_schema=False)
    async def page(request: Request, path: str) -> Response:
        """Serve the page, on which every path but the API's is a view."""
        if path == "stream":
            raise RequestProblem(426, "/stream is a WebSocket", {"Upgrade": "websocket"})
        if path.startswith(("api/", "static/", "charts/")) or path in _ABSENT:
            raise RequestProblem(404, f"there is no /{path:.80}")
        if token := request.query_params.get("token"):
            return _signed_in(settings, token, request.url.scheme == "https")
        return FileResponse(_STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    return app


def _signed_in(settings: Settings, token: str, is_https: bool) -> Response:
    """Keep the token in a cookie that scripts cannot read, and remove it from the address."""
    if settings.api_token and not hmac.compare_digest(token.encode(), settings.api_token.encode()):
        raise RequestProblem(401, "this is not the token of the setting `api_token`", {"WWW-Authenticate": "Bearer"})
    response = RedirectResponse("/", 303)
    if settings.api_token:
        response.set_cookie(
            COOKIE, settings.api_token, max_age=_MONTH, secure=is_https, httponly=True, samesite="strict"
        )
    return response


def charts_directory() -> Path:
    """Return the folder of the chart library's script. The package is not imported: only its script is used."""
    found = find_spec("litecharts")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("js")

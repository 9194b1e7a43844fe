"""HTTP interface under `/_control/` through which another process controls the simulators."""

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from marketprism.simulator.plans import PLANS
from marketprism.simulator.simulators import Simulators
from schemas.errors import StackError


class Control:
    """HTTP server of the control requests.

    `POST plant` (a plan as JSON), `GET planted`, `GET planted/{id}`, `GET book?feed=&symbol=`,
    `GET trades?feed=&symbol=` (the first and last id), `GET endpoints`, `POST pause`, `POST resume`, `POST rate` (a
    number). Invalid requests are answered with 400 and `{"error": …}`.
    """

    def __init__(self, simulators: Simulators) -> None:
        self._simulators = simulators
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on loopback and return the port; `StackError` if it is taken."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/_control/plant", self._plant),
                web.get("/_control/planted", self._planted),
                web.get("/_control/planted/{id:[0-9]+}", self._planted_by_id),
                web.get("/_control/book", self._book),
                web.get("/_control/trades", self._trades),
                web.get("/_control/endpoints", self._endpoints),
                web.post("/_control/pause", self._pause),
                web.post("/_control/resume", self._resume),
                web.post("/_control/rate", self._rate),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError as error:
            raise StackError(f"cannot listen on the control port {port}: {error}; choose another port") from None
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _plant(self, request: web.Request) -> web.Response:
        try:
            return _json(await self._simulators.plant(PLANS.validate_json(await request.read())))
        except ValidationError as error:
            return _error("; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()))
        except StackError as error:
            return _error(str(error))

    async def _planted(self, request: web.Request) -> web.Response:
        entries = [planted.model_dump(mode="json") for planted in self._simulators.planted]
        return web.Response(body=orjson.dumps(entries), content_type="application/json")

    async def _planted_by_id(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        for planted in self._simulators.planted:
            if planted.id == number:
                return _json(planted)
        return _error(f"nothing was planted with the id {number}")

    async def _book(self, request: web.Request) -> web.Response:
        try:
            return _json(self._simulators.true_book(request.query.get("feed", ""), request.query.get("symbol", "")))
        except StackError as error:
            return _error(str(error))

    async def _trades(self, request: web.Request) -> web.Response:
        try:
            ids = self._simulators.true_trades(request.query.get("feed", ""), request.query.get("symbol", ""))
        except StackError as error:
            return _error(str(error))
        body = orjson.dumps({"first": ids.start, "last": ids.stop - 1})
        return web.Response(body=body, content_type="application/json")

    async def _endpoints(self, request: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(self._simulators.endpoints), content_type="application/json")

    async def _pause(self, request: web.Request) -> web.Response:
        self._simulators.pause()
        return web.Response(status=204)

    async def _resume(self, request: web.Request) -> web.Response:
        self._simulators.resume()
        return web.Response(status=204)

    async def _rate(self, request: web.Request) -> web.Response:
        try:
            self._simulators.rate = float(await request.text())
        except (ValueError, StackError) as error:
            return _error(str(error))
        return web.Response(status=204)


def _json(model: BaseModel) -> web.Response:
    return web.Response(body=model.model_dump_json().encode(), content_type="application/json")


def _error(text: str) -> web.Response:
    return web.Response(status=400, body=orjson.dumps({"error": text}), content_type="application/json")

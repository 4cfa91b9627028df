"""The simulator's own endpoints: what tests use to set it up and to inspect it.

They need no key, meet no fault, and are not among the requests that the simulator counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tools.simulator.answers import json
from tools.simulator.instants import CANONICAL
from tools.simulator.log_store import LogStore
from tools.simulator.simulation import Simulation
from tools.simulator.switches import Seconds

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


class _Logs(msgspec.Struct):
    logs: list[dict[str, msgspec.Raw]]


class _Step(msgspec.Struct):
    seconds: Seconds


class Control:
    """The control endpoints of a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def routes(self) -> list[Route]:
        """Return the routes, for a prefix of the application's choice."""
        logs = "/connectors/{identifier}/logs"
        return [
            Route("/health", self._health),
            Route("/advance", _with_plain_errors(self._advance), methods=["POST"]),
            Route("/switches", _with_plain_errors(self._switches), methods=["GET", "PATCH", "DELETE"]),
            Route("/requests", self._requests, methods=["GET", "DELETE"]),
            Route("/connectors", self._connectors),
            Route(logs, _with_plain_errors(self._logs), methods=["GET", "POST"]),
            Route(f"{logs}/{{log_id:path}}", _with_plain_errors(self._log), methods=["DELETE"]),
        ]

    async def _health(self, _request: Request) -> Response:
        return json({"now": CANONICAL.write(self._simulation.now)})

    async def _advance(self, request: Request) -> Response:
        self._simulation.advance((await _body(request, _Step)).seconds)
        return await self._health(request)

    async def _switches(self, request: Request) -> Response:
        if request.method == "PATCH":
            self._simulation.switch(await _body(request, dict[str, Any]))
        elif request.method == "DELETE":
            self._simulation.reset_switches()
        return json(self._simulation.switches)

    async def _requests(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._simulation.forget_requests()
        return json(self._simulation.report())

    async def _connectors(self, _request: Request) -> Response:
        return json({"connectors": list(self._simulation.stores)})

    async def _logs(self, request: Request) -> Response:
        store = self._store(request)
        if request.method == "POST":
            for fields in (await _body(request, _Logs)).logs:
                store.add(fields, now=self._simulation.now)
            return json({})
        return json({"logs": store.held(self._simulation.switches, now=self._simulation.now)})

    async def _log(self, request: Request) -> Response:
        log_id = request.path_params["log_id"]
        if not self._store(request).remove(log_id):
            raise LookupError(f"there is no log {log_id}")
        return json({})

    def _store(self, request: Request) -> LogStore:
        identifier = request.path_params["identifier"]
        if identifier not in self._simulation.stores:
            raise LookupError(f"there is no connector {identifier}")
        return self._simulation.stores[identifier]


async def _body(request: Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.body(), type=kind)


def _with_plain_errors(endpoint: Endpoint) -> Endpoint:
    """Answer the mistakes of a test in words instead of a server error."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ValueError as error:  # of which msgspec's errors are a kind
            return json({"error": str(error)}, 400)
        except LookupError as error:
            return json({"error": str(error)}, 404)

    return answer

"""What every request to the API passes before its handler: faults, rate limits, authentication."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response

from tools.simulator import faults
from tools.simulator.answers import Refusal
from tools.simulator.simulation import KEY_WITHOUT_SCOPE, Simulation

Handler = Callable[[Request, int], Response]
"""Answers a request, given its number; raises a `Refusal` for what the API refuses."""

_SCOPES = {"logs": "cb_logs_read", "connectors": "cb_connectors_read"}


def guarded(simulation: Simulation, endpoint: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Put a handler behind the gate, as the one of an endpoint: `logs`, `connectors` or another."""

    async def answer(request: Request) -> Response:
        turn, seen = simulation.see(request.url.path, request.query_params, request.headers.get("Authorization"))
        simulation.advance(simulation.switches.new_logs_per_request)
        await asyncio.sleep(simulation.switches.latency)
        fault = simulation.fault(endpoint, turn)
        if fault == "stall":
            await _stall(request, simulation.switches.stall_seconds)
            fault = None
        try:
            if fault is not None and fault not in faults.PAGE_FAULTS:
                response = faults.answer(fault, simulation.switches, turn=turn)
            else:
                _admit(simulation, request, endpoint)
                response = handler(request, turn)
                if fault is not None:
                    response = faults.shorten(fault, response, seed=simulation.seed, turn=turn)
        except Refusal as refusal:
            response = refusal.answer(turn)
        seen.status = response.status_code
        _add_headers(simulation, response)
        return response

    return answer


def _admit(simulation: Simulation, request: Request, endpoint: str) -> None:
    """Refuse a request that comes too early, or whose key doesn't open this endpoint."""
    wait = simulation.budget.wait(simulation.switches, time.monotonic())
    if wait:
        raise Refusal(429, "Rate limit exceeded. Retry later.", retry_after=str(math.ceil(wait)))
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or key not in {simulation.api_key, KEY_WITHOUT_SCOPE}:
        raise Refusal(401, "Authentication failed: no valid API key or access token.")
    if key == KEY_WITHOUT_SCOPE and endpoint in _SCOPES:
        raise Refusal(403, f"The API key lacks the scope {_SCOPES[endpoint]}.", code="PERMISSION_ERROR")
    team_id = request.path_params.get("team_id")
    if team_id is not None and team_id != str(simulation.team_id):
        raise Refusal(403, "The API key gives no access to this team.")


async def _stall(request: Request, seconds: float) -> None:
    """Wait, but no longer than the client does."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


def _add_headers(simulation: Simulation, response: Response) -> None:
    """Add the headers of every answer, and those that tell the rate limit."""
    switches = simulation.switches
    response.headers["Date"] = formatdate(time.time() + switches.clock_offset_seconds, usegmt=True)
    # The pages of a content delivery network know nothing of rate limits.
    refused = response.status_code >= 400 and response.media_type == "application/json"  # noqa: PLR2004 - HTTP
    if refused or switches.rate_headers_on_success:
        response.headers.update(simulation.budget.headers(switches, time.monotonic()))

"""The faults: answers that the API, or a machine before it, gives instead of the right one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import get_args

import msgspec
from starlette.responses import RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from tools.simulator.answers import Refusal, envelope, html, json
from tools.simulator.switches import FaultKind, PageFault, Switches

PAGE_FAULTS = frozenset[FaultKind](get_args(PageFault))
"""Faults that need the right answer, to take logs from it."""

_UNLUCKY = "An unexpected error occurred. Retry later."


class ShortBody(Response):
    """An answer that ends, with the connection, before as much was sent as its `Content-Length` says."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and half of the body."""

        async def send_half(message: Message) -> None:
            if message["type"] == "http.response.body":
                # The server closes the connection when an application returns while more was to come.
                message["body"] = self.body[: len(self.body) // 2]
                message["more_body"] = True
            await send(message)

        await super().__call__(scope, receive, send_half)


def choose(switches: Switches, *, seed: int, turn: int) -> FaultKind | None:
    """Choose the fault that a request meets, if any; the seed and the number of the request decide."""
    luck = Random(f"{seed}:{turn}").random()
    for kind, share in switches.faults.items():
        if luck < share:
            return kind
        luck -= share
    return None


def answer(kind: FaultKind, switches: Switches, *, turn: int) -> Response:
    """Build the answer of a fault of any kind but `stall`, which is a delay and no answer, and `PAGE_FAULTS`."""
    return _ANSWERS[kind](switches, turn)


def shorten(kind: FaultKind, right: Response, *, seed: int, turn: int) -> Response:
    """Return the right answer with only its newer logs or with none; what isn't a page of logs stays as it is."""
    if right.media_type != "application/json":
        return right
    logs = msgspec.json.decode(right.body, type=dict[str, list[msgspec.Raw]])["logs"]
    newer = Random(f"{seed}:{turn}:{kind}").randint(1, max(1, len(logs) - 1))
    return json({"logs": logs[:newer] if kind == "short_page" else []})


def _page(turn: int) -> dict[str, list[dict[str, object]]]:
    """Build a page that would be right, if only it arrived."""
    return {
        "logs": [{"id": f"lost-{turn}", "log_time": "2025-01-01T00:00:00Z", "status": 200}],
        "connectors": [],
    }


def _short_body(_switches: Switches, turn: int) -> Response:
    return ShortBody(msgspec.json.encode(_page(turn)), media_type="application/json")


def _truncated_json(_switches: Switches, turn: int) -> Response:
    body = msgspec.json.encode(_page(turn))
    return Response(body[: len(body) // 2], media_type="application/json")


def _wrapped_list(_switches: Switches, turn: int) -> Response:
    return json({"data": {"items": _page(turn)["logs"]}})


def _too_many_requests(switches: Switches, turn: int) -> Response:
    return Refusal(429, "Rate limit exceeded. Retry later.", retry_after=switches.retry_after).answer(turn)


def _maintenance(switches: Switches, turn: int) -> Response:
    return Refusal(503, "Under maintenance. Retry later.", retry_after=switches.retry_after).answer(turn)


_ANSWERS: dict[FaultKind, Callable[[Switches, int], Response]] = {
    "http_403_html": lambda _switches, _turn: html("403 Forbidden", 403),
    "http_500": lambda _switches, turn: Refusal(500, _UNLUCKY).answer(turn),
    "http_502_html": lambda _switches, _turn: html("502 Bad Gateway", 502),
    "http_503": lambda _switches, turn: Refusal(503, "Service unavailable.").answer(turn),
    "maintenance": _maintenance,
    "http_504_empty": lambda _switches, _turn: Response(status_code=504),
    "http_408": lambda _switches, turn: Refusal(408, "The request took too long to arrive.").answer(turn),
    "http_429": _too_many_requests,
    "http_429_no_retry_after": lambda _switches, turn: Refusal(429, "Rate limit exceeded.").answer(turn),
    "short_body": _short_body,
    "not_json": lambda _switches, _turn: html("Scheduled maintenance"),
    "truncated_json": _truncated_json,
    "error_200": lambda _switches, turn: json(envelope(turn, "INTERNAL_SERVER_ERROR", _UNLUCKY)),
    "no_list": lambda _switches, _turn: json({}),
    "null_list": lambda _switches, _turn: json({"logs": None, "count": 0, "connectors": None}),
    "wrapped_list": _wrapped_list,
    "redirect": lambda _switches, _turn: RedirectResponse("/login", 302),
}

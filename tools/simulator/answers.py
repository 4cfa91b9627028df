"""What the API answers besides data: errors in their envelope, and the pages of what stands before it."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

HTML = "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "BAD_REQUEST",
    408: "REQUEST_TIMEOUT",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
"""The API's `error.code` for each status that it answers in the envelope."""


class Refusal(Exception):  # noqa: N818 - an answer of the API, no error of the simulator
    """What the API refuses, and how: the status, the message and, unless it is the usual one, the code."""

    def __init__(self, status: int, message: str, *, code: str | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or CODES[status]
        self.retry_after = retry_after

    def answer(self, turn: int) -> Response:
        """Build the answer to the request that has this number."""
        headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        return json(envelope(turn, self.code, self.message), self.status, headers)


def envelope(turn: int, code: str, message: str) -> dict[str, Any]:
    """Build the body of an error; its `request_id` tells which request it answers."""
    return {"meta": {"request_id": f"request-{turn}"}, "error": {"code": code, "message": message}}


def json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer JSON."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def html(title: str, status: int = 200) -> Response:
    """Answer a page, as a content delivery network does."""
    return Response(HTML.format(title=title), status, media_type="text/html")

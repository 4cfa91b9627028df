"""The catalogue of faults: whatever a network or a server can do to one answer, and what comes of it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from datetime import datetime

from tap_connector_logs.errors import ExitCode
from tests.raw_server import (
    Behaviour,
    Connection,
    answer,
    close,
    cut_and_reset,
    drip,
    head_and_body,
    reset,
    say_nothing,
    send,
    zeros_in_gzip,
)

LOGS = [{"id": f"log-{number}", "log_time": f"2026-01-01T00:00:0{9 - number}Z"} for number in range(4)]
IDS = [log["id"] for log in LOGS]


def older(connection: Connection) -> list[dict[str, str]]:
    """Return what a request asks for."""
    limit, before = int(connection.query["limit"]), connection.query.get("before", "9999-12-31T00:00:00Z")
    return [log for log in LOGS if datetime.fromisoformat(log["log_time"]) < datetime.fromisoformat(before)][:limit]


def serve(connection: Connection) -> None:
    """Answer as the API does."""
    answer({"logs": older(connection)})(connection)


def refusal(status: int, code: str | None = None, message: object = "No.", **headers: str) -> Behaviour:
    """Refuse in the API's words."""
    error = {"message": message} | ({"code": code} if code else {})
    body = {"meta": {"request_id": "request-7"}, "error": error}
    return answer(body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


@dataclass(frozen=True)
class Fault:
    """What may happen to a request once, and passes.

    Attributes:
        behave: What the server does.
        exit_code: What a run ends with in which it goes on.
        words: What such a run says of its reason.
        is_too_much: Whether fewer logs at once may help.
        hangs: Whether only the time of a request ends it.
    """

    behave: Behaviour
    exit_code: ExitCode
    words: str
    is_too_much: bool = False
    hangs: bool = False


def unreachable(behave: Behaviour, words: str = "can't be reached for the logs of connector T3S70") -> Fault:
    """Of a network, or of something on the way."""
    return Fault(behave, ExitCode.UNREACHABLE, words)


def hanging(behave: Behaviour) -> Fault:
    """Of an answer that does not come to an end."""
    return Fault(behave, ExitCode.UNREACHABLE, "TimeoutError", is_too_much=True, hangs=True)


def unreadable(behave: Behaviour) -> Fault:
    """Of an answer that holds no logs."""
    return Fault(behave, ExitCode.UNREADABLE_ANSWERS, "answer for the logs of connector T3S70 holds no list 'logs'")


def throttled(**headers: str) -> Fault:
    """Of a rate limit that names no time to wait."""
    behave = refusal(429, "TOO_MANY_REQUESTS", **headers)
    return Fault(behave, ExitCode.RATE_LIMITED, "HTTP 429, TOO_MANY_REQUESTS, request_id request-7")


BLOCKED = "Something between the tap and the API refuses the logs of connector T3S70: "
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GZIPPED = {"Content-Encoding": "gzip"}
HTML = b"<!DOCTYPE html>\n<html>Just a moment</html>"
JSON = json.dumps({"logs": LOGS}).encode()
WHOLE = head_and_body({"logs": LOGS})
TOO_MUCH = {408, 502, 504, 524}

STATUSES = {
    f"status {status}": Fault(answer(b"", status=status), ExitCode.UNREACHABLE, f"HTTP {status}", status in TOO_MUCH)
    for status in (408, 500, 502, 503, 504, *range(520, 525))
}

FAULTS = STATUSES | {
    "status 500 in the API's words": unreachable(
        refusal(500, "INTERNAL_SERVER_ERROR"), "HTTP 500, INTERNAL_SERVER_ERROR, request_id request-7"
    ),
    "status 502 in HTML": Fault(answer(HTML, status=502), ExitCode.UNREACHABLE, "HTTP 502", is_too_much=True),
    "status 504 in a gateway's words": Fault(
        refusal(504, "SOMETHING_NEW"), ExitCode.UNREACHABLE, "HTTP 504, SOMETHING_NEW", is_too_much=True
    ),
    "status 403 in HTML": unreachable(
        answer(b"<html><title>Attention Required!</title></html>", status=403), f"{BLOCKED}'Attention Required!'"
    ),
    "status 403 without a body": unreachable(
        answer(b"", status=403), "check the network, proxies, and which IP addresses are allowed"
    ),
    "status 429 without a time": throttled(),
    "status 429 with zero": throttled(Retry_After="0"),
    "status 429 with a negative time": throttled(Retry_After="-5"),
    "status 429 with garbage": throttled(Retry_After="soon"),
    "status 429 with a date in the past": throttled(Retry_After="Thu, 01 Jan 2015 00:00:00 GMT"),
    "reset before an answer": unreachable(reset),
    "reset amid the body": unreachable(cut_and_reset),
    "closed before an answer": unreachable(close),
    "closed amid the head": unreadable(send(b"HTTP/1.1 200 O")),
    "closed amid the body": unreachable(send(WHOLE[:-5])),
    "no HTTP": unreachable(send(b"SSH-2.0-OpenSSH_9.6\r\n")),
    "a head without an end": unreachable(send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000)),
    "bad gzip": unreachable(answer(b"no gzip at all", headers=GZIPPED)),
    "half a gzip": unreadable(answer(gzip.compress(JSON)[:-12], headers=GZIPPED)),
    "a chunk cut short": unreachable(send(CHUNKED + b'40\r\n{"logs": [')),
    "a chunk without a size": unreachable(send(CHUNKED + b"zebra\r\n")),
    "no last chunk": unreachable(send(CHUNKED + b'b\r\n{"logs": []\r\n')),
    "JSON cut short and of the right length": unreadable(answer(JSON[:-9])),
    "nesting beyond all measure": unreadable(answer(b'{"logs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")),
    "an empty body": unreadable(answer(b"")),
    "HTML": unreadable(answer(HTML, headers={"Content-Type": "text/html"})),
    "an array": unreadable(answer(LOGS)),
    "a string": unreadable(answer('"logs"')),
    "null": unreadable(answer(b"null")),
    "no logs": unreadable(answer({})),
    "null for logs": unreadable(answer({"logs": None})),
    "an object for logs": unreadable(answer({"logs": {"0": LOGS[0]}})),
    "logs in another place": unreadable(answer({"data": {"items": LOGS}})),
    "an error in an answer with status 200": unreachable(
        refusal(200, "INTERNAL_SERVER_ERROR"), "HTTP 200, INTERNAL_SERVER_ERROR"
    ),
    "no service, in an answer with status 200": unreachable(
        refusal(200, "SERVICE_UNAVAILABLE"), "HTTP 200, SERVICE_UNAVAILABLE"
    ),
    "silence": hanging(say_nothing),
    "a head byte by byte": hanging(drip(b"HTTP/1.1 200 OK\r\n" * 20)),
    "a body byte by byte": hanging(drip(WHOLE[60:], after=WHOLE[:60])),
}
"""Faults of one answer each. Whoever meets one asks again; if it goes on, the run ends after the most tries."""


def too_large(connection: Connection) -> None:
    """Send what would fill the memory, which is not asked for again as it is."""
    answer(zeros_in_gzip(65), headers=GZIPPED)(connection)

"""Logs whose values loaders are known to change: each is one that the API may send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNTIMED = "awkward-untimed"
"""The id of the log whose `log_time` can't be read: it is delivered without one."""

_TEXTS = {
    "empty": "",
    "the word NULL": "NULL",
    "a null of COPY": "\\N",
    "digits": "007",
    "spaces around": "  padded  ",
    "quotes": "\"double\", 'single', `back`",
    "separators": "comma, semicolon; tab\tpipe|",
    "backslashes": "C:\\new\\table \\u0041 \\",
    "line ends": "one\ntwo\r\nthree\rfour",
    "line ends of Unicode": "one\u2028two\u2029three\u0085four",
    "a percent sign": "100 %s {braces} $1 :name",
    "other scripts": "Zürich, Ελλάδα, Москва, 東京, ישראל, ไทย",
    "all planes": "\U00010348 \U0001f680 \U0002070e \U000e0041 \U0010fffd",
    "combined": "e\u0301 \ufeffbom \u200d joiner \u202e reversed",
    "control characters": "bell \x07 escape \x1b delete \x7f",
    "1000 characters": "GET /" + "é🚀 x" * 248 + "end",
}

_OTHER_FIELDS: tuple[Mapping[str, Any], ...] = (
    {"status": None, "event": None, "request": None, "duration_ms": None, "request_id": None},
    {"status": 0, "duration_ms": 0},
    {"status": 2**31 - 1, "duration_ms": -(2**31) + 1},
    {"retries": 3, "note": 'said "no"'},
    {"nested": {"list": [1, 2.5, None, True, "é🚀"], "empty": {}}, "large": 2**53 + 1},
    {"duration_ms": "soon"},
)


def awkward_logs() -> list[dict[str, Any]]:
    """Return logs to add to a connector; their times are all in the week before the simulated present."""
    usual = {"status": 200, "event": "data.fetch", "request": "GET /items", "duration_ms": 120, "request_id": "r"}
    fields: list[Mapping[str, Any]] = [{"event": text, "request": text} for text in _TEXTS.values()]
    fields += _OTHER_FIELDS
    # To the microsecond, at midnight, and one of an instant that another shares.
    times = ["2026-01-28T23:59:59.999999Z", "2026-01-29T00:00:00.000000Z", "2026-01-29T00:00:00.000001Z"]
    logs = [
        {"id": f"awkward-{number}", "log_time": times[number % len(times)], **usual, **changed}
        for number, changed in enumerate(fields)
    ]
    untimed = {"id": UNTIMED, **usual, "raw": True, "_position": "2026-01-30T06:00:00.000000Z"}
    return [*logs, untimed]


def late_log() -> dict[str, Any]:
    """Return a log that arrives late, in the time that a second run reads again."""
    return {"id": "late", "log_time": "2026-01-31T11:55:00.000000Z", "status": 200, "event": "data.fetch"}


def logs_with_nul() -> dict[str, dict[str, Any]]:
    """Return logs with a NUL, which PostgreSQL can't hold, by where it is."""
    usual = {"log_time": "2026-01-31T11:00:00.000000Z", "event": "data.fetch"}
    return {
        "a text": {"id": "nul-1", **usual, "request": "GET /\x00items"},
        "an `id`": {"id": "nul\x00", **usual},
        "`extra`": {"id": "nul-2", **usual, "note\x00": {"deep": ["\x00"]}},
    }

"""Secrets of third parties in the data: values of query parameters in the column `request`, hidden where wanted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import unquote_plus

ALL = "*"
"""Stands for every parameter."""

_MASK = "REDACTED"

# Whatever precedes a parameter, its name, and its value with the `=`, in which there may be more of them.
_PARAMETER = re.compile(r"([?#&;])([^?#&;=]*)(=?[^?#&;]*)")
_PROTOCOL = re.compile(r"\s+HTTP/[0-9.]+\s*$")


def redact(records: Iterable[dict[str, Any]], names: Collection[str]) -> None:
    """Replace the values of query parameters in records, in place.

    Args:
        records: Records of the stream `connector_logs`.
        names: The parameters, in lower case; ALL among them for every one.
    """
    for record in records:
        record["request"] = _redacted(record["request"], names)
        if record["extra"] and "request" in record["extra"]:  # what did not fit the column
            record["extra"]["request"] = _redacted(record["extra"]["request"], names)


def redact_query(text: str, names: Collection[str]) -> str:
    """Return a request line or URL with the values of query parameters replaced.

    A parameter without a `=` is a value altogether. One that follows a `;` may be the rest of the value before it,
    and shares its fate.
    """
    protocol = match[0] if (match := _PROTOCOL.search(text)) else ""
    is_secret = False

    def replace(match: re.Match[str]) -> str:
        nonlocal is_secret
        mark, name, value = match.groups()
        if value or mark != ";":
            is_secret = ALL in names or unquote_plus(name).strip().lower() in names
        if not is_secret or not (name or value):
            return match[0]
        return f"{mark}{name}={_MASK}" if value else f"{mark}{_MASK}"

    return _PARAMETER.sub(replace, text.removesuffix(protocol)) + protocol


def _redacted(value: Any, names: Collection[str]) -> Any:
    if isinstance(value, str):
        return redact_query(value, names)
    if isinstance(value, list):
        return [_redacted(item, names) for item in value]
    if isinstance(value, dict):
        return {name: _redacted(item, names) for name, item in value.items()}
    return value

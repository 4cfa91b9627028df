"""Secrets of third parties in the data: values of query parameters in the column `request`, hidden where wanted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import unquote_plus

ALL = "*"
"""Stands for every parameter."""

_MASK = "REDACTED"

# A value may hold a URL, or what another server takes for the next parameter: all that follows a name up to the next
# `&` or `#` shares the fate of its value.
_PARAMETER = re.compile(r"([?&#])([^&#]*)")
_NAME = re.compile(r"(?:^|(?<=[?;]))([^?;=]*)=([^?;]*)")
_NAME_WITHIN = re.compile(r"[?&;#]([^?&;#=]*)=")
_INDEX = re.compile(r"\[[^\]]*\]$")
_PROTOCOL = re.compile(r"HTTP/[0-9.]+")


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
    """Return a request line or URL with the values of query parameters replaced; its path stays.

    Args:
        text: The text.
        names: The parameters, in lower case; `*` for all.
    """
    start = min((place for mark in "?#" if (place := text.find(mark)) >= 0), default=len(text))
    query, space, protocol = text[start:].rpartition(" ")
    if not _PROTOCOL.fullmatch(protocol):
        query, space, protocol = text[start:], "", ""
    return (
        text[:start]
        + _PARAMETER.sub(lambda match: match[1] + _redacted_parameter(match[2], names), query)
        + (space + protocol)
    )


def _redacted_parameter(parameter: str, names: Collection[str]) -> str:
    """Replace the value of a parameter, or the end of it that holds the value of another."""
    if not parameter:
        return parameter
    if ALL in names:
        name, equals, _ = parameter.partition("=")
        return f"{name}={_MASK}" if equals else _MASK  # without a name, it is a value altogether
    for match in _NAME.finditer(parameter):
        # An encoded value may be a URL with a query of its own.
        inner = _NAME_WITHIN.findall(unquote_plus(match[2]))
        if any(_is_listed(name, names) for name in (match[1], *inner)):
            return f"{parameter[: match.start(2)]}{_MASK}"
    return parameter


def _is_listed(name: str, names: Collection[str]) -> bool:
    return _INDEX.sub("", unquote_plus(name).strip()).lower() in names


def _redacted(value: Any, names: Collection[str]) -> Any:
    if isinstance(value, str):
        return redact_query(value, names)
    if isinstance(value, list):
        return [_redacted(item, names) for item in value]
    if isinstance(value, dict):
        return {name: _redacted(item, names) for name, item in value.items()}
    return value

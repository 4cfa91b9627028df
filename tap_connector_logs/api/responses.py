"""From the bytes of an answer to a list of entries, or to a typed error.

Never is "I could not understand it" taken for "there are no logs": whatever is not the list that was asked for is
an error, be it an error object in an answer with status 200, a list in another place or HTML.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from requests.utils import parse_header_links

from tap_connector_logs.errors import (
    BlockedError,
    ConnectorError,
    CredentialError,
    RateLimitError,
    RefusedError,
    ServerError,
    TapError,
    UnreadableResponseError,
)
from tap_connector_logs.instants import SECOND, instant_of
from tap_connector_logs.log_safety import sanitize

_OK = 200
_TIMEOUT = 408
_TOO_MUCH = frozenset({_TIMEOUT, 502, 504, 524})
"""Statuses that may be answered because as much as was asked for took too long to collect."""

_YEAR_SECONDS = 365 * 86_400
_MAX_BEHIND = timedelta(days=1)
"""A clock of the server that is further behind stands still: all logs would be of its future."""
_MAX_OF_A_BODY = 1_000
"""Bytes, of one that can't be understood, in which there is to be found what it says."""

_USED_UP = "LICENSE_DAILY_QUERY_LIMIT_EXCEEDED"
"""The code of a refusal that waiting for some minutes doesn't end."""

# The code decides before the status: an error may come with status 200.
_ERROR_OF_CODE: Mapping[str, type[RefusedError]] = {
    "ACCESS_DENIED_IP": CredentialError,
    "ACCESS_DENIED_PERMISSIONS": ConnectorError,
    "ACCESS_TOKEN_EXPIRED": CredentialError,
    "ACCESS_TOKEN_INVALID": CredentialError,
    "API_KEY_DISABLED": CredentialError,
    "API_KEY_INVALID": CredentialError,
    "API_KEY_REQUIRED": CredentialError,
    "BAD_REQUEST": ConnectorError,
    "FORBIDDEN": ConnectorError,
    "INTERNAL_SERVER_ERROR": ServerError,
    _USED_UP: RateLimitError,
    "LICENSE_EXPIRED": CredentialError,
    "NOT_FOUND": ConnectorError,
    "PERMISSION_ERROR": ConnectorError,
    "SERVICE_UNAVAILABLE": ServerError,
    "TOO_MANY_REQUESTS": RateLimitError,
    "UNAUTHORIZED": CredentialError,
}

_WORDS = ("message", "detail", "title")
"""Names under which an error says what it is."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the API answers to a request for a list.

    Attributes:
        entries: The entries of the list, as the API sent them.
        total: How many the API says there are, if it does.
        server_time: The server's clock at the answer, as the end of the second that it tells; but no later than the
            client's, which counts where it tells none, and no earlier than a day before that. An instant.
        limit: How many entries were asked for at the most; 0 for a list that knows no limit.
        more: What it says of more entries: addresses of the next page, tokens, or that there are any.
        is_cut_short: Whether it says that it leaves out some of what was asked for.
    """

    entries: list[dict[str, Any]]
    total: int | None
    server_time: int
    limit: int = 0
    more: Sequence[object] = ()
    is_cut_short: bool = False


def read_response(
    what: str, list_name: str, limit: int, *, status: int, headers: Mapping[str, str], content: bytes, now: datetime
) -> Response:
    """Read an answer.

    Args:
        what: What was asked for, to be named in errors.
        list_name: The field that must hold the list.
        limit: How many entries were asked for at the most; 0 for a list that knows no limit.
        status: HTTP status.
        headers: HTTP headers, their names in any case.
        content: The whole body.
        now: The client's clock.

    Raises:
        RefusedError: If the API answers with an error: one of its subclasses, by what is to be done.
        UnreadableResponseError: If the answer is neither the list nor an error.
    """
    body = decode(content)
    date = _date(headers.get("Date")) or now
    error = body.get("error") if isinstance(body, dict) else None
    if status != _OK or error:
        raise _refusal(what, status, headers, body, content=content, date=date)
    entries = body.get(list_name) if isinstance(body, dict) else None
    if not isinstance(entries, list):
        raise UnreadableResponseError(
            f"The API's answer for {what} holds no list {list_name!r}: it begins with "
            f"'{_beginning(content) or 'nothing'}'.",
            may_pass=True,
        )
    links = parse_header_links(headers.get("Link", ""))
    return Response(
        [entry if isinstance(entry, dict) else {"entry": entry} for entry in entries],
        max((total for total in _said(body, "count", "total") if isinstance(total, int)), default=None),
        instant_of(min(max(date, now - _MAX_BEHIND), now)) + SECOND,
        limit,
        [link["url"] for link in links if link.get("rel") == "next"]
        + list(_said(body, "next", "next_page", "has_more", "truncated")),
        is_cut_short=any(_said(body, "truncated")),
    )


def _said(body: Mapping[str, Any], *names: str) -> Iterator[Any]:
    """Yield what an answer says of itself under some names, wherever answers say such things."""
    for place in (body, *map(body.get, ("meta", "pagination", "links"))):
        if isinstance(place, dict):
            yield from filter(None, map(place.get, names))


def decode(content: bytes) -> Any:
    """Decode JSON, after a byte order mark too; None if it is none.

    What only lenient parsers take (NaN, half characters) is mended.
    """
    content = content.removeprefix(BOM_UTF8)
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        text = content.decode(errors="replace")
        return _mend(json.loads(text, strict=False, parse_constant=str, parse_float=_number))
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> float | str:
    """Keep a number that a float can't hold as text."""
    number = float(text)
    return number if math.isfinite(number) else text


def _mend(value: Any) -> Any:
    """Replace surrogates without a partner, which no encoder takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(name): _mend(item) for name, item in value.items()}
    return value


def _refusal(
    what: str, status: int, headers: Mapping[str, str], body: Any, *, content: bytes, date: datetime
) -> TapError:
    """Return the error that an answer stands for."""
    envelope = body if isinstance(body, dict) else {"errors": body}
    error, meta = envelope.get("error"), envelope.get("meta")
    code = sanitize(error.get("code") or "") if isinstance(error, dict) else ""
    request_id = sanitize(meta.get("request_id") or "") if isinstance(meta, dict) else ""
    reason = _reason(envelope, content)
    kind = _ERROR_OF_CODE.get(code) or _error_of_status(status, is_of_api=bool(error))
    if kind is None:
        text = f"The API's answer for {what} has status {status}: {reason}."
        if location := headers.get("Location"):
            text += f" It points to {sanitize(location)}, where the credential is not sent. Check api_url."
        return UnreadableResponseError(text, may_pass=status == _OK)
    wait = retry_after(headers.get("Retry-After"), date)
    refusal = kind(f"{what}: {reason}", status=status, code=code, request_id=request_id, retry_after=wait)
    refusal.may_pass &= code != _USED_UP
    refusal.fewer_may_help = kind is ServerError and status in _TOO_MUCH and wait is None
    return refusal


def _reason(envelope: Mapping[str, Any], content: bytes) -> str:
    """Return what an answer says of a refusal, in the API's form or in another that is in use."""
    errors = envelope.get("errors")
    for place in (envelope.get("error"), *(errors if isinstance(errors, list) else [errors]), envelope):
        words = map(place.get, _WORDS) if isinstance(place, dict) else [place]
        if word := next(filter(None, words), None):
            return sanitize(word).rstrip(".")
    title = re.search(b"<title[^>]*>(.+?)</title>", content[:_MAX_OF_A_BODY], re.IGNORECASE | re.DOTALL)
    text = _beginning(title[1] if title else content)
    return f"'{text}'" if text else "no reason given"


def _beginning(content: bytes) -> str:
    """Return what a body begins with that can't be understood."""
    return sanitize(content.lstrip()[:_MAX_OF_A_BODY].decode(errors="replace"))[:60]


def _error_of_status(status: int, *, is_of_api: bool) -> type[RefusedError] | None:
    match status:
        case 401:
            return CredentialError
        case 403 if not is_of_api:
            return BlockedError
        case 429:
            return RateLimitError
        case _ if status == _TIMEOUT or 500 <= status <= 599:  # noqa: PLR2004 - the classes of HTTP
            return ServerError
        case _ if 400 <= status <= 499:  # noqa: PLR2004
            return ConnectorError
    return None


def retry_after(value: str | None, now: datetime) -> float | None:
    """Read a `Retry-After` header: RFC 9110, 10.2.3, and fractions of a second besides.

    Args:
        value: The header: seconds, with a fraction perhaps, or an HTTP date.
        now: The clock of whoever wrote it.

    Returns:
        Seconds to wait, above 0 and no more than a year; None if the header is missing or says nothing useful.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        seconds = float(text)
    else:
        date = _date(text)
        seconds = (date - now).total_seconds() if date else 0
    return min(seconds, _YEAR_SECONDS) if seconds > 0 else None


def _date(text: str | None) -> datetime | None:
    """Read an HTTP date: RFC 9110, 5.6.7, and whatever else a mail may have for one."""
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

"""Instants: points in time as whole microseconds since 1970-01-01 UTC, exact and cheap to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

MICROSECOND = 1
MILLISECOND = 1_000
SECOND = 1_000_000

_DAY_SECONDS = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _since_epoch(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * _DAY_SECONDS + since.seconds) * SECOND + since.microseconds


FIRST = _since_epoch(datetime.min.replace(tzinfo=UTC))
"""The oldest instant there is."""

_LAST = _since_epoch(datetime.max.replace(tzinfo=UTC))

BEGINNING = FIRST - 1
"""Older than any instant: an interval that starts here reaches back as far as the API keeps logs."""

END = _LAST + 1
"""Newer than any instant: an interval that ends here includes whatever is newest."""


def parse_instant(text: object) -> int | None:
    """Read a date-time in any of the ISO 8601 forms in use.

    Args:
        text: With `Z`, an offset or no zone (UTC then), `T` or a space, any number of digits of fraction
            (those below a microsecond are cut off), or a bare date. Anything else is allowed, too.

    Returns:
        The instant, or None for what is not a date-time between the years 1 and 9999.
    """
    if not isinstance(text, str):
        return None
    try:
        return instant_of(datetime.fromisoformat(text))
    except ValueError:
        pass
    try:
        return instant_of(datetime.fromisoformat(text.strip().upper()))
    except ValueError:
        return None


def instant_of(moment: datetime) -> int | None:
    """Return the instant of a `datetime` (UTC if it is naive), or None if UTC has no year for it."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    instant = _since_epoch(moment)
    return instant if FIRST <= instant <= _LAST else None


def format_instant(instant: int) -> str:
    """Write an instant in the one form that records and state use: `2025-01-01T00:00:00.000000Z`."""
    seconds, microsecond = divmod(instant, SECOND)
    day, second = divmod(seconds, _DAY_SECONDS)
    minute, second = divmod(second, 60)
    return f"{_date(day)}T{minute // 60:02}:{minute % 60:02}:{second:02}.{microsecond:06}Z"


@lru_cache(maxsize=1024)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def ceil_to(instant: int, unit: int) -> int:
    """Return the first instant at or after `instant` that is a whole number of `unit` microseconds."""
    return -(-instant // unit) * unit

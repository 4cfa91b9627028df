"""Instants: points in time as whole microseconds since 1970-01-01 UTC, exact and cheap to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MICROSECOND = 1
MILLISECOND = 1_000
SECOND = 1_000_000
DAY = 86_400 * SECOND

_NORMAL_LENGTH = len("2025-01-01T00:00:00.000000Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_of(moment: datetime) -> int:
    """Return the instant of a `datetime` that has a zone."""
    since = moment - _EPOCH
    return since.days * DAY + since.seconds * SECOND + since.microseconds


FIRST = instant_of(datetime.min.replace(tzinfo=UTC))
"""The oldest instant there is."""

BEGINNING = FIRST - 1
"""Older than any instant: an interval that starts here reaches back as far as the API keeps logs."""

END = instant_of(datetime.max.replace(tzinfo=UTC)) + 1
"""Newer than any instant: an interval that ends here includes whatever is newest."""


def parse_moment(text: object) -> datetime | None:
    """Read a date-time in any of the ISO 8601 forms in use.

    Args:
        text: With `Z`, an offset or no zone (UTC then), `T` or a space, any number of digits of fraction
            (those below a microsecond are cut off), or a bare date. Anything else is allowed, too.

    Returns:
        The time in UTC, or None for what is not a date-time between the years 1 and 9999 there.
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.strip().upper())
        except ValueError:
            return None
    return moment if moment.tzinfo is UTC else in_utc(moment)


def in_utc(moment: datetime) -> datetime | None:
    """Return a `datetime` in UTC, where it is if it has no zone; None if UTC has no year for it."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None


def parse_instant(text: object) -> int | None:
    """Return the instant of a date-time, as `parse_moment` reads it."""
    moment = parse_moment(text)
    return None if moment is None else instant_of(moment)


def moment_of(instant: int) -> datetime:
    """Return an instant as a `datetime` in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def format_moment(moment: datetime, text: object = None) -> str:
    """Write a `datetime` in UTC in the one form of records and state: `2025-01-01T00:00:00.000000Z`.

    Args:
        moment: The time.
        text: What it was read from, if anything: it may have that form already.
    """
    if isinstance(text, str) and len(text) == _NORMAL_LENGTH and text[7] + text[10] + text[19] + text[26] == "-T.Z":
        return text
    return f"{moment.isoformat(timespec='microseconds')[: _NORMAL_LENGTH - 1]}Z"


def format_instant(instant: int) -> str:
    """Write an instant in that form."""
    return format_moment(moment_of(instant))


def ceil_to(instant: int, unit: int) -> int:
    """Return the first instant at or after `instant` that is a whole number of `unit` microseconds.

    Args:
        instant: The instant.
        unit: Microseconds.
    """
    return -(-instant // unit) * unit


def floor_to(instant: int, unit: int) -> int:
    """Return the last instant at or before `instant` that is a whole number of `unit` microseconds.

    Args:
        instant: The instant.
        unit: Microseconds.
    """
    return instant // unit * unit

"""The ways a `log_time` can be written, and what each way can't show.

Inside the simulator an instant is a whole number of microseconds since the epoch, UTC. A form that shows less
makes ties: the API would sort and compare by what it stores, so instants are cut to what the form shows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

SECOND = 1_000_000
"""Microseconds in a second."""

DAY = 86_400 * SECOND
"""Microseconds in a day."""

UNITS = {"us": 1, "ms": 1_000, "s": SECOND}
"""Microseconds in each unit, by the name that the switches know it by."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_TIME = re.compile(_DATE.pattern + r"[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}(:?\d{2})?)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way of writing an instant.

    Attributes:
        unit: Microseconds in the smallest step that the form shows.
        digits: Digits of the fraction of a second.
        zone: What follows the time.
        ahead: Microseconds that `zone` is ahead of UTC.
        separator: What stands between date and time; empty for a bare date.
    """

    unit: int = 1
    digits: int = 6
    zone: str = "Z"
    ahead: int = 0
    separator: str = "T"

    def cut(self, instant: int) -> int:
        """Return the instant that a reader of the written form sees."""
        return cut(instant, self.unit)

    def write(self, instant: int) -> str:
        """Write an instant."""
        second, microsecond = divmod(instant + self.ahead, SECOND)
        day, second_of_day = divmod(second, 86_400)
        if not self.separator:
            return _date(day)
        written = f"{_date(day)}{self.separator}{_time(second_of_day)}"
        if self.digits:
            written += f".{microsecond:06}000"[: 1 + self.digits]
        return written + self.zone


FORMS = {
    "z": Form(),
    "offset": Form(zone="+02:00", ahead=2 * 3600 * SECOND),
    "naive": Form(zone=""),
    "space": Form(zone="", separator=" "),
    "seconds": Form(unit=SECOND, digits=0),
    "millis": Form(unit=1_000, digits=3),
    "nanos": Form(digits=9),
    "tenths": Form(unit=100_000, digits=1),
    "date": Form(unit=DAY, separator=""),
}
"""Every form by the name that the switch `log_time_form` knows it by."""

CANONICAL = FORMS["z"]


def cut(instant: int, unit: int) -> int:
    """Return the begin of the unit, so many microseconds long, in which an instant lies."""
    return instant - instant % unit


def read_date_time(text: str) -> int:
    """Read an ISO 8601 date and time in any zone, or in none, which means UTC.

    Raises:
        ValueError: The text is something else; a bare date, for one.
    """
    if _DATE_TIME.fullmatch(text) is None:
        raise ValueError(f"not an ISO 8601 date-time: {text[:40]!r}")
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def read_log_time(text: str) -> int:
    """Read what any of the forms writes, a bare date (midnight, UTC) included.

    Raises:
        ValueError: No form writes this.
    """
    return read_date_time(f"{text}T00:00Z" if _DATE.fullmatch(text) else text)


@cache
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


@cache
def _time(second_of_day: int) -> str:
    minute, second = divmod(second_of_day, 60)
    return f"{minute // 60:02}:{minute % 60:02}:{second:02}"

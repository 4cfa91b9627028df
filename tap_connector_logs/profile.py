"""The profile of the API: what it was seen to do where nobody promises anything, kept from run to run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from math import ceil
from typing import Annotated, Any, Literal

import msgspec

from tap_connector_logs.instants import MICROSECOND, MILLISECOND, SECOND
from tap_connector_logs.log_safety import sanitize

MAX_NAMES = 50
"""Names that a profile keeps of one sort. Once there are as many, new ones are not noticed."""

DAYS_OF_LATENESS = 30

_MAX_NAME_LENGTH = 100
_MAX_FORMS = 5
_SHARE_OF_LOOKBACK = 0.8
_MINUTE_SECONDS = 60
_MAX_LATENESS = 1e12

Unit = Literal["seconds", "milliseconds", "microseconds"]

_UNITS: Mapping[Unit, int] = {"seconds": SECOND, "milliseconds": MILLISECOND, "microseconds": MICROSECOND}


class Profile(msgspec.Struct, omit_defaults=True):
    """What the API was seen to do. The state has it in this form, without what has not been seen.

    Attributes:
        before: Whether logs at `before` itself come along.
        before_precision: What the API cuts `before` to.
        log_time_forms: How `log_time` is written, each digit as 0, without fractions of a second.
        log_time_precision: The finest unit of time in it.
        largest_page: Most logs in an answer.
        pages: "short" once an answer with older logs behind it had fewer than were asked for; else "full".
        order: Whether logs come in the order of their `log_time`.
        requests_per_hour: What the API says that a key may make.
        oldest_log_days: Age in days of the oldest log shown: logs are kept for at least as long.
        unknown_fields: Fields that have no column.
        misfits: Columns that a value did not fit.
        events: Values of `event`.
        lateness: By day, how many seconds a log was at the most behind the newest one of an earlier run.
    """

    before: Literal["exclusive", "inclusive"] | None = None
    before_precision: Unit | None = None
    log_time_forms: set[str] = msgspec.field(default_factory=set)
    log_time_precision: Unit | None = None
    largest_page: int = 0
    pages: Literal["full", "short"] | None = None
    order: Literal["newest first", "out of order"] | None = None
    requests_per_hour: int | None = None
    oldest_log_days: int = 0
    unknown_fields: set[str] = msgspec.field(default_factory=set)
    misfits: set[str] = msgspec.field(default_factory=set)
    events: set[str] = msgspec.field(default_factory=set)
    lateness: dict[str, Annotated[float, msgspec.Meta(ge=0, le=_MAX_LATENESS)]] = msgspec.field(default_factory=dict)

    @property
    def max_lateness(self) -> float:
        """Most seconds that a log was behind in the last days; 0 if none was."""
        return max(self.lateness.values(), default=0)

    def look_at_times(self, text: object, instants: Sequence[int]) -> None:
        """Take in how the times of a page are written.

        Args:
            text: One of them, as the API wrote it.
            instants: All of them.
        """
        if isinstance(text, str) and len(self.log_time_forms) < _MAX_FORMS:
            form = re.sub("[.,][0-9]+", "", text[:_MAX_NAME_LENGTH])  # of which some leave zeros at the end out
            self.log_time_forms.add(re.sub("[0-9]", "0", form))
        if self.log_time_precision != "microseconds":
            fitting = (name for name, unit in _UNITS.items() if not any(instant % unit for instant in instants))
            self.log_time_precision = _finer(self.log_time_precision, next(fitting))

    def look_at_records(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take in what records of logs hold.

        Args:
            records: Records of the stream `connector_logs`.
        """
        _add(self.events, {record["event"] for record in records if record["event"]})
        for record in records:
            if (extra := record["extra"]) is not None:
                _add(self.misfits, extra.keys() & record.keys())
                _add(self.unknown_fields, extra.keys() - record.keys())

    def note_lateness(self, seconds: float, day: date) -> None:
        """Take in how late a log came, and forget what is of more than thirty days ago.

        Args:
            seconds: By how much it is older than the newest one of an earlier run.
            day: When it came.
        """
        kept = (day - timedelta(days=DAYS_OF_LATENESS)).isoformat()
        self.lateness = {at: most for at, most in self.lateness.items() if at > kept}
        if seconds > self.lateness.get(day.isoformat(), 0):
            self.lateness[day.isoformat()] = seconds

    def needed_lookback(self, lookback_seconds: int) -> int | None:
        """Return a lookback that leaves room above the latest log; None if the present one does.

        Args:
            lookback_seconds: The present one.
        """
        if self.max_lateness <= lookback_seconds * _SHARE_OF_LOOKBACK:
            return None
        return ceil(2 * self.max_lateness / _MINUTE_SECONDS) * _MINUTE_SECONDS

    def merged(self, seen: Profile) -> Profile:
        """Return the profile with what a run has seen since.

        Args:
            seen: What the run has seen.
        """
        merged = Profile(
            before=seen.before or self.before,
            before_precision=seen.before_precision or self.before_precision,
            log_time_forms=set(sorted(self.log_time_forms | seen.log_time_forms)[:_MAX_FORMS]),
            log_time_precision=_finer(self.log_time_precision, seen.log_time_precision),
            largest_page=max(self.largest_page, seen.largest_page),
            pages=self.pages if self.pages == "short" else seen.pages or self.pages,
            order=seen.order or self.order,
            requests_per_hour=seen.requests_per_hour or self.requests_per_hour,
            oldest_log_days=max(self.oldest_log_days, seen.oldest_log_days),
            unknown_fields=set(self.unknown_fields),
            misfits=set(self.misfits),
            events=set(self.events),
            lateness=dict(self.lateness),
        )
        _add(merged.unknown_fields, seen.unknown_fields)
        _add(merged.misfits, seen.misfits)
        _add(merged.events, seen.events)
        for day, seconds in seen.lateness.items():
            merged.note_lateness(seconds, date.fromisoformat(day))
        return merged

    def changes(self, seen: Profile) -> list[str]:
        """Return what the API does in another way than before, in words.

        Args:
            seen: What a run has seen since.
        """
        if self == Profile():
            return []
        finer = _finer(self.log_time_precision, seen.log_time_precision)
        values = [
            ("`before` is {}", self.before, seen.before),
            ("`before` is cut to {}", self.before_precision, seen.before_precision),
            ("log_time is exact to {}", self.log_time_precision, finer),
            ("pages are {}", self.pages, None if self.pages == "short" else seen.pages),
            ("logs come {}", self.order, seen.order),
            ("a key may make {} requests an hour", self.requests_per_hour, seen.requests_per_hour),
        ]
        names = [
            ("log_time is written as {}", self.log_time_forms, seen.log_time_forms),
            ("there are fields without a column: {}", self.unknown_fields, seen.unknown_fields),
            ("there are values that don't fit their column: {}", self.misfits, seen.misfits),
        ]
        return [
            *(f"{words.format(now)}, no longer {was}" for words, was, now in values if was and now and was != now),
            *(
                words.format(_in_words(now - was))
                for words, was, now in names
                if now - was and self.largest_page and len(was) < MAX_NAMES
            ),
        ]

    def new_events(self, seen: Profile) -> list[str]:
        """Return the events that no run before has seen; none if there was no run, or more of them than are known.

        Args:
            seen: What a run has seen since.
        """
        return sorted(seen.events - self.events) if 0 < len(self.events) < MAX_NAMES else []

    def __str__(self) -> str:
        """Return what has been seen in one line, without events."""
        parts = [
            ("`before` is {}", self.before),
            ("`before` is cut to {}", self.before_precision),
            ("log_time is written as {}", _in_words(self.log_time_forms)),
            ("log_time is exact to {}", self.log_time_precision),
            ("a page has up to {} logs", self.largest_page),
            ("pages are {}", self.pages),
            ("logs come {}", self.order),
            ("a key may make {} requests an hour", self.requests_per_hour),
            ("the oldest log was {} days old", self.oldest_log_days),
            ("there are fields without a column: {}", _in_words(self.unknown_fields)),
            ("there are values that don't fit their column: {}", _in_words(self.misfits)),
            ("logs came up to {:g} s late", self.max_lateness),
        ]
        return ", ".join(words.format(value) for words, value in parts if value)

    def as_json(self) -> dict[str, Any]:
        """Return the profile as plain data."""
        data: dict[str, Any] = msgspec.to_builtins(self, order="deterministic")
        return data


def _add(names: set[str], found: Iterable[str]) -> None:
    """Add names, as far as there is room."""
    for name in sorted(set(found) - names):
        if len(names) < MAX_NAMES and len(name) <= _MAX_NAME_LENGTH:
            names.add(name)


def _finer(one: Unit | None, other: Unit | None) -> Unit | None:
    """Return the finer one of two units."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=_UNITS.__getitem__)


def _in_words(names: Collection[str]) -> str:
    return ", ".join(map(sanitize, sorted(names)))

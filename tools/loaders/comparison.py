"""What is in a destination against what should be there: rows and their values. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

Row = Mapping[str, Any]
"""A row by the names of its columns."""

Key = tuple[str, ...]
"""The values of the key columns, as text."""

_MAX_EXAMPLE = 32


class Change(msgspec.Struct, frozen=True):
    """Values of one column that aren't what was sent.

    Attributes:
        column: The column.
        rows: How many rows.
        sent: The value of one of them, the shortest.
        found: What became of it.
    """

    column: str
    rows: int
    sent: str
    found: str


class Tally(msgspec.Struct, frozen=True):
    """The rows of a destination.

    Attributes:
        rows: How many there are.
        missing: Keys that should be there and aren't.
        repeated: Rows whose key is there already.
        unknown: Keys that nobody sent.
    """

    rows: int
    missing: int
    repeated: int
    unknown: int


def tally(expected: Iterable[Key], found: Sequence[Key]) -> Tally:
    """Count the rows of a destination by their keys."""
    wanted, held = set(expected), set(found)
    return Tally(len(found), len(wanted - held), len(found) - len(held), len(held - wanted))


def changes(expected: Mapping[Key, Row], found: Iterable[tuple[Key, Row]]) -> list[Change]:
    """Compare the values of all rows whose key is known; a column that is missing counts as null."""
    counts: Counter[str] = Counter()
    examples: dict[str, tuple[str, str]] = {}
    for key, row in found:
        for column, sent in expected.get(key, {}).items():
            value = row.get(column)
            if not _is_same(column, sent, value):
                counts[column] += 1
                example = (_shown(sent), _shown(value))
                examples[column] = min(examples.get(column, example), example, key=lambda pair: len(pair[0]))
    return [Change(column, rows, *examples[column]) for column, rows in counts.items()]


def _is_same(column: str, sent: Any, value: Any) -> bool:
    """Tell whether a value means what was sent, in whatever form a destination of this kind holds it."""
    if sent is None or value is None:
        return sent is value
    if column in {"log_time", "created_at", "updated_at"}:
        return instant(sent) is not None and instant(sent) == instant(value)
    if isinstance(sent, dict) and isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    if isinstance(sent, int) and isinstance(value, str):
        return str(sent) == value  # in a destination that holds nothing but text
    return bool(sent == value)


def instant(value: Any) -> datetime | None:
    """Read a point in time, of which a destination without zones holds the hour in UTC; None if it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def has_zone(value: Any) -> bool:
    """Tell whether a point in time says which zone it is of."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return isinstance(value, datetime) and value.tzinfo is not None


def _shown(value: Any) -> str:
    """Return a value in a form that can stand in a line: JSON in ASCII, not too long."""
    text = value if isinstance(value, datetime) else json.dumps(value, default=str)
    text = str(text)
    return text if len(text) <= _MAX_EXAMPLE else f"{text[: _MAX_EXAMPLE - 3]}..."

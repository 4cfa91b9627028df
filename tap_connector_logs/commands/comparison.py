"""What a warehouse holds of one connector, set against what the API shows of it.

The warehouse is read first: of each row, digests of its id and of its content are kept. The API's logs are held against
them as they come. What seems amiss then is looked at once more in the warehouse, as a job may have run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from tap_connector_logs.commands.warehouse import Row, instant_of_value

Record = dict[str, Any]

_DIGEST_BYTES = 16
_RIGHT = b""
"""In the place of the digests of an id of which a row is as the API shows it."""


@dataclass(slots=True)
class Comparison:
    """How one connector compares.

    Attributes:
        api: Logs that the API shows.
        database: Rows of the warehouse.
        missing: Logs of the API that the warehouse has no row of.
        repeated: Rows that say the same as another one.
        different: Logs that no row has as the API shows them.
        kept: Logs that only the warehouse still has.
    """

    connector_identifier: str
    api: int = 0
    database: int = 0
    missing: int = 0
    repeated: int = 0
    different: int = 0
    kept: int = 0

    @property
    def is_right(self) -> bool:
        """Whether nothing is missing, repeated or different."""
        return not (self.missing or self.repeated or self.different)


class Comparing:
    """The comparison of one connector, under way.

    Attributes:
        result: What came of it so far.
    """

    def __init__(self, connector_identifier: str, columns: Sequence[str]) -> None:
        """Begin with nothing.

        Args:
            connector_identifier: The connector.
            columns: The columns that are compared.
        """
        self.result = Comparison(connector_identifier)
        self._columns = columns
        self._time = columns.index("log_time")
        self._rows: dict[bytes, bytes] = {}
        self._undated: dict[bytes, int] = {}
        self._doubtful: dict[bytes, bytes] = {}

    def take_rows(self, rows: Iterable[Row]) -> None:
        """Take in what the warehouse has in the range."""
        for identifier, values in rows:
            key, content = self._digests(identifier, values)
            known = self._rows.get(key, b"")
            self._rows[key] = known + content
            self.result.database += 1
            self.result.repeated += content in _parts(known)
            if instant_of_value(values[self._time]) is None:
                self._undated[key] = self._undated.get(key, 0) + 1

    def take_records(self, records: Iterable[Record]) -> list[Record]:
        """Hold records of the API against the rows, and return those that no row is like.

        Args:
            records: What the API shows, as the tap delivers it; it may show a log more than once.
        """
        unlike = []
        for record in records:
            key, content = self._digests(record["id"], [record[name] for name in self._columns])
            rows = self._rows.get(key)
            seen = self._doubtful.get(key)
            if rows == _RIGHT:
                continue
            self.result.api += seen is None
            if rows is not None and content in _parts(rows):
                self._rows[key] = _RIGHT
                self._doubtful.pop(key, None)
            elif seen is None or content not in _parts(seen):
                self._doubtful[key] = (seen or b"") + content
                unlike.append(record)
        return unlike

    def settle(self, rows: Iterable[Row]) -> None:
        """Take in what the warehouse has of the connector now, as far as something seemed amiss."""
        self.result.kept = sum(rows != _RIGHT for rows in self._rows.values()) - len(
            self._doubtful.keys() & self._rows.keys()
        )
        unmatched = self._undated.keys() - self._doubtful.keys()
        for key in (
            key for key in unmatched if self._rows[key] != _RIGHT
        ):  # nobody can tell whether it is of the range
            self.result.kept -= 1
            self.result.database -= self._undated[key]
        there = set()
        for identifier, values in rows if self._doubtful else ():
            key, content = self._digests(identifier, values)
            if key not in self._doubtful:
                continue
            there.add(key)
            if content in _parts(self._doubtful[key]):
                del self._doubtful[key]
        self.result.different = len(there & self._doubtful.keys())
        self.result.missing = len(self._doubtful) - self.result.different

    def is_amiss(self, record: Record) -> bool:
        """Tell whether the warehouse has no row like a record, once that is settled."""
        return _digest(_text(record["id"])) in self._doubtful

    def _digests(self, identifier: str, values: Sequence[Any]) -> tuple[bytes, bytes]:
        meanings = [_MEANINGS.get(name, _text)(value) for name, value in zip(self._columns, values, strict=True)]
        return _digest(_text(identifier)), _digest(meanings)


def _parts(digests: bytes) -> set[bytes]:
    return {digests[at : at + _DIGEST_BYTES] for at in range(0, len(digests), _DIGEST_BYTES)}


def _digest(value: Any) -> bytes:
    return blake2b(msgspec.json.encode(value), digest_size=_DIGEST_BYTES).digest()


def _text(value: object) -> str | None:
    """Return what a text says: some loaders write null for an empty one, and drop or escape NULs."""
    return None if value is None else str(value).replace("\0", "").replace("\\u0000", "") or None


def _number(value: Any) -> int | str | None:
    """Return what a number says: a database may give it as a decimal or as text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return _text(value)
    return int(number) if number.is_integer() else _text(value)


def _time(value: object) -> int | str | None:
    """Return what a time says: the instant, or whatever stands in its place."""
    instant = instant_of_value(value)
    return _text(value) if instant is None else instant


_MEANINGS: Mapping[str, Callable[[Any], object]] = {"log_time": _time, "status": _number, "duration_ms": _number}

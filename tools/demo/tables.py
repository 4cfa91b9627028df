"""What the demo prints of the logs in a DuckDB file, as tables of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

_QUERY = Path(__file__).with_name("connectors.sql")
_LOGS = "tap_connector_logs.connector_logs"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the job took and brought."""

    requests: int
    new_logs: int
    seconds: float


def log_keys(file: Path) -> list[tuple[str, str]]:
    """Return connector and id of each row of the table of logs, sorted; none if there is no file."""
    if not file.exists():
        return []
    return sorted(_rows(file, f"SELECT connector_identifier, id FROM {_LOGS}"))  # noqa: S608 - a constant


def connectors_table(file: Path, *, now: str) -> str:
    """Tell how the connectors fare.

    Args:
        file: The DuckDB file.
        now: The time to count the age of the newest logs to: ISO 8601, in UTC.
    """
    rows = [
        (
            name,
            f"{logs:,}",
            f"{share:.1%}",
            "-" if duration_ms is None else f"{duration_ms:,.0f} ms",
            failure or "-",
            _age(age),
        )
        for name, logs, share, duration_ms, failure, age in _rows(
            file, _QUERY.read_text(encoding="utf-8"), {"now": now}
        )
    ]
    headings = ("Connector", "Logs", "Failures", "p95 duration", "Most frequent failure", "Newest log")
    return _table(headings, "<>>><>", rows)


def runs_table(runs: Iterable[Run]) -> str:
    """Tell what each run took and brought."""
    rows = [
        (f"{number}", f"{run.requests:,}", f"{run.new_logs:,}", f"{run.seconds:.1f}")
        for number, run in enumerate(runs, 1)
    ]
    return _table(("Run", "Requests", "New logs", "Seconds"), ">>>>", rows)


def _rows(file: Path, query: str, parameters: object = None) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(query, parameters).fetchall()


def _age(age: timedelta) -> str:
    hours, seconds = divmod(int(age.total_seconds()), 3600)
    minutes, seconds = divmod(seconds, 60)
    if hours:
        return f"{hours} h {minutes:02} min ago"
    return f"{minutes} min ago" if minutes else f"{seconds} s ago"


def _table(headings: Sequence[str], alignments: str, rows: Iterable[Sequence[str]]) -> str:
    """Align columns, each to the left (`<`) or to the right (`>`)."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(
            f"{cell:{alignment}{width}}" for cell, alignment, width in zip(line, alignments, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([aligned[0], rule, *aligned[1:]])

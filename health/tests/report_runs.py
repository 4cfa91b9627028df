"""The report made of a few logs, by a process of its own, and the page that comes of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb

from tools.paths import ROOT

PYTHON = ROOT / ".meltano" / "utilities" / "report" / "venv" / "bin" / "python"

NOW = "2026-01-31 12:10:00"

DEFAULTS = {
    "REPORT_NOW": NOW,
    "REPORT_DATABASE": "duckdb",
    "REPORT_OUTPUT": "report.html",
    "REPORT_SCHEMA": "connector_health",
    "TARGET_DUCKDB_FILEPATH": "logs.duckdb",
    "TARGET_DUCKDB_DEFAULT_TARGET_SCHEMA": "tap_connector_logs",
}

TABLES = """
CREATE SCHEMA tap_connector_logs;
CREATE TABLE tap_connector_logs.connector_logs (
    team_id BIGINT, connector_identifier VARCHAR, id VARCHAR, log_time TIMESTAMP, status INTEGER, event VARCHAR,
    request VARCHAR, duration_ms INTEGER, request_id VARCHAR
);
"""
LOG_COLUMNS = (
    *("team_id", "connector_identifier", "id", "log_time", "status", "event", "request", "duration_ms", "request_id"),
)


def run_report(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the report in a folder, with the settings that Meltano would hand over."""
    assert PYTHON.exists(), "The report is not installed in this folder: `make install` does it."
    foreign = ("DBT_", "PG", "REPORT_", "TARGET_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return subprocess.run(
        [PYTHON, "-m", "health.report", *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)} | DEFAULTS | settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def load(
    file: Path,
    logs: Sequence[dict[str, Any]],
    names: Mapping[str, str] | None = None,
    loaded_at: datetime | None = None,
) -> None:
    """Make a DuckDB file as the loader makes it.

    Args:
        file: Where to make it.
        logs: The logs, which need no more than what matters.
        names: The names of the connectors, if they are loaded.
        loaded_at: When all of it was loaded, if the loader tells.
    """
    with duckdb.connect(str(file)) as connection:
        connection.execute(TABLES)
        rows = [
            [({"team_id": 1, "connector_identifier": "A", "id": str(number)} | log).get(name) for name in LOG_COLUMNS]
            for number, log in enumerate(logs)
        ]
        columns = ", ".join(LOG_COLUMNS)
        marks = ", ".join("?" * len(LOG_COLUMNS))
        if rows:
            connection.executemany(
                f"INSERT INTO tap_connector_logs.connector_logs ({columns}) VALUES ({marks})",
                rows,
            )
        if names is not None:
            connection.execute(
                "CREATE TABLE tap_connector_logs.connectors "
                "(team_id BIGINT, connector_identifier VARCHAR, name VARCHAR)"
            )
            connection.executemany(
                "INSERT INTO tap_connector_logs.connectors VALUES (1, ?, ?)", [list(pair) for pair in names.items()]
            )
        if loaded_at is not None:
            for table in ("connector_logs", *(["connectors"] if names is not None else [])):
                connection.execute(f"ALTER TABLE tap_connector_logs.{table} ADD COLUMN _sdc_batched_at TIMESTAMP")
                connection.execute(f"UPDATE tap_connector_logs.{table} SET _sdc_batched_at = ?", [loaded_at])


@dataclass
class Page:
    """What a page says.

    Attributes:
        text: All its text, with single blanks.
        title: Its title.
        first: The text of the first paragraph of its header.
        rows: The cells of the rows of its tables, by the heading of the section; without headings of columns.
        broken: The text of each broken connector.
        tags: The names of all its elements.
        scripts: Its scripts.
    """

    text: str
    title: str
    first: str
    rows: dict[str, list[list[str]]]
    broken: list[str]
    tags: set[str]
    scripts: list[str]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.rows: dict[str, list[list[list[str]]]] = {}
        self.broken: list[list[str]] = []
        self.tags: set[str] = set()
        self.title: list[str] = []
        self.first: list[str] = []
        self.scripts: list[str] = []
        self._paragraphs = 0
        self._open: list[str] = []
        self._section = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._open.append(tag)
        attributes = dict(attrs)
        self._paragraphs += tag == "p" and "header" in self._open
        if tag == "section":
            self._section = attributes.get("aria-labelledby") or ""
        elif tag == "tr" and "tbody" in self._open:
            self.rows.setdefault(self._section, []).append([])
        elif tag in {"td", "th"} and "tbody" in self._open:
            self.rows[self._section][-1].append([])
        elif tag == "li" and self._section == "broken":
            self.broken.append([])

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts.append(data)
        if {"style", "svg", "script"} & set(self._open):
            return
        if "title" in self._open:
            self.title.append(data)
        self.text.append(data)
        if {"header", "p"} <= set(self._open) and self._paragraphs == 1:
            self.first.append(data)
        if {"td", "th"} & set(self._open) and "tbody" in self._open:
            self.rows[self._section][-1][-1].append(data)
        if "li" in self._open and self._section == "broken":
            self.broken[-1].append(data)


def read_page(file: Path) -> Page:
    """Read a page, which must be whole."""
    html = file.read_text(encoding="utf-8")
    assert html.rstrip().endswith("</html>")
    reader = _Reader()
    reader.feed(html)
    return Page(
        text=_plain(reader.text),
        title=_plain(reader.title),
        first=_plain(reader.first),
        rows={section: [[_plain(cell) for cell in row] for row in rows] for section, rows in reader.rows.items()},
        broken=[_plain(item) for item in reader.broken],
        tags=reader.tags,
        scripts=reader.scripts,
    )


def _plain(parts: Sequence[str]) -> str:
    return " ".join("".join(parts).split())

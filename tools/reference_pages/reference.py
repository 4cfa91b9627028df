"""The reference: tables of what the code says of settings, columns, codes and state, and of what was measured."""

from __future__ import annotations

import json
from typing import Any

from tap_connector_logs.errors import ExitCode
from tap_connector_logs.instants import parse_instant
from tap_connector_logs.profile import Profile
from tap_connector_logs.reading.backlog import Backlog, Interval, Known, Overlap, fingerprint
from tap_connector_logs.settings import CONFIG_SCHEMA
from tap_connector_logs.singer.streams import ConnectorLogsStream, ConnectorsStream
from tap_connector_logs.singer.tap import TapConnectorLogs
from tap_connector_logs.state import Bookmarks
from tools.paths import ROOT

RESULTS = ROOT / "tools" / "benchmarks" / "RESULTS.md"

# A column of the table of measurements, and where it comes from: case, column there, and scenario if there are several.
_MEASURED = (
    ("CPU seconds for 200,000 logs", "a", "CPU s", None),
    ("seconds for 100,000 logs at 0.2 s an answer", "b", "seconds", None),
    ("seconds for 200 connectors at 0.2 s", "d", "seconds", "0.2 s"),
    ("lost of 20,000 logs with ties", "h", "lost", "some ties, exclusive"),
)


def settings_table() -> str:
    """Return a row for each of the tap's own settings."""
    rows = ["| setting | type | meaning |", "| --- | --- | --- |"]
    for name, setting in CONFIG_SCHEMA["properties"].items():
        default = f" Default: `{setting['default']}`." if "default" in setting else ""
        description = setting["description"].replace("|", "\\|")
        rows.append(f"| `{name}` | {_kind(setting)} | {description}{default} |")
    builtin: dict[str, Any] = {}
    TapConnectorLogs.append_builtin_config(builtin)
    names = [f"`{name}`" for name in builtin["properties"]]
    return "\n".join([*rows, "", f"The SDK adds {', '.join(names[:-1])} and {names[-1]}."])


def streams_tables() -> str:
    """Return a heading, the keys and a row for each column of each stream."""
    parts = []
    for stream in (ConnectorLogsStream, ConnectorsStream):
        key = ", ".join(f"`{name}`" for name in stream.primary_keys)
        method = "incremental on `log_time`" if stream is ConnectorLogsStream else "full table"
        selected = "selected" if stream.selected_by_default else "not selected"
        rows = [
            f"## `{stream.name}`",
            "",
            f"Key {key}; {method}; {selected} by default.",
            "",
            "| column | type | meaning |",
            "| --- | --- | --- |",
        ]
        rows += [
            f"| `{name}` | {_kind(column)} | {column['description']} |"
            for name, column in stream.schema["properties"].items()
        ]
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def benchmarks_table() -> str:
    """Return the most telling of the measurements, a row for each subject."""
    found = {title: _measured(case, column, scenario) for title, case, column, scenario in _MEASURED}
    lines = [f"| | {' | '.join(found)} |", f"| --- |{' ---: |' * len(found)}"]
    subjects = next(iter(found.values()))
    lines += [f"| {subject} | {' | '.join(column[subject] for column in found.values())} |" for subject in subjects]
    return "\n".join(lines)


def _measured(case: str, column: str, scenario: str | None) -> dict[str, str]:
    """Return a column of a table of the measurements, by subject."""
    section = RESULTS.read_text(encoding="utf-8").partition(f"\n## ({case}) ")[2].partition("\n## ")[0]
    lines = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line] for line in lines]
    named = [dict(zip(head, row, strict=True)) for row in rows]
    return {row["subject"]: row[column] for row in named if scenario is None or row["scenario"] == scenario}


def _kind(schema: dict[str, Any]) -> str:
    kind = next(name for name in schema["type"] if name != "null")
    if schema.get("format") == "date-time":
        kind = "date-time"
    if kind == "array":
        kind = f"list of {_kind(schema['items'])}s"
    return f"{kind}, secret" if schema.get("secret") else kind


def exit_codes_table() -> str:
    """Return a row for each exit code."""
    rows = [f"| {int(code)} | {code.when} | {code.advice} |" for code in ExitCode]
    return "\n".join(["| code | when | what to do |", "| --- | --- | --- |", *rows])


def example_state() -> str:
    """Return the state of a run that was cut: it has every field that there is."""
    backlog = Backlog(
        newest=_instant("2025-01-03T09:30:00.500000Z"),
        intervals=[Interval(_instant("2025-01-01T00:00:00Z"), _instant("2025-01-02T12:00:00Z"))],
        overlaps=[
            Overlap(
                since=_instant("2025-01-03T09:20:00Z"),
                newest=_instant("2025-01-03T09:30:00.500000Z"),
                latest=_instant("2099-01-01T00:00:00Z"),
                known=Known.of((0, fingerprint(content)) for content in (b"123-foo", b"122-foo")),
            )
        ],
        early={fingerprint(b"121-foo"): 0},
        begins=_instant("2025-01-03T09:25:00Z"),
        is_behind=True,
    )
    bookmarks = Bookmarks({})
    bookmarks.save(936506, "T3S70", backlog)
    bookmarks.save_profile(Profile(before="exclusive", largest_page=1000, lateness={"2025-01-03": 4.5}))
    state = {"bookmarks": {"connector_logs": bookmarks.state}}
    return f"```json\n{json.dumps(state, indent=2)}\n```"


def _instant(text: str) -> int:
    instant = parse_instant(text)
    if instant is None:
        raise ValueError(text)
    return instant

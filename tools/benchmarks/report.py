"""The document: what was measured where, as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from textwrap import fill

from tools.benchmarks.cases import Case, Column
from tools.benchmarks.scenarios import Result, Scenario
from tools.benchmarks.subjects import OURS, Subject

Results = Sequence[tuple[Scenario, Sequence[tuple[Subject, Result]]]]
"""The results of the scenarios of a case."""

_NOTHING = "-"
_WIDTH = 120

_MADE = """\
Made by `python -m tools.benchmarks`: the tap and its peers read the same logs from the same simulator on the same
machine, in turn. Numbers are medians over the rounds; what takes longer than 20 s is measured once. The simulator runs
on that machine too, and shares its cores."""

_MEASURED = """\
CPU seconds are those of the process and of its children, in user and in system mode. Memory is that of the largest
process. Output goes to a file. A remark tells what no column shows: logs lost or repeated, failures, and why a subject
is left out."""


def head(subjects: Iterable[Subject], versions: Mapping[str, str], *, rounds: int, is_quick: bool) -> str:
    """Write what stands before the tables."""
    lines = [
        "# Benchmarks",
        "",
        _MADE,
        "",
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {rounds} {'round' if rounds == 1 else 'rounds'}",
        f"- {os.cpu_count()} cores, {_processor()}, load {os.getloadavg()[0]:.1f} at the start",
        f"- {platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.release()}",
    ]
    if is_quick:
        lines.append("- **quick: all sizes are divided by ten, whatever the texts below say**")
    lines += ["", "## Subjects", ""]
    lines += (
        fill(
            f"- **{subject.name}** ({subject.distribution} {versions[subject.name]}): {subject.note}",
            _WIDTH,
            subsequent_indent="  ",
        )
        for subject in subjects
    )
    return "\n".join([*lines, "", _MEASURED, ""])


def section(case: Case, results: Results) -> str:
    """Write the table of a case."""
    has_labels = len(results) > 1
    titles = [*(["scenario"] if has_labels else []), "subject", *(column.title for column in case.columns), "remarks"]
    rules = ["---" if title in {"scenario", "subject", "remarks"} else "---:" for title in titles]
    lines = [f"## ({case.letter}) {case.title}", "", fill(case.text, _WIDTH), "", _row(titles), _row(rules)]
    for scenario, runs in results:
        lines += (_row([*([scenario.label] if has_labels else []), *cells]) for cells in _cells(case.columns, runs))
    return "\n".join([*lines, ""])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _cells(columns: Sequence[Column], results: Iterable[tuple[Subject, Result]]) -> Iterator[list[str]]:
    """Yield the cells of each subject of a scenario."""
    found = list(results)
    ours = next((result for subject, result in found if subject.name == OURS), Result())
    for subject, result in found:
        numbers = [_number(column, result, ours) for column in columns]
        yield [subject.name, *numbers, _remarks(columns, result)]


def _number(column: Column, result: Result, ours: Result) -> str:
    if not result.runs or (column.over_ours and not ours.runs):
        return _NOTHING
    number = median(map(column.value, result.runs))
    if column.over_ours:
        number /= median(map(column.value, ours.runs))
    return f"{number:,.{column.digits}f}"


def _remarks(columns: Sequence[Column], result: Result) -> str:
    """Tell what went wrong, and what no column shows of it."""
    remarks = [result.failure] if result.failure else []
    titles = {column.title for column in columns}
    for title, counts in (
        ("lost", [run.lost for run in result.runs]),
        ("repeated", [run.repeated for run in result.runs]),
    ):
        if any(counts) and title not in titles:
            remarks.append(f"{max(counts):,} logs {title}")
    return "; ".join(remarks)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"

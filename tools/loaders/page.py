"""The page `docs/loaders.md`: its parts that are made of the catalog and of the results of the trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill

import msgspec
import yaml

from tools.loaders.catalog import LEFT_OUT, LOADERS
from tools.loaders.comparison import Tally
from tools.loaders.loader import Loader
from tools.loaders.trial import Result
from tools.paths import ROOT

PAGE = ROOT / "docs" / "loaders.md"
RESULTS = Path(__file__).with_name("results.json")

Results = Mapping[str, Result]
"""What came of each trial, by the name of the loader."""

_NOTHING = "-"
_WIDTH = 120
_SERVER_EXAMPLE = {"host": "localhost", "port": 5432, "user": "postgres", "database": "postgres"}


def read_results() -> dict[str, Result]:
    """Return the results of the last trial of each loader."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=dict[str, Result])


def write_results(results: Results) -> None:
    """Write the results of the loaders that are in the catalog, in its order."""
    known = {loader.name: results[loader.name] for loader in LOADERS if loader.name in results}
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")


def is_whole(result: Result) -> bool:
    """Tell whether a loader has kept all logs, each of them once."""
    logs_are_whole = all(tally and _is_whole(tally) for tally in (result.first, result.second))
    # Only repeats are no fault there: the last run sends all again, and the connectors are sent in each.
    others_are_whole = all(not (tally.missing or tally.unknown) for tally in (result.again, result.connectors) if tally)
    return logs_are_whole and others_are_whole and not result.failure


def is_right(result: Result) -> bool:
    """Tell whether a loader has kept all logs, each of them once, and all values as they were."""
    return is_whole(result) and not result.changes


def parts(results: Results) -> dict[str, str]:
    """Return the parts of the page that are made, by their names."""
    return {
        "runs": _runs(results),
        "table": _table(results),
        "faults": _faults(results),
        "left out": _left_out(),
        "plugins": _plugins(results),
    }


def _tried(results: Results) -> list[Loader]:
    return [loader for loader in LOADERS if loader.name in results]


def _runs(results: Results) -> str:
    days = sorted({result.day for result in results.values()})
    pythons = sorted({result.python for result in results.values()})
    time = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    whole = sum(map(is_whole, results.values()))
    right = sum(map(is_right, results.values()))
    return fill(
        f"{len(results)} trials, run {time} with Python {' and '.join(pythons)}: {whole} kept all logs, each of them "
        f"once, and {right} of these all values as they were.",
        _WIDTH,
    )


def _table(results: Results) -> str:
    """Return a row for each trial, those that are right first."""
    numbers = ("sent", "found", "missing", "missing after run 2", "repeated after run 2")
    titles = ("loader", "writes", *numbers, "run 3, without state", "values")
    lines = [_row((*titles, "what to set")), _row(["---:" if title in numbers else "---" for title in (*titles, "")])]
    for loader in sorted(_tried(results), key=lambda loader: _grade(results[loader.name])):
        result = results[loader.name]
        cells = [
            _versions(loader, result),
            loader.destination,
            *_counts(result),
            _values(result),
            loader.advice or ("" if is_right(result) else "[see below](#loaders-that-lose-or-change-something)"),
        ]
        lines.append(_row(cells))
    return "\n".join(lines)


def _grade(result: Result) -> int:
    """Return what sorts the loaders: right ones, those that change values, those that lose logs, those that fail."""
    return 0 if is_right(result) else 1 if is_whole(result) else 2 if not result.failure else 3


def _counts(result: Result) -> list[str]:
    """Return the cells of numbers: sent, found, missing, repeated after the second run, and what the third one did."""
    if result.first is None:
        return [_NOTHING] * 6
    cells = [f"{result.sent:,}", f"{result.first.rows:,}", f"{result.first.missing:,}"]
    if result.second is None:
        return [*cells, *[_NOTHING] * 3]
    return [*cells, f"{result.second.missing:,}", f"{result.second.repeated:,}", _again(result)]


def _again(result: Result) -> str:
    if result.again is None:
        return _NOTHING
    if not is_whole(result):
        return f"{result.again.missing:,} missing, {result.again.repeated:,} repeated"
    return f"adds {result.again.repeated:,} again" if result.again.repeated else "updates by key"


def _values(result: Result) -> str:
    if result.failure:
        return "fails"
    if not result.changes:
        return "right"
    return ", ".join(f"`{column}` differs" for column in sorted({change.column for change in result.changes}))


def _versions(loader: Loader, result: Result) -> str:
    """Return the name of a row, with its exact versions."""
    versions = result.versions or dict(pin.split("==") for pin in loader.requirements if "==" in pin)
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    note = loader.name.removeprefix(loader.distribution).strip(", ")
    return f"{words} ({note})" if note else words


def _faults(results: Results) -> str:
    """Return what is wrong with each loader that isn't right, and what to do instead."""
    parts = []
    for loader in _tried(results):
        result = results[loader.name]
        if not is_right(result):
            faults = "; ".join(_sentences(result))
            parts.append(f"- **{_versions(loader, result)}**: {faults}. *Way out:* {loader.way_out}.")
    return "\n".join(parts)


def _sentences(result: Result) -> Iterable[str]:
    if result.failure:
        yield result.failure
    for name, tally in (("run 1", result.first), ("run 2", result.second)):
        if tally and not _is_whole(tally):
            yield f"after {name}, " + " and ".join(_shortcomings(tally))
    for what, tally in (("logs missing after run 3", result.again), ("of the connectors missing", result.connectors)):
        if tally and tally.missing:
            yield f"{tally.missing:,} {what}"
    for change in result.changes:
        rows = "1 row" if change.rows == 1 else f"{change.rows:,} rows"
        yield f"`{change.column}` differs in {rows}, such as {_code(change.sent)} → {_code(change.found)}"


def _shortcomings(tally: Tally) -> Iterable[str]:
    for number, what in ((tally.missing, "missing"), (tally.repeated, "repeated"), (tally.unknown, "that nobody sent")):
        if number:
            yield f"{number:,} {what}"


def _left_out() -> str:
    lines = [_row(("loaders", "why they were not run")), _row(("---", "---"))]
    lines += [_row((", ".join(left.names), left.reason)) for left in LEFT_OUT]
    return "\n".join(lines)


def _plugins(results: Results) -> str:
    """Return what `meltano.yml` needs for each loader that keeps all logs."""
    parts = []
    for loader in _tried(results):
        result = results[loader.name]
        if is_whole(result):
            remarks = "".join(f" {remark[0].upper()}{remark[1:]}." for remark in _remarks(result))
            text = yaml.safe_dump([plugin(loader)], sort_keys=False, allow_unicode=True, width=1000).strip()
            parts.append(f"### {_versions(loader, result)}\n\n{remarks.strip()}\n\n```yaml\n{text}\n```")
            if loader.maps:
                text = yaml.safe_dump({"stream_maps": dict(loader.maps)}, sort_keys=False, width=1000).strip()
                parts.append(f"And among the settings of the tap:\n\n```yaml\n{text}\n```")
    return "\n\n".join(parts)


def _remarks(result: Result) -> Iterable[str]:
    yield from result.remarks
    if result.connectors and result.connectors.repeated:
        yield "each run adds all `connectors` again, if that stream is selected"
    if len(fates := set(result.nul.values())) == 1:
        yield f"a NUL {fates.pop()}"
    else:
        yield from (f"a NUL in {where} {fate}" for where, fate in result.nul.items())


def plugin(loader: Loader) -> dict[str, object]:
    """Return the loader as a custom plugin of Meltano, which looks nothing up on Meltano Hub."""
    name = loader.executable
    config = {**loader.config, **{loader.server[key]: value for key, value in _SERVER_EXAMPLE.items() if loader.server}}
    kinds = {bool: "boolean", int: "integer", str: "string", dict: "object"}
    settings: list[dict[str, object]] = [
        {"name": setting, "kind": kinds[type(value)]} for setting, value in config.items()
    ]
    if loader.server:
        settings.append({"name": loader.server["password"], "kind": "string", "sensitive": True})
    return {
        "name": name,
        "namespace": name.replace("-", "_"),
        "pip_url": " ".join(loader.requirements),
        "executable": name,
        "settings": settings,
        "config": config,
    }


def _is_whole(tally: Tally) -> bool:
    return not (tally.missing or tally.repeated or tally.unknown)


def _code(text: str) -> str:
    """Return text that may hold anything as code in Markdown."""
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

"""`connector-logs verify`: whether a warehouse holds what the API shows, and what would mend it."""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TextIO

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tap_connector_logs.api.client import Client
from tap_connector_logs.api.rate_limiter import BudgetSpentError
from tap_connector_logs.commands.api_reader import read_logs
from tap_connector_logs.commands.comparison import Comparing, Comparison
from tap_connector_logs.commands.repair import Repair
from tap_connector_logs.commands.table import table
from tap_connector_logs.commands.warehouse import Warehouse
from tap_connector_logs.errors import (
    ERRORS_OF_ONE_CONNECTOR,
    ConnectorsFailedError,
    ExitCode,
    InputError,
    TapError,
)
from tap_connector_logs.inputs import environment
from tap_connector_logs.instants import BEGINNING, END, SECOND, format_instant, instant_of, parse_instant
from tap_connector_logs.records import log_records
from tap_connector_logs.redaction import redact
from tap_connector_logs.settings import CONNECTOR_IDENTIFIER, Settings
from tap_connector_logs.sync import listed_identifiers

logger = logging.getLogger(__name__)

DATABASE_VARIABLE = "CONNECTOR_LOGS_DATABASE"

_FAULTS = ("missing", "repeated", "different")
_COUNTS = ("api", "database", *_FAULTS, "kept")


def verify(
    settings: Settings, options: argparse.Namespace, *, deferred: Callable[[], AbstractContextManager[None]]
) -> int:
    """Compare a warehouse with the API, print how, and return the exit code.

    Args:
        settings: Whom to ask, and how.
        options: Those of the command line.
        deferred: Gives a context that no signal ends.

    Raises:
        TapError: If anything could not be compared.
    """
    since, until = _range(settings, options)
    url = options.database or environment().get(DATABASE_VARIABLE)
    if not url:
        raise InputError(f"No database is named: pass --database URL, or set {DATABASE_VARIABLE}.")
    client = Client(settings)
    with Warehouse(url, options.table, team_id=settings.team_id) as warehouse, Repair(warehouse.columns) as repair:
        run = _Run(warehouse, client, settings, since, until, repair if options.repair else None)
        try:
            names = _connectors(client, settings, options.connector)
            logger.info("Comparing %s with the API, %s.", warehouse.name, _in_words(since, until))
            run.compare(names)
        except BudgetSpentError:
            raise TapError("max_requests is used up before all is compared. Raise it, or compare less.") from None
        _print(run.results, options.format, sys.stderr if options.repair else sys.stdout)
        if options.repair:
            repair.write(deferred)
    _advise(run.results, is_repaired=options.repair)
    if run.failures:
        raise ConnectorsFailedError(run.failures, of=len(names))
    return ExitCode.COMPLETE if all(result.is_right for result in run.results) else ExitCode.FAILED


@dataclass(slots=True)
class _Run:
    """The comparison of one connector after the other.

    Attributes:
        repair: Keeps what is amiss, if that is wanted.
        results: How they compare.
        failures: Why some could not be read.
    """

    warehouse: Warehouse
    client: Client
    settings: Settings
    since: int
    until: int
    repair: Repair | None
    results: list[Comparison] = field(default_factory=list)
    failures: dict[str, TapError] = field(default_factory=dict)

    def compare(self, names: Sequence[str]) -> None:
        """Compare connectors, and show on a terminal how many are done."""
        form = "{n_fmt}/{total_fmt} connectors |{bar:12}| {elapsed}"
        has_terminal = sys.stderr is not None and sys.stderr.isatty()
        bar = tqdm(names, disable=not has_terminal, file=sys.stderr, leave=False, dynamic_ncols=True, bar_format=form)
        with logging_redirect_tqdm(), bar:
            for name in bar:
                try:
                    self.results.append(self._compared(name))
                except ERRORS_OF_ONE_CONNECTOR as error:
                    logger.error("Connector %s: %s", name, error)  # noqa: TRY400 - its line says all
                    self.failures[name] = error.with_traceback(None)

    def _compared(self, name: str) -> Comparison:
        comparing = Comparing(name, self.warehouse.columns)
        comparing.take_rows(self.warehouse.rows(name, self.since, self.until))
        if self.repair:
            self.repair.begin()
        for shown in read_logs(self.client, name, since=self.since, until=self.until, limit=self.settings.page_size):
            records = log_records(
                shown.entries, shown.moments, team_id=self.settings.team_id, connector_identifier=name
            )
            redact(records, self.settings.redact_query)
            unlike = comparing.take_records(records)
            if self.repair:
                self.repair.add(unlike)
        comparing.settle(self.warehouse.rows(name, BEGINNING, END))
        if self.repair:
            self.repair.keep(comparing.is_amiss)
        return comparing.result


def _range(settings: Settings, options: argparse.Namespace) -> tuple[int, int]:
    """Return the range of time to compare."""
    given = {name: parse_instant(text) for name in ("since", "until") if (text := getattr(options, name)) is not None}
    for name, instant in given.items():
        if instant is None:
            raise InputError(f"--{name} must be a date-time such as 2025-01-01T00:00:00Z.")
    now = instant_of(datetime.now(UTC))
    newest = END if options.include_lookback else now - settings.lookback_seconds * SECOND
    since = max(settings.start, given.get("since") or BEGINNING)
    until = min(settings.end, given.get("until") or END, newest)
    if since >= until:
        raise InputError("No time is left to compare: --since must be before --until, and within the settings' dates.")
    return since, until


def _in_words(since: int, until: int) -> str:
    beginning = "from the oldest log" if since == BEGINNING else f"from {format_instant(since)}"
    return f"{beginning} to {'the newest' if until == END else format_instant(until)}"


def _connectors(client: Client, settings: Settings, chosen: Sequence[str] | None) -> Sequence[str]:
    """Return the connectors to compare."""
    if not all(re.fullmatch(CONNECTOR_IDENTIFIER, name) for name in chosen or ()):
        raise InputError("--connector must be the identifier of a connector, such as T3S70.")
    if names := chosen or settings.connector_identifiers:
        return list(dict.fromkeys(names))
    return listed_identifiers(client.list_connectors().entries, team_id=settings.team_id)


def _print(results: Sequence[Comparison], form: str, output: TextIO) -> None:
    """Print how connectors compare."""
    totals = {name: sum(getattr(result, name) for result in results) for name in _COUNTS}
    if form == "json":
        summed = {name: totals[name] for name in (*_FAULTS, "kept")}
        text = json.dumps({"connectors": [asdict(result) for result in results], **summed}, indent=2)
    else:
        rows = [(found.connector_identifier, *(getattr(found, name) for name in _COUNTS)) for found in results]
        text = table(("connector", *_COUNTS), [*rows, ("total", *totals.values())])
    output.write(f"{text}\n")
    output.flush()


def _advise(results: Sequence[Comparison], *, is_repaired: bool) -> None:
    """Tell what to do about what is amiss."""
    if any(result.missing or result.different for result in results) and not is_repaired:
        logger.info(
            "Logs that came since the last load count as missing: load first, or end the range before it with --until. "
            "To mend the rest: connector-logs verify … --repair | your target."
        )
    if any(result.repeated for result in results):
        logger.info("Repeated rows can't be mended by adding rows: delete the surplus in the warehouse.")

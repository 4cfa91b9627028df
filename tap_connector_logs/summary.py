"""The summary of a run: an object for machines, and lines for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tap_connector_logs.instants import SECOND
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.reading.findings import Kind, RunStats
from tap_connector_logs.sync import Sync

logger = logging.getLogger(__name__)


def summarize(sync: Sync) -> dict[str, Any]:
    """Return what a run has done so far: numbers by their names, and what it has seen of the API."""
    scheduler, client = sync.scheduler, sync.client
    stats = RunStats() if scheduler is None else scheduler.stats
    return {
        "logs": stats.logs,
        "connectors": 0 if scheduler is None else scheduler.connectors,
        "connectors_done": 0 if scheduler is None else scheduler.connectors_done,
        "connectors_failed": 0 if scheduler is None else len(scheduler.failures),
        "requests": client.requests_made,
        "retries": client.retries,
        "seconds": round(sync.seconds, 3),
        "seconds_waited": round(client.seconds_waited, 3),
        "seams_checked": stats.seams,
        "holes": stats.holes,
        "bursts": stats.counts[Kind.BURST],
        "answers_cut_short": stats.counts[Kind.CUT_SHORT],
        "connectors_out_of_order": stats.counts[Kind.OUT_OF_ORDER],
        "logs_without_time": stats.without_time,
        "logs_without_id": stats.without_id,
        "lateness_seconds": round(stats.lateness / SECOND, 3),
        "api": {name: value for name, value in sync.profile.as_json().items() if name != "events"},
        "api_changes": sync.api_changes,
        "new_events": sync.new_events,
    }


def sentence(summary: Mapping[str, Any]) -> str:
    """Return the numbers of a summary that everyone should see, in words: what may be missing only where it is."""
    logs, connectors = _counted(summary["logs"], "log"), _counted(summary["connectors"], "connector")
    requests, retries = _counted(summary["requests"], "request"), summary["retries"]
    text = (
        f"Read {logs} of {connectors} with {requests}, {retries} of them retries, in {summary['seconds']:.1f} s, "
        f"{summary['seconds_waited']:.1f} s of it spent waiting."
    )
    if summary["holes"]:
        text += f" Possible holes: {summary['holes']}."
    if summary["bursts"]:
        text += f" Instants with more logs than the API shows: {summary['bursts']}."
    return text


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def tell(sync: Sync) -> dict[str, Any]:
    """Write what a run has done to the log, and return it as `summarize` does."""
    summary = summarize(sync)
    logger.info("%s", sentence(summary))
    if sync.scheduler is not None and sync.scheduler.is_stopped:
        logger.info(
            "max_requests is used up, with %(connectors_done)d of %(connectors)d connectors done. The next run goes "
            "on.",
            summary,
        )
    if summary["logs_without_time"] or summary["logs_without_id"]:
        logger.warning(
            "%(logs_without_time)d logs had no usable log_time and were delivered with null; %(logs_without_id)d had "
            "no usable id and were given one made of their content. What the API sent instead is in the column extra.",
            summary,
        )
    _tell_of_api(sync)
    return summary


def _tell_of_api(sync: Sync) -> None:
    """Tell what the API was seen to do, and what of that asks for something to be done."""
    if line := str(sync.profile):
        logger.info("The API as seen so far: %s.", line)
    if sync.api_changes:
        logger.warning("The API has changed: %s.", "; ".join(sync.api_changes))
    if sync.new_events:
        logger.info("Events never seen before: %s.", ", ".join(map(sanitize, sync.new_events)))
    lookback = sync.settings.lookback_seconds
    needed = sync.profile.needed_lookback(lookback)
    if needed is not None and sync.scheduler is not None and sync.scheduler.stats.lateness:
        logger.warning(
            "Logs come late: one was new, or completed, %g s behind one that an earlier run had delivered. What is "
            "behind by more than lookback_seconds (%d) is missed: set it to %d.",
            sync.profile.max_lateness,
            lookback,
            needed,
        )

"""The progress of a run, for people: a live bar where a command has a terminal, else a line in the log now and then.

Both are told at the level INFO: a log level above it turns them off.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from tap_connector_logs.api.client import Client
from tap_connector_logs.instants import format_instant
from tap_connector_logs.reading.scheduler import Scheduler

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0
_SECONDS_BETWEEN_FRAMES = 0.2

_seconds_between_lines = ContextVar("seconds_between_lines", default=SECONDS_BETWEEN_LINES)

# A bar takes over the handlers of the log while it is there, which in a library belong to somebody else. So it needs
# leave, which goes no further than the block that gives it: neither into other threads nor beyond its end.
_may_draw_bar = ContextVar("may_draw_bar", default=False)


@contextmanager
def shown_with(*, bar: bool = False, seconds_between_lines: float = SECONDS_BETWEEN_LINES) -> Iterator[None]:
    """Say how progress is shown within the block.

    Args:
        bar: Whether a terminal may have a bar: the process is a command's own.
        seconds_between_lines: How far lines of the log are apart where there is none.
    """
    may_draw, seconds = _may_draw_bar.set(bar), _seconds_between_lines.set(seconds_between_lines)
    try:
        yield
    finally:
        _may_draw_bar.reset(may_draw)
        _seconds_between_lines.reset(seconds)


@contextmanager
def shown(scheduler: Scheduler, client: Client) -> Iterator[None]:
    """Show the progress of a reading for as long as the block lasts.

    Args:
        scheduler: What is read.
        client: Whom it asks.
    """
    if not logger.isEnabledFor(logging.INFO):
        yield
        return
    stopped = threading.Event()
    if _may_draw_bar.get() and _is_log_on_terminal():
        show, seconds = _show_bar, _SECONDS_BETWEEN_FRAMES
    else:
        show, seconds = _write_lines, _seconds_between_lines.get()
    watcher = threading.Thread(target=show, args=(scheduler, client, stopped, seconds), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()


def describe(scheduler: Scheduler, client: Client) -> str:
    """Return what has been read, how far back in time, with how many requests, and what is waited for.

    Args:
        scheduler: What is read.
        client: Whom it asks.
    """
    parts = [f"{scheduler.stats.logs:,} logs"]
    if (instant := scheduler.read_back_to) is not None:
        parts.append(f"back to {format_instant(instant)[:16].replace('T', ' ')}")
    parts.append(f"{client.requests_made:,} requests")
    if seconds := client.rate_limiter.paused_for:
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        parts.append(f"waiting until {until:%H:%M:%S} UTC")
    return ", ".join(parts)


def _is_log_on_terminal() -> bool:
    """Tell whether there is a terminal, and the log goes to it: a bar draws itself below the lines of such a log."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()  # None where a process is begun without one
    return is_terminal and any(isinstance(handler, logging.StreamHandler) for handler in logging.root.handlers)


def _write_lines(scheduler: Scheduler, client: Client, stopped: threading.Event, seconds: float) -> None:
    """Write a line to the log now and then."""
    while not stopped.wait(seconds):
        logger.info(
            "%d of %d connectors done, %s.",
            scheduler.connectors_done,
            scheduler.connectors,
            describe(scheduler, client),
        )


def _show_bar(scheduler: Scheduler, client: Client, stopped: threading.Event, seconds: float) -> None:
    """Draw a bar below the log, and take it away in the end."""
    from tqdm import tqdm  # noqa: PLC0415 - only a terminal pays for it
    from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415

    with (
        logging_redirect_tqdm(),
        tqdm(
            total=scheduler.connectors,
            unit=" connectors",
            leave=False,
            file=sys.stderr,
            dynamic_ncols=True,
            bar_format="{n_fmt}/{total_fmt} connectors |{bar:12}| {elapsed} {desc}",
        ) as bar,
    ):
        while not stopped.wait(seconds):
            bar.n = scheduler.connectors_done
            bar.set_description_str(describe(scheduler, client))

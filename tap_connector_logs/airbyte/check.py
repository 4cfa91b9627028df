"""What `check` does: one question to the API, at once, without waiting for anything that may pass."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tap_connector_logs.api.client import Client
from tap_connector_logs.api.rate_limiter import BudgetSpentError
from tap_connector_logs.errors import TapError
from tap_connector_logs.inputs import read_settings
from tap_connector_logs.log_safety import in_one_line
from tap_connector_logs.settings import Settings

TIMEOUT_SECONDS = 10.0
_REQUESTS_PER_SECOND = 10.0
_MAX_TRIES = 2


def connection_status(config: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> dict[str, str]:
    """Return whether the API answers to settings, and why not in the words of a run.

    Args:
        config: The file of the settings.
        timeout_seconds: How long to wait for an answer, where the settings allow for longer.
    """
    try:
        _ask_once(read_settings(config), timeout_seconds)
    except TapError as error:
        return {"status": "FAILED", "message": in_one_line(str(error))}
    return {"status": "SUCCEEDED"}


def _ask_once(settings: Settings, timeout_seconds: float) -> None:
    """Ask the API for what a run asks for first."""
    client = Client(
        replace(
            settings,
            max_requests=_MAX_TRIES,
            max_wait_seconds=0,
            requests_per_second=_REQUESTS_PER_SECOND,
            request_timeout_seconds=min(settings.request_timeout_seconds, timeout_seconds),
        ),
        max_tries=_MAX_TRIES,
    )
    if settings.connector_identifiers is not None:
        client.list_logs(settings.connector_identifiers[0], limit=1, before=None)
        return
    with suppress(BudgetSpentError):  # a page of the list has come, and there are more
        client.list_connectors()

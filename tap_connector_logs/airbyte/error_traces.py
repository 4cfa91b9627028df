"""What a trace says of what ended a run, and whether another try may help."""

from __future__ import annotations

import traceback
from typing import Any

from tap_connector_logs.errors import (
    ConnectorError,
    ConnectorsFailedError,
    CredentialError,
    InputError,
    Interrupted,
    RateLimitError,
    ServerError,
    TapError,
    UnreachableError,
)
from tap_connector_logs.log_safety import in_one_line

_MAX_REASONS = 10

_CONFIG, _TRANSIENT, _SYSTEM = "config_error", "transient_error", "system_error"


def error_content(line: str, error: BaseException, stream: str | None) -> dict[str, Any]:
    """Return what a trace says of what ended a run.

    Args:
        line: What the user is told.
        error: What ended it.
        stream: The stream that was read, if one was.
    """
    content: dict[str, Any] = {
        "message": in_one_line(line),
        "internal_message": in_one_line("; ".join(_reasons(error))),
        "failure_type": failure_type(error),
    }
    if not isinstance(error, TapError | Interrupted):
        lines = "".join(traceback.format_exception(error)).splitlines()
        content["stack_trace"] = "\n".join(map(in_one_line, lines))
    if stream is not None:
        content["stream_descriptor"] = {"name": stream}
    return content


def failure_type(error: BaseException) -> str:
    """Return whether the user has to change something, or time may help, or neither."""
    if isinstance(error, ConnectorsFailedError):
        kinds = {failure_type(each) for each in error.failures.values()}
        return next((kind for kind in (_TRANSIENT, _SYSTEM) if kind in kinds), _CONFIG)
    if isinstance(error, InputError | CredentialError | ConnectorError):
        return _CONFIG
    if isinstance(error, RateLimitError | ServerError | UnreachableError | Interrupted):
        return _TRANSIENT
    return _SYSTEM


def _reasons(error: BaseException) -> list[str]:
    if isinstance(error, ConnectorsFailedError):
        return [f"{name}: {reason}" for name, reason in sorted(error.failures.items())[:_MAX_REASONS]]
    return [f"{type(error).__name__}: {error}"]

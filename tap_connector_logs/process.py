"""A process of either command: what ends it becomes its last line, and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TextIO, cast

from tap_connector_logs.errors import ExitCode, Interrupted, OutputError, TapError
from tap_connector_logs.log_safety import register_secret
from tap_connector_logs.output import Printed, check_stdout, flush_stdout
from tap_connector_logs.settings import CREDENTIALS, ENV_PREFIX


def run(command: Callable[[], int], tell: Callable[[str, BaseException], None]) -> int:
    """Run a command to its end, and return the exit code.

    Args:
        command: The command, which returns its own exit code.
        tell: Takes the last line and what ended the run, where that is no end in good order.
    """
    for name in CREDENTIALS:
        register_secret(os.environ.get(f"{ENV_PREFIX}{name.upper()}", ""))
    try:
        code = _run(command, tell)
        _ignore_signals()  # within the block: one that comes before is told as any other
    except Interrupted as error:  # amid the run, or while its end was told
        tell("Stopped by a signal. The next run goes on from the last state that was kept.", error)
        return error.exit_code
    finally:
        _flush_stderr()
    return code


def _run(command: Callable[[], int], tell: Callable[[str, BaseException], None]) -> int:
    try:
        check_stdout()
        with redirect_stdout(cast("TextIO", Printed(sys.stdout))):
            return _code_of(command)
    except TapError as error:
        try:
            tell(str(error), error)
        finally:
            if isinstance(error, OutputError):  # given up before, what is told there would go nowhere without a word
                give_up_output()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of a process is the place for it
        tell("This is a defect of the tap. Please report it, with all that follows.", error)
        return ExitCode.FAILED


def _code_of(command: Callable[[], int]) -> int:
    """Return the exit code of a command, once all that it has printed has left."""
    try:
        code = command()
    except SystemExit as end:  # how libraries end a command that only tells something
        code = int(end.code or 0)
    flush_stdout()
    return code


def give_up_output() -> None:
    """Let what Python still holds for an output that can't be written go nowhere, lest it fail once more."""
    if sys.stdout is not None:
        _lead_nowhere(sys.stdout)


def _flush_stderr() -> None:
    """See the last words leave; where they can't, Python would end with an exit code of its own."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        _lead_nowhere(sys.stderr)


def _lead_nowhere(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _ignore_signals() -> None:
    """Let none change how the process ends: nothing is left to be stopped."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

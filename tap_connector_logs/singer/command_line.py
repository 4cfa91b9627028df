"""The command line: what is wrong with it is told in one line, as is what ends a run."""

from __future__ import annotations

import logging
import sys

import click

from tap_connector_logs import process
from tap_connector_logs.errors import InputError, Interrupted, TapError
from tap_connector_logs.inputs import may_be_a_file
from tap_connector_logs.log_safety import install, register_secret, sanitize
from tap_connector_logs.progress import shown_with
from tap_connector_logs.settings import wrong_settings
from tap_connector_logs.singer.tap import TapConnectorLogs

logger = TapConnectorLogs.logger


def run() -> int:
    """Run the tap as the command line asks, and return the exit code."""
    return process.run(_run, _tell)


def _run() -> int:
    try:
        with shown_with(bar=True):
            code: int | None = _command().main(prog_name=TapConnectorLogs.name, standalone_mode=False)
    except click.ClickException as error:
        raise InputError(f"{sanitize(_told(error))} Try --help.") from error
    return code or 0


def _tell(line: str, error: BaseException) -> None:
    logger.critical("%s", line, exc_info=None if isinstance(error, TapError | Interrupted) else error)


def _command() -> click.Command:
    """Return the command, once the log is set up."""
    try:
        command: click.Command = TapConnectorLogs.cli  # which sets up the log
    except Exception as error:
        logging.basicConfig()
        variables = "TAP_CONNECTOR_LOGS_LOGLEVEL, LOGLEVEL or SINGER_SDK_LOG_CONFIG"
        raise wrong_settings([f"the log can't be set up as {variables} says: {sanitize(error)}"]) from error
    finally:
        install()
    return command


def _told(error: click.ClickException) -> str:
    """Return what is wrong with the command line, without what may be a secret in a wrong place of it."""
    if type(error) is click.UsageError:
        return "There is an argument that is no option, nor the value of one."
    for argument in sys.argv[1:]:
        if not may_be_a_file(argument):
            name, _, value = argument.partition("=")
            register_secret(value if value and name.startswith("--") else argument)
    return error.format_message()

"""The command line: what ends a run becomes the last line of the log, and an exit code."""

from __future__ import annotations

import logging
import os
import sys

import click

from tap_connector_logs.errors import ExitCode, InputError, Interrupted, OutputError, TapError
from tap_connector_logs.log_safety import install, register_secret, sanitize
from tap_connector_logs.settings import CREDENTIALS, ENV_PREFIX, wrong_settings
from tap_connector_logs.singer.inputs import may_be_a_file
from tap_connector_logs.singer.tap import TapConnectorLogs

logger = TapConnectorLogs.logger


def run() -> int:
    """Run the tap as the command line asks, and return the exit code."""
    try:
        return _run()
    except Interrupted as error:  # amid the run, or while its end was told
        logger.critical("Stopped by a signal. The next run goes on from the last state written.")
        return error.exit_code


def _run() -> int:
    try:
        code: int | None = _command().main(prog_name=TapConnectorLogs.name, standalone_mode=False)
    except TapError as error:
        if isinstance(error, OutputError):  # nor can be what Python still holds for it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        logger.critical("%s", error)
        return error.exit_code
    except click.ClickException as error:
        logger.critical("%s Try --help.", sanitize(_told(error)))
        return InputError.exit_code
    except Exception:
        logger.critical("This is a defect of the tap. Please report it, with all that follows.", exc_info=True)
        return ExitCode.FAILED
    return code or 0


def _command() -> click.Command:
    """Return the command, once the log is set up."""
    for name in CREDENTIALS:
        register_secret(os.environ.get(f"{ENV_PREFIX}{name.upper()}", ""))
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

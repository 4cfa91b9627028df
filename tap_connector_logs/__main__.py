"""The command line: `tap-connector-logs`, or `python -m tap_connector_logs`."""

from __future__ import annotations

import logging
import os
import signal
import sys

import click

from tap_connector_logs.errors import InputError, Interrupted, OutputError, TapError
from tap_connector_logs.lines import guard, printable
from tap_connector_logs.settings import wrong_settings
from tap_connector_logs.tap import TapConnectorLogs


def main() -> None:
    """Run the tap, and exit with a code that tells a scheduler what to do next."""
    logger = TapConnectorLogs.logger
    try:
        code = _command_line().main(prog_name=TapConnectorLogs.name, standalone_mode=False)
    except TapError as error:
        if isinstance(error, OutputError):  # nor can be what Python still holds for it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        logger.critical("%s", error)
        code = error.exit_code
    except click.ClickException as error:
        logger.critical("%s Try --help.", printable(error.format_message()))
        code = InputError.exit_code
    except click.Abort:  # what click makes of an interrupt before the tap has begun
        code = Interrupted(signal.SIGINT).exit_code
    except Interrupted as error:
        logger.critical("Stopped by a signal. The next run goes on from the last state written.")
        code = error.exit_code
    except Exception:
        logger.critical("This is a defect of the tap. Please report it, with all that follows.", exc_info=True)
        code = 1
    sys.exit(code)


def _command_line() -> click.Command:
    """Return the command line, once the log is set up."""
    try:
        command: click.Command = TapConnectorLogs.cli  # which sets up the log
    except ValueError as error:
        logging.basicConfig()
        raise wrong_settings(["TAP_CONNECTOR_LOGS_LOGLEVEL or LOGLEVEL must be one of DEBUG to CRITICAL"]) from error
    finally:
        guard()
    return command


if __name__ == "__main__":
    main()

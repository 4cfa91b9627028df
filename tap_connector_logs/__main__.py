"""The command line: `tap-connector-logs`, or `python -m tap_connector_logs`."""

from __future__ import annotations

import os
import signal
import sys

import click

from tap_connector_logs.errors import InputError, Interrupted, OutputError, TapError, printable
from tap_connector_logs.tap import TapConnectorLogs


def main() -> None:
    """Run the tap, and exit with a code that tells a scheduler what to do next."""
    logger = TapConnectorLogs.logger
    try:
        code = TapConnectorLogs.cli.main(prog_name=TapConnectorLogs.name, standalone_mode=False)
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
    sys.exit(code)


if __name__ == "__main__":
    main()

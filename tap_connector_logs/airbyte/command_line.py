"""The command line: what is wrong with it is told in one line, as is what ends a run."""

from __future__ import annotations

import argparse
import logging
import signal
from functools import partial
from pathlib import Path
from typing import NoReturn

from typing_extensions import override

from tap_connector_logs import process
from tap_connector_logs.airbyte.messages import LogHandler, MessageWriter
from tap_connector_logs.errors import ExitCode, InputError, OutputError
from tap_connector_logs.interruption import Interruption
from tap_connector_logs.log_safety import install

NAME = "source-connector-logs"

logger = logging.getLogger(__name__)


def run() -> int:
    """Run the source as the command line asks, and return the exit code."""
    interruption = Interruption()
    writer = MessageWriter(interruption.deferred)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[LogHandler(writer)])
    install()
    return process.run(partial(_run, writer, interruption), partial(_tell, writer))


def _run(writer: MessageWriter, interruption: Interruption) -> int:
    options = _parser().parse_args()
    if options.debug:
        logging.root.setLevel(logging.DEBUG)
    # Each command pays for the import of what it needs: a form is shown without any part that reads.
    match options.command:
        case "spec":
            from tap_connector_logs.airbyte.spec import specification  # noqa: PLC0415 - see above

            writer.write({"type": "SPEC", "spec": specification()})
        case "check":
            from tap_connector_logs.airbyte.check import connection_status  # noqa: PLC0415

            writer.write({"type": "CONNECTION_STATUS", "connectionStatus": connection_status(options.config)})
        case "discover":
            from tap_connector_logs.airbyte.catalog import discovered  # noqa: PLC0415

            writer.write({"type": "CATALOG", "catalog": discovered(options.config)})
        case _:
            from tap_connector_logs.airbyte.read import read  # noqa: PLC0415

            # Only a run has something to write at its end; by default, a signal ends a process at once.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, interruption.handle)
            read(options.config, options.catalog, options.state, writer=writer, interruption=interruption)
    return ExitCode.COMPLETE


def _tell(writer: MessageWriter, line: str, error: BaseException) -> None:
    """Tell how a run ends that does not end in good order."""
    logger.critical("%s", line)
    try:
        writer.write_error(line, error)
    except OutputError:
        process.give_up_output()


class _Parser(argparse.ArgumentParser):
    """Refuses a command line without repeating what may be a secret in a wrong place of it."""

    @override
    def error(self, message: str) -> NoReturn:
        raise InputError(
            f"Wrong command line. It must be one of {NAME} spec, {NAME} check --config FILE, {NAME} discover --config "
            f"FILE, and {NAME} read --config FILE --catalog FILE [--state FILE]."
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=NAME, description="Airbyte source for the logs of Supermetrics Codeless Connectors.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose, files in (
        ("spec", "tell the settings", ()),
        ("check", "tell whether the API answers to the settings", ("config",)),
        ("discover", "tell the streams", ("config",)),
        ("read", "read the streams of a configured catalog", ("config", "catalog", "state")),
    ):
        command = commands.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.", allow_abbrev=False)
        command.add_argument("--debug", action="store_true", help="tell more in the log")
        for file in files:
            command.add_argument(f"--{file}", type=Path, required=file != "state", metavar="FILE")
    return parser

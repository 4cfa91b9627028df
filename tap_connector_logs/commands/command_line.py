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
from tap_connector_logs.errors import InputError, Interrupted, TapError
from tap_connector_logs.inputs import environment, read_settings
from tap_connector_logs.interruption import Interruption
from tap_connector_logs.log_safety import install
from tap_connector_logs.settings import CONFIG_SCHEMA, Settings, parse_settings, settings_from_environment

NAME = "connector-logs"

logger = logging.getLogger(__name__)


def run() -> int:
    """Run what the command line asks for, and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    install()
    return process.run(partial(_run, Interruption()), _tell)


def _run(interruption: Interruption) -> int:
    options = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interruption.handle)
    settings = _settings(options.config)
    # Each command pays for the import of what it needs.
    match options.command:
        case "plan":
            from tap_connector_logs.commands.plan import plan  # noqa: PLC0415 - see above

            return plan(settings, options)
        case _:
            from tap_connector_logs.commands.verify import verify  # noqa: PLC0415

            return verify(settings, options, deferred=interruption.deferred)


def _settings(config: Path | None) -> Settings:
    """Return the settings of a file, or else those of the environment."""
    if config is not None:
        return read_settings(config)
    return parse_settings(settings_from_environment(environment(), CONFIG_SCHEMA), CONFIG_SCHEMA)


def _tell(line: str, error: BaseException) -> None:
    """Tell how a run ends that does not end in good order."""
    if isinstance(error, Interrupted):
        line = "Stopped by a signal."
    logger.critical("%s", line, exc_info=None if isinstance(error, TapError | Interrupted) else error)


class _Parser(argparse.ArgumentParser):
    """Refuses a command line without repeating what may be a secret in a wrong place of it."""

    @override
    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split()).removeprefix("usage: ")
        raise InputError(f"Wrong command line. It must be: {usage}. Try {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=NAME, description="Commands for people, beside the tap for the logs of Supermetrics Codeless Connectors."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_plan(
        commands.add_parser(
            "plan",
            help="tell what the first run will cost",
            description="Read a few pages of each connector, and tell what the first run of the tap will cost.",
            allow_abbrev=False,
        )
    )
    _add_verify(
        commands.add_parser(
            "verify",
            help="compare a warehouse with the API",
            description="Compare what a warehouse holds with what the API shows. Exit code 0 if nothing is amiss.",
            allow_abbrev=False,
        )
    )
    return parser


def _add_shared(command: argparse.ArgumentParser) -> None:
    """Add what all commands have."""
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings of the tap as a JSON object; without it, TAP_CONNECTOR_LOGS_… of the environment and of .env",
    )
    command.add_argument("--format", choices=["table", "json"], default="table", help="what to print; default: table")


def _add_plan(command: argparse.ArgumentParser) -> None:
    _add_shared(command)
    command.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="the state of an earlier run: it tells more of the API, and of late logs",
    )


def _add_verify(command: argparse.ArgumentParser) -> None:
    _add_shared(command)
    command.add_argument(
        "--database",
        metavar="URL",
        help="such as duckdb:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE; without it, CONNECTOR_LOGS_DATABASE "
        "of the environment or of .env, which no list of processes shows",
    )
    command.add_argument(
        "--table", metavar="SCHEMA.TABLE", help="the table of the logs; without it, connector_logs is looked for"
    )
    command.add_argument("--since", metavar="TIME", help="oldest time to compare; without it, start_date")
    command.add_argument(
        "--until", metavar="TIME", help="time to compare up to, itself not included; without it, end_date or now"
    )
    command.add_argument(
        "--connector",
        action="append",
        metavar="ID",
        help="a connector to compare, may be repeated; without it, those of the settings or all of the team",
    )
    command.add_argument(
        "--include-lookback", action="store_true", help="compare the last lookback_seconds, too, where logs may be late"
    )
    command.add_argument(
        "--repair",
        action="store_true",
        help="write what is missing or different to standard output, as messages for a Singer target",
    )

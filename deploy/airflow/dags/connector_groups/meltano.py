"""Meltano as a process: lists connectors, keeps states, loads a group, and tells why it failed.

Meltano ends with 1 whatever the tap ended with. The tap's own code stands in Meltano's log, in the record that tells
the end of the run, so the log is read as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from connector_groups.groups import Group, Work
from connector_groups.states import states_to_write

TAP = "tap-connector-logs"

# As the API has them. The tap derives one for a connector that has none, under which no logs can be asked for.
_IDENTIFIER = re.compile(r"(?!derived-[0-9a-f]{32}\Z)[A-Za-z0-9_-]{1,100}")
_WAIT_UNTIL = re.compile(r"It asks to wait \d+ s, until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\.")
_SECONDS_TO_STOP = 60

# Of no use to a loader, and secrets of Airflow among them; or meant for the Python of Airflow.
_NOT_HANDED_ON = ("AIRFLOW_", "_AIRFLOW_", "PYTHON", "VIRTUAL_ENV")

logger = logging.getLogger(__name__)


class RunError(Exception):
    """A run has failed.

    Attributes:
        exit_code: What the tap ended with; if it was not the tap that failed, what the program did.
        wait_until: Until when the API asks to wait, where it does.
    """

    def __init__(self, text: str, *, exit_code: int, wait_until: datetime | None = None) -> None:
        """Keep what happened."""
        super().__init__(text)
        self.exit_code = exit_code
        self.wait_until = wait_until


class Project:
    """A Meltano project that loads connector logs."""

    def __init__(self, folder: Path, *, program: str, environment: str, loader: str) -> None:
        """Take what there is.

        Args:
            folder: Where `meltano.yml` is.
            program: Path of Meltano.
            environment: Meltano's environment.
            loader: The loader.
        """
        self.folder = folder
        self.loader = loader
        self.pipeline = f"{environment}:{TAP}-to-{loader}"
        self._meltano = (program, "--environment", environment, "--log-format", "json")

    def connectors(self) -> list[str]:
        """Return the identifiers of all connectors of the team, as the tap lists them.

        Raises:
            RunError: If the tap fails.
        """
        arguments = ("invoke", "--no-install", TAP)
        with self._output(*arguments, variables=_settings(_SELECT=["connectors.*"])) as output:
            messages = [json.loads(line) for line in output]
        names = [message["record"]["connector_identifier"] for message in messages if message["type"] == "RECORD"]
        usable = usable_identifiers(names)
        if len(usable) < len(names):
            logger.warning(
                "%d connectors have no usable identifier; their logs can't be read.", len(names) - len(usable)
            )
        return usable

    def move_states(self, groups: int) -> None:
        """Bring the state of each connector into the state of its group, once there is another number of groups.

        No group may run meanwhile. If this is cut short, do it again.

        Raises:
            RunError: If Meltano fails.
            ValueError: If a state has an unknown form.
        """
        while states := states_to_write(self._states(), pipeline=self.pipeline, groups=groups):
            logger.info("Writing the states %s.", ", ".join(states))
            with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
                json.dump(states, file)
                file.flush()
                self._run("state", "import", file.name)

    def load(self, work: Work) -> dict[str, Any]:
        """Load the new logs of a group, and return what the tap tells of its run.

        Raises:
            RunError: If the tap or the loader fails.
        """
        summary: dict[str, Any] = {}

        def look_at(record: Mapping[str, Any]) -> None:
            metric = record.get("metric_info") or {}
            if metric.get("metric") == "run_summary":
                summary.update(metric["value"])

        suffix = Group(work["of"], work["number"]).suffix
        variables = _settings(
            CONNECTOR_IDENTIFIERS=work["connectors"],
            REQUESTS_PER_SECOND=work["requests_per_second"],
            # One group brings the list of the connectors: two at once would fill the same rows.
            _SELECT=["connector_logs.*", *(["connectors.*"] if work["number"] == 1 else [])],
        )
        arguments = ("run", "--no-install", "--state-id-suffix", suffix, TAP, self.loader)
        self._run(*arguments, variables=variables, look_at=look_at)
        return summary

    def report(self) -> None:
        """Build the models of what has been loaded, and write the report of them.

        Raises:
            RunError: If dbt or the report fails.
        """
        database = self.loader.removeprefix("target-")
        self._run("run", "--no-install", "report", variables={"REPORT_DATABASE": database})

    def _states(self) -> dict[str, Any]:
        with self._output("state", "export") as output:
            states: dict[str, Any] = json.load(output)
        return states

    @contextmanager
    def _output(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Iterator[IO[bytes]]:
        """Run Meltano, and yield what it has written."""
        with tempfile.TemporaryFile() as output:
            self._run(*arguments, variables=variables, output=output)
            output.seek(0)
            yield output

    def _run(self, *arguments: str, variables: Mapping[str, str] | None = None, **options: Any) -> None:
        with self._system_folder() as system_folder:
            variables = {**(variables or {}), "MELTANO_SYS_DIR_ROOT": str(system_folder)}
            run([*self._meltano, *arguments], folder=self.folder, variables=variables, **options)

    @contextmanager
    def _system_folder(self) -> Iterator[Path]:
        """Make a `.meltano` that differs from the project's own in what belongs to one run.

        Meltano hands the catalog and the state over to a tap in files that have one name for all runs of that tap:
        of two at once in one folder, one would read with the state of the other.
        """
        shared = Path(self.folder, os.environ.get("MELTANO_SYS_DIR_ROOT", ".meltano")).resolve()
        if not shared.is_dir():
            raise ValueError(f"There is no {shared}. Run `make install` in {self.folder}.")
        with tempfile.TemporaryDirectory(prefix="meltano-") as name:
            folder = Path(name)
            # Where there is no database yet, the link leads to the place where it will be.
            for entry in {path.name for path in shared.iterdir()} - {"run", "logs"} | {"meltano.db"}:
                (folder / entry).symlink_to(shared / entry)
            yield folder


def usable_identifiers(names: Iterable[str]) -> list[str]:
    """Return those of the listed identifiers that logs can be asked for under."""
    return [name for name in names if _IDENTIFIER.fullmatch(name)]


def _settings(**settings: object) -> dict[str, str]:
    """Return settings of the tap as variables of the environment."""
    return {f"TAP_CONNECTOR_LOGS_{name}": json.dumps(value) for name, value in settings.items()}


def run(
    command: Sequence[str],
    *,
    folder: Path,
    variables: Mapping[str, str],
    output: IO[bytes] | None = None,
    look_at: Callable[[Mapping[str, Any]], None] = lambda _record: None,
) -> None:
    """Run a program to its end, and hand its log on line by line.

    If this is interrupted or told to stop, so is the program with all that it has started.

    Args:
        command: Program and arguments.
        folder: Where to run it.
        variables: Variables for its environment, besides those of this process.
        output: Where its standard output goes; without it, to the log.
        look_at: Called with each record of a log that is JSON.

    Raises:
        RunError: If the program fails.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
    # A session of its own has all the processes in one group, which can be stopped as one.
    process = subprocess.Popen(  # noqa: S603 - the command is the operator's
        command,
        cwd=folder,
        env={**kept, "NO_COLOR": "1", "MELTANO_CLI_DISABLE_VERSION_CHECK": "true", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if output is None else output,
        stderr=subprocess.STDOUT if output is None else subprocess.PIPE,
        start_new_session=True,
    )
    log = process.stdout if output is None else process.stderr
    assert log is not None  # noqa: S101 - a pipe was asked for
    exit_code, last_words = None, ""
    with _stopped_with_this(process):
        for line in log:
            record = _read(line)
            level = logging.getLevelNamesMapping().get(str(record.get("level")).upper(), logging.INFO)
            if "metric_info" not in record:
                logger.log(level, "%s", record["event"])
            if level == logging.CRITICAL:  # the tap's last line, and nobody else's
                last_words = record["event"]
            if isinstance(codes := record.get("exit_codes"), dict):
                exit_code = codes.get("extractors")
            look_at(record)
        process.wait()
    if process.returncode:
        raise RunError(
            last_words or f"{Path(command[0]).name} has failed; the log tells why.",
            exit_code=exit_code or process.returncode,
            wait_until=_wait_until(last_words),
        )


def _read(line: bytes) -> dict[str, Any]:
    """Read a line of a log; one that isn't JSON becomes a record without a level."""
    text = line.decode(errors="replace").rstrip()
    with suppress(ValueError):
        record = json.loads(text)
        if isinstance(record, dict) and isinstance(record.get("event"), str):
            return record
    return {"event": text}


def _wait_until(text: str) -> datetime | None:
    found = _WAIT_UNTIL.search(text)
    return found and datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


@contextmanager
def _stopped_with_this(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop a process and all others of its group, which it leads, when this block is left before its end."""

    def stop(signal_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signal_number)

    # Airflow's own handler does nothing for a task that is a function, which would then go on.
    handler = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_STOP)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

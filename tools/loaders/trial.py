"""A trial: the real tap reads from a simulated team, and its output is piped into a loader.

Four runs: the first, a second one an hour later that goes on from the state that the loader gave back, a third one that
has lost the state and brings everything again, and one into another destination, with a NUL in a text.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import IO, Any
from urllib.request import ProxyHandler, Request, build_opener

import msgspec
import psycopg

from tools.environments import Environments
from tools.loaders.awkward import UNTIMED, awkward_logs, late_log, logs_with_nul
from tools.loaders.comparison import Change, Key, Row, Tally, changes, has_zone, tally
from tools.loaders.destinations import HOST, USER, Place
from tools.loaders.loader import STREAMS, Loader
from tools.paths import ROOT
from tools.simulator.process import Simulator

ENVIRONMENTS = Environments(ROOT / ".venv-loaders")

# Rows that share an environment may be tried at the same time.
_INSTALLING: defaultdict[str, Lock] = defaultdict(Lock)

_TAP = (sys.executable, "-m", "tap_connector_logs")
_DAYS = 5
_SECONDS_BETWEEN_RUNS = 3600
_SECONDS_OF_A_RUN = 300
_SECONDS_TO_STOP = 60
_MAX_WORDS = 160

_FIELDS = ("id", "log_time", "status", "event", "request", "duration_ms", "request_id")
_ERROR = re.compile(r"[\w.]+(Error|Exception)\b")
_FOLDERS = re.compile(r"(?<=[\s'\"])/\S*/")
_INT32_MAX = 2**31 - 1


class Result(msgspec.Struct, kw_only=True):
    """What came of a trial.

    Attributes:
        day: When.
        python: The version of Python.
        versions: Of the loader, and of the distributions that matter as much.
        packages: All that was installed with it.
        failure: Why it ended early; empty if it didn't.
        sent: Logs that the tap wrote in the first run.
        first: The logs in the destination after the first run.
        second: After the second one.
        again: After the third one, which had no state.
        connectors: The connectors after the second run, each of which sends them all.
        changes: Values that differ after the first run, of the logs and of the connectors.
        remarks: What else is worth knowing.
        nul: What became of a NUL, by where it was.
    """

    day: str
    python: str
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    packages: list[str] = msgspec.field(default_factory=list)
    failure: str = ""
    sent: int = 0
    first: Tally | None = None
    second: Tally | None = None
    again: Tally | None = None
    connectors: Tally | None = None
    changes: list[Change] = msgspec.field(default_factory=list)
    remarks: list[str] = msgspec.field(default_factory=list)
    nul: dict[str, str] = msgspec.field(default_factory=dict)


class TrialError(Exception):
    """A loader can't go on; says why."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the tap wrote in a run, and what the loader gave back.

    Attributes:
        rows: How many records of each stream.
        state: The last state of the tap.
        returned: The last state that the loader wrote; None if it wrote none.
    """

    rows: Mapping[str, int]
    state: Any
    returned: Any


def try_out(loader: Loader, port: int) -> Result:
    """Install a loader and run it.

    Args:
        loader: The loader.
        port: The port of PostgreSQL.
    """
    result = Result(day=f"{datetime.now(UTC):%Y-%m-%d}", python=sys.version.split(maxsplit=1)[0])
    try:
        _install(loader, result)
        make_runs(loader, result, port=port, days=_DAYS)
    except TrialError as error:
        result.failure = str(error)
    return result


def make_runs(
    loader: Loader, result: Result, *, port: int, days: float, environments: Environments = ENVIRONMENTS
) -> None:
    """Run a loader that is installed, and note what comes of it.

    Args:
        loader: The loader.
        result: Takes what comes of it.
        port: The port of PostgreSQL.
        days: Days of logs to send.
        environments: Where it is installed.

    Raises:
        TrialError: If the loader fails.
    """
    with TemporaryDirectory() as folder:
        _run_all(loader, result, _destination(loader, Path(folder), port, environments), days)
    with TemporaryDirectory() as folder:
        places = (_destination(loader, Path(folder) / str(number), port, environments) for number in count())
        result.nul = _run_with_nul(loader, lambda: next(places))


def _install(loader: Loader, result: Result) -> None:
    name = loader.environment
    try:
        with _INSTALLING[name]:
            ENVIRONMENTS.install_once(name, loader.requirements, "\n".join(loader.requirements))
    except subprocess.SubprocessError as error:
        raise TrialError("pip can't install it") from error
    frozen = subprocess.run(  # noqa: S603 - the interpreter of an environment made here
        [ENVIRONMENTS.program(name), "-m", "pip", "freeze", "--disable-pip-version-check"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_SECONDS_TO_STOP,
    )
    result.packages = frozen.stdout.split()
    for distribution in (loader.distribution, *loader.beside):
        result.versions[distribution] = ENVIRONMENTS.version(name, distribution)


def _destination(loader: Loader, folder: Path, port: int, environments: Environments) -> Place:
    """Make an empty destination."""
    (folder / "output").mkdir(parents=True)
    place = Place(folder=folder, python=environments.program(loader.environment), port=port, database=loader.database)
    if loader.server:
        with psycopg.connect(host=HOST, port=port, user=USER, dbname="postgres", autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{place.database}"'.encode())
            connection.execute(f'CREATE DATABASE "{place.database}"'.encode())
    return place


def _run_all(loader: Loader, result: Result, place: Place, days: float) -> None:
    """Make the first three runs, and note after each what the destination holds."""
    with Simulator(fleet="demo", history_days=days) as simulator:
        simulator.add_logs(simulator.connectors()[0], awkward_logs())
        logs = _held(simulator)
        with _during("the first run"):
            sent = _run(loader, place, simulator, None)
        if sent.rows["connector_logs"] != len(logs):
            raise AssertionError(f"{sent.rows['connector_logs']} logs sent, {len(logs)} held")
        result.sent = sent.rows["connector_logs"]
        found = _rows(loader, place, "connector_logs")
        result.first = tally(logs, [key for key, _ in found])
        result.changes = changes(logs, found)
        connectors = _listed(simulator)
        result.changes += changes(connectors, _rows(loader, place, "connectors"))
        log_times = [row["log_time"] for _, row in found if row.get("log_time")]
        if not any(change.column == "log_time" for change in result.changes) and not all(map(has_zone, log_times)):
            result.remarks.append("`log_time` has no zone there; it is UTC")
        if sent.returned is None:
            result.remarks.append("gives no state back")
        elif sent.returned != sent.state:
            result.remarks.append("gives another state back than the tap's last")

        simulator.advance(_SECONDS_BETWEEN_RUNS)
        simulator.add_logs(simulator.connectors()[0], [late_log()])
        logs = _held(simulator)
        with _during("the second run"):
            _run(loader, place, simulator, sent.returned or sent.state)
        result.second = tally(logs, [key for key, _ in _rows(loader, place, "connector_logs")])
        result.connectors = tally(connectors, [key for key, _ in _rows(loader, place, "connectors")])

        with _during("the run without a state"):
            _run(loader, place, simulator, None)
        result.again = tally(logs, [key for key, _ in _rows(loader, place, "connector_logs")])


def _run_with_nul(loader: Loader, make_place: Callable[[], Place]) -> dict[str, str]:
    """Send a few logs, one of which has a NUL, for each place where it may be, and tell what became of it."""
    return {where: _run_with_log(loader, make_place(), log) for where, log in logs_with_nul().items()}


def _run_with_log(loader: Loader, place: Place, log: Mapping[str, Any]) -> str:
    """Send a few logs, one of them this one, and tell what became of it."""
    with Simulator(fleet="uniform", logs=10) as simulator:
        simulator.add_logs(simulator.connectors()[0], [log])
        logs = _held(simulator)
        try:
            _run(loader, place, simulator, None)
        except TrialError as error:
            return f"ends the run: {error}"
        found = _rows(loader, place, "connector_logs")
    count = tally(logs, [key for key, _ in found])
    if count.missing:
        strange = [key[-1] for key, _ in found if key not in logs]
        return f"comes out as {json.dumps(strange[0])}" if strange else f"costs {count.missing} of {len(logs)} logs"
    differences = [change for change in changes(logs, found) if change.column in {"request", "extra"}]
    return f"comes out as {differences[0].found}" if differences else "is kept"


def _lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line]


@contextmanager
def _during(run: str) -> Iterator[None]:
    """Let a failure tell which run it was."""
    try:
        yield
    except TrialError as error:
        raise TrialError(f"{run}: {error}") from error


def _held(simulator: Simulator) -> dict[Key, Row]:
    """Return the rows that a destination must have of the logs that a simulator holds."""
    return {
        (identifier, log["id"]): _log_row(log, team_id=simulator.team_id, connector_identifier=identifier)
        for identifier in simulator.connectors()
        for log in simulator.logs(identifier)
    }


def _log_row(log: Mapping[str, Any], **owner: Any) -> Row:
    row = {name: log.get(name) for name in _FIELDS}
    extra = {name: value for name, value in log.items() if name not in _FIELDS}
    for name in ("status", "duration_ms"):
        value = row[name]
        if not (value is None or (isinstance(value, int) and abs(value) <= _INT32_MAX)):
            extra[name], row[name] = value, None
    if log["id"] == UNTIMED:
        row["log_time"] = None
    return {**owner, **row, "extra": extra or None}


def _listed(simulator: Simulator) -> dict[Key, Row]:
    """Return the rows that a destination must have of the connectors, as the API lists them."""
    request = Request(  # noqa: S310 - the URL is the simulator's own
        f"{simulator.url}/v1/teams/{simulator.team_id}/connector_builder/connectors",
        headers={"Authorization": f"Bearer {simulator.api_key}"},
    )
    with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
        connectors = json.load(answer)["connectors"]
    return {
        (connector["connector_identifier"],): {"team_id": simulator.team_id, **connector, "extra": None}
        for connector in connectors
    }


def _rows(loader: Loader, place: Place, stream: str) -> list[tuple[Key, Row]]:
    """Read the rows of a stream back, each with its key.

    Raises:
        TrialError: If what the loader wrote can't be read.
    """
    try:
        rows = loader.read(place, stream)
    except Exception as error:
        raise TrialError(f"what it wrote can't be read: {type(error).__name__}") from error
    return [(tuple(str(row.get(name)) for name in STREAMS[stream]), row) for row in rows]


def _run(loader: Loader, place: Place, simulator: Simulator, state: Any) -> Sent:
    """Pipe a run of the tap into the loader, and see both to their end.

    Raises:
        TrialError: If the loader fails or hangs.
    """
    settings: dict[str, Any] = {
        "api_key": simulator.api_key,
        "team_id": simulator.team_id,
        "api_url": simulator.url,
        "requests_per_second": 10_000,
    }
    if loader.maps:
        settings["stream_maps"] = loader.maps
    tap = [*_TAP, "--config", _written(place, "tap", settings), "--catalog", _written(place, "catalog", _catalog())]
    if state is not None:
        tap += ["--state", _written(place, "state", state)]
    config = json.loads(json.dumps({**loader.config, **loader.trial}).replace("{run}", str(time.monotonic_ns())))
    values = {"host": HOST, "port": place.port, "user": USER, "password": "any", "database": place.database}
    config.update((setting, values[name]) for name, setting in loader.server.items())
    program = Path(place.python).with_name(loader.executable)
    _pipe(tap, [str(program), "--config", _written(place, "loader", config)], place.folder)
    messages = [json.loads(line) for line in _lines(place.folder / "sent")]
    records = [message["stream"] for message in messages if message["type"] == "RECORD"]
    returned = [line for line in _lines(place.folder / "states") if line.startswith(b"{")]
    return Sent(
        rows={stream: records.count(stream) for stream in STREAMS},
        state=[message["value"] for message in messages if message["type"] == "STATE"][-1],
        returned=json.loads(returned[-1]) if returned else None,
    )


def _pipe(tap: Sequence[str], loader: Sequence[str], folder: Path) -> None:
    """Run two commands as one pipeline, and keep a copy of what goes through it.

    The folder has the files `sent` and `states` then, and what each has to say in `tap.log` and `loader.log`.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "NO_PROXY": HOST}
    # A machine that isn't set to UTC, as a loader that writes local times would be right by chance otherwise.
    environment["TZ"] = "EST5"
    with (
        (folder / "states").open("wb") as states,
        (folder / "tap.log").open("wb") as tap_log,
        (folder / "loader.log").open("wb") as loader_log,
        _started(tap, folder, environment | {"PYTHONPATH": str(ROOT)}, errors=tap_log) as source,
        _started(["tee", "sent"], folder, environment, source=source.stdout) as copy,
        _started(loader, folder, environment, source=copy.stdout, output=states, errors=loader_log) as target,
    ):
        for pipe in (source.stdout, copy.stdout):
            assert pipe is not None  # noqa: S101 - pipes were asked for
            pipe.close()  # the others hold its ends now, and notice when one of them is gone
        try:
            exit_code = target.wait(_SECONDS_OF_A_RUN)
            source.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            raise TrialError(f"not finished after {_SECONDS_OF_A_RUN} s") from None
        finally:
            for process in (source, copy, target):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if exit_code:
        raise TrialError(f"exit code {exit_code}, {_last_words(folder / 'loader.log')}")
    if source.returncode:
        raise TrialError(f"the tap ended with {source.returncode}, {_last_words(folder / 'tap.log')}")


def _started(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    source: IO[bytes] | int | None = subprocess.DEVNULL,
    output: IO[bytes] | int = subprocess.PIPE,
    errors: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a group of processes of its own, which can be stopped as one."""
    return subprocess.Popen(  # noqa: S603 - the tap of this interpreter, `tee`, and a loader that was installed here
        command, cwd=folder, env=environment, stdin=source, stdout=output, stderr=errors, process_group=0
    )


def _last_words(log: Path) -> str:
    """Return the last line of a log that names an error, or else its last one, without the paths of this machine."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").split("\n") if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    words = _FOLDERS.sub("", (errors or lines or ["no word"])[-1])
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}..."


def _written(place: Place, name: str, content: Any) -> str:
    path = place.folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return str(path)


@cache
def _catalog() -> dict[str, Any]:
    """Return the catalog of the tap with both streams selected."""
    with TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.json"
        settings.write_text(json.dumps({"api_key": "any", "team_id": 1}))
        done = subprocess.run(  # noqa: S603 - the tap of this interpreter
            [*_TAP, "--config", settings, "--discover"], stdout=subprocess.PIPE, check=True, timeout=_SECONDS_TO_STOP
        )
    catalog: dict[str, Any] = json.loads(done.stdout)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"] |= {"selected": True}
    return catalog

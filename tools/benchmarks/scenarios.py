"""A scenario: one simulator, and all subjects that read from it in turn, round by round."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from tools.benchmarks.measure import Measurement, measure
from tools.benchmarks.output import Output
from tools.benchmarks.subjects import Job, Subject
from tools.benchmarks.traffic import Traffic, summarize
from tools.paths import ROOT
from tools.simulator.process import Simulator

LONG_SECONDS = 20.0
"""A run that takes longer is not repeated."""

AS_FAST_AS_POSSIBLE = 10_000
"""Requests per second that no subject reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What the simulator holds, and what the subjects do with it.

    Attributes:
        label: Tells the scenarios of a case apart.
        connectors: How many connectors.
        logs: How many logs each of them has.
        days: How many days the logs are spread over.
        ties: Share of the logs that share their instant with another.
        switches: How the simulator behaves.
        requests_per_second: The limit to keep, for subjects that can.
        concurrency: Requests under way at once, for subjects that can; None for their default.
        new_logs: Logs that come after a first run, for a second run that is measured; 0 for the first run measured.
        only_load: Whether the cheapest command of a subject is measured, in place of a run.
        left_out: Why some subjects are left out.
        limit: Seconds after which a subject is stopped.
    """

    label: str = ""
    connectors: int = 1
    logs: int
    days: float = 30.0
    ties: float = 0.0
    switches: Mapping[str, Any] = field(default_factory=dict)
    requests_per_second: int = AS_FAST_AS_POSSIBLE
    concurrency: int | None = None
    new_logs: int = 0
    only_load: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    limit: float = 300.0

    def smaller(self, divisor: int) -> Scenario:
        """Return the same scenario with fewer logs, or where there are few in each connector, with fewer connectors."""
        if self.logs >= 1000:  # noqa: PLR2004 - a page
            return replace(self, logs=self.logs // divisor, days=self.days / divisor)
        return replace(self, connectors=max(1, self.connectors // divisor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that came to its end.

    Attributes:
        scenario: Where it ran.
        measurement: What it took.
        traffic: What the simulator saw.
        records: Logs delivered, however often.
        lost: Logs that neither this run nor the one before delivered.
        repeated: Logs delivered once more.
        size: Bytes of output.
        state_size: Bytes of state messages.
        schemas: Schema messages.
    """

    scenario: Scenario
    measurement: Measurement
    traffic: Traffic
    records: int
    lost: int
    repeated: int
    size: int
    state_size: int
    schemas: int


@dataclass(slots=True)
class Result:
    """The runs of a subject in a scenario, and why there are no more."""

    runs: list[Run] = field(default_factory=list)
    failure: str = ""


def run_scenario(scenario: Scenario, subjects: Sequence[Subject], *, rounds: int) -> Iterator[tuple[Subject, Result]]:
    """Let the subjects run in turn, as many rounds as asked for, and yield each with its runs.

    A subject that fails, or takes long, is not run again.
    """
    results = {subject.name: Result(failure=_reason(scenario, subject)) for subject in subjects}
    with _simulator(scenario) as simulator:
        for number in range(1, rounds + 1):
            for subject in subjects:
                result = results[subject.name]
                takes_long = any(run.measurement.wall > LONG_SECONDS for run in result.runs)
                if not result.failure and not takes_long:
                    sys.stderr.write(f"  round {number}: {subject.name} {scenario.label}\n")
                    with TemporaryDirectory() as folder:
                        _run_one(scenario, subject, simulator, Path(folder), result)
    for subject in subjects:
        yield subject, results[subject.name]


def _simulator(scenario: Scenario) -> Simulator:
    return Simulator(
        fleet="uniform",
        connectors=scenario.connectors,
        logs=scenario.logs,
        ties=scenario.ties,
        history_days=scenario.days,
        switches=scenario.switches,
    )


def _reason(scenario: Scenario, subject: Subject) -> str:
    if scenario.new_logs and not subject.keeps_state:
        return "keeps no state, and reads everything again"
    return scenario.left_out.get(subject.name, "")


def _run_one(scenario: Scenario, subject: Subject, simulator: Simulator, folder: Path, result: Result) -> None:
    """Run a subject once, or twice where the second run is the one to measure."""
    job = Job(
        url=simulator.url,
        team_id=simulator.team_id,
        api_key=simulator.api_key,
        connectors=simulator.connectors(),
        requests_per_second=scenario.requests_per_second,
        concurrency=scenario.concurrency,
    )
    before = Output()
    if scenario.new_logs:
        measurement = measure(subject.command(folder, job), folder, limit=scenario.limit)
        if failure := _failure(measurement, folder, scenario):
            result.failure = f"first run: {failure}"
            return
        before = subject.read(folder)
        job = replace(job, state=before.state)
        simulator.advance(scenario.new_logs * scenario.days * 86_400 / scenario.logs)
    simulator.reset_requests()
    command = list(subject.cheapest) if scenario.only_load else subject.command(folder, job)
    measurement = measure(command, folder, limit=scenario.limit)
    traffic = summarize(simulator.requests())
    result.failure = _failure(measurement, folder, scenario)
    if not result.failure:
        output = Output() if scenario.only_load else subject.read(folder)
        delivered = [*before.ids, *output.ids]
        distinct = len(set(delivered))
        result.runs.append(
            Run(
                scenario=scenario,
                measurement=measurement,
                traffic=traffic,
                records=len(output.ids),
                lost=_held(scenario, simulator) - distinct,
                repeated=len(delivered) - distinct,
                size=output.size,
                state_size=output.state_size,
                schemas=output.schemas,
            )
        )


def _held(scenario: Scenario, simulator: Simulator) -> int:
    """Return how many logs there are to deliver."""
    if scenario.only_load:
        return 0
    if scenario.new_logs:
        return sum(len(simulator.logs(connector)) for connector in simulator.connectors())
    return scenario.connectors * scenario.logs


def _failure(measurement: Measurement, folder: Path, scenario: Scenario) -> str:
    if measurement.exit_code is None:
        return f"stopped after {scenario.limit:.0f} s"
    if measurement.exit_code:
        return f"failed with exit code {measurement.exit_code}: {_last_words(folder)}"
    return ""


def _last_words(folder: Path) -> str:
    """Return the last line of standard error, or of the failure that the Airbyte protocol has on standard output."""
    lines = (folder / "stderr").read_text(errors="replace").split("\n")
    words = next((line.strip() for line in reversed(lines) if line.strip()), "")
    with (folder / "stdout").open(errors="replace") as messages:
        for message in messages:
            if '"FATAL"' in message:
                words = msgspec.json.decode(message)["log"]["message"].partition("\n")[0]
    return words.replace(str(ROOT), ".")[:200]

"""`connector-logs plan`: what a first run will cost, told by a few pages of each connector."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from tap_connector_logs.api.client import Client
from tap_connector_logs.commands.survey import ConnectorPlan, Survey
from tap_connector_logs.commands.table import table
from tap_connector_logs.errors import ConnectorsFailedError, ExitCode, TapError
from tap_connector_logs.inputs import read_json
from tap_connector_logs.instants import format_instant
from tap_connector_logs.profile import Profile
from tap_connector_logs.settings import Settings
from tap_connector_logs.state import Bookmarks, state_of_stream
from tap_connector_logs.sync import listed_identifiers

logger = logging.getLogger(__name__)

MAX_REQUESTS_PER_SECOND = 20
"""What the API suggests, for all that use a key."""

_USUAL_LIMIT = 5_000
"""Requests an hour that a key usually has, where no header tells."""

_SHARE_FOR_A_RUN = 0.8
_SHARE_FOR_A_SCHEDULE = 0.5
_SCHEDULES = {5: "*/5 * * * *", 15: "*/15 * * * *", 30: "*/30 * * * *", 60: "0 * * * *", 360: "0 */6 * * *"}
"""By the minutes between two runs, a schedule in cron's form."""

_RARELY = 1_440, "0 3 * * *"
_HOUR_MINUTES = 60
_HOUR_SECONDS = 3_600
_MINUTE_SECONDS = 60


@dataclass(slots=True)
class Plan:
    """What the first run will cost.

    Attributes:
        connectors: Each connector that can be read.
        failures: Why the others can't be.
        retention_days: Age of the oldest log that was found, where the API keeps none as old as is wanted.
        profile: What the API was seen to do.
        settings: The settings that it is for.
        asked: Requests that the plan itself took.
    """

    settings: Settings
    profile: Profile
    connectors: list[ConnectorPlan] = field(default_factory=list)
    failures: dict[str, TapError] = field(default_factory=dict)
    retention_days: float | None = None
    asked: int = 0

    @property
    def logs(self) -> int:
        """Logs of all connectors."""
        return sum(each.logs for each in self.connectors)

    @property
    def requests(self) -> int:
        """Requests of the first run."""
        return self._lists + sum(each.requests for each in self.connectors)

    @property
    def requests_later(self) -> int:
        """Requests of a run that finds a page of new logs of each connector at the most."""
        return self._lists + len(self.connectors)

    @property
    def hours_of_budget(self) -> float | None:
        """How many times the requests of an hour it takes; None if the API doesn't tell how many these are."""
        limit = self.profile.requests_per_hour
        return None if limit is None else self.requests / limit

    @property
    def seconds(self) -> float:
        """How long the first run takes at the limits of the settings, and with the rests that an hourly limit makes."""
        limit = self.profile.requests_per_hour
        whole_hours = 0 if limit is None else ceil(self.requests / limit) - 1
        return max(whole_hours * _HOUR_SECONDS, self.requests / self.settings.requests_per_second)

    @property
    def fitting_settings(self) -> dict[str, Any]:
        """Settings that fit, and a schedule in cron's form."""
        limit = self.profile.requests_per_hour or _USUAL_LIMIT
        budget = int(limit * _SHARE_FOR_A_RUN)
        affordable = (
            (minutes, cron)
            for minutes, cron in _SCHEDULES.items()
            if self.requests_later * _HOUR_MINUTES / minutes <= limit * _SHARE_FOR_A_SCHEDULE
        )
        minutes, cron = next(affordable, _RARELY)
        is_too_much = self.requests > budget
        if is_too_much and minutes < _HOUR_MINUTES:
            minutes, cron = _HOUR_MINUTES, _SCHEDULES[_HOUR_MINUTES]
        found = {
            "requests_per_second": (
                MAX_REQUESTS_PER_SECOND if self.settings.requests_per_second < MAX_REQUESTS_PER_SECOND else None
            ),
            "max_requests": max(budget, self.requests_later + 1) if is_too_much else None,
            "lookback_seconds": self.profile.needed_lookback(self.settings.lookback_seconds),
        }
        return {name: value for name, value in found.items() if value is not None} | {"schedule": cron}

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {
            "connectors": [
                {
                    "connector_identifier": each.connector_identifier,
                    "newest": None if each.newest is None else format_instant(each.newest),
                    "logs_per_day": round(each.logs_per_day, 1),
                    "logs": each.logs,
                    "requests": each.requests,
                }
                for each in self.connectors
            ],
            "logs": self.logs,
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "hours_of_budget": None if self.hours_of_budget is None else round(self.hours_of_budget, 2),
            "retention_days": None if self.retention_days is None else round(self.retention_days, 1),
            "settings": self.fitting_settings,
            "api": self.profile.as_json(),
            "asked": self.asked,
        }

    def as_text(self) -> str:
        """Return the plan for people."""
        rows = [
            (
                each.connector_identifier,
                "none" if each.newest is None else format_instant(each.newest)[:19].replace("T", " "),
                round(each.logs_per_day),
                each.logs,
                each.requests,
            )
            for each in self.connectors
        ]
        total = ("all", "", round(sum(each.logs_per_day for each in self.connectors)), self.logs, self.requests)
        fitting = self.fitting_settings
        lines = [
            table(("connector", "newest log", "logs a day", "logs", "requests"), [*rows, total]),
            "",
            f"Requests of the first run: {self.requests:,}, in about {_in_words(self.seconds)}.",
            f"Requests of each later run, at least: {self.requests_later:,}.",
        ]
        if self.hours_of_budget is not None:
            share = (
                f"{self.hours_of_budget:.0%} of" if self.hours_of_budget < 1 else f"{self.hours_of_budget:.1f} times"
            )
            lines.append(f"The first run takes {share} the {self.profile.requests_per_hour:,} requests of an hour.")
        if self.retention_days is not None:
            lines.append(f"The oldest log found is {self.retention_days:.0f} days older than the newest.")
        lines.append(f"Settings that would fit: {', '.join(f'{name} {value}' for name, value in fitting.items())}.")
        if line := str(self.profile):
            lines.append(f"The API as seen so far: {line}.")
        lines.append(f"This plan took {self.asked:,} requests.")
        return "\n".join(lines)

    @property
    def _lists(self) -> int:
        return self.settings.connector_identifiers is None


def plan(settings: Settings, options: argparse.Namespace) -> int:
    """Print what the first run will cost, and return the exit code.

    Args:
        settings: The settings that the plan is for.
        options: Those of the command line.

    Raises:
        TapError: If no connector can be asked, or some can't.
    """
    state = None if options.state is None else read_json("state", options.state)
    made = make_plan(settings, Bookmarks(state_of_stream(state)).profile)
    text = json.dumps(made.as_json()) if options.format == "json" else made.as_text()
    sys.stdout.write(f"{text}\n")
    for name, error in made.failures.items():
        logger.error("Connector %s: %s", name, error)
    if made.failures:
        raise ConnectorsFailedError(made.failures, of=len(made.failures) + len(made.connectors))
    return ExitCode.COMPLETE


def make_plan(settings: Settings, known: Profile) -> Plan:
    """Find out what the first run will cost: with the list, and at most three requests for each connector.

    Where no log is as old as `start_date`, or none is set, the oldest one of some connectors is searched for, which
    takes some requests more.

    Args:
        settings: The settings that the plan is for.
        known: What runs before have seen of the API.

    Raises:
        TapError: If no connector can be asked. One that the API refuses is named in the plan.
    """
    client = Client(replace(settings, max_requests=None))
    names = settings.connector_identifiers
    if names is None:
        names = listed_identifiers(client.list_connectors().entries, team_id=settings.team_id)
    plan = Plan(settings, known)
    with ThreadPoolExecutor(settings.concurrency) as threads:
        survey = Survey(client, settings, threads)
        try:
            survey.look_at_newest(names)
            plan.retention_days = survey.search_oldest()
            survey.look_at_samples()
        except BaseException:
            client.close()
            raise
    seen = survey.profile
    seen.requests_per_hour = client.rate_limiter.hourly_limit
    plan.profile = known.merged(seen)
    plan.failures = survey.failures
    plan.connectors = [survey.estimate(name) for name in names if name not in plan.failures]
    plan.asked = client.requests_made
    return plan


def _in_words(seconds: float) -> str:
    """Return a time in the unit that fits it."""
    for unit, length in (("hours", _HOUR_SECONDS), ("minutes", _MINUTE_SECONDS)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(2, ceil(seconds))} seconds"

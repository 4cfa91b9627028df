"""Alerts: one message when connectors break or recover, or when the pipeline gets stale or fresh, and none in between.

What a destination was told is kept, so that each change is told once. What can't be delivered is not told: the next
report tries again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import apprise
from apprise.utils.parse import parse_urls

from health.report.causes import NEXT_STEPS, cause_text
from health.report.errors import ReportError
from health.report.files import write_whole
from health.report.health import Connector, Freshness, Health, State
from health.report.page import ago, clock, span, text

_VERSION = "version 1"
_MOST_NAMES = 3
_MOST_CONNECTORS = 20
_FORMS = "The forms of addresses are those of https://appriseit.com/services/."

# Its warnings may hold the address, with what is secret of it.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False


@dataclass(frozen=True, slots=True)
class Told:
    """What a destination knows.

    Attributes:
        stale: Whether it was told that the pipeline is stale.
        broken: The keys of the connectors that it was told are broken.
    """

    stale: bool = False
    broken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Message:
    """A message, and what a destination knows once it has it."""

    title: str
    body: str
    is_bad: bool
    then: Told


def messages(health: Health, told: Told) -> Iterator[Message]:
    """Yield what a destination is to be told next, in this order."""
    freshness = health.freshness
    if freshness.is_stale != told.stale:
        told = Told(freshness.is_stale, told.broken)
        if freshness.is_stale:
            yield Message("The pipeline of the connector logs is stale", _age(freshness), is_bad=True, then=told)
        else:
            yield Message("The connector logs are up to date again", _age(freshness), is_bad=False, then=told)

    broken = health.those(State.BROKEN)
    if broke := [connector for connector in broken if connector.key not in told.broken]:
        told = Told(told.stale, told.broken | {connector.key for connector in broke})
        body = _listed([_breakage(connector, freshness) for connector in broke])
        yield Message(f"Broken: {_names(broke)}", body, is_bad=True, then=told)

    # What isn't broken any more, but still in an incident, may break again at once.
    sound = {State.WORKING, State.DEGRADED, State.QUIET}
    recovered = [
        connector
        for connector in health.connectors
        if connector.key in told.broken and connector.state in sound and connector.incident is None
    ]
    if recovered:
        told = Told(told.stale, told.broken - {connector.key for connector in recovered})
        body = _listed([_recovery(connector) for connector in recovered])
        yield Message(f"No longer broken: {_names(recovered)}", body, is_bad=False, then=told)


def notify(addresses: str, file: Path, health: Health) -> int:
    """Tell each destination what it doesn't know, and return the number of messages.

    Args:
        addresses: Addresses in the form of Apprise, with blanks or commas between them.
        file: Where what was told is kept.
        health: What there is to tell.

    Raises:
        ReportError: If an address can't be, something can't be delivered, or the file not be read or written.
    """
    destinations = _destinations(addresses)
    found = _read(file)
    known = {destination.url_id(): found.get(destination.url_id(), Told()) for destination in destinations}
    sent, failed = 0, []
    for number, destination in enumerate(destinations, 1):
        for message in messages(health, known[destination.url_id()]):
            if not _deliver(destination, message):
                failed.append(f"{destination.service_name} (address {number} of {len(destinations)})")
                break
            sent += 1
            known[destination.url_id()] = message.then
            _write(file, known)
    if failed:
        raise ReportError(f"Alerts could not be delivered to {', '.join(failed)}; the next report tries again.")
    if known != found:
        _write(file, known)
    return sent


def rehearse(addresses: str, file: Path, health: Health) -> str:
    """Return what `notify` would send; without an address, what it would send to a new one.

    Raises:
        ReportError: If an address can't be, or the file not be read.
    """
    found = _read(file)
    known = {
        f"{destination.service_name} (address {number})": found.get(destination.url_id(), Told())
        for number, destination in enumerate(_destinations(addresses), 1)
    } or {"a new address": Told()}
    parts = chain.from_iterable(
        [f"To {name}:", *(f"{message.title}\n{message.body}" for message in messages(health, told))]
        for name, told in known.items()
        if any(messages(health, told))
    )
    return "\n\n".join(parts) or "Nothing."


def _destinations(addresses: str) -> list[Any]:
    asset = apprise.AppriseAsset(app_id="Connector health", app_desc="Connector health")
    destinations = []
    for number, address in enumerate(parse_urls(addresses), 1):
        destination = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
        if destination is None:
            raise ReportError(f"Address {number} of the setting `notify` can't be used. {_FORMS}")
        destinations.append(destination)
    if addresses.strip() and not destinations:
        raise ReportError(f"The setting `notify` has no address. {_FORMS}")
    return destinations


def _deliver(destination: Any, message: Message) -> bool:
    service = apprise.Apprise()
    service.add(destination)
    return bool(
        service.notify(
            title=message.title,
            body=message.body,
            notify_type=apprise.NotifyType.FAILURE if message.is_bad else apprise.NotifyType.SUCCESS,
            body_format=apprise.NotifyFormat.TEXT,
        )
    )


def _read(file: Path) -> dict[str, Told]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))[_VERSION]
        return {name: Told(bool(told["stale"]), frozenset(told["broken"])) for name, told in kept.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ReportError(f"{file}, which keeps what was told, can't be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(
            f"{file}, which keeps what was told, can't be understood: remove it, and all is told anew."
        ) from error


def _write(file: Path, known: dict[str, Told]) -> None:
    told = {name: {"stale": told.stale, "broken": sorted(told.broken)} for name, told in sorted(known.items())}
    write_whole(file, json.dumps({_VERSION: told}, indent=2) + "\n")


def _age(freshness: Freshness) -> str:
    if freshness.newest_log is None:
        return "No log has a time."
    words = f"The newest log is {span(freshness.now - freshness.newest_log)} old, of {clock(freshness.newest_log)} UTC."
    if freshness.last_load:
        words += f" The last load was {ago(freshness.now - freshness.last_load)}."
    if freshness.is_stale:
        words += " What is broken now can't be told: see whether the job still runs, and what its log ends with."
    return words


def _breakage(connector: Connector, freshness: Freshness) -> str:
    incident = connector.incident
    if incident is None:
        return _name(connector)
    since = f"{clock(incident.since)} UTC ({ago(freshness.now - incident.since)})"
    cause = cause_text(incident.cause, incident.status) + (f", {text(incident.event)}" if incident.event else "")
    lines = [
        f"{_name(connector)}: {incident.failures:,} failures since {since}. {cause}.",
        f"Next: {NEXT_STEPS[incident.cause]}",
    ]
    if connector.request_ids:
        lines.append(f"Request IDs: {', '.join(map(text, connector.request_ids))}")
    return "\n".join(lines)


def _recovery(connector: Connector) -> str:
    last = f", last success {clock(connector.last_success)} UTC" if connector.last_success else ""
    return f"{_name(connector)}: {connector.state.value}{last}."


def _listed(paragraphs: Sequence[str]) -> str:
    more = len(paragraphs) - _MOST_CONNECTORS
    return "\n\n".join([*paragraphs[:_MOST_CONNECTORS], *([f"And {more:,} more: see the report."] if more > 0 else [])])


def _names(connectors: Sequence[Connector]) -> str:
    names = ", ".join(text(connector.name, 60) for connector in connectors[:_MOST_NAMES])
    more = len(connectors) - _MOST_NAMES
    return f"{names} and {more:,} more" if more > 0 else names


def _name(connector: Connector) -> str:
    name, identifier = text(connector.name, 60), text(connector.identifier, 60)
    return name if name == identifier else f"{name} ({identifier})"

"""Which group a connector belongs to, and what each group is given to do: pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypedDict

# One variable of the environment holds 128 KiB on Linux, its name included.
_MAX_BYTES = 100_000

_SUFFIX = re.compile(r"group-([1-9][0-9]*)-of-([1-9][0-9]*)")


class Work(TypedDict):
    """What one group has to do.

    Attributes:
        number: The number of the group, from 1 up.
        of: How many groups there are.
        connectors: The identifiers of its connectors.
        requests_per_second: Its share of the requests.
    """

    number: int
    of: int
    connectors: list[str]
    requests_per_second: int


@dataclass(frozen=True, order=True)
class Group:
    """One of a number of groups; its state has a name of its own.

    Attributes:
        of: How many groups there are.
        number: Which one this is, from 1 up.
    """

    of: int
    number: int

    @property
    def suffix(self) -> str:
        """The end of the group's state ID."""
        return f"group-{self.number}-of-{self.of}"

    @classmethod
    def named(cls, suffix: str) -> Group | None:
        """Return the group that a state ID ends in; None if it ends in something else."""
        found = _SUFFIX.fullmatch(suffix)
        if found is None:
            return None
        number, of = map(int, found.groups())
        return cls(of, number) if number <= of else None


def group_of(connector_identifier: str, of: int) -> Group:
    """Return the group of a connector.

    It depends on nothing but the identifier and the number of groups, so that connectors may come and go.
    """
    digest = sha256(connector_identifier.encode()).digest()
    return Group(of, int.from_bytes(digest) % of + 1)


def share_out(connectors: Iterable[str], *, groups: int, groups_at_a_time: int, requests_per_second: int) -> list[Work]:
    """Share connectors and requests out among groups; a group without a connector is left out.

    Args:
        connectors: The identifiers of all connectors.
        groups: How many groups there are.
        groups_at_a_time: How many of them are read at once, at most.
        requests_per_second: Requests in a second for all of them together.

    Raises:
        ValueError: If there is no connector, no group, less than a request in a second for each, or a group is too
            large.
    """
    if groups < 1 or groups_at_a_time < 1:
        raise ValueError("The number of groups, and that of groups at a time, must be 1 or more.")
    members: dict[Group, list[str]] = {}
    for connector in sorted(set(connectors)):
        members.setdefault(group_of(connector, groups), []).append(connector)
    if not members:
        raise ValueError("There is no connector to read: the credential sees none. Check its team and its scopes.")
    share = requests_per_second // min(groups_at_a_time, len(members))
    if share < 1:
        raise ValueError(
            f"{requests_per_second} requests in a second are too few for {groups_at_a_time} groups at a time: "
            "each needs one. Read fewer groups at a time."
        )
    for group, names in members.items():
        if len(json.dumps(names)) > _MAX_BYTES:
            raise ValueError(
                f"Group {group.number} of {groups} has {len(names)} connectors, more than the environment of a "
                "process can name. Make more groups."
            )
    return [
        Work(number=group.number, of=groups, connectors=names, requests_per_second=share)
        for group, names in sorted(members.items())
    ]

"""What a loader is: how it is installed, what is to be set, and where it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.loaders.destinations import Reader

STREAMS = {"connector_logs": ("connector_identifier", "id"), "connectors": ("connector_identifier",)}
"""The streams that are sent, with what tells their rows apart within a team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """A loader in one version and with one configuration.

    Attributes:
        name: Names the row of the catalog; begins with the name of the distribution.
        executable: Its program.
        requirements: What pip is asked to install, as in `pip_url` of `meltano.yml`.
        destination: What it writes.
        config: Its settings, as a user would make them; files go below `output`. `{run}` stands for what has to be
            another word in each run.
        maps: The setting `stream_maps` of the tap, where the loader needs one.
        trial: Settings of the trial alone: batches small enough for several of them.
        server: For a server, the names of the settings for host, port, user, password and database.
        read: Reads the destination back.
        advice: What to set, and why; begins with a small letter, so that it can stand in a cell.
        beside: Distributions whose versions matter as much.
        way_out: What to do instead; empty if this row is the way.
    """

    name: str
    executable: str
    requirements: tuple[str, ...]
    destination: str
    config: Mapping[str, Any]
    read: Reader
    advice: str = ""
    way_out: str = ""
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trial: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    @property
    def distribution(self) -> str:
        """The name of its distribution."""
        return self.requirements[0].partition("==")[0]

    @property
    def environment(self) -> str:
        """The name of its environment, which rows with the same requirements share."""
        return _as_name(" ".join(self.requirements))

    @property
    def database(self) -> str:
        """The name of its database."""
        return _as_name(self.name)


def _as_name(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Loaders that were looked at and not run.

    Attributes:
        names: Their distributions, with the version looked at where one was.
        reason: Why not.
    """

    names: tuple[str, ...]
    reason: str

"""What the log of the last run tells: which connectors it could not read, or why it brought none."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_UNREAD = re.compile(r"\b\d+ of \d+ connectors could not be read: ([\w-]+(?:, [\w-]+)*)(?: and (\d+) more)?\.")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Meltano's lines, and those of the tap alone.
_LAST_WORD = re.compile(r"^\S+ \[critical *\] +\S+ +(?P<meltano>.+)$|\| CRITICAL +\| [\w-]+ +\| (?P<tap>.+)$")


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run of a job.

    Attributes:
        at: When its log was last written to, in UTC, without a zone.
        unread: The connectors that it could not read, as far as it names them.
        more_unread: How many others there are.
        last_word: The line that the tap ended with, if it failed.
    """

    at: datetime
    unread: frozenset[str] = frozenset()
    more_unread: int = 0
    last_word: str | None = None


def read_last_run(log: Path | None) -> LastRun | None:
    """Read the log of a run, of Meltano or of the tap, in any form; None if there is none."""
    if log is None or not log.is_file():
        return None
    at = datetime.fromtimestamp(log.stat().st_mtime, UTC).replace(tzinfo=None)
    unread, last_word = None, None
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if found := _UNREAD.search(line):
                unread = found
            last_word = _last_word(line) or last_word
    if unread is None:
        return LastRun(at, last_word=last_word)
    return LastRun(at, frozenset(unread[1].split(", ")), int(unread[2] or 0), last_word)


def _last_word(line: str) -> str | None:
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:
            return None
        return str(entry.get("event") or entry.get("message")) if entry.get("level") == "critical" else None
    found = _LAST_WORD.search(_COLOUR.sub("", line.rstrip()))
    return found and (found["meltano"] or found["tap"])

"""The environments that the subjects are installed in, below `.venv-bench`."""

from __future__ import annotations

from pathlib import Path

from tools.environments import Environments
from tools.paths import ROOT

PEERS = Path(__file__).resolve().parent / "peers"


_SUBJECTS = Environments(ROOT / ".venv-bench")

program = _SUBJECTS.program
installed_version = _SUBJECTS.version


def install_tap(subject: str) -> None:
    """Install the tap of this repository as it is now."""
    _SUBJECTS.install(subject, [str(ROOT)])


def install_peer(subject: str) -> None:
    """Install the exact versions that a peer needs, unless this Python has them installed already."""
    requirements = PEERS / folder_name(subject) / "requirements.txt"
    _SUBJECTS.install_once(subject, ["--requirement", str(requirements)], requirements.read_text())


def folder_name(subject: str) -> str:
    """Return the name of the folder that holds what belongs to a peer."""
    return subject.replace("-", "_")

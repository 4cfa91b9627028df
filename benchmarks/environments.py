"""Where the subjects are installed: an environment for each, below `.venv-bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).resolve().parent / "peers"
_ENVIRONMENTS = REPOSITORY / ".venv-bench"


def program(subject: str, name: str = "python") -> str:
    """Return the path of a program in the environment of a subject."""
    return str(_ENVIRONMENTS / subject / "bin" / name)


def install_tap(subject: str) -> None:
    """Install the tap of this repository as it is now."""
    _install(subject, [str(REPOSITORY)])


def install_peer(subject: str) -> None:
    """Install the exact versions that a peer needs, unless this Python has them installed already."""
    requirements = PEERS / folder_name(subject) / "requirements.txt"
    wanted = f"{sys.version}\n{requirements.read_text()}"
    note = _ENVIRONMENTS / subject / ".installed"
    if not note.exists() or note.read_text() != wanted:
        _install(subject, ["--requirement", str(requirements)])
        note.write_text(wanted)


def folder_name(subject: str) -> str:
    """Return the name of the folder that holds what belongs to a peer."""
    return subject.replace("-", "_")


def installed_version(subject: str, distribution: str) -> str:
    """Return the version of a distribution in the environment of a subject."""
    code = f"import importlib.metadata as metadata; print(metadata.version({distribution!r}))"
    command = [program(subject), "-c", code]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603 - ours


def _install(subject: str, arguments: list[str]) -> None:
    """Make an environment afresh and install something into it."""
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENTS / subject)],
        [program(subject), *pip, *arguments],
    ):
        subprocess.run(command, check=True)  # noqa: S603 - this interpreter, and the one of the environment

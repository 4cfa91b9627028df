"""Virtual environments of their own, for programs that are run and not imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SECONDS_TO_INSTALL = 900


@dataclass(frozen=True, slots=True)
class Environments:
    """Virtual environments in a folder, each by its name."""

    folder: Path

    def program(self, name: str, program: str = "python") -> str:
        """Return the path of a program in an environment."""
        return str(self.folder / name / "bin" / program)

    def install(self, name: str, arguments: Sequence[str]) -> None:
        """Make an environment afresh and install something into it.

        Raises:
            subprocess.SubprocessError: If it can't be installed.
        """
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(self.folder / name)],
            [self.program(name), *pip, *arguments],
        ):
            subprocess.run(command, check=True, timeout=_SECONDS_TO_INSTALL)  # noqa: S603 - this interpreter, and the one of the environment

    def install_once(self, name: str, arguments: Sequence[str], wanted: str) -> None:
        """Install something unless just that is installed for this Python already.

        Raises:
            subprocess.SubprocessError: If it can't be installed.
        """
        wanted = f"{sys.version}\n{wanted}"
        note = self.folder / name / ".installed"
        if not note.exists() or note.read_text() != wanted:
            self.install(name, arguments)
            note.write_text(wanted)

    def version(self, name: str, distribution: str) -> str:
        """Return the version of a distribution in an environment."""
        code = f"import importlib.metadata as metadata; print(metadata.version({distribution!r}))"
        command = [self.program(name), "-c", code]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603 - ours

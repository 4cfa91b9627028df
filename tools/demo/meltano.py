"""Meltano jobs against a simulator, in a folder of their own: for the demo, and for the tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tools.paths import ROOT
from tools.simulator.process import Simulator

MELTANO = ROOT / ".venv-meltano" / "bin" / "meltano"

_PLUGINS = ROOT / ".meltano"
_PLUGINS_ARE_INSTALLED = _PLUGINS / ".installed"
_LINES_TO_SHOW = 25
_SECONDS_TO_STOP = 10


class MeltanoError(Exception):
    """Meltano is not there, or a job has failed."""


def check_installation() -> None:
    """Check that there is a Meltano with plugins to run.

    Raises:
        MeltanoError: If there is none; tells how to get it.
    """
    if not (MELTANO.exists() and _PLUGINS_ARE_INSTALLED.exists()):
        raise MeltanoError(
            "Meltano and its plugins are not installed in this folder. "
            "`make install` does it, as do `make test` and `make demo`."
        )


class Project:
    """A Meltano project that has the `meltano.yml`, plugins and report of the repository, and nothing else of it.

    State, catalogs, output and settings are its own: what the user has in `.env` and in `.meltano` is neither
    read nor changed.

    Attributes:
        folder: Where it is.
        log: What Meltano and its plugins say, of all jobs.
    """

    def __init__(self, folder: Path, simulator: Simulator, settings: Mapping[str, object] | None = None) -> None:
        """Make the project, whose tap reads from a simulator.

        Args:
            folder: Where to make it; must be empty or missing.
            simulator: What to read from.
            settings: More settings, under the names of their environment variables.

        Raises:
            MeltanoError: If Meltano or its plugins are not installed.
        """
        check_installation()
        self.folder = folder
        self.log = folder / "meltano.log"
        (folder / "output").mkdir(parents=True)
        (folder / ".meltano").mkdir()
        for kind in ("extractors", "loaders", "utilities"):
            (folder / ".meltano" / kind).symlink_to(_PLUGINS / kind)
        for name in ("health", "deploy", MELTANO.parent.parent.name):  # the programs of the utility, and what they run
            (folder / name).symlink_to(ROOT / name)
        shutil.copy(ROOT / "meltano.yml", folder)
        variables = {
            "TAP_CONNECTOR_LOGS_API_KEY": simulator.api_key,
            "TAP_CONNECTOR_LOGS_TEAM_ID": simulator.team_id,
            "TAP_CONNECTOR_LOGS_API_URL": simulator.url,
            **(settings or {}),
        }
        lines = [
            f"{name}='{value if isinstance(value, str) else json.dumps(value)}'\n" for name, value in variables.items()
        ]
        (folder / ".env").write_text("".join(lines), encoding="utf-8")

    def start(self, job: str, environment: str = "dev") -> subprocess.Popen[bytes]:
        """Start a job, in a session of its own: all of Meltano's processes are one group, which can be stopped as one.

        Args:
            job: Name of the job.
            environment: Meltano's environment to run it in.
        """
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - Meltano is the one installed here
                [MELTANO, "--environment", environment, "run", "--no-install", job],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, job: str, environment: str = "dev") -> None:
        """Run a job to its end.

        If it is interrupted, neither Meltano nor a plugin is left running.

        Args:
            job: Name of the job.
            environment: Meltano's environment to run it in.

        Raises:
            MeltanoError: If the job fails; ends with the last lines of the log.
        """
        process = self.start(job, environment)
        try:
            exit_code = process.wait()
        finally:
            stop_group(process)
        if exit_code:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise MeltanoError(
                "\n".join([f"The Meltano job {job} has failed. The end of {self.log}:", *lines[-_LINES_TO_SHOW:]])
            )


def _environment() -> dict[str, str]:
    """Return this process's environment without what is meant for another Meltano project."""
    foreign = ("DBT_", "MELTANO_", "REPORT_", "TAP_", "TARGET_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return environment | {"MELTANO_AUTO_INSTALL": "false", "MELTANO_CLI_DISABLE_VERSION_CHECK": "true", "NO_COLOR": "1"}


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and all others of its group, which it leads."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_STOP)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

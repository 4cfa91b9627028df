"""The models of `health/dbt`, built by dbt."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from health.report.errors import ReportError
from health.report.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent / "dbt"


@dataclass(frozen=True, slots=True)
class Built:
    """How many models dbt has built, and how many tests of their rows have passed."""

    models: int
    tests: int


def build_models(settings: Settings) -> Built:
    """Build the models, and test what is in them.

    Raises:
        ReportError: If dbt fails; with all that it says.
    """
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        done = subprocess.run(  # noqa: S603 - dbt is the one installed beside this Python
            [
                Path(sys.executable).with_name("dbt"),
                "--quiet",
                "--no-use-colors",
                "build",
                "--exclude-resource-type=unit_test",  # those test the project, not these logs
                f"--target={settings.database}",
                f"--project-dir={PROJECT}",
                f"--profiles-dir={PROJECT}",
                f"--target-path={folder}",
                f"--log-path={folder}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise ReportError(f"dbt can't build the models of the report. It says:\n{done.stdout.strip()}")
        results = json.loads(Path(folder, "run_results.json").read_text(encoding="utf-8"))["results"]
    kinds = [result["unique_id"].split(".")[0] for result in results]
    return Built(models=kinds.count("model"), tests=kinds.count("test"))

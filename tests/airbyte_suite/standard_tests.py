"""Airbyte's standard tests for sources, pytest of its own environment: they run the command as a process.

The suite knows sources that are imported. Its one function that runs them is replaced.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from airbyte_cdk.test import entrypoint_wrapper
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput
from airbyte_cdk.test.standard_tests import SourceTestSuiteBase

COMMAND = os.environ["SOURCE_CONNECTOR_LOGS"]


def run_command(args: list[str], **_: Any) -> EntrypointOutput:
    """Run the command; an exit code above 0 must come with an error."""
    done = subprocess.run([COMMAND, *args], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    output = EntrypointOutput(messages=done.stdout.splitlines(), command=args)
    assert bool(done.returncode) == bool(output.errors)
    return output


entrypoint_wrapper._run_command = run_command  # noqa: SLF001 - there is no public one


class Connector:
    """What the suite takes for a source."""

    def spec(self, logger: object) -> None:
        """Tell nothing: the process does."""


class TestSource(SourceTestSuiteBase):  # type: ignore[misc] # of another environment
    """The suite, in the folder that it is run in."""

    connector = Connector

    @classmethod
    def get_connector_root_dir(cls) -> Path:
        return Path.cwd()

"""A command that is forked leaves behind what one that is started does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import run_to_end

COMMANDS = (
    ("tap_connector_logs", "--about"),
    ("tap_connector_logs", "--no-such-option"),
    ("tap_connector_logs", "--config", "ENV"),
    ("tap_connector_logs.airbyte", "spec"),
    ("tap_connector_logs.airbyte", "check", "--config", "settings.json"),
    ("tap_connector_logs.airbyte", "read"),
    ("tap_connector_logs.commands", "plan", "--config", "settings.json"),
    ("tap_connector_logs.commands", "--help"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_leaves_the_same_behind_whether_it_is_forked_or_started(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "settings.json").write_text('{"api_key": ["secret"]}')
    command, changes = [sys.executable, "-m", *words], {"TAP_CONNECTOR_LOGS_TEAM_ID": "words"}
    forked = run_to_end(command, tmp_path, changes)
    environment = {**os.environ, **changes}
    started = subprocess.run(
        command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert forked.returncode == started.returncode
    assert without_times(forked.stdout) == without_times(started.stdout)
    assert without_times(forked.stderr) == without_times(started.stderr)


def without_times(text: str) -> str:
    return re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}|(?<=\"emitted_at\":)[\d.]+", "", text, flags=re.MULTILINE)

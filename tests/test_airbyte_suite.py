"""The Airbyte source under tests that Airbyte wrote, its serializer, and PyAirbyte."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.airbyte_source import read
from tests.tap_process import held, settings_for
from tools.paths import ROOT
from tools.simulator.process import Simulator

pytestmark = [pytest.mark.airbyte, pytest.mark.timeout(600)]

COMMAND = str(Path(sys.executable).with_name("source-connector-logs"))
SUITE = ROOT / "tests" / "airbyte_suite"
CDK_PYTHON = ROOT / ".venv-airbyte" / "bin" / "python"
PYAIRBYTE_PYTHON = ROOT / ".venv-pyairbyte" / "bin" / "python"

ACCEPTANCE_TESTS = """\
acceptance_tests:
  spec: {tests: [{config_path: config.json}]}
  connection:
    tests: [{config_path: config.json, status: succeed}, {config_path: wrong.json, status: failed}]
  discovery: {tests: [{config_path: config.json}]}
  basic_read: {tests: [{config_path: config.json}]}
"""


def run(python: Path, folder: Path, *words: str) -> str:
    """Run a program of another environment, and return what it has written."""
    done = subprocess.run(
        [str(python), *words],
        cwd=folder,
        env={**os.environ, "SOURCE_CONNECTOR_LOGS": COMMAND, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_source_passes_the_standard_tests_of_airbyte(simulator: Simulator, tmp_path: Path) -> None:
    folder = tmp_path / "source-connector-logs"
    folder.mkdir()
    (folder / "metadata.yaml").write_text("data: {tags: ['language:python']}\n")
    (folder / "acceptance-test-config.yml").write_text(ACCEPTANCE_TESTS)
    (folder / "config.json").write_text(json.dumps(settings_for(simulator)))
    (folder / "wrong.json").write_text(json.dumps(settings_for(simulator, api_key="a-key-that-is-refused")))
    written = run(
        CDK_PYTHON,
        folder,
        *("-m", "pytest", "-c", os.devnull, "--rootdir", ".", "--noconftest", "-p", "no:cacheprovider", "-rs"),
        *("-p", "airbyte_cdk.test.standard_tests.pytest_hooks"),
        *("-W", "error::airbyte_cdk.test.standard_tests._catalog_checks.DiscoveredCatalogWarning"),
        *("-m", "not image_tests"),
        str(SUITE / "standard_tests.py"),
    )
    (counts,) = re.findall(r"^=+ (\d+ passed.*) in [\d.]+s =+$", written, re.MULTILINE)
    # What is skipped is what the second configuration is not for.
    assert counts == "7 passed, 4 skipped, 10 deselected", written


@pytest.mark.parametrize("failing", [False, True])
def test_each_message_is_one_of_airbytes(tmp_path: Path, failing: Any) -> None:
    with Simulator(fleet="uniform", connectors=4, logs=3000, ties=0.3, history_days=1) as simulator:
        simulator.add_logs("U0001", [{"id": "odd", "log_time": "2026-01-31T11:00:00Z", "region": {"zones": [1.5]}}])
        if failing:
            simulator.switch(forbidden=["U0002"], requests_per_window=20, window_seconds=1)
        found = read(tmp_path, settings_for(simulator))
        assert found.exit_code == failing
        assert len(found.ids) == len(held(simulator, *(["U0001", "U0003", "U0004"] if failing else ())))
    (tmp_path / "messages").write_text(found.stdout, encoding="utf-8")
    counts = json.loads(run(CDK_PYTHON, tmp_path, str(SUITE / "conformance.py"), "messages"))
    assert sum(counts.values()) == len(found.messages)
    assert counts["RECORD"] == len(found.of_type("RECORD"))
    assert counts["STATE"] == 2


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="PyAirbyte knows no Python from 3.13 on")
def test_the_example_for_pyairbyte_works(simulator: Simulator, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "airbyte.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    place = f'"{simulator.api_key}", "api_url": "{simulator.url}", "requests_per_second": 1000'
    example = example.replace('"your-api-key"', place).replace('="source-connector-logs"', f"={COMMAND!r}")
    (tmp_path / "example.py").write_text(f"{example}\nprint('rows:', len(list(result['connector_logs'])))\n")
    assert "rows: 2400\n" in run(PYAIRBYTE_PYTHON, tmp_path, "example.py")


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="PyAirbyte knows no Python from 3.13 on")
@pytest.mark.parametrize("forbidden", [[], ["U0002"]], ids=["all", "one forbidden"])
def test_pyairbyte_has_all_rows_once_and_reads_nothing_twice(tmp_path: Path, forbidden: list[str]) -> None:
    with Simulator(fleet="uniform", connectors=4, logs=3000, ties=0.3, history_days=1) as simulator:
        simulator.switch(forbidden=forbidden)
        config = settings_for(simulator, on_connector_error="warn")
        (tmp_path / "config.json").write_text(json.dumps(config))
        run(PYAIRBYTE_PYTHON, tmp_path, str(SUITE / "pyairbyte_reads.py"), COMMAND)
        names = [name for name in simulator.connectors() if name not in forbidden]
        first, second = json.loads((tmp_path / "reads.json").read_text())
        assert sorted(first["ids"]) == sorted(second["ids"]) == held(simulator, *names)
        assert first["read"] == len(first["ids"]) + 4
        assert second["read"] == second["connectors"] == 4

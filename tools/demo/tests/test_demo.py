"""The demo runs to its end, and its tables say what the logs say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tools.demo.tables import Run, connectors_table, runs_table
from tools.paths import ROOT

LOGS = """
CREATE SCHEMA tap_connector_logs;
CREATE TABLE tap_connector_logs.connectors (team_id BIGINT, connector_identifier VARCHAR, name VARCHAR);
CREATE TABLE tap_connector_logs.connector_logs (
    team_id BIGINT, connector_identifier VARCHAR, id VARCHAR,
    log_time TIMESTAMP, status INTEGER, event VARCHAR, duration_ms INTEGER
);
INSERT INTO tap_connector_logs.connectors VALUES (1, 'A', 'Shop'), (1, 'B', 'Idle');
INSERT INTO tap_connector_logs.connector_logs VALUES
    (1, 'A', '1', '2026-01-01 10:00:00', 200, 'data.fetch', 100),
    (1, 'A', '2', '2026-01-01 10:30:00', 399, 'data.fetch', 200),
    (1, 'A', '3', '2026-01-01 11:00:00', 400, 'data.fetch', 300),
    (1, 'A', '4', '2026-01-01 11:58:30', 400, 'data.fetch', NULL),
    (1, 'A', '5', '2026-01-01 11:30:00', NULL, NULL, NULL),
    (1, 'C', '1', '2026-01-01 09:57:00', NULL, NULL, NULL),
    (1, 'D', '1', '2026-01-01 11:59:18', 204, NULL, 1500);
"""


@pytest.mark.timeout(400)  # Meltano three times and dbt, on a machine that may be busy
def test_the_demo_shows_two_runs_of_the_real_job() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, capture_output=True, text=True, timeout=380, check=False
    )
    page = (ROOT / "output" / "demo" / "report.html").read_text(encoding="utf-8")

    assert (done.returncode, done.stderr) == (0, "")
    for name in ("Shop orders", "CRM contacts", "Ad network", "Review site", "Warehouse stock", "Newsletter events"):
        assert f"\n{name} " in done.stdout
    assert "All 82,111 logs of the simulated API are in the file, each of them once." in done.stdout
    assert "The health report, for a browser, is output/demo/report.html." in done.stdout
    assert "<title>Connector health up to 2026-01-31 17:59 UTC</title>" in page
    (broken,) = re.findall('<ol class="broken-list">(.+?)</ol>', page, re.DOTALL)
    assert re.findall('<bdi class="name">(.+?)</bdi>', broken) == ["CRM contacts"]


def test_the_worst_connector_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "logs.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(LOGS)

    assert connectors_table(file, now="2026-01-01T12:00:00Z").splitlines() == [
        "Connector  Logs  Failures  p95 duration  Most frequent failure      Newest log",
        "---------  ----  --------  ------------  ---------------------  --------------",
        "C             1    100.0%             -  no event, no answer    2 h 03 min ago",
        "Shop          5     60.0%        290 ms  data.fetch, 400             1 min ago",
        "D             1      0.0%      1,500 ms  -                            42 s ago",
    ]


def test_runs_are_told_in_their_order() -> None:
    runs = [Run(requests=85, new_logs=80922, seconds=8.04), Run(requests=7, new_logs=0, seconds=2)]

    assert runs_table(runs).splitlines() == [
        "Run  Requests  New logs  Seconds",
        "---  --------  --------  -------",
        "  1        85    80,922      8.0",
        "  2         7         0      2.0",
    ]

"""Alerts of the report, as a real HTTP server receives them: each change is told once, and nothing in between."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from health.report.causes import NEXT_STEPS
from health.tests.report_runs import NOW, load, run_report

# dbt takes its time, and the machine may be busy.
pytestmark = [pytest.mark.dbt, pytest.mark.timeout(600)]

END = datetime.fromisoformat(NOW) - timedelta(minutes=10)
SECRET = "hush-hush"


class Receiver:
    """A server that takes messages, or refuses them.

    Attributes:
        messages: What it has taken, with the path that it came to.
        refused: The paths that it refuses.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[dict[str, Any]] = []
        self.refused: set[str] = set()

    def address(self, path: str = "") -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{path}"

    def take(self) -> list[tuple[str, str]]:
        """Return kind and title of each message since the last time."""
        taken, self.messages = self.messages, []
        return [(message["type"], message["title"]) for message in taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serve() as running:
        yield running


@contextmanager
def serve() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            refuses = self.path in running.refused
            if not refuses:
                running.messages.append(body | {"path": self.path})
            self.send_response(503 if refuses else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the library
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Receiver(server.server_address[1])
        Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield running
        server.shutdown()


def logs(*statuses: int | None) -> list[dict[str, Any]]:
    """Return logs of Shop a minute from each other, up to ten minutes ago, and a success of another connector."""
    shop = [
        {
            "connector_identifier": "SHOP",
            "log_time": END - timedelta(minutes=minutes),
            "status": status,
            "event": "data.fetch",
            "request": f"GET /orders?token={SECRET}",
            "request_id": f"r{minutes}",
        }
        for minutes, status in enumerate(reversed(statuses))
    ]
    return [*shop, {"connector_identifier": "FINE", "log_time": END, "status": 200}]


def report(
    folder: Path, found: list[dict[str, Any]], *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the report of some logs, and of no others."""
    (folder / "logs.duckdb").unlink(missing_ok=True)
    load(folder / "logs.duckdb", found, {"SHOP": "Shop orders"})
    done = run_report(folder, *arguments, **settings)
    assert SECRET not in done.stdout + done.stderr
    return done


def test_each_change_is_told_once(tmp_path: Path, receiver: Receiver) -> None:
    def told(found: list[dict[str, Any]], **settings: str) -> list[tuple[str, str]]:
        done = report(tmp_path, found, REPORT_NOTIFY=receiver.address(), **settings)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1] == f"Alerts sent: {len(receiver.messages)}."
        return receiver.take()

    assert told(logs(200, 401, 200)) == []

    broken = logs(200, 401, 401, 401)
    done = report(tmp_path, broken, "--notify", receiver.address())
    assert (done.returncode, done.stderr) == (0, "")
    (message,) = receiver.messages
    assert message["message"] == (
        "Shop orders (SHOP): 3 failures since 2026-01-31 11:58 UTC (12 min ago). Credentials refused (401), "
        "data.fetch.\n"
        f"Next: {NEXT_STEPS['credentials']}\n"
        "Request IDs: r0, r1, r2"
    )
    assert receiver.take() == [("failure", "Broken: Shop orders")]
    assert told(logs(200, *[401] * 5, 200, 200)) == []

    (tmp_path / "run.log").write_text("2026-01-31T12:00:00Z [critical ] tap The rate limit asks to wait 3600 s.\n")
    recovered = logs(401, 401, 401, *[200] * 10)
    receiver.refused = {"/"}
    before = (tmp_path / "report.alerts.json").read_bytes()
    (tmp_path / "report.html").unlink()
    done = report(tmp_path, recovered, REPORT_NOTIFY=receiver.address(), REPORT_RUN_LOG="run.log")
    assert done.returncode == 1
    assert done.stderr == ("Alerts could not be delivered to JSON (address 1 of 1); the next report tries again.\n")
    assert (tmp_path / "report.alerts.json").read_bytes() == before
    assert (tmp_path / "report.html").exists()
    receiver.refused = set()
    assert told(recovered, REPORT_RUN_LOG="run.log") == [("success", "No longer broken: Shop orders")]

    assert told(recovered, REPORT_NOW="2026-02-02 12:00:00") == [
        ("failure", "The pipeline of the connector logs is stale")
    ]
    assert told(recovered, REPORT_NOW="2026-02-02 13:00:00") == []
    assert told(recovered) == [("success", "The connector logs are up to date again")]


def test_each_address_is_told_what_it_does_not_know(tmp_path: Path, receiver: Receiver) -> None:
    addresses = f"{receiver.address('one')}, {receiver.address('two')}"
    receiver.refused = {"/one"}

    done = report(tmp_path, logs(500, 500, 500), REPORT_NOTIFY=addresses, REPORT_ALERTS_FILE="kept/alerts.json")
    assert done.returncode == 1
    assert "delivered to JSON (address 1 of 2);" in done.stderr
    assert [message["path"] for message in receiver.messages] == ["/two"]

    receiver.refused = set()
    done = report(tmp_path, logs(500, 500, 500), REPORT_NOTIFY=addresses, REPORT_ALERTS_FILE="kept/alerts.json")
    assert done.returncode == 0
    assert [message["path"] for message in receiver.messages] == ["/two", "/one"]
    kept = (tmp_path / "kept" / "alerts.json").read_text(encoding="utf-8")
    assert SECRET not in kept
    assert [told["broken"] for told in json.loads(kept)["version 1"].values()] == [["1/SHOP"]] * 2


def test_a_rehearsal_prints_alerts_and_sends_none(tmp_path: Path, receiver: Receiver) -> None:
    done = report(tmp_path, logs(None, 500, 502), "--dry-run", "--notify", receiver.address())

    assert (done.returncode, done.stderr) == (0, "")
    assert "Alerts that would be sent:\nTo JSON (address 1):\n\nBroken: Shop orders\n" in done.stdout
    assert receiver.messages == []
    assert not (tmp_path / "report.alerts.json").exists()


def test_addresses_and_files_that_cannot_be_are_told(tmp_path: Path, receiver: Receiver) -> None:
    done = report(tmp_path, logs(200), "--notify", f"nowhere://{SECRET}/")
    assert done.returncode == 1
    assert done.stderr == (
        "Address 1 of the setting `notify` can't be used. "
        "The forms of addresses are those of https://appriseit.com/services/.\n"
    )

    (tmp_path / "report.alerts.json").write_text("{}")
    done = report(tmp_path, logs(500, 500, 500), "--notify", receiver.address())
    assert (done.returncode, done.stderr) == (
        1,
        "report.alerts.json, which keeps what was told, can't be understood: remove it, and all is told anew.\n",
    )
    assert receiver.messages == []

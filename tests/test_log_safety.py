"""Nothing from outside forges a line of the log, and no line holds a credential."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import SupportsIndex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.logging import StructuredFormatter
from typing_extensions import override

from tap_connector_logs.log_safety import LineFormatter, Secrets, in_one_line, install, register_secret, sanitize
from tap_connector_logs.summary import sentence
from tests.raw_server import RawServer, answer
from tests.tap_process import Run, RunTap, run_tap
from tools.simulator.process import Simulator

SECRET = "s3cr+t/ké'y\"=&\\ of mine"  # nothing in it looks the same once it is quoted


@pytest.fixture(autouse=True, scope="module")
def _hidden() -> None:
    """Hide the secret, as a process does: for good."""
    register_secret(SECRET)


def written(message: str, *arguments: object, error: Exception | None = None) -> str:
    """Return what a handler writes of a message, and of an error with its traceback."""
    formatter = LineFormatter(logging.Formatter("%(levelname)s | %(message)s"))
    record = logging.LogRecord("test", logging.WARNING, __file__, 1, message, arguments, None)
    if error is not None:
        try:
            raise error
        except type(error):
            record.exc_info = sys.exc_info()
    return formatter.format(record)


# Lines


@pytest.mark.parametrize(
    "forged",
    [
        "gone\n2026-01-01 00:00:00 | INFO | all is well",
        "gone\r2026",
        "gone\x1b[2J\x1b[31mred",
        "gone\x00\x07\x08",
        "gone\u2028next\u2029next\x85next\x0bnext\x0cnext",
        "\u202egone",
        "gone\ud800",
    ],
)
def test_control_characters_are_escaped_and_a_line_stays_one(forged: str) -> None:
    for text in (sanitize(forged), written("%s", forged)):
        assert len(text.splitlines()) == 1
        assert text.isprintable()
        assert "gone" in text
        assert "\\" in text


@given(st.text())
def test_whatever_the_text_is_one_printable_line_is_left_of_it(text: str) -> None:
    line = sanitize(text)
    assert line.isprintable()
    assert len(line) <= 301


def test_printable_text_stays_as_it_is() -> None:
    assert sanitize("  Zähler → 日本 \\n 𝄞  ") == "Zähler → 日本 \\n 𝄞"


def test_a_traceback_keeps_its_lines_and_they_can_not_be_taken_for_others() -> None:
    text = written("failed", error=ValueError("first\n2026-01-01 | INFO | forged"))
    first, *others = text.split("\n")
    assert first == "WARNING | failed"
    assert len(others) > 3
    assert all(line.startswith("    ") for line in others)


# Secrets


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        repr(SECRET),
        repr({"Authorization": f"Bearer {SECRET}"}),
        repr([SECRET.encode().decode()]),
        json.dumps(SECRET),
        json.dumps({"key": SECRET}),
        quote_plus(SECRET),
        quote_plus(SECRET).lower(),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(SECRET).replace("/", "\\/"),
    ],
)
def test_a_hidden_secret_is_in_no_line_in_any_form(form: str) -> None:
    texts = [written("%s", form), written(form), written("no", error=ValueError(form))]
    for text in [*texts, sanitize(form)]:
        for part in ("s3cr", "of mine", "of+mine", "of%20mine"):
            assert part not in text
    assert "***" in texts[0]


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_nor_is_it_in_base64(encode: Callable[[bytes], bytes]) -> None:
    secret = "a-key~~of???mine"  # with what the two alphabets write differently
    register_secret(secret)
    form = encode(secret.encode()).decode().rstrip("=")
    assert sanitize(f"Basic {form}== no") == "Basic ***== no"


def test_a_secret_is_hidden_before_text_is_cut() -> None:
    assert "s3cr" not in sanitize("x" * 290 + SECRET)


def test_white_space_around_a_secret_is_no_part_of_it() -> None:
    register_secret("hidden-with-its-line-break\n")
    assert sanitize("<hidden-with-its-line-break>") == "<***>"


@pytest.mark.parametrize("length", [8, 12, len(SECRET) - 1])
def test_the_beginning_of_a_secret_that_was_cut_is_hidden(length: int) -> None:
    assert sanitize(f"<{SECRET[:length]}") == "<***"
    assert sanitize(f"<{SECRET[:length]}…>") == "<***…>"


def test_of_two_secrets_that_begin_alike_the_longer_one_is_hidden_as_a_whole() -> None:
    register_secret("token-of-mine")
    register_secret("token-of-mine-and-others")
    assert sanitize("token-of-mine-and-others, token-of-mine") == "***, ***"


def test_a_secret_that_is_no_text_is_hidden_as_well() -> None:
    register_secret("hidden-half \ud800")
    assert sanitize("<hidden-half \ud800>") == "<***>"


def test_a_secret_is_hidden_as_often_as_it_comes() -> None:
    assert sanitize(f"{SECRET}, {SECRET} and {SECRET}.") == "***, *** and ***."


def test_a_word_too_short_to_be_a_secret_is_left_in() -> None:
    register_secret("logs")
    assert sanitize("connector logs") == "connector logs"


def test_a_secret_can_be_registered_while_another_is_hidden() -> None:
    class Text(str):
        __slots__ = ()

        @override
        def __getitem__(self, place: SupportsIndex | slice) -> str:
            register_secret("hidden-meanwhile")  # as another thread would, once the place of a secret is known
            return super().__getitem__(place)

    assert in_one_line(Text(f"<{SECRET}>")) == "<***>"
    assert sanitize("<hidden-meanwhile>") == "<***>"


def test_a_secret_that_is_known_costs_nothing_more() -> None:
    class Known(str):
        __slots__ = ()

        @override
        def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
            raise AssertionError("looked at again")

    secrets = Secrets()
    secrets.add(SECRET)
    secrets.add(Known(SECRET))
    assert secrets.mask(f"<{SECRET}>") == "<***>"


def test_the_formatters_of_all_handlers_are_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    written_to = io.StringIO()
    handler = logging.StreamHandler(written_to)
    handler.setFormatter(StructuredFormatter())
    logger = logging.getLogger("tests.guarded.deeply")  # above it is a place without a logger
    monkeypatch.setattr(logger, "handlers", [handler])
    kept = [(other, other.formatter) for other in logging.root.handlers]
    install()
    try:
        logger.warning("a %s\nb", SECRET)
    finally:
        for other, formatter in kept:
            other.setFormatter(formatter)
    (line,) = written_to.getvalue().splitlines()
    assert json.loads(line)["message"] == "a ***\nb"


# Whole runs


def test_what_the_server_says_can_not_forge_a_line(tmp_path: Path) -> None:
    message = "No.\n2026-01-01 00:00:00,000 | INFO     | all is well\x1b[2K\r"
    body = {"error": {"code": "X\n\x1b[0m", "message": message}, "meta": {"request_id": "1\r\n2"}}
    with RawServer(answer(body, status=401)) as server:
        run = run_tap(tmp_path, {"api_key": "a-key-of-mine", "team_id": 1, "api_url": server.url})
    assert run.exit_code == 77
    assert "all is well\\x1b[2K" in run.complaint
    assert all(re.match(r"\d{4}-\d\d-\d\d .* \| (INFO|CRITICAL) ", line) for line in run.stderr.splitlines())
    assert "\x1b" not in run.stderr


def lines_of_requests(run: Run) -> list[str]:
    return [line for line in run.stderr.splitlines() if "/v1/teams/" in line]


def test_requests_are_told_one_by_one_at_the_level_debug_alone(simulator: Simulator, run: RunTap) -> None:
    assert lines_of_requests(run(page_size=200)) == []
    simulator.reset_requests()
    told = lines_of_requests(run(page_size=200, environment={"TAP_CONNECTOR_LOGS_LOGLEVEL": "DEBUG"}))
    assert len(told) == simulator.requests()["total"]
    assert all(re.search(r"GET http://127.*: 200, \d+ bytes in \d\.\d{3} s", line) for line in told)


def test_a_log_level_that_there_is_not_is_a_wrong_setting(run: RunTap) -> None:
    result = run(environment={"TAP_CONNECTOR_LOGS_LOGLEVEL": "LOUD"})
    assert result.exit_code == 64
    assert "LOGLEVEL or SINGER_SDK_LOG_CONFIG says: Unknown level: 'LOUD'" in result.complaint
    assert "Traceback" not in result.stderr


def test_a_defect_is_told_as_one_with_its_traceback(run: RunTap, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from tap_connector_logs import sync\n"
        "def broken(*_, **__): raise RuntimeError('Bearer simulator-key\\nforged')\n"
        "sync.log_records = broken\n"
    )
    result = run(environment={"PYTHONPATH": str(tmp_path)})
    assert result.exit_code == 1
    critical = [line for line in result.stderr.splitlines() if "CRITICAL" in line]
    assert "defect of the tap. Please report it" in critical[-1]
    assert "    RuntimeError: Bearer ***" in result.stderr
    assert "\nforged" not in result.stderr
    assert "simulator-key" not in result.stderr


# The summary


def summary_of(run: Run) -> dict[str, object]:
    points = [json.loads(line.split("METRIC: ")[1]) for line in run.stderr.splitlines() if "METRIC: " in line]
    (point,) = [point for point in points if point["metric"] == "run_summary"]
    assert point["type"] == "summary"
    value: dict[str, object] = point["value"]
    return value


def test_the_line_that_sums_a_run_up_counts_as_people_do_and_tells_what_may_be_missing() -> None:
    one = {"logs": 1, "connectors": 1, "requests": 1, "retries": 0, "seconds": 1.04, "seconds_waited": 0.0}
    line = "Read 1 log of 1 connector with 1 request, 0 of them retries, in 1.0 s, 0.0 s of it spent waiting."
    assert sentence({**one, "holes": 0, "bursts": 0}) == line
    assert sentence({**one, "holes": 2, "bursts": 3}) == (
        f"{line} Possible holes: 2. Instants with more logs than the API shows: 3."
    )


def test_the_end_of_a_run_is_summed_up_in_a_line_and_as_an_object(simulator: Simulator, run: RunTap) -> None:
    result = run()
    requests = simulator.requests()["total"]
    (line,) = [line for line in result.stderr.splitlines() if " Read " in line]
    assert re.search(
        rf"Read 2400 logs of 2 connectors with {requests} requests, 0 of them retries, in \d+\.\d s, "
        r"0\.0 s of it spent waiting\.$",
        line,
    )
    summary = summary_of(result)
    assert summary["requests"] == requests
    assert list(summary) == [
        "logs",
        "connectors",
        "connectors_done",
        "connectors_failed",
        "requests",
        "retries",
        "seconds",
        "seconds_waited",
        "seams_checked",
        "holes",
        "bursts",
        "answers_cut_short",
        "connectors_out_of_order",
        "logs_without_time",
        "logs_without_id",
        "lateness_seconds",
        "api",
        "api_changes",
        "new_events",
    ]


def test_a_run_that_fails_before_it_reads_is_summed_up_too(run: RunTap) -> None:
    result = run(api_key="simulator-key-of-yesterday")
    assert result.exit_code == 77
    summary = summary_of(result)
    assert (summary["logs"], summary["connectors"], summary["requests"]) == (0, 0, 1)


def test_connectors_that_failed_are_counted(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(forbidden=["U0001"])
    result = run(connector_identifiers=["U0001", "U0002"])
    assert result.exit_code == 1
    summary = summary_of(result)
    assert (summary["connectors"], summary["connectors_done"], summary["connectors_failed"]) == (2, 2, 1)

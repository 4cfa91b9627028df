"""Values of query parameters in the column `request` are replaced where that is wanted, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_connector_logs.redaction import ALL, redact, redact_query
from tests.tap_process import RunTap
from tools.simulator.process import Simulator

# Each request, with all values replaced, and with those of `code` and `token` alone.
REQUESTS = {
    "GET /a": ("GET /a", "GET /a"),
    "GET /a?": ("GET /a?", "GET /a?"),
    "GET /a?token=1&x=2": ("GET /a?token=REDACTED&x=REDACTED", "GET /a?token=REDACTED&x=2"),
    "GET /a?TOKEN=1": ("GET /a?TOKEN=REDACTED", "GET /a?TOKEN=REDACTED"),
    "GET /a?%74oken=1": ("GET /a?%74oken=REDACTED", "GET /a?%74oken=REDACTED"),
    "GET /a?x=1&token=YQ== HTTP/1.1": (
        "GET /a?x=REDACTED&token=REDACTED HTTP/1.1",
        "GET /a?x=1&token=REDACTED HTTP/1.1",
    ),
    "GET /a?token=1 and 2": ("GET /a?token=REDACTED", "GET /a?token=REDACTED"),
    "GET /a?token=1;2&x=3": ("GET /a?token=REDACTED&x=REDACTED", "GET /a?token=REDACTED&x=3"),
    "GET /a?x=1;token=2;y=3": ("GET /a?x=REDACTED", "GET /a?x=1;token=REDACTED"),
    "GET /a?1": ("GET /a?REDACTED", "GET /a?1"),
    "GET /a?back=/b?code=1&x": ("GET /a?back=REDACTED&REDACTED", "GET /a?back=/b?code=REDACTED&x"),
    "GET /a?token=1?2&x=3": ("GET /a?token=REDACTED&x=REDACTED", "GET /a?token=REDACTED&x=3"),
    "GET /a?token=1;sig=2": ("GET /a?token=REDACTED", "GET /a?token=REDACTED"),
    "GET /a?token[]=1&token[0]=2": ("GET /a?token[]=REDACTED&token[0]=REDACTED",) * 2,
    "GET /a?back=%2Fb%3Fcode%3D1&x=2": ("GET /a?back=REDACTED&x=REDACTED", "GET /a?back=REDACTED&x=2"),
    "GET /R&D/1;v=2/logs?x=1": ("GET /R&D/1;v=2/logs?x=REDACTED", "GET /R&D/1;v=2/logs?x=1"),
    "GET /a?x=1&&y=2": ("GET /a?x=REDACTED&&y=REDACTED", "GET /a?x=1&&y=2"),
    "GET /a#token=1": ("GET /a#token=REDACTED", "GET /a#token=REDACTED"),
    "GET /a?tokens=1&x=token": ("GET /a?tokens=REDACTED&x=REDACTED", "GET /a?tokens=1&x=token"),
}


@pytest.mark.parametrize(("request_line", "redacted"), REQUESTS.items(), ids=REQUESTS.keys())
def test_values_are_replaced_and_all_else_stays(request_line: str, redacted: tuple[str, str]) -> None:
    assert redact_query(request_line, {ALL}) == redacted[0]
    assert redact_query(request_line, {"code", "token"}) == redacted[1]


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="?#&;=")), st.booleans())
def test_no_value_of_any_query_is_left(before: str, name: str, has_more: bool) -> None:  # noqa: FBT001
    text = f"{before}?{name}=a secret, be it long{'&x=1' if has_more else ''}"
    assert "secret" not in redact_query(text, {ALL})


def test_what_does_not_fit_the_column_is_redacted_in_extra() -> None:
    inner = [{"url": "/a?token=1", "tries": 2}]
    records: list[dict[str, Any]] = [
        {"request": None, "extra": {"request": inner, "other": "/a?token=1"}},
        {"request": "/a?token=1", "extra": {"other": 1}},
        {"request": None, "extra": None},
    ]
    redact(records, {"token"})
    assert records == [
        {"request": None, "extra": {"request": [{"url": "/a?token=REDACTED", "tries": 2}], "other": "/a?token=1"}},
        {"request": "/a?token=REDACTED", "extra": {"other": 1}},
        {"request": None, "extra": None},
    ]


def requests_of(run: RunTap, **settings: Any) -> dict[str, str]:
    result = run(connector_identifiers=["U0001"], **settings)
    assert result.exit_code == 0
    return {record["id"]: record["request"] for record in result.records()}


def test_a_run_redacts_what_its_settings_name_and_the_ids_stay(simulator: Simulator, run: RunTap) -> None:
    line = "POST /oauth?code=a-canary&x=1"
    log = {"log_time": "2026-01-31T23:59:59Z", "request": line}
    simulator.add_logs("U0001", [{**log, "id": "with"}, {**log, "id": ""}])
    plain = requests_of(run)
    some = requests_of(run, redact_query=[" Code"])
    every = requests_of(run, redact_query=["*"], stream_maps={"connector_logs": {"event": "event"}})
    assert plain.keys() == some.keys() == every.keys()
    (derived,) = [name for name in plain if name.startswith("derived-")]
    for name in ("with", derived):
        assert plain[name] == line
        assert some[name] == "POST /oauth?code=REDACTED&x=1"
        assert every[name] == "POST /oauth?code=REDACTED&x=REDACTED"


def test_a_request_of_any_length_is_redacted_in_no_time() -> None:
    text = f"GET /a?x=1{' ' * 10**6}x"
    assert redact_query(text, {ALL}) == "GET /a?x=REDACTED"

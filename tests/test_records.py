"""What does not fit its column goes to `extra`, and nothing is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from tap_connector_logs.records import connector_record, log_records


def test_a_connector_in_which_everything_is_odd_keeps_it_all() -> None:
    odd: dict[str, Any] = {
        "connector_identifier": True,
        "name": False,
        "created_at": "never",
        "logo_url": 1.5,
        "new": 1,
    }
    record = connector_record(odd, team_id=1)
    assert record["connector_identifier"].startswith("derived-")
    assert (record["name"], record["created_at"], record["logo_url"]) == (None, None, "1.5")
    assert record["extra"] == {"connector_identifier": True, "name": False, "created_at": "never", "new": 1}


@pytest.mark.parametrize("value", [2**31, -(2**31), 1.5, "12x", True, [], {}, "\u0661"])
def test_what_is_no_integer_of_32_bits_goes_to_extra(value: object) -> None:
    (record,) = log_records([{"id": "1", "status": value}], [None], team_id=1, connector_identifier="A")
    assert (record["status"], record["extra"]) == (None, {"status": value})


@pytest.mark.parametrize("value", [200, "200", 200.0])
def test_what_is_one_in_other_words_stays(value: object) -> None:
    (record,) = log_records([{"id": "1", "status": value}], [None], team_id=1, connector_identifier="A")
    assert (record["status"], record["extra"]) == (200, None)

"""The README says what the code does."""

from __future__ import annotations

import re

from tap_connector_logs import errors
from tests.readme import README, with_tables


def test_its_tables_are_those_of_the_schemas() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_it_lists_each_exit_code() -> None:
    rows = re.findall(r"^\| ([0-9, ]+) \| ", README.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {int(code) for row in rows for code in row.split(",")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TapError)]
    signals = {errors.Interrupted(number).exit_code for number in (2, 15)}
    assert listed == {0} | {kind.exit_code for kind in kinds} | signals

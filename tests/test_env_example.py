"""`.env.example` tells the settings as `tap-connector-logs --about` does."""

from __future__ import annotations

from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
from dotenv import dotenv_values

from tap_connector_logs.errors import InputError
from tap_connector_logs.settings import CREDENTIALS, ENV_PREFIX, parse_settings, settings_from_environment
from tools.paths import ROOT
from tools.reference_pages.hub_entry import about

PATH = ROOT / ".env.example"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = about()["settings"]
    return found


@pytest.fixture
def config(schema: dict[str, Any]) -> dict[str, Any]:
    """What the tap reads once no line is commented out."""
    text = PATH.read_text(encoding="utf-8").replace(f"# {ENV_PREFIX}", ENV_PREFIX)
    variables = {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}
    return settings_from_environment(variables, schema)


def test_it_has_each_setting_below_its_description(schema: dict[str, Any]) -> None:
    lines = PATH.read_text(encoding="utf-8").splitlines()
    told = {
        line.removeprefix("# ").split("=")[0]: above.removeprefix("# ")
        for above, line in pairwise(lines)
        if line.removeprefix("# ").startswith(ENV_PREFIX)
    }

    settings = schema["properties"].items()
    assert told == {f"{ENV_PREFIX}{name.upper()}": setting["description"] for name, setting in settings}


def test_it_has_the_default_values(config: dict[str, Any], schema: dict[str, Any]) -> None:
    defaults = {name: setting["default"] for name, setting in schema["properties"].items() if "default" in setting}

    assert {name: config[name] for name in defaults} == defaults


def test_each_of_its_values_can_be_used_once_a_key_is_filled_in(config: dict[str, Any], schema: dict[str, Any]) -> None:
    del config["bearer_token"]  # stands for the API key

    parse_settings(config | {"api_key": "a-key"}, schema)


@pytest.mark.parametrize("credential", sorted(CREDENTIALS))
def test_a_copy_that_is_not_filled_in_is_refused(
    config: dict[str, Any], schema: dict[str, Any], credential: str
) -> None:
    (other,) = CREDENTIALS - {credential}
    del config[other]

    with pytest.raises(InputError, match=f"{credential} is still the placeholder of an example"):
        parse_settings(config, schema)


def test_three_values_are_to_be_filled_in() -> None:
    names = [f"{ENV_PREFIX}{name}" for name in ("API_KEY", "TEAM_ID", "START_DATE")]

    assert list(dotenv_values(PATH)) == names

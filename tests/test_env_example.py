"""The settings are told in several places: each must say what `tap-connector-logs --about` says."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from tap_connector_logs.settings import ENV_PREFIX, parse_settings, settings_from_environment
from tests.tap_process import COMMAND

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Setting:
    """What `--about` tells of a setting."""

    name: str
    title: str
    description: str
    kind: str
    is_secret: bool
    default: object

    @property
    def variable(self) -> str:
        return f"{ENV_PREFIX}{self.name.upper()}"


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    done = subprocess.run([*COMMAND, "--about", "--format=json"], capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def settings(about: dict[str, Any]) -> list[Setting]:
    return [
        Setting(
            name=name,
            title=definition["title"],
            description=definition["description"],
            kind=_kind(definition),
            is_secret=definition.get("secret", False),
            default=definition.get("default"),
        )
        for name, definition in about["settings"]["properties"].items()
    ]


def _kind(definition: dict[str, Any]) -> str:
    """Return what Meltano calls the type of a setting."""
    (kind,) = (name for name in definition["type"] if name != "null")
    # Meltano has decimal numbers, but fails on each that it is to hand to a plugin.
    return "integer" if kind == "number" else str(kind)


class TestMeltanoYml:
    @pytest.fixture
    def extractor(self) -> dict[str, Any]:
        project = yaml.safe_load((REPOSITORY / "meltano.yml").read_text(encoding="utf-8"))
        (found,) = project["plugins"]["extractors"]
        return dict(found)

    def test_it_has_each_setting_as_the_tap_tells_it(self, extractor: dict[str, Any], settings: list[Setting]) -> None:
        told = [
            Setting(
                name=setting["name"],
                title=setting["label"],
                description=setting["description"],
                kind=setting["kind"],
                is_secret=setting.get("sensitive", False),
                default=setting.get("value"),
            )
            for setting in extractor["settings"]
        ]

        assert told == settings

    def test_it_has_the_capabilities_of_the_tap(self, extractor: dict[str, Any], about: dict[str, Any]) -> None:
        assert sorted(extractor["capabilities"]) == sorted(about["capabilities"])

    def test_its_groups_of_settings_each_suffice(self, extractor: dict[str, Any], about: dict[str, Any]) -> None:
        examples = {"api_key": "key", "bearer_token": "token", "team_id": 1}
        for group in extractor["settings_group_validation"]:
            parse_settings({name: examples[name] for name in group}, about["settings"])


class TestEnvExample:
    PATH = REPOSITORY / ".env.example"

    def test_it_has_each_setting_below_its_description(self, settings: list[Setting]) -> None:
        lines = self.PATH.read_text(encoding="utf-8").splitlines()
        told = {
            line.removeprefix("# ").split("=")[0]: above.removeprefix("# ")
            for above, line in pairwise(lines)
            if line.removeprefix("# ").startswith(ENV_PREFIX)
        }

        assert told == {setting.variable: setting.description for setting in settings}

    def test_it_has_the_default_values(self, config: dict[str, Any], settings: list[Setting]) -> None:
        defaults = {setting.name: setting.default for setting in settings if setting.default is not None}

        assert {name: config[name] for name in defaults} == defaults

    def test_each_of_its_values_can_be_used(self, config: dict[str, Any], about: dict[str, Any]) -> None:
        del config["bearer_token"]  # stands for the API key

        parse_settings(config, about["settings"])

    def test_three_values_are_to_be_filled_in(self) -> None:
        names = [f"{ENV_PREFIX}{name}" for name in ("API_KEY", "TEAM_ID", "START_DATE")]

        assert list(dotenv_values(self.PATH)) == names

    @pytest.fixture
    def config(self, about: dict[str, Any]) -> dict[str, Any]:
        """What the tap reads once no line is commented out."""
        text = self.PATH.read_text(encoding="utf-8").replace(f"# {ENV_PREFIX}", ENV_PREFIX)
        variables = {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}
        return settings_from_environment(variables, about["settings"])

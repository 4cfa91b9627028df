"""The entry for Meltano Hub is one that Meltano can use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tap_connector_logs.settings import parse_settings
from tools.demo.meltano import MELTANO, check_installation
from tools.paths import ROOT
from tools.reference_pages.hub_entry import HUB_METADATA, about

ENTRY: dict[str, Any] = yaml.safe_load((ROOT / "plugin.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def extractor_schema() -> Draft202012Validator:
    """What the installed Meltano says of an extractor."""
    check_installation()
    (path,) = MELTANO.parent.parent.glob("lib/python3*/site-packages/meltano/schemas/meltano.schema.json")
    schema = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Draft202012Validator({"$ref": "#/$defs/plugins/extractors", "$defs": schema["$defs"]})


def test_meltano_knows_all_of_it_but_what_the_hub_shows(extractor_schema: Draft202012Validator) -> None:
    definition = {name: value for name, value in ENTRY.items() if name not in HUB_METADATA | {"variants"}}

    extractor_schema.validate(definition)
    assert not extractor_schema.is_valid(ENTRY), "Meltano knows what the Hub shows, so HUB_METADATA is too large"
    assert not extractor_schema.is_valid(definition | {"settings": [{"name": "team_id", "kind": "number"}]})


def test_what_the_hub_shows_is_text() -> None:
    assert ENTRY.keys() >= HUB_METADATA
    for name in HUB_METADATA - {"keywords"}:
        assert isinstance(ENTRY[name], str), name
        assert ENTRY[name].strip(), name
    assert ENTRY["keywords"] == sorted(ENTRY["keywords"])


def test_each_of_its_groups_of_settings_suffices() -> None:
    examples = {"api_key": "key", "bearer_token": "token", "team_id": 1}
    for group in ENTRY["settings_group_validation"]:
        parse_settings({name: examples[name] for name in group}, about()["settings"])


def test_meltano_yml_defines_the_plugin_likewise() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (extractor,) = project["plugins"]["extractors"]
    local = {"pip_url": "-e .", "log_parser": "singer-sdk", "select": ["connector_logs.*", "connectors.*"]}

    assert {name: extractor[name] for name in local} == local
    shared = ENTRY.keys() - HUB_METADATA - {"variant", "variants", "description", "repo", "docs", "pip_url"}
    assert extractor == {name: ENTRY[name] for name in shared} | local


def test_meltano_adds_it_and_learns_its_settings(tmp_path: Path) -> None:
    check_installation()

    def meltano(*arguments: str) -> str:
        done = subprocess.run(
            [MELTANO, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "meltano.yml").write_text("project_id: hub-entry\nsend_anonymous_usage_stats: false\n")
    meltano("add", "--no-install", "--plugin-type=extractor", "--from-ref", f"{ROOT / 'plugin.yaml'}", ENTRY["name"])
    told = meltano("config", "list", ENTRY["name"], "--all")

    for setting in about()["settings"]["properties"].values():
        assert f"{setting['title']}: {setting['description']}" in told
    added = yaml.safe_load((tmp_path / "meltano.yml").read_text(encoding="utf-8"))["plugins"]["extractors"][0]
    assert {name: added[name] for name in ("pip_url", "select")} == {
        name: ENTRY[name] for name in ("pip_url", "select")
    }


def test_all_addresses_of_the_project_are_those_of_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project["urls"]["Repository"]

    assert all(address.startswith(repository) for address in project["urls"].values())
    assert (ENTRY["repo"], ENTRY["docs"]) == (repository, project["urls"]["Documentation"])
    assert ENTRY["pip_url"] == f"git+{repository}.git"
    names = subprocess.run(
        ["git", "grep", "-l", "-F", repository], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(names.stdout.split()) <= {"plugin.yaml", "pyproject.toml"}


def test_the_readme_of_a_distribution_leads_to_the_repository() -> None:
    told = subprocess.run([sys.executable, "-m", "hatchling", "metadata"], cwd=ROOT, capture_output=True, check=True)
    metadata = json.loads(told.stdout)
    links = re.findall(r"\]\(([^)]+)\)|\bsrc(?:set)?=\"([^\"]+)\"", metadata["readme"]["text"])

    targets = [target or image for target, image in links]
    assert f"{metadata['urls']['Repository']}/blob/main/docs/tutorial.md" in targets
    assert f"{metadata['urls']['Repository']}/raw/main/docs/report.png" in targets
    assert [target for target in targets if not target.startswith("https://")] == []

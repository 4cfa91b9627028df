"""What is locked is what pyproject.toml asks for, and what runs here."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
TAP = PROJECT["project"]["dependencies"]
VERIFY = PROJECT["project"]["optional-dependencies"]["verify"]

# The lists of packages, and what each is made of.
LISTS = {
    "airbyte": GROUPS["airbyte"],
    "airflow": GROUPS["airflow"],
    "browser": GROUPS["browser"],
    "build": GROUPS["build"],
    "dagster": [*TAP, *GROUPS["dagster"]],
    "dev": [*TAP, *VERIFY, *GROUPS["dev"]],
    "dlt": [*TAP, *GROUPS["dlt"]],
    "docs": GROUPS["docs"],
    "lock": GROUPS["lock"],
    "meltano": GROUPS["meltano"],
    "pip": GROUPS["pip"],
    "postgres": GROUPS["postgres"],
    "pyairbyte": GROUPS["pyairbyte"],
    "report": GROUPS["report"],
    "tap": TAP,
    "user": [*TAP, *VERIFY, *GROUPS["build"]],
}


def locked(name: str) -> list[Requirement]:
    """Return the packages of a list, each of which must have hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert all(re.search(r" --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    return [Requirement(line.split(" --hash")[0]) for line in lines]


def asked(entries: list[str | dict[str, str]]) -> list[Requirement]:
    """Return the requirements of a group and of the groups that it includes."""
    found: list[Requirement] = []
    for entry in entries:
        found += [Requirement(entry)] if isinstance(entry, str) else asked(GROUPS[entry["include-group"]])
    return found


def is_for_this_python(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def test_each_list_of_packages_is_one_that_is_made() -> None:
    assert sorted(path.stem for path in (ROOT / "requirements").iterdir()) == sorted(LISTS)


@pytest.mark.parametrize("name", LISTS)
def test_all_that_is_asked_for_is_locked_in_a_version_that_will_do(name: str) -> None:
    pins = {canonicalize_name(pin.name): str(pin.specifier) for pin in locked(name) if is_for_this_python(pin)}
    for requirement in filter(is_for_this_python, asked(LISTS[name])):
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.removeprefix("=="), prereleases=True), requirement


def test_the_old_backoff_is_not_locked_beside_its_fork() -> None:
    assert not {"backoff"} & {pin.name for pin in locked("dev")}


def test_what_runs_here_is_what_is_locked() -> None:
    for pin in locked("dev"):
        if is_for_this_python(pin):
            assert pin.specifier.contains(version(pin.name), prereleases=True), pin

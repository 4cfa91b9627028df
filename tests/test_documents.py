"""What the documents say is what the code does."""

from __future__ import annotations

import ast
import json
import re
import shlex
import signal
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tap_connector_logs import errors
from tap_connector_logs.profile import Profile
from tools.paths import ROOT
from tools.reference_pages.pages import DOCS
from tools.reference_pages.reference import example_state

PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith((".", "_")) for part in path.relative_to(ROOT).parts[:-1])
)


def test_each_end_of_a_run_has_an_exit_code_that_is_told() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TapError)]
    signals = {errors.Interrupted(number).exit_code for number in (signal.SIGINT, signal.SIGTERM)}
    assert set(errors.ExitCode) == {0} | {kind.exit_code for kind in kinds} | signals


def test_each_field_of_the_state_is_explained() -> None:
    fields = set(re.findall(r'"(\w+)":', example_state()))
    assert fields_explained("state.md") == fields.difference(Profile.__struct_fields__)


def test_each_item_of_the_profile_is_explained() -> None:
    assert fields_explained("api-profile.md") == set(Profile.__struct_fields__)


def fields_explained(name: str) -> set[str]:
    """Return the fields that the table of a page of the reference has a row for."""
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_target_of_make_that_a_page_names_is_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([\w./%-]+):(?!=)", makefile, re.MULTILINE)
    code = re.findall(r"```sh\n(.*?)```|`(make [^`]+)`", page.read_text(encoding="utf-8"), re.DOTALL)
    named = [words for block, inline in code for words in re.findall(r"\bmake ([^#\n]+)", block or inline)]
    for words in named:
        for word in shlex.split(words):
            assert "=" in word or any(fnmatch(word, target.replace("%", "*")) for target in targets), word


def test_each_example_of_json_is_json() -> None:
    for page in PAGES:
        for example in re.findall(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            json.loads(example)


def test_each_message_of_the_troubleshooting_page_is_in_the_code() -> None:
    page = (DOCS / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = [
        message for cell in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for message in re.findall(r"`(.*?)`", cell)
    ]
    known = "\n".join(words_of_the_code())
    assert len(messages) > 50
    for message in messages:
        fixed = [part.strip() for part in message.split("…") if part.strip()]
        assert max(map(len, fixed)) >= len("is missing"), message
        assert [part for part in fixed if part not in known] == [], message


def words_of_the_code() -> Iterator[str]:
    """Yield all that the tap, its commands and the report may say, with a mark in the place of what varies."""
    for folder in (ROOT / "tap_connector_logs", ROOT / "health" / "report"):
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                    yield "".join(map(str, parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield re.sub(r"%(\(\w+\))?[\d.]*\w|{\w+}", "…", node.value)
    for status in (401, 403):
        for kind in (errors.CredentialError, errors.BlockedError):
            yield str(kind("…", status=status))


def test_contributors_are_told_of_each_module() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("## Where things are")[2].partition("\n\nImports")[0]
    named = re.findall(r"^\| `([\w/]+)` \|", table, re.MULTILINE)
    package = ROOT / "tap_connector_logs"
    modules = {str(path.relative_to(package).with_suffix("")) for path in package.rglob("[!_]*.py")}
    assert sorted(named) == sorted({*modules, "dlt/"})  # which is one file
    assert max(map(len, page.splitlines())) <= 120

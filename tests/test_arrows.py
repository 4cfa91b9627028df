"""Arrows between the parts of the package go one way: fronts know the core, and the core knows no front."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tap_connector_logs

NAME = tap_connector_logs.__name__
PACKAGE = Path(tap_connector_logs.__file__).parent

CORE_FOLDERS = {"api", "reading"}
"""Every other folder is a front: one way for the logs to leave."""

ENTRANCES = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def folder_of(path: Path) -> str:
    """Return the folder that a module is in, "" for one at the top of the package."""
    return path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ""


def imports(path: Path, package_folder: Path = PACKAGE) -> Iterator[str]:
    """Yield the full names that a module imports, wherever in it: for types alone, or within a function."""
    package = [NAME, *path.relative_to(package_folder).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def folders_known(path: Path, package_folder: Path = PACKAGE) -> set[str]:
    """Return the folders of the package that a module imports from."""
    parts = [name.split(".") for name in imports(path, package_folder)]
    return {names[1] for names in parts if names[0] == NAME and len(names) > 1 and (package_folder / names[1]).is_dir()}


def modules(*, core: bool) -> list[Path]:
    """Return the modules of the core, or those of the fronts."""
    return [path for path in MODULES if path not in ENTRANCES and (folder_of(path) in {"", *CORE_FOLDERS}) == core]


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_there_is_a_core_and_there_are_fronts() -> None:
    assert {folder_of(path) for path in modules(core=True)} == {"", *CORE_FOLDERS}
    assert "singer" in {folder_of(path) for path in modules(core=False)}


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("import tap_connector_logs.singer.tap", {"singer"}),
        ("import json, tap_connector_logs.singer as front", {"singer"}),
        ("from tap_connector_logs import settings, singer", {"singer"}),
        ("from tap_connector_logs.singer import tap", {"singer"}),
        ("from tap_connector_logs.singer.tap import TapConnectorLogs", {"singer"}),
        ("from ..singer import tap", {"singer"}),
        ("from ..singer.tap import TapConnectorLogs", {"singer"}),
        ("from .. import singer, settings", {"singer"}),
        ("from .client import Client", {"api"}),
        ("from . import client", {"api"}),
        ("def late():\n    from tap_connector_logs.singer import tap", {"singer"}),
        ("if TYPE_CHECKING:\n    import tap_connector_logs.singer", {"singer"}),
        ("import tap_connector_logs\nfrom tap_connector_logs.settings import Settings", set()),
        ("import singer_sdk\nfrom singer.tap import Tap", set()),
    ],
)
def test_each_way_to_import_is_seen(text: str, known: set[str], tmp_path: Path) -> None:
    for folder in ("api", "singer"):
        (tmp_path / folder).mkdir()
    (tmp_path / "api" / "module.py").write_text(text)
    assert folders_known(tmp_path / "api" / "module.py", tmp_path) == known


@pytest.mark.parametrize("path", modules(core=True), ids=name_of)
def test_the_core_knows_no_front(path: Path) -> None:
    assert folders_known(path) <= CORE_FOLDERS


@pytest.mark.parametrize("path", modules(core=False), ids=name_of)
def test_no_front_knows_another(path: Path) -> None:
    assert folders_known(path) <= {folder_of(path), *CORE_FOLDERS}


@pytest.mark.parametrize("path", sorted((PACKAGE / "api").rglob("*.py")), ids=name_of)
def test_who_asks_does_not_know_who_reads(path: Path) -> None:
    assert folders_known(path) <= {"api"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_singer_front_knows_the_sdk_and_its_command_line(path: Path) -> None:
    if folder_of(path) != "singer":
        assert not {name.partition(".")[0] for name in imports(path)} & {"singer_sdk", "click"}

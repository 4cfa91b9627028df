"""How Sphinx makes the site of these pages: `make docs`."""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = _PROJECT["name"]
release = _PROJECT["version"]
author = _PROJECT["authors"][0]["name"]
copyright = author  # noqa: A001 - Sphinx calls it so

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 2

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False

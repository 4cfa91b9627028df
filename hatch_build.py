"""The README as distributions have it: its links lead to the repository, as nothing else of that comes along."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?<=\]\()(?!https?:|#)")
_IMAGE = re.compile(r'(?<=\bsrc=")(?!https?:)|(?<=\bsrcset=")(?!https?:)')


class ReadmeHook(MetadataHookInterface):
    """Fills in `readme`."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the README to the metadata of the project, which tell where the repository is."""
        repository = metadata["urls"]["Repository"]
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = _IMAGE.sub(f"{repository}/raw/main/", _LINK.sub(f"{repository}/blob/main/", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}

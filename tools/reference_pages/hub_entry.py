"""The entry for Meltano Hub, made of what `tap-connector-logs --about` says and of notes for people."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from typing import Any

import yaml

from tap_connector_logs.errors import ExitCode
from tap_connector_logs.settings import CREDENTIALS
from tools.paths import ROOT

# What only the page on the Hub shows. Meltano itself knows none of it.
HUB_METADATA = frozenset(
    {"definition", "domain_url", "keywords", "maintenance_status", "next_steps", "prereq", "settings_preamble", "usage"}
)

# What a definition needs of Meltano. `meltano add --from-ref` drops `select`, unless it is that of a variant.
_OF_VARIANT = ("pip_url", "executable", "capabilities", "select", "settings_group_validation", "settings")

_PREREQUISITES = """\
- An API key made in the Supermetrics Hub, with the scopes `cb_logs_read` and `cb_connectors_read`, and the ID of the
  team that owns the connectors.
"""

_SETTINGS_PREAMBLE = """\
Exactly one of `api_key` and `bearer_token` must be set, and `team_id`. All else may stay as it is.

In `meltano.yml`, put dates in quotes, such as `start_date: '2026-01-01T00:00:00+02:00'`: Meltano drops the offset of an
unquoted one. In `stream_maps`, write `__NULL__` for null, as Meltano drops a plain `null`.
"""

_NEXT_STEPS = """\
The first run reads all logs that the API keeps, or those since `start_date`; every other run what is new. A run that
was killed or throttled goes on where it stopped, so run the job every hour and let it be.
"""

_USAGE = """\
### Streams

`connector_logs` holds a row for each request that a connector has made to a third party: time, status, event, request,
duration. `connectors` holds their names, and is not selected by default: add `connectors.*` to `select`.

### Loaders

With `target-duckdb` 0.8.0 use `pip_url: target-duckdb==0.8.0 duckdb<1.3` and `add_metadata_columns: true`: with a newer
DuckDB it loses the first row of each batch, in silence.

### When a run fails

Its last line says what happened and what to do. Meltano itself always ends with 1, the tap with:

EXIT_CODES

As long as the output can be written, the state of what was delivered is kept, and the next run goes on from it.

### Many connectors

Each run makes at least one request for each connector. A key usually has 5,000 an hour, for all that use it:
`requests_per_second`, `concurrency` and `max_requests` keep a run within that.
"""


def about() -> dict[str, Any]:
    """Return what `tap-connector-logs --about` says."""
    command = [sys.executable, "-m", "tap_connector_logs", "--about", "--format=json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)  # noqa: S603
    return found


def hub_entry(about: dict[str, Any]) -> dict[str, Any]:
    """Return the definition of the plugin, for a tap that tells this about itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (status,) = (name for name in project["classifiers"] if name.startswith("Development Status"))
    name = about["name"]
    exit_codes = "\n".join(f"- {code}: {code.when}" for code in ExitCode if code)
    entry = {
        "name": name,
        "namespace": name.replace("-", "_"),
        "variant": "original",
        "label": "Supermetrics Connector Logs",
        "description": about["description"],
        "definition": "reads the execution logs of Supermetrics Codeless Connectors: which broke, when and why.",
        "keywords": project["keywords"],
        "maintenance_status": status.rpartition(" ")[2].lower(),
        "domain_url": "https://supermetrics.com",
        "repo": project["urls"]["Repository"],
        "docs": project["urls"]["Documentation"],
        "pip_url": f"git+{project['urls']['Repository']}.git",
        "executable": name,
        "capabilities": sorted(about["capabilities"]),
        "select": ["connector_logs.*"],
        "settings_group_validation": [[one, *about["settings"]["required"]] for one in sorted(CREDENTIALS)],
        "settings": [_setting(name, definition) for name, definition in about["settings"]["properties"].items()],
        "prereq": _PREREQUISITES,
        "settings_preamble": _SETTINGS_PREAMBLE,
        "next_steps": _NEXT_STEPS,
        "usage": _USAGE.replace("EXIT_CODES", exit_codes),
    }
    return entry | {"variants": [{"name": entry["variant"]} | {part: entry[part] for part in _OF_VARIANT}]}


def _setting(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    """Return a setting as Meltano defines it."""
    setting: dict[str, Any] = {
        "name": name,
        "label": definition["title"],
        "description": definition["description"],
        "kind": _kind(definition),
    }
    if choices := [choice for choice in definition.get("enum", ()) if choice is not None]:
        setting |= {"kind": "options", "options": [{"label": choice.title(), "value": choice} for choice in choices]}
    if definition.get("secret"):
        setting["sensitive"] = True
    if "default" in definition:
        setting["value"] = definition["default"]
    return setting


def _kind(definition: dict[str, Any]) -> str:
    """Return what Meltano calls the type of a setting."""
    (kind,) = (name for name in definition["type"] if name != "null")
    # Meltano has decimal numbers, but fails on each that it is to hand to a plugin.
    return "integer" if kind == "number" else str(kind)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _write_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _write_text)


def written(entry: dict[str, Any]) -> str:
    """Return an entry as the text of `plugin.yaml`."""
    head = "# Made by `python -m tools.reference_pages`, of what `tap-connector-logs --about` says.\n"
    return head + yaml.dump(entry, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)

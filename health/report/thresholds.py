"""The thresholds of the models, of the page and of the alerts: what `dbt_project.yml` says, or the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from health.report.errors import ReportError

_PROJECT = Path(__file__).resolve().parent.parent / "dbt" / "dbt_project.yml"


def thresholds_from_environment(environment: Mapping[str, str]) -> dict[str, float]:
    """Return all thresholds by their names.

    Raises:
        ReportError: If one is no number, or below 0.
    """
    defaults = yaml.safe_load(_PROJECT.read_text(encoding="utf-8"))["vars"]
    return {name: _number(environment, f"REPORT_{name.upper()}", default) for name, default in defaults.items()}


def _number(environment: Mapping[str, str], variable: str, default: float) -> float:
    value = environment.get(variable)
    if value is None:
        return default
    try:
        number = float(value) if "." in value else int(value)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise ReportError(f"{variable} must be a number, not {value!r}.")
    return number

"""What `spec` tells: the settings as a form, rendered from their one definition."""

from __future__ import annotations

from typing import Any

from tap_connector_logs.settings import CONFIG_SCHEMA

DIALECT = "http://json-schema.org/draft-07/schema#"
_DOCUMENTATION = "https://docs.supermetrics.com/apidocs"
_KEPT = ("title", "description", "default", "examples", "format", "pattern", "minimum", "maximum", "exclusiveMinimum")


def specification() -> dict[str, Any]:
    """Return what `spec` tells.

    See https://docs.airbyte.com/platform/understanding-airbyte/airbyte-protocol#spec and
    https://docs.airbyte.com/platform/connector-development/connector-specification-reference.
    """
    settings = CONFIG_SCHEMA["properties"].items()
    return {
        "documentationUrl": _DOCUMENTATION,
        "connectionSpecification": {
            "$schema": DIALECT,
            "title": "Supermetrics Connector Logs",
            "type": "object",
            "required": CONFIG_SCHEMA["required"],
            "properties": {
                name: {**_setting(definition), "order": order} for order, (name, definition) in enumerate(settings)
            },
        },
        "supportsIncremental": True,
        "supported_destination_sync_modes": [],  # a source has none of its own
    }


def _setting(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a setting as a form shows it: of one type, for what may be null may as well be left out."""
    (kind,) = (name for name in definition["type"] if name != "null")
    setting = {"type": kind} | {name: definition[name] for name in _KEPT if name in definition}
    if "items" in definition:
        setting["items"] = _setting(definition["items"])
    if "enum" in definition:
        setting["enum"] = [value for value in definition["enum"] if value is not None]
    if definition.get("secret"):
        setting["airbyte_secret"] = True
    return setting

"""The execution logs of Supermetrics Codeless Connectors: by Singer, by Airbyte, by dlt, or as dicts in Python.

What is public is imported once it is asked for: each way needs packages that the others don't.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as type checkers understand it, without the import of `typing`
if TYPE_CHECKING:
    from tap_connector_logs.python.logs import Logs, read_logs
    from tap_connector_logs.singer.tap import TapConnectorLogs

    __version__: str

__all__ = ["Logs", "TapConnectorLogs", "__version__", "read_logs"]

_HOMES = {
    "Logs": "tap_connector_logs.python.logs",
    "TapConnectorLogs": "tap_connector_logs.singer.tap",
    "read_logs": "tap_connector_logs.python.logs",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        version: str = import_module("importlib.metadata").version("tap-connector-logs")
        return version
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

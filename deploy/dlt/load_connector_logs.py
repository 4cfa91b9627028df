"""Loads what has come since the last run into DuckDB: `python load_connector_logs.py`."""

from __future__ import annotations

import sys

import dlt

from tap_connector_logs.dlt import connector_logs


def main() -> None:
    """Run the pipeline, and tell what it has loaded."""
    pipeline = dlt.pipeline("connector_logs", destination="duckdb", dataset_name="supermetrics")
    source = connector_logs().with_resources("connector_logs", "connectors")
    sys.stdout.write(f"{pipeline.run(source)}\n")


if __name__ == "__main__":
    main()

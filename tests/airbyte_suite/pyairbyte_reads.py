"""Read twice into PyAirbyte's own cache, and print what each read brought and what there is then."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ |= {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1"}

import airbyte

config, command = json.loads(Path("config.json").read_text(encoding="utf-8")), sys.argv[1]
source = airbyte.get_source("source-connector-logs", local_executable=command, config=config)
source.check()
source.select_all_streams()
cache = airbyte.DuckDBCache(db_path="cache.duckdb")
reads = []
for _ in range(2):
    result = source.read(cache=cache)
    rows = {name: [dict(row) for row in dataset] for name, dataset in result.streams.items()}
    ids = [row["id"] for row in rows["connector_logs"]]
    reads.append({"read": result.processed_records, "ids": ids, "connectors": len(rows["connectors"])})
Path("reads.json").write_text(json.dumps(reads), encoding="utf-8")

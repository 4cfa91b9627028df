"""Read all logs page by page and write them as Singer records, without a care for ties, state or failure."""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec
import requests

PAGE = 1000


def main() -> None:
    """Read every connector to its oldest log."""
    team_id = int(os.environ["BENCH_TEAM_ID"])
    root = f"{os.environ['BENCH_URL']}/v1/teams/{team_id}/connector_builder/connectors"
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {os.environ['BENCH_API_KEY']}"
    decode = msgspec.json.Decoder().decode
    encode = msgspec.json.Encoder().encode_lines
    write = sys.stdout.buffer.write
    for connector in decode(session.get(root, timeout=60).content)["connectors"]:
        identifier = connector["connector_identifier"]
        params: dict[str, Any] = {"limit": PAGE}
        while True:
            answer = session.get(f"{root}/{identifier}/logs", params=params, timeout=60)
            answer.raise_for_status()
            logs = decode(answer.content)["logs"]
            write(
                encode(
                    {
                        "type": "RECORD",
                        "stream": "connector_logs",
                        "record": {"team_id": team_id, "connector_identifier": identifier, **log},
                    }
                    for log in logs
                )
            )
            if len(logs) < PAGE:
                break
            params["before"] = logs[-1]["log_time"]


if __name__ == "__main__":
    main()

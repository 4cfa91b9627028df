"""Read all logs with the vendor's client and print them as lines of JSON."""

from __future__ import annotations

import json
import os
import sys

import supermetrics

PAGE = 1000


def main() -> None:
    """Read every connector to its oldest log."""
    team_id = int(os.environ["BENCH_TEAM_ID"])
    with supermetrics.SupermetricsClient(
        api_key=os.environ["BENCH_API_KEY"], base_url=os.environ["BENCH_URL"]
    ) as client:
        for connector in client.connector_builder.list(team_id=team_id).connectors:
            identifier = connector.connector_identifier
            before = None
            while True:
                logs = client.connector_builder_logs.list(team_id, identifier, limit=PAGE, before=before).logs
                for log in logs:
                    record = {"team_id": team_id, "connector_identifier": identifier, **log.to_dict()}
                    sys.stdout.write(json.dumps(record) + "\n")
                if len(logs) < PAGE:
                    break
                before = logs[-1].log_time


if __name__ == "__main__":
    main()

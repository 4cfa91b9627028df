"""Loads the logs of all connectors of a team, in groups that run on as many workers as there are.

    list_connectors ──► make_groups ──► load_group (one for each group) ──┬──► build_models
                                                                          └──► every_group_loaded

What the groups are and where their states lie is in `connector_groups`; how to use all this, in the README.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Variable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from connector_groups.groups import Work, share_out
from connector_groups.meltano import Project, RunError

FOLDER = Path(os.environ.get("CONNECTOR_LOGS_PROJECT", Path(__file__).resolve().parents[3]))
PROJECT = Project(
    FOLDER,
    program=os.environ.get("CONNECTOR_LOGS_MELTANO", str(FOLDER / ".venv-meltano" / "bin" / "meltano")),
    environment=os.environ.get("MELTANO_ENVIRONMENT", "dev"),
    loader="target-postgres",
)

# The tap's exit codes that are no reason to try again at once.
WRONG_SETTINGS, RATE_LIMIT, REFUSED_CREDENTIAL = 64, 75, 77
USUAL_WAIT = timedelta(minutes=15)


def setting(name: str, default: int) -> int:
    """Return an Airflow variable of this DAG."""
    return int(Variable.get(f"connector_logs_{name}", default=default))


GROUPS_AT_A_TIME = setting("groups_at_a_time", 2)

GROUP_NAME = "{{ task.op_kwargs['group']['number'] }} of {{ task.op_kwargs['group']['of'] }}"


@contextmanager
def told_to_airflow() -> Iterator[None]:
    """Let Airflow do about a failure what it asks for: fail at once, wait, or try again."""
    try:
        yield
    except RunError as error:
        if error.exit_code == RATE_LIMIT:
            # Not a retry: no slot is held meanwhile, and no retry is used up.
            raise AirflowRescheduleException(error.wait_until or datetime.now(UTC) + USUAL_WAIT) from error
        if error.exit_code in {WRONG_SETTINGS, REFUSED_CREDENTIAL}:
            raise AirflowFailException(str(error)) from error
        raise
    except ValueError as error:
        raise AirflowFailException(str(error)) from error


@dag(
    schedule=os.environ.get("CONNECTOR_LOGS_SCHEDULE", "@hourly") or None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    dagrun_timeout=timedelta(days=1),  # somebody has to be told of a rate limit that never leaves room
    max_active_runs=1,  # two runs at once would read from one state, and move states under each other's feet
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=setting("retry_seconds", 60)),
        "retry_exponential_backoff": 2.0,
    },
    doc_md=__doc__,
)
def connector_logs() -> None:
    """Load the logs of all connectors, then build the models."""

    @task
    def list_connectors() -> list[str]:
        """Return the connectors of the team."""
        if get_current_context()["dag_run"].run_type == "backfill":
            raise AirflowFailException("A state has no past to go back to. The README tells how to read logs again.")
        with told_to_airflow():
            return PROJECT.connectors()

    @task
    def make_groups(connectors: list[str]) -> list[Work]:
        """Make groups of the connectors, and see to it that each finds its state."""
        groups = setting("groups", 4)
        with told_to_airflow():
            work = share_out(
                connectors,
                groups=groups,
                groups_at_a_time=GROUPS_AT_A_TIME,
                requests_per_second=setting("requests_per_second", 10),
            )
            PROJECT.move_states(groups)
        return work

    @task(max_active_tis_per_dagrun=GROUPS_AT_A_TIME, map_index_template=GROUP_NAME)
    def load_group(group: Work) -> dict[str, Any]:
        """Load the new logs of a group."""
        with told_to_airflow():
            return PROJECT.load(group)

    # One broken connector must not keep the models of all others from today's logs.
    @task(trigger_rule="all_done_min_one_success")
    def build_models() -> None:
        """Build the models of what has been loaded, and the report of them."""
        PROJECT.report()

    # Airflow judges a run by its last tasks, and the models may do well without some groups.
    every_group_loaded = EmptyOperator(task_id="every_group_loaded")

    load_group.expand(group=make_groups(list_connectors())) >> [build_models(), every_group_loaded]


connector_logs()

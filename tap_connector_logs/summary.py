"""What a run has done and met, told at its end: a line for people, and the same as one JSON object for machines."""

from __future__ import annotations

import logging
import os
from enum import StrEnum
from typing import Any, cast

from singer_sdk import metrics

from tap_connector_logs.api.client import Client
from tap_connector_logs.reading.findings import Findings
from tap_connector_logs.reading.scheduler import Scheduler

logger = logging.getLogger(__name__)


class _Metric(StrEnum):
    """What the SDK's own metrics lack."""

    RUN_SUMMARY = "run_summary"


def tell(scheduler: Scheduler | None, client: Client, *, seconds: float) -> None:
    """Tell what a run has done.

    Args:
        scheduler: What it was to read; None if it did not come so far.
        client: Whom it asked.
        seconds: How long it took.
    """
    findings = Findings() if scheduler is None else scheduler.findings
    summary: dict[str, Any] = {
        "logs": findings.logs,
        "connectors": 0 if scheduler is None else scheduler.connectors,
        "connectors_done": 0 if scheduler is None else scheduler.connectors_done,
        "connectors_failed": 0 if scheduler is None else len(scheduler.failures),
        "requests": client.requests_made,
        "retries": client.retries,
        "seconds": round(seconds, 3),
        "seconds_waited": round(client.seconds_waited, 3),
        "seams_checked": findings.seams,
        "holes": findings.holes,
        "bursts": findings.bursts,
        "answers_cut_short": findings.answers_cut_short,
        "connectors_out_of_order": findings.out_of_order,
        "logs_without_time": findings.without_time,
        "logs_without_id": findings.without_id,
    }
    logger.info(
        "Read %(logs)d logs of %(connectors)d connectors with %(requests)d requests, %(retries)d of them made again, "
        "in %(seconds).1f s, %(seconds_waited).1f s of them waiting; %(seams_checked)d seams checked, %(holes)d holes, "
        "%(bursts)d bursts.",
        summary,
    )
    metric = cast("metrics.Metric", _Metric.RUN_SUMMARY)
    metrics.log(metrics.get_metrics_logger(), metrics.Point("summary", metric, summary, {metrics.Tag.PID: os.getpid()}))
    if scheduler is not None and scheduler.is_stopped:
        logger.info(
            "max_requests is used up, with %(connectors_done)d of %(connectors)d connectors done. The next run goes "
            "on.",
            summary,
        )
    if findings.without_time or findings.without_id:
        logger.warning(
            "%(logs_without_time)d logs had no usable log_time and were delivered with null; %(logs_without_id)d had "
            "no usable id and were given one made of their content. What the API sent instead is in the column extra.",
            summary,
        )

"""The tasks of the FastAPI service: a Celery worker over Redis.

The peer of the worker function and its `process_data` job.
"""

import json
import os
import statistics
from collections import Counter
from typing import Any

from celery import Celery

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

celery = Celery("tasks", broker=REDIS_URL, backend=REDIS_URL)
celery.conf.update(
    # Acknowledge a task after its run, so that a worker that dies loses no task.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    result_expires=3600,
    broker_connection_retry_on_startup=True,
)


@celery.task(name="process_data")
def process_data(data: dict[str, Any]) -> dict[str, Any]:
    """Statistics of each member of an object, or of each field of a list of records."""
    return {name: describe_member(member) for name, member in data.items()}


def describe_member(member: Any) -> dict[str, Any]:
    """Statistics of a list; a single value counts as a list of one."""
    values = member if isinstance(member, list) else [member]
    if not values or not all(isinstance(value, dict) for value in values):
        return describe(values)
    names = dict.fromkeys(name for record in values for name in record)
    fields = {name: describe([record.get(name) for record in values]) for name in names}
    return {"records": len(values), "fields": fields}


def describe(values: list[Any]) -> dict[str, Any]:
    """Summary statistics of a column with values of any type."""
    present = [value for value in values if value is not None]
    counts = count_values(present)
    summary: dict[str, Any] = {
        "count": len(present),
        "nulls": len(values) - len(present),
        "distinct": len(counts),
        "most_frequent": counts.most_common(5),
    }
    numbers = [value for value in present if type(value) in (int, float)]
    if numbers:
        mean = statistics.fmean(numbers)
        summary |= {
            "min": min(numbers),
            "max": max(numbers),
            "mean": mean,
            "stdev": statistics.stdev(numbers, mean) if len(numbers) > 1 else None,
        }
    return summary


def count_values(values: list[Any]) -> Counter[Any]:
    """The count of each value; lists and objects are counted by their JSON text."""
    try:
        return Counter(values)
    except TypeError:
        return Counter(json.dumps(value) for value in values)

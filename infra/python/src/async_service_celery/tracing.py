"""Hands the trace of the task that runs on to the messages that it sends, for applications without OpenTelemetry.

OpenTelemetry's instrumentation of Celery writes the headers `traceparent` and `tracestate` into each message, and reads
them from the request of a task. The headers of a task's request are in the trace of its attempt already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import recording

_HEADERS = ("traceparent", "tracestate")


def install() -> None:
    """Has Celery's messages go on in the trace of the task that sends them."""
    from celery import signals

    signals.before_task_publish.connect(_add, weak=False, dispatch_uid="async_service_celery.tracing")


def of(headers: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a trace among others."""
    found = {name: headers.get(name) for name in _HEADERS}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _add(headers: Any = None, **_: Any) -> None:
    current = recording.current()
    # A message of protocol 1 has no headers. What an instrumentation has written stays.
    if current is None or not headers or _HEADERS[0] in headers:
        return
    headers.update(current.trace)

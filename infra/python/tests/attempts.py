"""Requests for single attempts, and what is in their answers."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any, Optional


class Context:
    """Lambda's context with this much time left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


def native(job: str, given: Any = None, **fields: Any) -> dict[str, Any]:
    task = {"id": str(uuid.uuid4()), "job": job, "run": 1, "attempt": fields.pop("attempt", 1), "submitted_at": 0}
    return {"version": 1, "task": {**task, "caller": None}, "input": given, "progress_url": None, **fields}


def sent(name: str, args: Any = (), kwargs: Any = None, embed: Any = None, **headers: Any) -> dict[str, Any]:
    """The request for a task of a Celery client."""
    task_id = headers.pop("id", None) or str(uuid.uuid4())
    fields = {"lang": "py", "task": name, "id": task_id, "root_id": task_id, "parent_id": None, "retries": 0}
    form = {
        "headers": {**fields, "timelimit": [None, None], "group": None, "eta": None, "expires": None, **headers},
        "properties": {"correlation_id": task_id, "delivery_info": {"exchange": "", "routing_key": "celery"}},
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "body": json.dumps([list(args), kwargs or {}, embed or {}]),
    }
    task = {"id": task_id, "job": name, "run": 1, "attempt": 1, "submitted_at": 0, "caller": None}
    return {"version": 1, "task": task, "time_limit": None, "progress_url": None, "celery": form}


def run(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
    from async_service_celery import handler

    answer: dict[str, Any] = json.loads(json.dumps(handler(event, context)))
    return answer


def kinds(answer: dict[str, Any]) -> list[str]:
    return [next(iter(call)) for call in answer["celery"]["calls"]]


def stored(answer: dict[str, Any], at: int = -1) -> dict[str, Any]:
    stores = [call["store"] for call in answer["celery"]["calls"] if "store" in call]
    found: dict[str, Any] = json.loads(base64.b64decode(stores[at]["result"]))
    return found


def watch(app: Any, task: Any, hostname: Optional[str] = None) -> None:
    """What the start does for each task, for a task that a test adds."""
    from celery.app import trace

    from async_service_celery import body

    found = app.tasks[task.name]
    body.watch(found)
    found.__trace__ = trace.build_tracer(found.name, found, app.loader, hostname, app=app)

"""The Celery application that clients and workers of this suite share, as a Python team writes it.

Three variables of the environment say where it runs: `BROKER_URL`, `RESULT_BACKEND` and `TRANSPORT_OPTIONS` (JSON).
JOBS.md describes the tasks for whoever implements them in another language.
"""

import builtins
import json
import os
import time
from typing import Any

from celery import Celery, Task
from celery.signals import worker_process_init

app = Celery("app", broker=os.environ.get("BROKER_URL"), backend=os.environ.get("RESULT_BACKEND"))
# Cases run in threads of their own, which have no current application.
app.set_default()
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options=json.loads(os.environ.get("TRANSPORT_OPTIONS", "{}")),
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    result_extended=True,
    task_track_started=True,
    task_allow_error_cb_on_chord_header=False,
    timezone="UTC",
    worker_prefetch_multiplier=1,
)


@worker_process_init.connect
def open_own_connection(**_: Any) -> None:
    """Forgets the connection to DynamoDB of the worker's main process.

    A process that replaces an ended one would share it, and read the answers of others.
    """
    if hasattr(app.backend, "_client"):
        app.backend._client = None


class Trouble(Exception):
    """An exception of the application's own."""


@app.task(name="add")
def add(x: float, y: float) -> float:
    return x + y


@app.task(name="mul")
def mul(x: float, y: float) -> float:
    return x * y


@app.task(name="xsum")
def xsum(numbers: list[float]) -> float:
    return sum(numbers)


@app.task(name="echo")
def echo(value: Any) -> Any:
    return value


@app.task(name="fail")
def fail(kind: str, message: str) -> None:
    """Raises the builtin exception with this name, or `Trouble`."""
    raise getattr(builtins, kind, Trouble)(message)


@app.task(name="flaky", bind=True, max_retries=5)
def flaky(self: Task, failures: int, delay: float = 0) -> int:
    """Asks for another attempt, `delay` seconds later, this many times. Returns the number of retries."""
    if self.request.retries < failures:
        raise self.retry(exc=ValueError(f"attempt {self.request.retries}"), countdown=delay)
    return self.request.retries


@app.task(name="exhausted", bind=True, max_retries=1)
def exhausted(self: Task) -> None:
    """Asks for another attempt each time, and may have one."""
    raise self.retry(exc=ValueError(f"attempt {self.request.retries}"), countdown=0)


@app.task(name="sleep")
def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task(name="now")
def now() -> float:
    """The time of the attempt in seconds since 1970."""
    return time.time()


@app.task(name="progress", bind=True)
def progress(self: Task, steps: int, pause: float) -> str:
    for step in range(1, steps + 1):
        self.update_state(state="PROGRESS", meta={"current": step, "total": steps})
        time.sleep(pause)
    return "done"


@app.task(name="identify", bind=True)
def identify(self: Task) -> dict[str, Any]:
    """What the task knows of itself."""
    return {"id": self.request.id, "retries": self.request.retries}


@app.task(name="blob")
def blob(size: int) -> str:
    """A text of this many characters that no compression makes much smaller."""
    digits = "".join(f"{(n * 2654435761) % 2**32:08x}" for n in range(size // 8 + 1))
    return digits[:size]


@app.task(name="length")
def length(text: str) -> int:
    return len(text)


@app.task(name="report")
def report(failed: str) -> str:
    """An error callback: takes the id of the failed task and returns it."""
    return failed


@app.task(name="nothing")
def nothing() -> None:
    """Takes nothing and returns nothing."""

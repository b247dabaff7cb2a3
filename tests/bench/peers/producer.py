"""A Celery producer: sends tasks of `tasks.py`, and waits for results, as the lines of its standard input say.

Each line is a JSON object with `do` and what that needs; each answer is one line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from celery import Celery, chain, chord
from celery.result import AsyncResult

app = Celery("tasks", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
app.conf.broker_transport_options = json.loads(os.environ["TRANSPORT_OPTIONS"])

DATA = {"values": [1, 2, 3]}
# Seconds that a result may take.
PATIENCE = 60


@app.task(name=os.environ.get("TASK", "process_data"))
def process_data(data: dict[str, Any]) -> None:
    """The body is the worker's."""


def one() -> AsyncResult:
    return process_data.delay(DATA)


def ignored() -> None:
    process_data.apply_async((DATA,), ignore_result=True)


def chain_of_three() -> AsyncResult:
    return chain(process_data.s(DATA), process_data.s(), process_data.s()).delay()


def chord_of_ten() -> AsyncResult:
    return chord([process_data.s(DATA) for _ in range(10)])(app.signature("celery.accumulate"))


WORKFLOWS: dict[str, Callable[[], AsyncResult | None]] = {
    "task": one,
    "ignored": ignored,
    "chain": chain_of_three,
    "chord": chord_of_ten,
}


def send(count: int) -> list[str]:
    """Sends tasks one after the other, without waiting for results. Returns their ids."""
    return [one().id for _ in range(count)]


def get(count: int, **options: float) -> list[float]:
    """The seconds of `delay().get()`, again and again."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        one().get(timeout=PATIENCE, **options)
        times.append(time.perf_counter() - started)
    return times


def run(workflow: str) -> None:
    """Sends a workflow and waits for its result, if it has one."""
    result = WORKFLOWS[workflow]()
    if result is not None:
        result.get(timeout=PATIENCE, interval=0.01)


ORDERS: dict[str, Callable[..., Any]] = {"send": send, "get": get, "run": run}


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        answer = ORDERS[order.pop("do")](**order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

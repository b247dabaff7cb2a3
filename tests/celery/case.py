"""Cases and their outcomes: what a client sees, as JSON without what differs from run to run."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from typing import Any

import celery
from celery.exceptions import TimeoutError as CeleryTimeout
from celery.result import AsyncResult, ResultBase

import replies
from app import app

# How many times longer than usual a case may take, for a worker that starts a process for each of many tasks.
SLOWNESS = float(os.environ.get("SUITE_SLOWNESS", "1"))
# Seconds that a client waits for a result that should come at once.
PATIENCE = 15 * SLOWNESS
# Seconds between two looks at a result.
INTERVAL = 0.1
# The exception of a `get` that waited too long.
LATE = "celery.exceptions.TimeoutError"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
VERSION = tuple(int(part) for part in celery.__version__.split(".")[:3])


@dataclass(frozen=True)
class Case:
    """One thing that a client does, and how long it may take."""

    name: str
    run: Callable[[], Any]
    limit: float
    since: tuple[int, ...]
    why: str
    control: bool

    def reason_to_skip(self) -> str | None:
        """Why this client cannot run the case."""
        if self.since > VERSION:
            return f"{self.why} (since Celery {'.'.join(map(str, self.since))})"
        if self.control and not has_remote_control():
            return "kombu sends no remote control over this broker"
        return None


if (app.conf.broker_url or "").startswith("sqs"):
    replies.mend()

CASES: list[Case] = []


def case(
    *values: Any,
    limit: float = 20,
    since: tuple[int, ...] = (),
    why: str = "",
    control: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function as a case, or as one case for each value.

    The name is the function's, with spaces. `since` is the first version of Celery that has what the case needs, which
    `why` names. A case with `control` needs remote control.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__.replace("_", " ").strip()
        for label, run in variants(name, function, values):
            CASES.append(Case(label, run, limit * SLOWNESS, since, why, control))
        return function

    return register


def variants(name: str, function: Callable[..., Any], values: tuple[Any, ...]) -> Iterator[tuple[str, Callable]]:
    if not values:
        yield name, function
    for value in values:
        yield f"{name}: {value}", lambda value=value: function(value)


def has_remote_control() -> bool:
    """Whether this client can reach workers: by Redis, and by SQS with SNS since kombu 5.7."""
    broker = app.conf.broker_url or ""
    return not broker.startswith("sqs") or bool(
        VERSION >= (5, 7) and app.conf.broker_transport_options.get("supports_fanout")
    )


def attempt(call: Callable[[], Any]) -> dict[str, Any]:
    """The value of a call, or the exception that it raises."""
    try:
        return {"value": call()}
    except Exception as error:
        return raised(error)


def raised(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    return {"raises": f"{kind.__module__}.{kind.__qualname__}", "args": list(error.args)}


def got(result: ResultBase, patience: float = PATIENCE) -> dict[str, Any]:
    """What `get` returns or raises.

    A client of Redis may miss the end of a task when it holds two results of the same id; it reads the end then.
    """
    outcome = attempt(lambda: result.get(timeout=patience, interval=INTERVAL))
    if outcome.get("raises") == LATE and isinstance(result, AsyncResult):
        fresh = app.AsyncResult(result.id)
        if fresh.ready():
            return attempt(lambda: fresh.get(timeout=1))
    return outcome


def seen(result: AsyncResult, patience: float = PATIENCE) -> dict[str, Any]:
    """What `get` returns or raises, and the state afterwards."""
    return {**got(result, patience), "state": result.state}


def until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first value of the condition that is true, or its last value."""
    end = time.monotonic() + patience
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(INTERVAL)
    return value


def never(result: AsyncResult, patience: float = 2) -> bool:
    """Whether the result does not come within some time."""
    try:
        result.get(timeout=patience, interval=INTERVAL, propagate=False)
    except CeleryTimeout:
        return True
    return False


def plain(value: Any) -> Any:
    """A value as JSON; types that JSON does not have are named."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, BaseException):
        return plain(raised(value))
    if isinstance(value, ResultBase):
        return value.id
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, (datetime, date, time_of_day)):
        return {type(value).__name__: value.isoformat()}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return {type(value).__name__: str(value)}


def outcome_text(outcome: Any) -> str:
    """An outcome in one line. Generated ids become `#1`, `#2`… in the order in which they appear."""
    ids: dict[str, str] = {}
    text = json.dumps(plain(outcome), sort_keys=True)
    return UUID.sub(lambda match: ids.setdefault(match.group(), f"#{len(ids) + 1}"), text)

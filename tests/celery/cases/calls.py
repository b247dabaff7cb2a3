"""Calls of tasks: arguments, options, times."""

import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from app import add, app, echo, identify, length, nothing, now, sleep
from case import SLOWNESS, attempt, case, got, never, seen, until

# Seconds by which a task may start after its time.
LATE = 2.5 * SLOWNESS


def punctual(send: Any, wait: float) -> dict[str, bool]:
    """Whether a task that `send` sends starts at its time, which is `wait` seconds from now."""
    due = time.time() + wait
    started = send().get(timeout=wait + 15, interval=0.1)
    return {"early": started < due - 0.05, "late": started > due + LATE}


@case()
def delay() -> Any:
    return [seen(add.delay(2, 3)), seen(add.delay(x=2, y=3)), seen(add.delay(2, y=3))]


@case()
def apply_async() -> Any:
    return [seen(add.apply_async((2, 3))), seen(add.apply_async(kwargs={"x": 2, "y": 3}))]


@case()
def delay_without_arguments() -> Any:
    return seen(nothing.delay())


@case()
def send_task_by_name() -> Any:
    return [seen(app.send_task("add", args=(2, 3))), seen(app.send_task("add", kwargs={"x": 2, "y": 3}))]


@case()
def signature_by_name() -> Any:
    return seen(app.signature("add", args=(2,)).delay(3))


@case()
def ignore_result() -> Any:
    result = add.apply_async((2, 3), ignore_result=True)
    value = got(result)
    until(lambda: app.AsyncResult(result.id).state != "PENDING", 2)
    return {**value, "stored": app.AsyncResult(result.id).state}


@case("plain-text_id.1", "with space", "Grüße 東京", "it's", 'say "hi"', "back\\slash", "a/b?c=d&e", "x" * 200)
def task_id(text: str) -> Any:
    unique = f"{text} {uuid.uuid4()}"
    result = identify.apply_async(task_id=unique)
    outcome = got(result)
    other = app.AsyncResult(unique)
    return {"same id": outcome.get("value", {}).get("id") == unique, "found": other.state, **outcome}


@case()
def same_task_id_twice() -> Any:
    """The second task has the id of the first, which has ended."""
    ident = str(uuid.uuid4())
    first = got(add.apply_async((1, 1), task_id=ident))
    add.apply_async((2, 2), task_id=ident)
    time.sleep(1)
    return [first, app.AsyncResult(ident).get(timeout=5, interval=0.1) in (2, 4)]


@case()
def countdown() -> Any:
    return punctual(lambda: now.apply_async(countdown=2), 2)


@case()
def eta() -> Any:
    due = datetime.now(UTC) + timedelta(seconds=2)
    return punctual(lambda: now.apply_async(eta=due), 2)


@case()
def eta_with_offset() -> Any:
    due = datetime.now(timezone(timedelta(hours=5, minutes=30))) + timedelta(seconds=2)
    return punctual(lambda: now.apply_async(eta=due), 2)


@case()
def naive_eta() -> Any:
    """Celery reads a time without an offset as UTC, the application's time zone."""
    due = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=2)
    return punctual(lambda: now.apply_async(eta=due), 2)


@case()
def countdown_of_an_hour() -> Any:
    result = add.apply_async((2, 3), countdown=3600)
    return {"never": never(result, 1), "state": result.state}


@case()
def eta_in_the_past() -> Any:
    return seen(add.apply_async((2, 3), eta=datetime.now(UTC) - timedelta(hours=1)))


@case()
def expired() -> Any:
    past = datetime.now(UTC) - timedelta(seconds=10)
    return seen(add.apply_async((2, 3), expires=past))


@case()
def expires_before_its_time() -> Any:
    return seen(add.apply_async((2, 3), countdown=3, expires=1))


@case()
def expires_later() -> Any:
    return seen(add.apply_async((2, 3), expires=60))


@case()
def priority() -> Any:
    return seen(add.apply_async((2, 3), priority=7))


@case()
def queue() -> Any:
    return seen(add.apply_async((2, 3), queue="other.queue"))


@case()
def routing_key() -> Any:
    return seen(add.apply_async((2, 3), routing_key="celery"))


@case()
def message_group_id() -> Any:
    return seen(add.apply_async((2, 3), MessageGroupId="tenant-1"))


@case()
def headers() -> Any:
    return seen(add.apply_async((2, 3), headers={"tenant": "one", "nested": {"a": [1, None]}}))


@case(since=(5, 3), why="stamps")
def stamps() -> Any:
    signature = add.s(2, 3)
    signature.stamp(tenant="one", order=[1, 2])
    return seen(signature.apply_async())


@case()
def shadow() -> Any:
    return seen(add.apply_async((2, 3), shadow="another name"))


@case()
def retry_policy() -> Any:
    policy = {"max_retries": 2, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}
    return seen(add.apply_async((2, 3), retry=True, retry_policy=policy))


@case(limit=40)
def a_hundred_at_once() -> Any:
    results = [echo.delay(n) for n in range(100)]
    return [result.get(timeout=30, interval=0.1) for result in results] == list(range(100))


@case()
def concurrency_of_results() -> Any:
    """Results that come in another order than their tasks were sent in."""
    slow, quick = sleep.apply_async((1,)), add.delay(2, 3)
    return [got(quick), got(slow)]


@case(1_000, 50_000, 100_000)
def long_argument(size: int) -> Any:
    return seen(length.delay("x" * size))


@case()
def argument_over_a_megabyte() -> Any:
    """A broker that cannot take it says so in the call."""
    sent = attempt(lambda: length.delay("x" * 1_500_000))
    if "raises" in sent:
        return {"refused by the client": sent["raises"]}
    return seen(sent["value"])


@case()
def unknown_id() -> Any:
    result = app.AsyncResult(str(uuid.uuid4()))
    return {"state": result.state, "ready": result.ready(), "never": never(result, 1), "result": result.result}


@case()
def apply_here() -> Any:
    """`apply` runs the task in the client and sends nothing."""
    return got(add.apply((2, 3)))


@case()
def ready_without_get() -> Any:
    result = add.delay(2, 3)
    return bool(until(result.ready)) and result.successful()

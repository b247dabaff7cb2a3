"""The interface of `AsyncResult`."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.result import ResultSet, allow_join_result, result_from_tuple

from app import add, app, fail, sleep
from case import attempt, case, got, plain, until


@case()
def interface_of_a_success() -> Any:
    result = add.delay(2, 3)
    got(result)
    names = ("state", "status", "result", "info", "traceback")
    return {name: plain(getattr(result, name)) for name in names} | tests(result)


@case()
def interface_of_a_failure() -> Any:
    result = fail.delay("ValueError", "no")
    got(result)
    return {name: plain(getattr(result, name)) for name in ("state", "status", "result", "info")} | tests(result)


def tests(result: Any) -> dict[str, bool]:
    return {name: getattr(result, name)() for name in ("ready", "successful", "failed")}


@case()
def extended_result() -> Any:
    result = add.apply_async((2,), {"y": 3})
    got(result)
    fields = {name: plain(getattr(result, name)) for name in ("name", "args", "kwargs", "queue", "retries")}
    return fields | {"worker is a text": isinstance(result.worker, str)}


@case()
def date_done() -> Any:
    before = datetime.now(UTC) - timedelta(seconds=1)
    result = add.delay(2, 3)
    got(result)
    done = result.date_done.replace(tzinfo=result.date_done.tzinfo or UTC)
    return before < done < datetime.now(UTC) + timedelta(seconds=1)


@case()
def another_client_reads_it() -> Any:
    result = add.delay(2, 3)
    got(result)
    other = app.AsyncResult(result.id)
    return {"state": other.state, "result": other.result, "get": got(other)}


@case()
def got_twice() -> Any:
    result = add.delay(2, 3)
    return [got(result), got(result)]


@case()
def forgotten() -> Any:
    result = add.delay(2, 3)
    got(result)
    result.forget()
    return {"state": app.AsyncResult(result.id).state}


@case()
def as_tuple() -> Any:
    result = add.delay(2, 3)
    again = result_from_tuple(result.as_tuple())
    return [result.as_tuple() == ((result.id, None), None), got(again)]


@case()
def callback_of_get() -> Any:
    heard: list[Any] = []
    result = add.delay(2, 3)
    with allow_join_result():
        result.get(timeout=15, interval=0.1, callback=lambda ident, value: heard.append((ident == result.id, value)))
    return heard


@case()
def collected() -> Any:
    result = add.apply_async((2, 3))
    got(result)
    return attempt(lambda: [(node.id, value) for node, value in result.collect(timeout=5, interval=0.1)])


@case()
def meta_of_the_item() -> Any:
    """The fields that the backend gives for an ended task."""
    result = add.delay(2, 3)
    got(result)
    meta = app.backend.get_task_meta(result.id)
    return sorted(meta)


@case()
def still_running() -> Any:
    result = sleep.delay(1.5)
    until(lambda: result.state == "STARTED", 5)
    outcome = {"ready": result.ready(), "successful": result.successful(), "failed": result.failed()}
    return {**outcome, "afterwards": got(result)}


@case()
def set_of_results() -> Any:
    results = ResultSet([add.delay(n, 1) for n in range(3)])
    values = got(results)
    return {
        **values,
        "waiting": results.waiting(),
        "successful": results.successful(),
        "count": results.completed_count(),
    }


@case(limit=60)
def command_line() -> Any:
    """`celery call` and `celery result`."""
    ident = command("call", "add", "--args", "[2, 3]")
    value = got(app.AsyncResult(ident))
    return {**value, "celery result": command("result", ident)}


def command(*words: str) -> str:
    run = [sys.executable, "-B", "-m", "celery", "-A", "app", *words]
    return subprocess.run(run, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

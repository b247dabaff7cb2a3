"""The Celery application of the tests: bodies that use what Celery offers to them, as applications do.

`BROKER_URL`, `RESULT_BACKEND` and `TRANSPORT_OPTIONS` (JSON) say where it runs, so that the same bodies run in Celery's
own worker and in the handler. A body notes what it does in the file `JOURNAL`, one line for each note.
"""

from __future__ import annotations

import datetime
import decimal
import json
import os
import time
import uuid
from typing import Any

import celery
from celery import Celery, Task, chain, chord, current_task, group, shared_task, signals
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry, SoftTimeLimitExceeded
from celery.result import allow_join_result

app = Celery("bodies", broker=os.environ.get("BROKER_URL"), backend=os.environ.get("RESULT_BACKEND"))
app.conf.update(
    broker_transport_options=json.loads(os.environ.get("TRANSPORT_OPTIONS", "{}")),
    broker_connection_retry_on_startup=True,
    result_extended=bool(os.environ.get("RESULT_EXTENDED")),
    worker_prefetch_multiplier=1,
    task_publish_retry=False,
)
VERSION = tuple(int(part) for part in celery.__version__.split(".")[:2])


def note(tag: str, text: str) -> None:
    with open(os.environ["JOURNAL"], "a") as journal:
        journal.write(f"{tag}|{text}\n")


def notes(tag: str) -> list[str]:
    try:
        with open(os.environ["JOURNAL"]) as journal:
            lines = [line.rstrip("\n").split("|", 1) for line in journal]
    except FileNotFoundError:
        return []
    return [text for found, text in lines if found == tag]


# Plain bodies.


@app.task
def add(x: float, y: float = 1) -> float:
    return x + y


@shared_task
def xsum(numbers: list[float]) -> float:
    return sum(numbers)


@app.task
def give(value: Any) -> Any:
    return value


@app.task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@app.task
def mark(*args: Any, tag: str, text: str = "called") -> None:
    note(tag, text)


@app.task(ignore_result=True)
def quiet(tag: str) -> object:
    note(tag, "ran")
    return object()


@app.task
def typed(kind: str) -> Any:
    return {
        "set": {1},
        "frozenset": frozenset([1]),
        "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
        "naive": datetime.datetime(2026, 1, 2, 3, 4, 5),
        "date": datetime.date(2026, 1, 2),
        "decimal": decimal.Decimal("1.10"),
        "uuid": uuid.UUID(int=7),
        "bytes": b"abc",
        "tuple": (1, 2),
        "generator": (n for n in range(2)),
        "object": object(),
        "nan": float("nan"),
        "int": 2**70,
        "surrogate": "\ud800",
        "keys": {1: 2},
        "none": None,
    }[kind]


# Retries.


@app.task(bind=True, max_retries=3)
def retried(self: Task, tag: str, form: str, step: int = 0) -> Any:
    note(tag, f"try {self.request.retries} step {step}")
    if self.request.retries >= 2 and form != "exhausted":
        return self.request.retries
    error = OSError("later")
    if form == "plain":
        raise self.retry(countdown=0)
    if form == "exc":
        raise self.retry(exc=error, countdown=0)
    if form == "except":
        try:
            raise error
        except OSError as caught:
            self.retry(exc=caught, countdown=0)
    if form == "args":
        raise self.retry(args=(tag, form, step + 10), kwargs={}, countdown=0)
    if form == "kwargs":
        raise self.retry(kwargs={"step": step + 1}, args=(tag, form), countdown=0)
    if form == "eta":
        raise self.retry(eta=datetime.datetime.now(datetime.timezone.utc), countdown=None)
    if form == "exhausted":
        raise self.retry(exc=error, countdown=0, max_retries=1)
    if form == "caught":
        try:
            raise self.retry(exc=error, countdown=0, max_retries=0)
        except OSError:
            return "gave up"
    if form == "maximum":
        try:
            raise self.retry(countdown=0, max_retries=0)
        except MaxRetriesExceededError as caught:
            return type(caught).__name__
    raise AssertionError(form)


@app.task(bind=True)
def swallowed(self: Task, tag: str, how: str) -> str:
    """Catches what `retry` raises, or has it raise nothing, and so ends; the next attempt comes all the same."""
    note(tag, f"try {self.request.retries}")
    if self.request.retries > 0:
        return "second"
    try:
        self.retry(countdown=0, throw=how != "no throw")
    except Retry:
        pass
    if how == "fail":
        raise ValueError("first")
    return "first"


@app.task(
    bind=True, autoretry_for=(OSError,), retry_backoff=True, retry_jitter=False, max_retries=2, retry_backoff_max=1
)
def auto(self: Task, tag: str, until: int) -> int:
    note(tag, f"try {self.request.retries}")
    if self.request.retries < until:
        raise OSError("again")
    return self.request.retries


@app.task(bind=True, autoretry_for=(Exception,), retry_kwargs={"max_retries": 1, "countdown": 0})
def auto_kwargs(self: Task, tag: str) -> None:
    note(tag, f"try {self.request.retries}")
    raise KeyError("k")


class RetriesInBeforeStart(Task):
    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        note(args[0], f"before {self.request.retries}")
        if self.request.retries == 0:
            raise self.retry(countdown=0)


@app.task(base=RetriesInBeforeStart)
def late_start(tag: str) -> str:
    return "started"


# Ends that are no result.


@app.task(bind=True)
def ignored(self: Task, tag: str, store: bool = False) -> None:
    if store:
        self.update_state(state="SKIPPED", meta={"why": "told"})
    note(tag, "ran")
    raise Ignore()


@app.task(bind=True, acks_late=True)
def rejected(self: Task, tag: str, requeue: bool) -> None:
    note(tag, "ran")
    raise Reject("not now", requeue=requeue)


@app.task(bind=True, acks_late=True)
def requeued(self: Task, tag: str) -> str:
    is_redelivered = bool(self.request.delivery_info["redelivered"])
    note(tag, f"redelivered {is_redelivered}")
    if not is_redelivered:
        raise Reject(requeue=True)
    return "second"


@app.task(bind=True)
def exits(self: Task, how: str) -> None:
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt()}[how]


# Limits.


@app.task(soft_time_limit=1)
def soft(tag: str) -> str:
    try:
        time.sleep(10)
    except SoftTimeLimitExceeded:
        note(tag, "soft")
        return "cleaned"
    return "slept"


@app.task(soft_time_limit=1)
def soft_uncaught() -> None:
    time.sleep(10)


@app.task(time_limit=1)
def hard(tag: str) -> None:
    try:
        time.sleep(10)
    except Exception:
        note(tag, "caught")
    note(tag, "went on")


# Bodies that start others.


@app.task(bind=True)
def parent(self: Task, tag: str) -> list[str]:
    child = mark.delay(tag=tag, text="child")
    members = group(add.s(1, 1), add.s(2, 2))()
    tied = chord([add.s(1, 1), add.s(2, 2)])(mark.s(tag=tag, text="chord"))
    linked = chain(add.s(1, 1), mark.s(tag=tag, text="chain"))()
    note(tag, "parent")
    return [type(each).__name__ for each in (child, members, tied, linked)]


@app.task(bind=True)
def waits(self: Task) -> str:
    try:
        add.delay(1, 1).get(timeout=1)
    except RuntimeError as error:
        return str(error).split("!")[0]
    return "waited"


@app.task(bind=True)
def steps(self: Task, tag: str) -> str:
    self.update_state(state="PROGRESS", meta={"current": 1, "total": 2})
    stored = self.AsyncResult(self.request.id)
    note(tag, f"{stored.state} {stored.info}")
    return "done"


@app.task(bind=True)
def replaced(self: Task, by: str, tag: str = "") -> Any:
    raise self.replace(
        {
            "task": lambda: add.s(20, 1),
            "chain": lambda: add.s(1, 1) | add.s(3),
            "group": lambda: group(add.s(1, 1), add.s(2, 2)),
            "chord": lambda: chord([add.s(1, 1), add.s(2, 2)], xsum.s()),
            "failing": lambda: fail.s("replaced"),
            "itself": lambda: replaced.s("task"),
        }[by]()
    )


@app.task(bind=True)
def stops_chain(self: Task) -> int:
    self.request.chain = None
    return 1


# What bodies see.


@app.task(bind=True)
def sees(self: Task, *args: Any, **kwargs: Any) -> dict[str, Any]:
    request = self.request
    return {
        "id": request.id,
        "retries": request.retries,
        "args": list(request.args),
        "kwargs": request.kwargs,
        "root": request.root_id == request.id,
        "parent": request.parent_id,
        "routing_key": request.delivery_info["routing_key"],
        "exchange": request.delivery_info["exchange"],
        "redelivered": bool(request.delivery_info["redelivered"]),
        "correlation": request.correlation_id == request.id,
        "reply_to": bool(request.reply_to),
        "called_directly": request.called_directly,
        "is_eager": request.is_eager,
        "tenant": request.get("tenant"),
        "headers": (request.headers or {}).get("tenant"),
        "timelimit": request.timelimit,
        "expires": bool(request.expires),
        "hostname": bool(request.hostname),
        "properties": "properties" in request.__dict__,
        "task": request.task,
        "lang": request.lang,
        "group": request.group,
        "current": current_task.request.id == request.id,
        "ignore_result": request.ignore_result,
        "utc": request.utc,
    }


class Base(Task):
    """A base class of the application's own, with every hook."""

    label = "base"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        note(args[0], f"call {self.label}")
        return super().__call__(*args, **kwargs)

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        note(args[0], "before_start")

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        note(args[0], f"on_success {retval}")
        mark.delay(tag=args[0], text="sent by on_success")

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(args[0], f"on_failure {exc!r}")
        mark.delay(tag=args[0], text="sent by on_failure")

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(args[0], f"on_retry {exc!r}")

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(args[0], f"after_return {status}")


@app.task(base=Base, bind=True, label="mine", throws=(KeyError,), max_retries=1)
def hooked(self: Task, tag: str, how: str) -> str:
    note(tag, "body")
    if how == "fail":
        raise KeyError("k")
    if how == "retry" and self.request.retries == 0:
        raise self.retry(exc=OSError("o"), countdown=0)
    return "ok"


@app.task(bind=True)
def signalled(self: Task, tag: str, how: str) -> str:
    if how == "fail":
        raise ValueError("v")
    if how == "retry" and self.request.retries == 0:
        raise self.retry(exc=OSError("o"), countdown=0)
    return "ok"


def _receives(signal: Any, name: str, tag_of: Any) -> None:
    def receive(sender: Any = None, **given: Any) -> None:
        if getattr(sender, "name", None) == "bodies.signalled":
            note(tag_of(given), name)

    signal.connect(receive, weak=False)


def _tag_of_task(given: Any) -> str:
    return str(given["args"][0])


for _signal, _name, _tag in (
    (signals.task_prerun, "prerun", _tag_of_task),
    (signals.task_postrun, "postrun", _tag_of_task),
    (signals.task_failure, "failure", _tag_of_task),
    (signals.task_success, "success", lambda _: current_task.request.args[0]),
    (signals.task_retry, "retry", lambda given: given["request"].args[0]),
):
    _receives(_signal, _name, _tag)


# Exceptions.


class NoPickle(Exception):
    def __init__(self, one: Any, two: Any) -> None:
        super().__init__(f"{one} and {two}")
        self.held = lambda: one


class WithArgs(Exception):
    pass


@app.task
def raises(kind: str) -> None:
    raise {
        "no pickle": lambda: NoPickle("one", "two"),
        "args": lambda: WithArgs("a", 1, None),
        "object": lambda: WithArgs(object),
        "key": lambda: KeyError("k"),
        "group": lambda: OSError(2, "no file", "name"),
        "unicode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        "empty": lambda: RuntimeError(),
    }[kind]()


# Error callbacks.


@app.task
def old_errback(task_id: str, tag: str) -> None:
    note(tag, "old errback")


@app.task
def new_errback(request: Any, exc: Any, traceback: Any, tag: str) -> None:
    note(tag, f"new errback {exc!r}")


@app.task(bind=True)
def joins(self: Task, tag: str) -> Any:
    """Waits for another task, as an application that knows what it does."""
    with allow_join_result():
        return self.AsyncResult("no such task").state


@app.task
def steps_sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds

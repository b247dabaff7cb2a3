"""The table of Celery's features inside of bodies: what a client starts, and what it sees afterwards.

A case starts tasks and gives their results by labels. Its *outcome* is what is stored of each, and the notes that the
bodies made. The outcome with Celery's own worker is in `reference/`; the handler's must be the same.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any, Callable, Optional

import bodies
from bodies import VERSION, app
from celery import chain, chord, group
from celery.result import AsyncResult

Results = dict[str, AsyncResult]


@dataclass(frozen=True)
class Case:
    name: str
    start: Callable[[str], Results]
    #: How many notes the bodies make. The case has ended when they are there, and its results.
    notes: int = 0
    #: Labels of results that never end.
    pending: frozenset[str] = frozenset()
    #: The notes may be made in any order.
    any_order: bool = False


CASES: dict[str, Case] = {}


def case(name: str, start: Callable[[str], Any], *, pending: str = "", **options: Any) -> None:
    """Adds a case. `start` takes the tag of its notes and gives results by label, or one result."""

    def started(tag: str) -> Results:
        found = start(tag)
        return found if isinstance(found, dict) else {"task": found}

    assert name not in CASES
    CASES[name] = Case(name, started, pending=frozenset(pending.split()), **options)


def outcome(case: Case, results: Results, tag: str) -> dict[str, Any]:
    """What can be seen of an ended case."""
    known = {result.id: f"<{label}>" for label, result in results.items()}
    found = {label: seen(result, known) for label, result in results.items()}
    notes = bodies.notes(tag)
    return {"results": found, "notes": sorted(notes) if case.any_order else notes}


def has_ended(case: Case, results: Results, tag: str) -> bool:
    ready = all(result.state in READY for label, result in results.items() if label.split()[-1] not in case.pending)
    return ready and len(bodies.notes(tag)) >= case.notes


READY = ("SUCCESS", "FAILURE", "REVOKED")


def seen(result: AsyncResult, known: dict[str, str]) -> dict[str, Any]:
    meta = app.backend.get_task_meta(result.id, cache=False)
    value = meta["result"]
    if isinstance(value, BaseException):
        value = {"class": type(value).__name__, "args": [shown(each) for each in value.args]}
    children = meta.get("children") or []
    return {
        "status": meta["status"],
        "result": shown(value, known),
        "traceback": bool(meta.get("traceback")),
        "children": len(children),
    }


def shown(value: Any, known: Optional[dict[str, str]] = None) -> Any:
    """A value as text, without what differs from run to run."""
    text = repr(value)
    for each, label in (known or {}).items():
        text = text.replace(each, label)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", text)
    return re.sub(r"0x[0-9a-f]+", "<address>", text)


def define() -> None:
    b = bodies
    case("returns", lambda tag: b.add.delay(1, 2))
    case("keyword arguments", lambda tag: b.add.apply_async(kwargs={"x": 1, "y": 2}))
    case("wrong arguments", lambda tag: app.send_task("bodies.add", args=(1, 2, 3)))
    case("fails", lambda tag: b.fail.delay("why"))
    case("ignore_result of the task", lambda tag: b.quiet.delay(tag), notes=1, pending="task")
    case("ignore_result of the call", lambda tag: b.add.apply_async((1, 2), ignore_result=True), pending="task")
    case("fails with ignore_result", lambda tag: b.fail.apply_async(ignore_result=True), pending="task")
    for kind in ("set", "frozenset", "datetime", "naive", "date", "decimal", "uuid", "bytes", "tuple", "generator"):
        case(f"gives a {kind}", lambda tag, kind=kind: b.typed.delay(kind))
    for kind in ("object", "nan", "int", "surrogate", "keys", "none"):
        case(f"gives {kind}", lambda tag, kind=kind: b.typed.delay(kind))
    if VERSION >= (5, 3):
        case("takes typed arguments", lambda tag: b.give.delay([uuid.UUID(int=1), b"x"]))
    for compression in ("zlib", "bzip2"):
        case(
            f"compression {compression}",
            lambda tag, compression=compression: b.give.apply_async(("x" * 2000,), compression=compression),
        )
    for form in ("plain", "exc", "except", "args", "kwargs", "eta"):
        case(f"retry, {form}", lambda tag, form=form: b.retried.delay(tag, form), notes=3)
    case("retry, exhausted", lambda tag: b.retried.delay(tag, "exhausted"), notes=2)
    for form in ("caught", "maximum"):
        case(f"retry, {form}", lambda tag, form=form: b.retried.delay(tag, form), notes=1)
    for how in ("no throw", "return", "fail"):
        case(f"retry swallowed, {how}", lambda tag, how=how: b.swallowed.delay(tag, how), notes=2)
    case("autoretry_for", lambda tag: b.auto.delay(tag, 1), notes=2)
    case("autoretry_for, exhausted", lambda tag: b.auto.delay(tag, 5), notes=3)
    case("autoretry_for, retry_kwargs", lambda tag: b.auto_kwargs.delay(tag), notes=2)
    case("retry in before_start", lambda tag: b.late_start.delay(tag), notes=2)
    case("Ignore", lambda tag: b.ignored.delay(tag), notes=1, pending="task")
    case("Ignore after update_state", lambda tag: b.ignored.delay(tag, True), notes=1, pending="task")
    case("Reject", lambda tag: b.rejected.delay(tag, False), notes=1, pending="" if VERSION >= (5, 7) else "task")
    case("Reject, requeued", lambda tag: b.requeued.delay(tag), notes=2)
    case("soft limit, caught", lambda tag: b.soft.delay(tag), notes=1)
    case("soft limit", lambda tag: b.soft_uncaught.delay())
    case("soft limit of the call", lambda tag: b.steps_sleep.apply_async((5,), soft_time_limit=1, time_limit=30))
    case("hard limit", lambda tag: b.hard.delay(tag))
    case("update_state", lambda tag: b.steps.delay(tag), notes=1)
    case("starts others", lambda tag: b.parent.delay(tag), notes=4, any_order=True)
    case("get() in a body", lambda tag: b.waits.delay())
    case("allow_join_result", lambda tag: b.joins.delay(tag))
    for by in ("task", "chain", "group", "chord", "failing", "itself"):
        case(f"replace by {by}", lambda tag, by=by: b.replaced.delay(by))
    for how in ("ok", "fail"):
        case(f"hooks, {how}", lambda tag, how=how: b.hooked.delay(tag, how), notes=6, any_order=True)
        case(f"signals, {how}", lambda tag, how=how: b.signalled.delay(tag, how), notes=3)
    case("hooks, retry", lambda tag: b.hooked.delay(tag, "retry"), notes=10, any_order=True)
    case("signals, retry", lambda tag: b.signalled.delay(tag, "retry"), notes=6)
    for kind in ("no pickle", "args", "object", "key", "group", "unicode", "empty"):
        case(f"raises, {kind}", lambda tag, kind=kind: b.raises.delay(kind))
    case("request", lambda tag: b.sees.apply_async((1, "a"), {"k": [1]}))
    case(
        "request with options",
        lambda tag: b.sees.apply_async(
            (), headers={"tenant": "t1"}, time_limit=60, soft_time_limit=50, expires=600, task_id=f"own-{uuid.uuid4()}"
        ),
    )
    define_canvas(b)


def define_canvas(b: Any) -> None:
    def chained(*signatures: Any) -> Results:
        last = chain(*signatures).apply_async()
        results = [last]
        while results[0].parent is not None:
            results.insert(0, results[0].parent)
        # A group has no item of its own.
        tasks = [result for result in results if isinstance(result, AsyncResult)]
        return {f"link {index}": result for index, result in enumerate(tasks)}

    case("link", lambda tag: b.add.apply_async((1, 2), link=[b.mark.s(tag=tag), b.mark.si(tag=tag)]), notes=2)
    case(
        "link_error, one parameter",
        lambda tag: b.fail.apply_async(link_error=b.old_errback.s(tag=tag)),
        notes=1 if VERSION >= (5, 7) else 0,
    )
    case("link_error, three parameters", lambda tag: b.fail.apply_async(link_error=b.new_errback.s(tag=tag)), notes=1)
    case("chain", lambda tag: chained(b.add.s(1, 2), b.add.s(3), b.add.si(10, 20)))
    case("chain that fails", lambda tag: chained(b.add.s(1, 2), b.fail.si("x"), b.add.s(1)))
    case("chain that a body stops", lambda tag: chained(b.stops_chain.si(), b.add.s(1)), pending="1")
    case("chain, replaced", lambda tag: chained(b.add.s(1, 1), b.replaced.si("task"), b.add.s(100)))
    case("chain, replaced by a chain", lambda tag: chained(b.replaced.si("chain"), b.add.s(100)))
    case("chain, replaced by a group", lambda tag: chained(b.replaced.si("group"), b.xsum.s()))
    case("chain, retried", lambda tag: chained(b.retried.si(tag, "exc"), b.add.s(1)), notes=3)
    case("chain, then a group", lambda tag: joined((b.add.s(1, 1) | group(b.add.s(1), b.add.s(2))).apply_async()))
    case("chain, then a chord", lambda tag: chained(b.add.s(1, 1), group(b.add.s(1), b.add.s(2)), b.xsum.s()))
    case("chord", lambda tag: chord([b.add.s(1, 1), b.add.s(2, 2)])(b.xsum.s()))
    case("chord, replaced member", lambda tag: chord([b.replaced.s("task"), b.add.s(2, 2)])(b.xsum.s()))
    case("chord, member that swallowed a retry", lambda tag: swallowing(tag, b), notes=2)
    case("chord, retried member", lambda tag: chord([b.retried.s(tag, "exc"), b.add.s(2, 2)])(b.xsum.s()), notes=3)
    case("chord of chains", lambda tag: chord([b.add.s(1, 1) | b.add.s(1), b.add.s(2, 2)])(b.xsum.s()))
    case("chord with a failed member", lambda tag: chord([b.add.s(1, 1), b.fail.s("m")])(b.xsum.s()))
    case("group", lambda tag: joined(group(b.add.s(1, 1), b.fail.s("g"), b.typed.s("date")).apply_async()))
    case("map", lambda tag: b.xsum.map([(1, 2), (3, 4)]).apply_async())
    case("starmap", lambda tag: b.add.starmap([(1, 2), (3, 4)]).apply_async())
    case("chunks", lambda tag: joined(b.add.chunks(zip(range(4), range(4)), 2).apply_async()))


def swallowing(tag: str, b: Any) -> Any:
    return chord([b.swallowed.s(tag, "return"), b.give.s("other")])(b.give.s())


def joined(result: Any) -> Results:
    return {f"member {index}": each for index, each in enumerate(result.results)}


define()

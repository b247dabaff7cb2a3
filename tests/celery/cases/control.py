"""Remote control: what an operator asks workers, and revoked tasks."""

import time
import uuid
from typing import Any

from celery import group

from app import add, app, sleep
from case import SLOWNESS, attempt, case, got, plain, seen, until

# Seconds that a client waits for workers' replies.
REPLY = 2 * SLOWNESS


def inspect() -> Any:
    return app.control.inspect(timeout=REPLY)


def replies(answer: Any) -> Any:
    """What workers replied, without their names; `None` when there was no reply."""
    return plain(list(answer.values())) if answer else None


def listed(answer: Any, ident: str) -> dict[str, Any] | None:
    """The entry of a task in an answer of `active`, `scheduled`…"""
    for entries in (answer or {}).values():
        for entry in entries:
            request = entry.get("request", entry)
            if request.get("id") == ident:
                return request
    return None


def described(entry: dict[str, Any] | None) -> Any:
    return entry and {name: plain(entry.get(name)) for name in ("id", "name", "args", "kwargs")}


@case(control=True)
def ping() -> Any:
    return [list(reply.values())[0] for reply in app.control.ping(timeout=REPLY)]


@case(control=True)
def inspect_ping() -> Any:
    return replies(inspect().ping())


@case(control=True)
def ping_of_an_unknown_worker() -> Any:
    return app.control.ping(destination=["celery@nowhere"], timeout=1)


@case(control=True)
def registered() -> Any:
    answer = replies(inspect().registered())
    return answer and [
        sorted(name.split(" ")[0] for name in names if not name.startswith("celery.")) for names in answer
    ]


@case(control=True)
def stats() -> Any:
    answer = replies(inspect().stats())
    return answer and [sorted(set(stats) & {"total", "pid", "uptime", "pool", "broker"}) for stats in answer]


@case(control=True)
def active_queues() -> Any:
    answer = replies(inspect().active_queues())
    return answer and [sorted(queue["name"] for queue in queues) for queues in answer]


@case(control=True)
def active() -> Any:
    result = sleep.delay(3)
    entry = until(lambda: listed(inspect().active(), result.id), 4)
    return [described(entry), got(result)]


@case(control=True)
def scheduled() -> Any:
    result = add.apply_async((2, 3), countdown=4)
    entry = until(lambda: listed(inspect().scheduled(), result.id), 3)
    return [described(entry), got(result)]


@case(control=True)
def query_task() -> Any:
    result = sleep.delay(3)
    until(lambda: result.state == "STARTED", 5)
    answer = replies(inspect().query_task(result.id))
    states = answer and [found[result.id][0] for found in answer if result.id in found]
    return [states, got(result)]


@case(control=True)
def revoked_before_it_arrives() -> Any:
    ident = str(uuid.uuid4())
    app.control.revoke(ident)
    time.sleep(0.5)
    return seen(add.apply_async((2, 3), task_id=ident), 4)


@case(control=True)
def revoked_before_its_time() -> Any:
    result = add.apply_async((2, 3), countdown=3)
    result.revoke()
    return seen(result, 6)


@case(control=True)
def several_revoked() -> Any:
    results = [add.apply_async((2, 3), countdown=3) for _ in range(3)]
    app.control.revoke([result.id for result in results])
    return [seen(result, 6) for result in results]


@case(control=True)
def revoked_while_it_runs() -> Any:
    """Without `terminate` a running task goes on."""
    result = sleep.delay(2)
    until(lambda: result.state == "STARTED", 5)
    result.revoke()
    return seen(result, 6)


@case(control=True)
def terminated() -> Any:
    result = sleep.delay(8)
    until(lambda: result.state == "STARTED", 5)
    result.revoke(terminate=True)
    return seen(result, 5)


@case(control=True)
def revoked_after_its_end() -> Any:
    result = add.delay(2, 3)
    got(result)
    result.revoke()
    return {"again": got(app.AsyncResult(result.id)), "state": app.AsyncResult(result.id).state}


@case(control=True)
def revoked_with_reply() -> Any:
    ident = str(uuid.uuid4())
    answer = app.control.revoke(ident, reply=True, timeout=REPLY)
    return [bool(list(reply.values())[0].get("ok")) for reply in answer]


@case(control=True)
def revoked_group() -> Any:

    result = group(add.s(1, 1), add.s(2, 2)).apply_async(countdown=3)
    result.revoke()
    return [seen(member, 6) for member in result.children]


@case(control=True, since=(5, 3), why="revoking by stamps")
def revoked_by_stamp() -> Any:
    tenant = str(uuid.uuid4())
    signature = add.s(2, 3)
    signature.stamp(tenant=tenant)
    result = signature.apply_async(countdown=3)
    outcome = attempt(lambda: app.control.revoke_by_stamped_headers({"tenant": [tenant]}))
    return [outcome.get("raises"), seen(result, 6)]


@case(control=True)
def rate_limit() -> Any:
    return [list(reply.values())[0] for reply in app.control.rate_limit("nothing", "100/s", reply=True, timeout=REPLY)]

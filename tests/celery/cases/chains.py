"""Links, error callbacks and chains."""

import time
from typing import Any

from celery import chain, group

from app import add, app, echo, fail, mul, nothing, report, sleep
from case import SLOWNESS, attempt, case, got, never, plain, seen, until


def with_id(signature: Any) -> tuple[Any, Any]:
    """A signature with an id of its own, and the result that this id will have."""
    result = signature.freeze()
    return signature, result


def lineage(result: Any) -> list[Any]:
    """What each task of a chain ended with, from the last to the first.

    `get` of a link raises its parent's error, so the results are read by their ids.
    """
    ends = []
    while result is not None:
        fresh = app.AsyncResult(result.id)
        until(fresh.ready, 2 * SLOWNESS)
        ends.append({"state": fresh.state, "result": plain(fresh.result)})
        result = result.parent
    return ends


@case()
def link() -> Any:
    callback, result = with_id(add.s(10))
    parent = add.apply_async((2, 3), link=callback)
    return [seen(parent), seen(result)]


@case()
def several_links() -> Any:
    (first, one), (second, two) = with_id(add.s(10)), with_id(mul.s(10))
    parent = add.apply_async((2, 3), link=[first, second])
    until(lambda: one.ready() and two.ready())
    return {"ends": [seen(parent), seen(one), seen(two)], "collected": collected(parent, 4)}


@case()
def immutable_link() -> Any:
    callback, result = with_id(add.si(1, 1))
    parent = add.apply_async((2, 3), link=callback)
    return [seen(parent), seen(result)]


@case()
def link_of_a_failed_task() -> Any:
    callback, result = with_id(echo.s())
    parent = fail.apply_async(("ValueError", "no"), link=callback)
    return {"parent": seen(parent), "never": never(result)}


@case()
def link_to_a_chain() -> Any:
    parent = add.apply_async((2, 3), link=chain(add.s(10), mul.s(2)))
    got(parent)
    return collected(parent, 3)


def collected(result: Any, count: int) -> Any:
    """The values of a task and what followed from it, when so many of them have come.

    Celery collects the callbacks of a task as a group, which comes before its members.
    """

    def values() -> list[Any]:
        nodes = app.AsyncResult(result.id).collect(timeout=1, interval=0.1, propagate=False)
        return [plain(value) for _, value in nodes]

    # A client of Redis may miss the end of a task that it collects early.
    until(lambda: len(attempt(values).get("value", [])) >= count)
    return values()


@case()
def link_error() -> Any:
    callback, result = with_id(report.s())
    failing = fail.apply_async(("ValueError", "no"), link_error=callback)
    return {"task": seen(failing), "callback": seen(result), "told": result.result == failing.id}


@case()
def several_link_errors() -> Any:
    (first, one), (second, two) = with_id(report.s()), with_id(report.s())
    failing = fail.apply_async(("ValueError", "no"), link_error=[first, second])
    return [seen(failing)["state"], seen(one)["state"], seen(two)["state"]]


@case()
def immutable_link_error() -> Any:
    callback, result = with_id(nothing.si())
    fail.apply_async(("ValueError", "no"), link_error=callback)
    return seen(result)


@case()
def link_error_with_several_parameters() -> Any:
    """Celery calls it where the task failed, as no task of its own."""
    callback, result = with_id(add.si(1, 1))
    failing = fail.apply_async(("ValueError", "no"), link_error=callback)
    return {"task": seen(failing), "never": never(result)}


@case()
def link_error_of_an_unknown_task() -> Any:
    callback, result = with_id(report.s())
    app.send_task("no.such.task", link_error=callback)
    return {"never": never(result)}


@case()
def link_error_of_an_expired_task() -> Any:
    callback, result = with_id(report.s())
    expired = add.apply_async((1, 1), expires=-10, link_error=callback)
    return {"task": seen(expired), "never": never(result)}


@case()
def link_error_without_a_failure() -> Any:
    callback, result = with_id(report.s())
    good = add.apply_async((1, 1), link_error=callback)
    return {"task": seen(good), "never": never(result, 1)}


@case()
def on_error() -> Any:
    callback, result = with_id(report.s())
    failing = fail.s("ValueError", "no").on_error(callback).apply_async()
    return {"task": seen(failing), "told": got(result).get("value") == failing.id}


@case()
def chain_of_values() -> Any:
    return lineage(chain(add.s(1, 2), mul.s(10), add.s(4)).apply_async())


@case()
def chain_by_operator() -> Any:
    return lineage((add.s(1, 2) | mul.s(10) | add.s(4)).delay())


@case()
def chain_of_one() -> Any:
    return lineage(chain(add.s(1, 2)).apply_async())


@case()
def chain_with_arguments() -> Any:
    return got(chain(add.s(1), mul.s(10)).apply_async((5,)))


@case()
def chain_with_immutable_links() -> Any:
    return lineage(chain(add.s(1, 2), add.si(10, 10), mul.s(2)).apply_async())


@case()
def chain_through_nothing() -> Any:
    return lineage(chain(nothing.s(), echo.s()).apply_async())


@case(limit=30)
def chain_of_twenty() -> Any:
    return got(chain(add.s(0, 1), *[add.s(1) for _ in range(19)]).apply_async())


@case(0, 1, 2)
def chain_failing_at(place: int) -> Any:
    links = [add.s(1, 2), add.s(3), add.s(4)]
    links[place] = fail.si("ValueError", f"at {place}")
    result = chain(*links).apply_async()
    return {"end": got(result), "lineage": lineage(result)}


@case()
def chain_with_an_unknown_task() -> Any:
    result = chain(add.s(1, 2), app.signature("no.such.task"), add.s(4)).apply_async()
    return lineage(result)


@case()
def chain_with_an_expired_link() -> Any:
    result = chain(add.s(1, 2), add.s(3).set(expires=-10), add.s(4)).apply_async()
    return lineage(result)


@case()
def chain_with_link_error() -> Any:
    callback, told = with_id(report.s())
    result = chain(add.s(1, 2), fail.si("ValueError", "no"), add.s(4)).apply_async(link_error=callback)
    return {"end": got(result), "told": got(told, 5).get("value") == result.parent.id}


@case()
def chain_with_link() -> Any:
    callback, followed = with_id(add.s(100))
    result = chain(add.s(1, 2), add.s(3)).apply_async(link=callback)
    return [got(result), got(followed)]


@case()
def chain_with_countdown() -> Any:
    started = time.time()
    result = chain(add.s(1, 2), add.s(3).set(countdown=2)).apply_async()
    outcome = got(result)
    return {**outcome, "early": time.time() - started < 2}


@case()
def chain_to_another_queue() -> Any:
    return lineage(chain(add.s(1, 2), add.s(3).set(queue="other.queue"), add.s(4)).apply_async())


@case()
def chain_while_its_first_task_runs() -> Any:
    result = chain(sleep.s(1.5), echo.s()).apply_async()
    early = {"state": result.state, "ready": result.ready()}
    return {"early": early, "end": seen(result)}


@case()
def chain_ids() -> Any:
    """The tasks of a chain know their root and their parent."""
    result = chain(add.s(1, 2), add.s(3), add.s(4)).apply_async()
    got(result)
    metas = [app.backend.get_task_meta(node.id) for node in (result, result.parent, result.parent.parent)]
    parents = [meta.get("parent_id") for meta in metas]
    return [parents[0] == result.parent.id, parents[1] == result.parent.parent.id, parents[2]]


@case()
def chain_children() -> Any:
    first = chain(add.s(1, 2), add.s(3)).apply_async().parent
    until(lambda: app.AsyncResult(first.id).children)
    return collected(first, 2)


@case()
def chain_of_retried_task() -> Any:
    return got(chain(app.signature("flaky", (2,)), add.s(10)).apply_async())


@case(since=(5, 3), why="stamps")
def chain_with_stamps() -> Any:
    canvas = chain(add.s(1, 2), add.s(3))
    canvas.stamp(tenant="one")
    return lineage(canvas.apply_async())


@case()
def link_to_a_group() -> Any:
    parent = add.apply_async((2, 3), link=group(add.s(10), mul.s(10)))
    return collected(parent, 4)


@case()
def both_callbacks_of_a_success() -> Any:
    (then, result), (otherwise, told) = with_id(add.s(10)), with_id(report.s())
    add.apply_async((2, 3), link=then, link_error=otherwise)
    return {"link": got(result), "link error never": never(told, 1)}


@case()
def partial_signatures() -> Any:
    parts = [add.s(2).delay(3), add.s(y=3).delay(2), add.s(3).clone((2,)).delay(), add.signature((2, 3)).delay()]
    return [got(result) for result in parts]


@case()
def options_of_a_signature() -> Any:
    return got(add.s(2, 3).set(countdown=1, expires=60, priority=3, queue="other.queue").delay())

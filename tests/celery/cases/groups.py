"""Groups, chunks and maps."""

from typing import Any

from celery import chain, group
from celery.result import GroupResult

from app import add, app, echo, fail, mul, report, sleep, xsum
from case import attempt, case, got, plain


@case()
def group_of_values() -> Any:
    result = group(add.s(n, n) for n in range(5)).apply_async()
    outcome = got(result)
    return {**outcome, "successful": result.successful(), "ready": result.ready(), "count": result.completed_count()}


@case()
def group_of_one() -> Any:
    return got(group([add.s(1, 2)]).apply_async())


@case()
def empty_group() -> Any:
    return attempt(lambda: group([]).apply_async().get(timeout=5))


@case()
def group_by_delay() -> Any:
    return got(group(add.s(1, 1), mul.s(2, 3)).delay())


@case()
def group_with_arguments() -> Any:
    return got(group(add.s(1), mul.s(2)).apply_async((10,)))


@case()
def group_in_order() -> Any:
    """The values are in the order of the group, not of the ends."""
    return got(group(sleep.s(1), add.s(1, 1), sleep.s(0.5)).apply_async())


@case()
def group_with_a_failure() -> Any:
    result = group(add.s(1, 1), fail.s("ValueError", "no"), add.s(2, 2)).apply_async()
    outcome = {"get": got(result), "kept": plain(result.get(timeout=5, interval=0.1, propagate=False))}
    return {**outcome, "failed": result.failed(), "successful": result.successful(), "count": result.completed_count()}


@case()
def group_joined_natively() -> Any:
    result = group(add.s(n, 1) for n in range(3)).apply_async()
    return [attempt(lambda: result.join(timeout=15)), attempt(lambda: result.join_native(timeout=15))]


@case()
def group_saved_and_restored() -> Any:
    """One client saves it and another one restores it.

    With Redis an old client tells only one of several results of the same id, so the first is dropped.
    """
    result = group(add.s(n, 1) for n in range(3)).apply_async()
    result.save()
    ident = result.id
    del result
    again = GroupResult.restore(ident, app=app)
    values = got(again)
    again.delete()
    return {**values, "same": again.id == ident, "deleted": GroupResult.restore(ident, app=app)}


@case()
def group_iterated() -> Any:
    result = group(add.s(n, 1) for n in range(3)).apply_async()
    return sorted(meta["result"] for _, meta in result.iter_native(timeout=15))


@case()
def group_forgotten() -> Any:
    result = group(add.s(1, 1), add.s(2, 2)).apply_async()
    got(result)
    idents = [member.id for member in result]
    result.forget()
    return [app.AsyncResult(ident).state for ident in idents]


@case()
def group_of_chains() -> Any:
    return got(group(chain(add.s(n, 1), mul.s(10)) for n in range(3)).apply_async())


@case()
def group_of_groups() -> Any:
    return got(group(group(add.s(1, 1), add.s(2, 2)), add.s(3, 3)).apply_async())


@case()
def group_with_link() -> Any:
    """The client refuses it."""
    return attempt(lambda: group(add.s(1, 1), add.s(2, 2)).apply_async(link=add.s(100)))


@case()
def group_with_link_error() -> Any:
    """The client refuses it."""
    return attempt(lambda: group(fail.s("ValueError", "no")).apply_async(link_error=report.s()))


@case()
def group_on_error() -> Any:
    """Each member that fails calls the callback."""
    callback = report.s()
    told = callback.freeze()
    result = group(add.s(1, 1), fail.s("ValueError", "no")).on_error(callback).apply_async()
    return [got(result), got(told, 5).get("value") == result.children[1].id]


@case()
def group_children() -> Any:
    result = group(add.s(1, 1), add.s(2, 2)).apply_async()
    got(result)
    return {"children": len(result.children), "parents": [member.parent for member in result.children]}


@case(limit=30)
def group_of_fifty() -> Any:
    return got(group(echo.s(n) for n in range(50)).apply_async()) == {"value": list(range(50))}


@case()
def chunks() -> Any:
    return got(add.chunks([(n, n) for n in range(10)], 4).apply_async())


@case()
def chunks_as_a_group() -> Any:
    return got(add.chunks([(n, n) for n in range(4)], 2).group().apply_async())


@case()
def mapped() -> Any:
    return got(xsum.map([[1, 2], [3, 4], []]).apply_async())


@case()
def starmapped() -> Any:
    return got(add.starmap([(1, 2), (3, 4)]).apply_async())


@case()
def mapped_with_a_failure() -> Any:
    return got(fail.starmap([("ValueError", "first"), ("KeyError", "second")]).apply_async())


@case()
def mapped_in_a_chain() -> Any:
    return got(chain(xsum.map([[1, 2], [3]]), xsum.s()).apply_async())


@case()
def accumulated() -> Any:
    """`celery.accumulate` returns its arguments."""
    return got(app.send_task("celery.accumulate", args=(1, "two", [3])))

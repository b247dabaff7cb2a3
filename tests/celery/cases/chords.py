"""Chords, alone and inside of other canvas."""

from typing import Any

from celery import chain, chord, group

from app import add, app, echo, fail, mul, report, sleep, xsum
from case import case, got, never, plain, seen, until


def numbers(count: int = 3) -> list[Any]:
    return [add.s(n, n) for n in range(1, count + 1)]


@case()
def chord_of_values() -> Any:
    return seen(chord(numbers())(xsum.s()))


@case()
def chord_in_order() -> Any:
    """The body gets the values in the order of the header, not of the ends."""
    return got(chord([sleep.s(1), add.s(1, 1), sleep.s(0.5)])(echo.s()))


@case()
def chord_with_a_single_header() -> Any:
    return got(chord([add.s(1, 2)])(xsum.s()))


@case()
def chord_with_an_empty_header() -> Any:
    return got(chord([])(xsum.s()))


@case(limit=30)
def chord_with_twenty_headers() -> Any:
    return got(chord(numbers(20))(xsum.s()))


@case()
def chord_with_an_immutable_body() -> Any:
    return got(chord(numbers())(add.si(1, 1)))


@case()
def chord_by_apply_async() -> Any:
    return got(chord(numbers(), xsum.s()).apply_async())


@case()
def chord_by_operator() -> Any:
    return got((group(numbers()) | xsum.s()).delay())


@case()
def chord_parent() -> Any:
    """The parent of the body's result is the header's."""
    result = chord(numbers())(xsum.s())
    got(result)
    return plain(result.parent.get(timeout=5, interval=0.1))


def failed_chord(result: Any) -> Any:
    """What the client sees of a chord with a failed header.

    `get` raises the header's error or the body's, whichever the client reads first.
    """
    outcome = got(result, 5)
    body = app.AsyncResult(result.id)
    until(body.ready, 3)
    return {"raises": "raises" in outcome, "state": body.state, "body": plain(body.result)}


@case()
def chord_with_a_failing_header() -> Any:
    return failed_chord(chord([add.s(1, 1), fail.s("ValueError", "no"), add.s(2, 2)])(xsum.s()))


@case()
def chord_whose_headers_all_fail() -> Any:
    return failed_chord(chord([fail.s("ValueError", "no"), fail.s("ValueError", "no")])(xsum.s()))


@case()
def chord_with_an_unknown_header() -> Any:
    return failed_chord(chord([add.s(1, 1), app.signature("no.such.task")])(xsum.s()))


@case()
def chord_with_an_expired_header() -> Any:
    return failed_chord(chord([add.s(1, 1), add.s(2, 2).set(expires=-10)])(xsum.s()))


@case()
def chord_with_a_failing_body() -> Any:
    return seen(chord(numbers())(fail.si("ValueError", "no")))


@case()
def chord_on_error() -> Any:
    callback = report.s()
    told = callback.freeze()
    body = xsum.s().on_error(callback)
    result = chord([add.s(1, 1), fail.s("ValueError", "no")])(body)
    return {**failed_chord(result), "told": got(told, 5), "of the body": told.result == result.id}


@case()
def chord_on_error_of_the_whole() -> Any:
    callback = report.s()
    told = callback.freeze()
    result = chord([add.s(1, 1), fail.s("ValueError", "no")], xsum.s()).on_error(callback).delay()
    return {**failed_chord(result), "told": got(told, 5), "of the body": told.result == result.id}


@case()
def chord_on_error_without_a_failure() -> Any:
    callback = report.s()
    told = callback.freeze()
    result = chord(numbers())(xsum.s().on_error(callback))
    return {"body": got(result), "never": never(told, 1)}


@case()
def chord_with_a_link() -> Any:
    callback = add.s(100)
    followed = callback.freeze()
    result = chord(numbers(), xsum.s()).apply_async(link=callback)
    return [got(result), got(followed)]


@case()
def chord_with_chains_in_the_header() -> Any:
    return got(chord([chain(add.s(n, 1), mul.s(10)) for n in range(3)])(xsum.s()))


@case()
def chord_with_a_failing_chain_in_the_header() -> Any:
    header = [chain(add.s(1, 1), fail.si("ValueError", "no"), add.s(1)), add.s(2, 2)]
    return failed_chord(chord(header)(xsum.s()))


@case()
def chord_with_a_chain_as_body() -> Any:
    return got(chord(numbers())(chain(xsum.s(), mul.s(10), add.s(1))))


@case()
def chord_with_a_group_as_body() -> Any:
    return got(chord(numbers(), group(xsum.s(), echo.s())).apply_async())


@case()
def chord_with_a_group_in_the_header() -> Any:
    return got(chord([group(add.s(1, 1), add.s(2, 2)), add.s(3, 3)])(echo.s()))


@case()
def chord_in_a_chain() -> Any:
    return got(chain(add.s(1, 1), group(add.s(10), mul.s(10)), xsum.s()).apply_async())


@case()
def chord_between_links() -> Any:
    return got(chain(add.s(1, 1), group(add.s(10), mul.s(10)), xsum.s(), add.s(1), mul.s(2)).apply_async())


@case()
def chord_object_in_a_chain() -> Any:
    return got(chain(add.s(1, 1), chord([add.s(10), mul.s(10)], xsum.s()), add.s(1)).apply_async())


@case()
def two_chords_in_a_chain() -> Any:
    canvas = chain(group(numbers()), xsum.s(), group(add.s(1), mul.s(2)), xsum.s())
    return got(canvas.apply_async())


@case()
def group_at_the_end_of_a_chain() -> Any:
    return got(chain(add.s(1, 1), group(add.s(10), mul.s(10))).apply_async())


@case()
def failing_link_before_a_chord() -> Any:
    result = chain(fail.si("ValueError", "no"), group(add.s(10), mul.s(10)), xsum.s()).apply_async()
    return failed_chord(result)


@case()
def failing_header_in_a_chain() -> Any:
    headers = group(fail.si("ValueError", "no"), mul.s(10))
    return failed_chord(chain(add.s(1, 1), headers, xsum.s(), add.s(1)).apply_async())


@case()
def nested_chords() -> Any:
    inner = chord([add.s(1, 1), add.s(2, 2)], xsum.s())
    return got(chord([inner, add.s(3, 3)])(xsum.s()))


@case()
def chord_as_the_body_of_a_chord() -> Any:
    body = chain(xsum.s(), group(add.s(1), mul.s(2)), xsum.s())
    return got(chord(numbers())(body))


@case()
def chord_with_countdown() -> Any:
    return got(chord([add.s(1, 1).set(countdown=2), add.s(2, 2)])(xsum.s()))


@case()
def chord_with_a_retried_header() -> Any:
    return got(chord([app.signature("flaky", (2,)), add.s(2, 2)])(xsum.s()))


@case()
def chord_to_another_queue() -> Any:
    return got(chord([add.s(1, 1).set(queue="other.queue"), add.s(2, 2)])(xsum.s().set(queue="other.queue")))


@case()
def two_groups_in_a_chain() -> Any:
    return got(chain(group(numbers()), group(xsum.s(), echo.s())).apply_async())


@case()
def chord_in_a_group() -> Any:
    return got(group(chord(numbers(), xsum.s()), add.s(1, 1)).apply_async())


@case()
def chain_of_chains() -> Any:
    return got(chain(chain(add.s(1, 1), mul.s(2)), chain(add.s(1), mul.s(3))).apply_async())


@case()
def group_of_chains_between_links() -> Any:
    members = group(chain(add.s(1), mul.s(2)), chain(add.s(2), mul.s(3)))
    return got(chain(add.s(1, 1), members, xsum.s(), add.s(1)).apply_async())


@case()
def failing_member_of_a_nested_group() -> Any:
    header = [group(add.s(1, 1), fail.s("ValueError", "no")), add.s(2, 2)]
    return failed_chord(chord(header)(xsum.s()))


@case()
def failing_header_before_a_chain() -> Any:
    """The error reaches each task of the body's chain."""
    result = chord([add.s(1, 1), fail.s("ValueError", "no")])(chain(xsum.s(), mul.s(10), add.s(1)))
    return failed_chord(result)


@case()
def failing_header_before_a_group() -> Any:
    result = chord([add.s(1, 1), fail.s("ValueError", "no")], group(xsum.s(), echo.s())).apply_async()
    return [failed_chord(member) for member in result.children]


@case()
def failing_inner_chord() -> Any:
    inner = chord([add.s(1, 1), fail.s("ValueError", "no")], xsum.s())
    return failed_chord(chord([inner, add.s(3, 3)])(xsum.s()))


@case()
def failing_body_between_links() -> Any:
    body = fail.si("ValueError", "no")
    return failed_chord(chain(group(numbers()), body, add.s(1)).apply_async())

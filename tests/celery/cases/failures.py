"""Tasks that fail, and what the client can know of it."""

from typing import Any

from celery.exceptions import TimeoutError as CeleryTimeout

from app import add, app, exhausted, fail, flaky, nothing, sleep
from case import attempt, case, got, plain, seen, until


@case("ValueError", "KeyError", "RuntimeError", "ZeroDivisionError", "TimeoutError", "Trouble")
def fails_with(kind: str) -> Any:
    result = fail.delay(kind, "what went wrong")
    return {**seen(result), "info": plain(result.info), "failed": result.failed(), "successful": result.successful()}


@case()
def failure_without_propagation() -> Any:
    result = fail.delay("ValueError", "no")
    error = result.get(timeout=15, interval=0.1, propagate=False)
    traceback = result.traceback or ""
    return {
        "result": plain(error),
        "traceback": traceback.startswith("Traceback (most recent call last):"),
        "names the error": "ValueError: no" in traceback,
        "maybe_throw": attempt(result.maybe_throw),
    }


@case()
def unicode_message() -> Any:
    return got(fail.delay("ValueError", "Grüße\n東京"))


@case()
def unknown_task() -> Any:
    return seen(app.send_task("no.such.task", args=(1, 2)))


def sent(*args: Any, **kwargs: Any) -> Any:
    """A call by name, whose arguments the client does not check."""
    return seen(app.send_task("add", args=args, kwargs=kwargs))


@case()
def too_few_arguments() -> Any:
    return sent(1)


@case()
def too_many_arguments() -> Any:
    return sent(1, 2, 3)


@case()
def unexpected_keyword() -> Any:
    return sent(1, 2, z=3)


@case()
def argument_twice() -> Any:
    return sent(1, x=2)


@case()
def arguments_where_none_is_taken() -> Any:
    return seen(app.send_task("nothing", args=(1,)))


@case()
def arguments_checked_by_the_client() -> Any:
    return attempt(lambda: add.delay(1))["raises"], attempt(lambda: nothing.delay(1))["raises"]


@case()
def wrong_type() -> Any:
    return seen(add.delay("a", 1))


@case()
def hard_time_limit() -> Any:
    return seen(sleep.apply_async((6,), time_limit=1))


@case()
def soft_time_limit() -> Any:
    return seen(sleep.apply_async((6,), soft_time_limit=1))


@case()
def time_limits_that_suffice() -> Any:
    return seen(add.apply_async((2, 3), time_limit=30, soft_time_limit=20))


@case()
def get_with_timeout() -> Any:
    result = sleep.delay(3)
    outcome = attempt(lambda: result.get(timeout=0.5, interval=0.1))
    return {"timeout": outcome["raises"], "afterwards": got(result), "is": issubclass(CeleryTimeout, Exception)}


@case()
def retried_until_it_succeeds() -> Any:
    return seen(flaky.delay(2))


@case()
def retried_with_a_delay() -> Any:
    result = flaky.delay(1, 2)
    retrying = until(lambda: result.state == "RETRY" or result.ready())
    info = plain(result.info) if result.state == "RETRY" else None
    return {"RETRY seen": bool(retrying) and info is not None, "info": info, **seen(result)}


@case()
def retries_counted() -> Any:
    result = flaky.delay(2)
    got(result)
    return result.retries


@case()
def retries_exhausted() -> Any:
    return seen(exhausted.delay())


@case()
def retries_beyond_the_maximum() -> Any:
    return seen(flaky.delay(10))


@case()
def client_sets_the_retries() -> Any:
    """`retries` of a call counts as tries that were made."""
    return seen(flaky.apply_async((2,), retries=2))

"""Values on their way to a task and back."""

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from app import app, blob, echo
from case import attempt, case, got, plain, seen

PLAIN = {
    "null": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "beyond 64 bits": 2**64 + 1,
    "beyond a double": 10**30 + 1,
    "float": 0.1,
    "whole float": 1.0,
    "small float": 1e-300,
    "large float": 1.7976931348623157e308,
    "empty text": "",
    "text": "Grüße, 東京 🎉",
    "escapes": 'a"b\\c\n\t\x01',
    "nested": {"list": [1, [2, [3, {}]]], "empty": []},
    "odd keys": {"": 1, "a.b": 2, "ü": 3, "__type__": "something else"},
}

TYPED = {
    "datetime": datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "datetime with offset": datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-7))),
    "naive datetime": datetime(2024, 1, 2, 3, 4, 5),
    "date": date(2024, 2, 29),
    "time": time(23, 59, 59, 123456),
    "decimal": Decimal("12345678901234567890.0100"),
    "uuid": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "bytes": b"plain",
    "other bytes": bytes(range(256)),
}


def echoed(value: Any) -> Any:
    """What comes back, and whether it equals what was sent."""
    outcome = got(echo.delay(value))
    if "value" in outcome:
        outcome["same"] = outcome["value"] == value and type(outcome["value"]) is type(value)
        outcome["value"] = plain(outcome["value"])
    return outcome


@case(*PLAIN)
def plain_value(name: str) -> Any:
    return echoed(PLAIN[name])


@case("NaN", "Infinity", "-Infinity")
def no_number(name: str) -> Any:
    outcome = got(echo.delay(float(name)))
    return {key: str(value) for key, value in outcome.items()}


@case(*TYPED, since=(5, 3), why="typed JSON")
def typed_value(name: str) -> Any:
    return echoed(TYPED[name])


@case(since=(5, 3), why="typed JSON")
def typed_values_in_a_list() -> Any:
    return echoed([TYPED["uuid"], {"when": TYPED["datetime"], "price": TYPED["decimal"]}])


@case()
def deep_value() -> Any:
    value: Any = []
    for _ in range(50):
        value = [value]
    return echoed(value)


@case()
def many_values() -> Any:
    return echoed(list(range(2000)))["same"]


@case(1_000, 100_000, 300_000)
def large_result(size: int) -> Any:
    outcome = seen(blob.delay(size))
    if "value" in outcome:
        outcome["value"] = len(outcome["value"])
    return outcome


@case(limit=30)
def result_over_400_kb() -> Any:
    """A backend whose items are bounded must say so; the task must not seem to run for ever."""
    result = blob.delay(1_000_000)
    outcome = attempt(lambda: len(result.get(timeout=10, interval=0.1)))
    return {"state": app.AsyncResult(result.id).state, **{key: short(text) for key, text in outcome.items()}}


def short(value: Any) -> Any:
    """The start of texts, whose rest differs between versions of libraries."""
    if isinstance(value, list):
        return [short(item) for item in value]
    return value[:60] if isinstance(value, str) else value

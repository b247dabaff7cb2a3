"""The trace of a task, and of the messages that it sends."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from attempts import native, run, sent, watch
from async_service_celery import envelope

_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_TRACE = {"traceparent": _PARENT, "tracestate": "vendor=1"}


def _headers(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The headers of the recorded messages."""
    letters = [call["send"]["body"] for call in answer["celery"]["calls"] if "send" in call]
    return [(envelope.read(letter) or {})["headers"] for letter in letters]


@pytest.fixture
def seen(bodies: Any) -> Iterator[list[Any]]:
    """What the body of `tests.traced` finds in its request, where OpenTelemetry looks."""
    found: list[Any] = []

    @bodies.app.task(bind=True, name="tests.traced")
    def traced(self: Any) -> None:
        found.append((getattr(self.request, "traceparent", None), dict(self.request.headers or {})))

    watch(bodies.app, traced)
    yield found
    del bodies.app.tasks["tests.traced"]


def test_a_body_finds_its_trace_in_its_request(seen: list[Any]) -> None:
    run(sent("tests.traced", **_TRACE))
    run(native("tests.traced", trace=_TRACE))
    for parent, headers in seen:
        assert parent == _PARENT
        assert {name: headers[name] for name in _TRACE} == _TRACE
    assert len(seen) == 2


def test_a_body_without_a_trace_finds_none(seen: list[Any]) -> None:
    run(sent("tests.traced"))
    run(native("tests.traced", trace=None))
    assert [parent for parent, _ in seen] == [None, None]


def test_what_follows_goes_on_in_the_trace(bodies: Any) -> None:
    link = bodies.app.signature("bodies.add", (1,), task_id=str(uuid.uuid4()))
    answer = run(sent("bodies.add", (1, 2), embed={"chain": [dict(link)]}, **_TRACE))
    (headers,) = _headers(answer)
    assert {name: headers[name] for name in _TRACE} == _TRACE
    (without,) = _headers(run(sent("bodies.add", (1, 2), embed={"chain": [dict(link)]})))
    assert not set(_TRACE) & set(without)


def test_what_an_instrumentation_has_written_stays(bodies: Any) -> None:
    from celery import signals

    other = _PARENT.replace("00f067aa0ba902b7", "53995c3f42cd8ad8")

    def inject(headers: Any = None, **_: Any) -> None:
        headers["traceparent"] = other

    signals.before_task_publish.connect(inject)
    try:
        link = bodies.app.signature("bodies.add", (1,), task_id=str(uuid.uuid4()))
        answer = run(sent("bodies.add", (1, 2), embed={"chain": [dict(link)]}, **_TRACE))
    finally:
        signals.before_task_publish.disconnect(inject)
    assert [headers["traceparent"] for headers in _headers(answer)] == [other]

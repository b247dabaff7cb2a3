"""Time limits of attempts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from attempts import Context, run, sent, stored

HERE = Path(__file__).parent


def test_a_hard_limit_of_the_task(bodies: Any) -> None:
    tag = uuid.uuid4().hex
    began = time.monotonic()
    answer = run(sent("bodies.hard", (tag,)))
    assert time.monotonic() - began < 3
    assert answer["error"]["type"] == "TimeLimitExceeded"
    assert stored(answer)["result"]["exc_message"] == [1]
    assert bodies.notes(tag) == []


def test_the_time_of_the_function_is_a_limit_with_a_name(bodies: Any) -> None:
    answer = run(sent("bodies.steps_sleep", (20,)), Context(1.2))
    assert answer["error"]["type"] == "TimeLimitExceeded"
    assert "the function's time of 1 s" in answer["error"]["message"]


def test_the_deadline_of_the_request_is_a_limit(bodies: Any) -> None:
    event = sent("bodies.steps_sleep", (20,))
    event["deadline"] = int((time.time() + 1) * 1000)
    began = time.monotonic()
    assert run(event)["error"]["type"] == "TimeLimitExceeded"
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("hard", [1, 5, 60, 800])
def test_the_limit_of_a_message_is_not_cut_by_the_worker_that_waits_longer(bodies: Any, hard: float) -> None:
    from async_service_celery.limits import Left, Limits

    # As the worker makes its deadline.
    limits = Limits.of([hard, None], bodies.add, Left.of(hard + 2, 1.0), 3.0)
    assert (limits.hard, limits.name, limits.grace) == (hard, hard, 2)


@pytest.mark.parametrize("seconds", [1, 10, 30, 900])
def test_the_process_ends_before_the_function_is_timed_out(bodies: Any, seconds: float) -> None:
    from async_service_celery.limits import Left, Limits

    for declared in (None, [seconds * 0.89, None], [5000, None]):
        limits = Limits.of(declared, bodies.add, Left.of(seconds, 3.0), 3.0)
        assert limits.hard is not None
        assert limits.hard + limits.grace * 3 / 4 < seconds


def test_a_soft_limit_is_cut_to_the_time(bodies: Any) -> None:
    tag = uuid.uuid4().hex
    event = sent("bodies.soft", (tag,), timelimit=[None, 600])
    assert run(event, Context(2))["result"] == "cleaned"
    assert bodies.notes(tag) == ["soft"]


STUBBORN = """
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""
# Holds the interpreter for ages.
IN_C = """
    sum(range(10**12))
"""


@pytest.mark.parametrize(("code", "status"), [(STUBBORN, 124), (IN_C, 1)])
def test_a_body_that_does_not_end_at_its_hard_limit_ends_the_process(bodies: Any, code: str, status: int) -> None:
    script = """
import time, async_service_celery, attempts
from bodies import app

@app.task(name="tests.stubborn", time_limit=0.2)
def stubborn():
CODE
async_service_celery.handler(attempts.sent("tests.stubborn"), attempts.Context(60))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script.replace("CODE", code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TIME_MARGIN": "0.4"},
        cwd=HERE,
        capture_output=True,
        timeout=30,
    )
    assert ended.returncode == status, ended.stderr.decode()
    assert b"in stubborn" in ended.stderr

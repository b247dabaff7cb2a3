"""Celery's features inside of bodies have the same outcomes in the handler as in Celery's own worker."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import celery
import pytest

VERSION = tuple(int(part) for part in celery.__version__.split(".")[:2])

STORED = Path(__file__).parent / "reference" / f"{celery.__version__}.json"
# Differences from Celery's worker with Redis, by case, with their reasons.
DIFFERENCES = {
    "chord with a failed member": "Celery's DynamoDB backend, which counts in these tests, names no failed member",
}
if VERSION < (5, 4):
    # Celery counts no chords on DynamoDB, and sends `celery.chord_unlock`, which is a child too.
    DIFFERENCES["chain, then a chord"] = DIFFERENCES["starts others"] = "`celery.chord_unlock` is a child"
if VERSION < (5, 3):
    DIFFERENCES["raises, no pickle"] = "no exception passes through the pipe of a pool"


@pytest.fixture(scope="module")
def outcomes(environment: dict[str, Any], endpoint: str) -> dict[str, Any]:
    """All cases started, run to their ends, and looked at."""
    from engine import Engine

    import async_service_celery  # noqa: F401  before any session of botocore is made
    from async_service_celery.start import worker

    app = worker().app
    from cases import CASES, outcome

    tags = {name: uuid.uuid4().hex for name in CASES}
    started = {name: case.start(tags[name]) for name, case in CASES.items()}
    engine = Engine(app, f"{endpoint}/000000000000/celery", endpoint)
    engine.drain()
    return {name: outcome(case, started[name], tags[name]) for name, case in CASES.items()}


def names() -> list[str]:
    return sorted(json.loads(STORED.read_text())) if STORED.exists() else []


@pytest.mark.parametrize("name", names())
def test_same_outcome(name: str, outcomes: dict[str, Any]) -> None:
    reference = json.loads(STORED.read_text())[name]
    found = json.loads(json.dumps(outcomes[name]))
    if name in DIFFERENCES:
        assert found != reference, "the difference is gone"
    else:
        assert found == reference


def test_every_case_has_a_reference(outcomes: dict[str, Any]) -> None:
    assert sorted(outcomes) == names()

"""Whether the running call was made by a certain function of Celery.

Looking at the callers changes nothing for the application, which may override these functions.
"""

from __future__ import annotations

import functools
import sys
from types import CodeType, FrameType
from typing import Any, Optional


def is_replacing() -> bool:
    """Whether `Task.replace` makes this call."""
    return _is_below(_replace())


def is_ending() -> bool:
    """Whether a backend stores the end of a task with this call."""
    return _is_below(_ends())


def is_storing() -> bool:
    """Whether a backend stores a state of a task with this call."""
    return _is_below(_stores())


@functools.cache
def _stores() -> frozenset[CodeType]:
    from celery.backends.base import Backend

    return _codes(Backend.store_result)


@functools.cache
def _replace() -> frozenset[CodeType]:
    from celery.app.task import Task

    return _codes(Task.replace)


@functools.cache
def _ends() -> frozenset[CodeType]:
    from celery.backends.base import Backend

    return _codes(Backend.mark_as_done, Backend.mark_as_failure, Backend.mark_as_retry, Backend.mark_as_revoked)


def _codes(*functions: Any) -> frozenset[CodeType]:
    return frozenset(code for code in (getattr(each, "__code__", None) for each in functions) if code is not None)


def _is_below(codes: frozenset[CodeType]) -> bool:
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False

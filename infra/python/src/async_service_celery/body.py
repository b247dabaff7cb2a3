"""Tells the body of a task from what Celery does before and after it.

A call of AWS that the body makes goes straight out; what Celery sends and stores after it is recorded. Celery's tracer
has no hook between the two, so the function that it calls is wrapped, as Sentry's integration does.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable

from . import recording

_MARK = "_async_service_body"


def watch(task: Any) -> None:
    """Wraps the function that Celery's tracer calls as the body of `task`: its `__call__`, or else its `run`."""
    from celery.app.trace import task_has_custom

    if task_has_custom(task, "__call__"):
        cls = type(task)
        # A class may have several tasks, and may inherit from a class that is wrapped already.
        if not hasattr(cls.__call__, _MARK):
            cls.__call__ = _wrap(cls.__call__)
    elif not hasattr(task.run, _MARK):
        task.run = _wrap(task.run)


def _wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapped_coroutine(*args: Any, **kwargs: Any) -> Any:
            with recording.body():
                return await function(*args, **kwargs)

        setattr(wrapped_coroutine, _MARK, True)
        return wrapped_coroutine

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with recording.body():
            return function(*args, **kwargs)

    setattr(wrapped, _MARK, True)
    return wrapped

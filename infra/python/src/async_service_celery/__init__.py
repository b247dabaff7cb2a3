"""Runs the tasks of a Celery application in an AWS Lambda function.

`async_service_celery.handler` is the function's handler, `CELERY_APP=module:app` in its environment names the
application. docs/PYTHON.md has the settings and what happens to a task; docs/REMOTE.md has the request and the answer.
`async_service_celery.beat_handler` is the handler of a second function, which runs the application's own scheduler.
"""

from __future__ import annotations

import os
from typing import Any

from . import hooks

# First of all: sessions of botocore that exist already would not be seen.
hooks.install()

__all__ = ["beat_handler", "handler"]


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Runs one attempt of one task: `event` is the request, the return value the answer of docs/REMOTE.md.

    `context` is Lambda's, or None where nothing limits the time.
    """
    from .attempt import run

    return run(event, context)


def beat_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lets the application's own scheduler tick until the next call, a minute later. `event` does not matter.

    Returns what was done: `ticks`, `sent` (tasks), and `busy` (whether another call ticked all the time).
    """
    from .beat_ticks import run

    return run(context)


if os.environ.get("_HANDLER") == f"{__name__}.handler":
    # A Lambda function starts here, and has its full CPU while it does. Elsewhere the first request starts the
    # application, so that importing this package imports nothing of Celery's.
    from .start import worker

    worker()

if os.environ.get("_HANDLER") == f"{__name__}.beat_handler":
    from .beat_ticks import started

    started()

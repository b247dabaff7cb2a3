"""Task bodies of the storm, for the Python function: each gives its arguments as a list, after a while in which its
process may be killed."""

import os
import random
import time
from typing import Any

from celery import Celery, Task

app = Celery("storm", backend=os.environ.get("CELERY_RESULT_BACKEND", "redis://"))

# Seconds that a body works.
WORK = (0.01, 0.3)


@app.task(name="storm.step")
def step(*args: Any) -> list[Any]:
    time.sleep(random.uniform(*WORK))
    return list(args)


@app.task(name="storm.again", bind=True, max_retries=None)
def again(self: Task, *args: Any) -> list[Any]:
    """Wants a second attempt."""
    time.sleep(random.uniform(*WORK))
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return list(args)


@app.task(name="storm.moved", bind=True)
def moved(self: Task, *args: Any) -> None:
    """Goes on as another task."""
    raise self.replace(step.s(*args))

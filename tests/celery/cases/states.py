"""States before the end."""

import uuid
from typing import Any

from app import add, app, progress, sleep
from case import case, got, plain, until


@case()
def started() -> Any:
    result = sleep.delay(1.5)
    until(lambda: result.state != "PENDING")
    state, info = result.state, result.info
    keys = sorted(info) if isinstance(info, dict) else plain(info)
    return {"state": state, "info": keys, **got(result)}


@case()
def progress_seen() -> Any:
    result = progress.delay(3, 0.7)
    until(lambda: result.state == "PROGRESS" or result.ready())
    state, info = result.state, result.info
    total = info.get("total") if isinstance(info, dict) else plain(info)
    return {"state": state, "total": total, **got(result)}


@case()
def pending_until_its_time() -> Any:
    result = add.apply_async((2, 3), countdown=2)
    return {"before": result.state, "ready": result.ready(), **got(result), "after": result.state}


@case()
def state_written_by_a_client() -> Any:
    """A client may write states of its own; a running task's end comes over them."""
    ident = str(uuid.uuid4())
    app.backend.store_result(ident, {"step": 1}, "PROGRESS")
    before = app.AsyncResult(ident)
    seen_before = {"state": before.state, "info": before.info}
    return [seen_before, got(add.apply_async((2, 3), task_id=ident))]

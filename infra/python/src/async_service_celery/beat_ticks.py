"""Lets an application's own scheduler tick, in calls that come once a minute and in place of a `celery beat` process.

A call makes a scheduler from what is stored, ticks until nothing is due before the next call, and closes it. So no
call depends on the process of the call before.
"""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import dataclass
from typing import Any, Optional

from . import beat_row, beat_scheduler, connections
from .beat_row import RENEW, Row
from .settings import Settings
from .start import find, host_name, set_up_logging

logger = logging.getLogger(__name__)

#: Seconds between two calls. What is due after the next full minute is left to the next call.
PERIOD = 60
# A tick this close to the next call is left to the call, in seconds.
_TURN = 1.0
# A call that comes so short a time before a full minute, in seconds, is that minute's: by a clock that is slow, or late
# by most of a minute.
_EARLY = 5.0
# Kept at the end of the function's time for closing the scheduler, in seconds.
_WRAP_UP = 10.0
# The longest sleep of a scheduler that is not asked sooner; Celery's default is five minutes, and that of
# django-celery-beat five seconds, as it looks for changes. Here each call looks for changes.
_MAX_INTERVAL = float(PERIOD)
# As `celery beat`: no call of the network takes longer, in seconds.
_SOCKET_TIMEOUT = 30

_process: Optional[Process] = None


@dataclass
class Process:
    """The started application."""

    app: Any
    settings: Settings
    client: Any
    #: Whether receivers of `beat_init` were told.
    is_told: bool = False


def started() -> Process:
    """The started process; the first call starts the application as `celery beat` does."""
    global _process
    if _process is None:
        _process = _start(Settings.of_environment())
    return _process


def _start(settings: Settings) -> Process:
    if not settings.beat_table:
        raise ValueError("BEAT_TABLE is not set: name the table of Celery's results")
    app = find(settings.app)
    app.set_current()
    app.set_default()
    app.loader.init_worker()
    app.finalize()
    set_up_logging(app, f"celerybeat@{host_name()}", settings.log_level)
    socket.setdefaulttimeout(_SOCKET_TIMEOUT)
    return Process(app, settings, beat_row.client())


def run(context: Any) -> dict[str, Any]:
    """One call. `context` is Lambda's, or None where nothing limits the time."""
    process = started()
    end = _end(context)
    row = Row(process.client, process.settings.beat_table, process.settings.app)
    if not row.take(lambda: end - time.time()):
        logger.warning("the scheduler was ticked by another call all the time")
        return {"ticks": 0, "sent": 0, "busy": True}
    try:
        return _Life(process, row, end).run()
    finally:
        row.release()
        connections.close(process.app)


def _end(context: Any) -> float:
    """When the call must close the scheduler, in seconds since the Unix epoch."""
    if context is None:
        return time.time() + PERIOD
    return float(time.time() + context.get_remaining_time_in_millis() / 1000 - _WRAP_UP)


class _Life:
    """The life of one scheduler."""

    def __init__(self, process: Process, row: Row, end: float) -> None:
        self._process = process
        self._row = row
        self._end = end
        self._until = min(_next_call(time.time()) - _TURN, end)

    def run(self) -> dict[str, Any]:
        service = self._service()
        scheduler = service.scheduler
        try:
            self._tell(service)
            ticks = self._tick(scheduler)
        finally:
            _close(scheduler)
        logger.info("beat: %s ticks, %s tasks sent", ticks, scheduler.sent)
        return {"ticks": ticks, "sent": scheduler.sent, "busy": False}

    def _service(self) -> Any:
        """Celery's service with a new scheduler of the application's class."""
        from celery.beat import Service

        app = self._process.app
        self._class = beat_scheduler.configured(app)
        lasting = beat_scheduler.lasting(self._class, self._row)
        interval = app.conf.beat_max_loop_interval or _MAX_INTERVAL
        service = Service(app, max_interval=interval, scheduler_cls=lasting)
        set_up = beat_scheduler.fingerprint(app, self._class)
        service.scheduler = service.get_scheduler(lazy=self._is_set_up(set_up))
        self._row.state["set_up"] = set_up
        # A call may end at any moment: what was sent is stored at once, unless the application says otherwise.
        service.scheduler.sync_every_tasks = app.conf.beat_sync_every or 1
        return service

    def _is_set_up(self, set_up: str) -> bool:
        """Whether a scheduler with a database has taken over the application's `beat_schedule` as it is now. Each
        time would write all of it, and begin the intervals anew of what has never run."""
        return beat_scheduler.keeps_entries_elsewhere(self._class) and self._row.state.get("set_up") == set_up

    def _tell(self, service: Any) -> None:
        """Sends `beat_init` once in a process. Receivers beside the scheduler's class, which take a lock that `close`
        gives back, are told with each scheduler."""
        from celery.signals import beat_init

        if not self._process.is_told:
            beat_init.send(sender=service)
            self._process.is_told = True
            return
        modules = {each.__module__ for each in self._class.__mro__}
        for receiver in beat_init._live_receivers(service):
            if getattr(receiver, "__module__", None) in modules:
                receiver(signal=beat_init, sender=service)

    def _tick(self, scheduler: Any) -> int:
        """Ticks as Celery's service does, until nothing is due before the next call. Returns the number of ticks."""
        ticks = 0
        while True:
            interval = scheduler.tick()
            ticks += 1
            now = time.time()
            wait = interval if interval and interval > 0 else 0.0
            if not self._row.keep() or now >= self._end or (wait and now + wait >= self._until):
                return ticks
            if wait:
                time.sleep(min(wait, RENEW))
                if scheduler.should_sync():
                    scheduler._do_sync()


def _next_call(now: float) -> float:
    """When the call after one at the time `now` comes: at a full minute."""
    return ((now + _EARLY) // PERIOD + 1) * PERIOD


def _close(scheduler: Any) -> None:
    try:
        scheduler.close()
    finally:
        # Celery before 5.7 leaves the connection open.
        connection = scheduler.__dict__.pop("connection", None)
        if connection is not None:
            connection.release()
        # django-celery-beat has the interpreter write the scheduler's changes at its exit, which keeps the scheduler.
        finalizer = getattr(scheduler, "_finalize", None)
        if finalizer is not None and hasattr(finalizer, "cancel"):
            finalizer.cancel()

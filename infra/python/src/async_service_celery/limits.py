"""The time limits of a task, as a process of Celery's prefork pool keeps them.

| Time | What happens |
|---|---|
| soft limit | `SoftTimeLimitExceeded` is raised in the body |
| hard limit | an exception that is no `Exception` ends the body, again each second until it has ended |
| hard limit, and half of the margin | the process exits with status 124: the body does not end |
| hard limit, and three quarters of it | the process exits with status 1: C code holds the interpreter |
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any, Callable, Optional, Union

logger = logging.getLogger(__name__)

#: The exit status of a process whose task did not end at its hard limit, by which it can be told from a crash.
EXIT_STATUS = 124
# Seconds between two tries to end a body.
_AGAIN = 1.0
# A soft limit that the function's time cuts comes this long before the hard one, in seconds.
_NOTICE = 30.0


class HardLimit(BaseException):
    """Ends a body. No `Exception`, so that `except Exception` does not catch it."""


@dataclass(frozen=True)
class Left:
    """The time that is left, in seconds, and the part of it that a task can use."""

    usable: float
    whole: float

    @classmethod
    def of(cls, seconds: float, margin: float) -> Left:
        """`margin` seconds are kept for the answer, at most a tenth of the time."""
        return cls(max(seconds - min(margin, seconds / 10), 0.01), seconds)


@dataclass(frozen=True)
class Limits:
    """The limits of one attempt in seconds from now."""

    soft: Optional[float]
    hard: Optional[float]
    #: What `TimeLimitExceeded` is raised with.
    name: Union[float, str, None]
    #: Seconds after the hard limit in which the process ends if the body does not.
    grace: float

    @classmethod
    def of(cls, declared: Any, task: Any, left: Optional[Left], grace: float) -> Limits:
        """The limits of the message, `(hard, soft)`, or else of the task, cut to the time that is left."""
        of_message = tuple(declared or (None, None))
        hard = of_message[0] or task.time_limit or None
        soft = of_message[1] or task.soft_time_limit or None
        if left is None:
            return cls(soft, hard, hard, grace)
        if hard is not None and hard <= left.usable:
            return cls(soft, hard, hard, min(grace, left.whole - hard))
        if soft is not None:
            soft = min(soft, max(left.usable - _NOTICE, left.usable * 0.9))
        name = f"the function's time of {left.whole:.0f} s"
        return cls(soft, left.usable, name, min(grace, left.whole - left.usable))


class Alarm:
    """Raises in the main thread when a limit is over, while its `with` block runs."""

    def __init__(self, limits: Limits, is_in_body: Callable[[], bool], may_exit: bool) -> None:
        self._limits = limits
        self._is_in_body = is_in_body
        self._may_exit = may_exit
        self._began = time.monotonic()
        self._is_soft_over = limits.soft is None
        self._is_hard_over = False
        self._watchdog: Optional[threading.Timer] = None
        self._old: Any = None

    def __enter__(self) -> Alarm:
        if self._limits.soft is None and self._limits.hard is None:
            return self
        if threading.current_thread() is not threading.main_thread():
            logger.warning("The handler does not run in the main thread: time limits have no effect")
            return self
        self._old = signal.signal(signal.SIGALRM, self._ring)
        self._arm(self._limits.hard if self._is_soft_over else self._limits.soft)
        if self._may_exit and self._limits.hard is not None:
            self._watch(self._limits.hard)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the watch. May be called again."""
        if self._old is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._old)
        if self._watchdog is not None:
            self._watchdog.cancel()
            faulthandler.cancel_dump_traceback_later()
        self._old = self._watchdog = None

    def _arm(self, limit: Optional[float]) -> None:
        if limit is not None:
            seconds = max(self._began + limit - time.monotonic(), 0.001)
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)

    def _ring(self, _: int, __: Optional[FrameType]) -> None:
        if not self._is_soft_over:
            from celery.exceptions import SoftTimeLimitExceeded

            self._is_soft_over = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._arm(self._limits.hard)
            raise SoftTimeLimitExceeded()
        # What Celery does after the body is not interrupted a second time.
        if not self._is_hard_over or self._is_in_body():
            self._is_hard_over = True
            raise HardLimit()

    def _watch(self, hard: float) -> None:
        self._watchdog = threading.Timer(hard + self._limits.grace / 2, _exit)
        self._watchdog.daemon = True
        self._watchdog.start()
        # In C: needs no interpreter. Its exit status is always 1.
        faulthandler.dump_traceback_later(hard + self._limits.grace * 3 / 4, exit=True, file=2)


def _exit() -> None:
    faulthandler.dump_traceback(file=2)
    message = f"A task does not end at its hard time limit; the process exits with status {EXIT_STATUS}\n"
    os.write(2, message.encode())
    os._exit(EXIT_STATUS)

"""The settings of the handler: variables of the function's environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Settings:
    """The settings; docs/PYTHON.md describes each."""

    #: `CELERY_APP`: the application, as `celery -A` takes it.
    app: str
    #: `SERVED_QUEUES`: names or URLs of the queues that the worker takes tasks from; None = all that are predefined.
    served_queues: Optional[frozenset[str]]
    #: `CELERY_LOG_LEVEL`: the level of the application's log.
    log_level: int
    #: `TIME_MARGIN`: seconds between the hard limit of a task and the end of the function's time.
    margin: float
    #: `BEAT_TABLE`: the table with the row of the application's own scheduler; empty where none runs.
    beat_table: str = ""

    @classmethod
    def of_environment(cls) -> Settings:
        """Reads the settings. Raises ValueError with the name of a variable that is missing or wrong."""
        app = os.environ.get("CELERY_APP", "")
        if not app:
            raise ValueError("CELERY_APP is not set: name the Celery application as `module:app`")
        queues = os.environ.get("SERVED_QUEUES")
        names = frozenset(name.strip() for name in queues.split(",") if name.strip()) if queues else None
        level, margin = _log_level(os.environ.get("CELERY_LOG_LEVEL")), _margin(os.environ.get("TIME_MARGIN"))
        return cls(app, names, level, margin, os.environ.get("BEAT_TABLE", ""))


def is_served(served: Iterable[str], url: str) -> bool:
    """Whether the queue with this URL is one of `served`, which has URLs and names."""
    return any(name in (url, url.rsplit("/", 1)[-1]) for name in served)


def _log_level(text: Optional[str]) -> int:
    if not text:
        return logging.WARNING
    level = int(text) if text.isdigit() else logging.getLevelName(text.upper())
    if not isinstance(level, int):
        raise ValueError(f"CELERY_LOG_LEVEL is no level of logging: {text!r}")
    return level


def _margin(text: Optional[str]) -> float:
    try:
        margin = float(text) if text else 3.0
    except ValueError:
        margin = -1.0
    if not 0 <= margin <= 60:
        raise ValueError(f"TIME_MARGIN must be 0 to 60 seconds, not {text!r}")
    return margin

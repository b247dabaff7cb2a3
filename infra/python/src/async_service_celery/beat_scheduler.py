"""The application's own scheduler class, made fit for calls that last a minute.

The class keeps all of its methods. What changes is where a PersistentScheduler has its file, and the ids of tasks.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timezone
from typing import Any, Optional

from .beat_row import Row

_IDS = uuid.UUID("0c0f9c2e-6f0b-5d0e-9c1a-4f3c1d6a7b52")


def configured(app: Any) -> type:
    """The scheduler class that the application's settings name, found as `celery beat` finds it."""
    from celery.beat import PersistentScheduler
    from celery.utils.imports import load_extension_class_names, symbol_by_name

    aliases = dict(load_extension_class_names("celery.beat_schedulers"))
    found: type = symbol_by_name(app.conf.beat_scheduler or PersistentScheduler, aliases=aliases)
    return found


def keeps_entries_elsewhere(cls: type) -> bool:
    """Whether a class reads its entries from a place of its own, such as a database: not from its memory or a file."""
    from celery.beat import PersistentScheduler, Scheduler

    if issubclass(cls, PersistentScheduler):
        return False
    return cls.schedule is not Scheduler.schedule or cls.setup_schedule is not Scheduler.setup_schedule  # type: ignore


def lasting(cls: type, row: Row) -> type:
    """The class with its state in `row`, unless the class has a place of its own. A class that only has its memory,
    and would forget when each task last ran, is a PersistentScheduler then."""
    from celery.beat import PersistentScheduler, Scheduler

    members: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    bases: tuple[type, ...] = (_Ticking, cls)
    if not keeps_entries_elsewhere(cls):
        members["_open_schedule"] = lambda self: Shelf(row, self.app, self.Entry)
        if not issubclass(cls, PersistentScheduler):
            bases = (_Ticking, PersistentScheduler) if cls is Scheduler else (_Ticking, cls, PersistentScheduler)
    return type(cls.__name__, bases, members)


def fingerprint(app: Any, cls: type) -> str:
    """Changes when a scheduler that keeps its entries elsewhere has to take over the application's settings again."""
    entries = sorted((name, repr(entry)) for name, entry in (app.conf.beat_schedule or {}).items())
    text = repr((cls.__module__, cls.__qualname__, app.conf.timezone, app.conf.result_expires, entries))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class _Ticking:
    """What is added to each scheduler class."""

    #: How many tasks were given to the broker.
    sent = 0
    app: Any

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        # With `advance` the scheduler stores first and sends then, so that nothing is sent twice.
        entry = entry if advance else _with_id(self.app, entry)
        result = super().apply_async(entry, producer=producer, advance=advance, **kwargs)  # type: ignore[misc]
        self.sent += 1
        return result


def _with_id(app: Any, entry: Any) -> Any:
    """The entry with a task's id that is made of the entry and of its last run: if the call dies after the message
    was sent and before the run was stored, the next call sends the same id, and the worker drops the second task."""
    last = _text(entry.last_run_at)
    if last is None or (entry.options or {}).get("task_id"):
        return entry
    # `copy` would call the entry's own constructor by `__reduce__`.
    copied = object.__new__(type(entry))
    copied.__dict__.update(entry.__dict__)
    task_id = str(uuid.uuid5(_IDS, "\0".join((str(app.main), str(entry.name), last))))
    copied.options = {**(entry.options or {}), "task_id": task_id}
    return copied


class Shelf(dict):  # type: ignore[type-arg]
    """The file of a PersistentScheduler, in a row: of each entry only the last run and the number of runs, as the
    scheduler takes all else from the application's settings at its start."""

    def __init__(self, row: Row, app: Any, entry_class: Any) -> None:
        super().__init__()
        self._row = row
        kept = row.state.get("beat")
        if not kept:
            return
        self.update(kept["settings"])
        if self["tz"] == _zone(app.conf.timezone):
            # The scheduler compares the two, and forgets all runs when they differ.
            self["tz"] = app.conf.timezone
        self["entries"] = {
            name: entry_class(name=name, last_run_at=_time(last, app.timezone), total_run_count=count, app=app)
            for name, (last, count) in kept["entries"].items()
        }

    def sync(self) -> None:
        """Stores what has changed."""
        entries = {name: [_text(entry.last_run_at), entry.total_run_count] for name, entry in self["entries"].items()}
        settings = {name: self.get(name) for name in ("__version__", "tz", "utc_enabled")}
        self._row.state["beat"] = {"settings": {**settings, "tz": _zone(settings["tz"])}, "entries": entries}
        self._row.save()

    def close(self) -> None:
        """As `shelve`: stores what has changed."""
        self.sync()


def _zone(zone: Any) -> Optional[str]:
    return None if zone is None else str(zone)


def _text(when: Optional[datetime]) -> Optional[str]:
    """A time as text: in UTC, unless the entry has a clock of its own that knows no zone."""
    if when is None:
        return None
    return (when.astimezone(timezone.utc) if when.tzinfo else when).isoformat()


def _time(text: Optional[str], zone: Any) -> Optional[datetime]:
    """The time of a text, in the application's zone: a crontab reads hour and minute from it."""
    if text is None:
        return None
    when = datetime.fromisoformat(text)
    return when.astimezone(zone) if when.tzinfo else when

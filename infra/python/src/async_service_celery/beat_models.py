"""The rows of django-celery-beat as schedules of this service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, Optional

from .beat_import import Change, Unsupported, definition, moment


def are_used() -> bool:
    """Whether the application is Django's, with django-celery-beat. The start of the application has set Django up."""
    try:
        from django.apps import apps

        return bool(apps.ready and apps.is_installed("django_celery_beat"))
    except ImportError:
        return False


def changes(app: Any, prefix: str) -> dict[str, Optional[Change]]:
    """By the name of a row, the schedule that it asks for as a change of kind `+` or `!`; None for a row that is never
    due again."""
    from django_celery_beat.models import PeriodicTask

    rows = PeriodicTask.objects.select_related("interval", "crontab", "solar", "clocked").order_by("name")
    return {row.name: _change(app, row, prefix + row.name.replace("/", "_")) for row in rows}


def _change(app: Any, row: Any, name: str) -> Optional[Change]:
    if _is_over(row, datetime.now(timezone.utc)):
        return None
    try:
        return Change("+", name, wanted=_wanted(app, row))
    except Unsupported as reason:
        return Change("!", name, str(reason))


def _is_over(row: Any, now: datetime) -> bool:
    has_run = bool(row.one_off and row.total_run_count)
    clocked = row.clocked.clocked_time if row.clocked else None
    return has_run or any(when is not None and when <= now for when in (row.expires, clocked))


def _wanted(app: Any, row: Any) -> dict[str, Any]:
    """The schedule of a row. A member that is null has its default."""
    if row.solar:
        raise Unsupported(f"solar schedules ({row.solar.event}) have no rule here")
    scheduled = row.clocked.clocked_time if row.clocked else row.schedule
    zone = str(row.crontab.timezone) if row.crontab else None
    return {
        **definition(app, {**dict(_task(row)), "schedule": scheduled}, zone),
        "start": row.start_time and moment(row.start_time),
        "end": row.expires and moment(row.expires),
        "max_runs": 1 if row.one_off else None,
        "paused": not row.enabled,
    }


def _task(row: Any) -> Iterator[tuple[str, Any]]:
    """The task of a row, in the form of an entry of `beat_schedule`."""
    from kombu.utils.json import loads

    try:
        args, kwargs, headers = loads(row.args or "[]"), loads(row.kwargs or "{}"), loads(row.headers or "{}")
    except ValueError as error:
        raise Unsupported(f"the row's JSON cannot be read: {error}") from error
    options = {name: getattr(row, name) for name in ("queue", "exchange", "routing_key", "priority")}
    # As DatabaseScheduler sends it.
    options["headers"] = {**headers, "periodic_task_name": row.name}
    options["expires"] = row.expire_seconds
    yield from {"task": row.task, "args": args, "kwargs": kwargs}.items()
    yield "options", {name: value for name, value in options.items() if value is not None}

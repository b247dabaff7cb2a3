"""The beat schedule of an application as schedules of this service.

docs/SCHEDULES.md has the form of a schedule. The difference between the two sides is printed first, and made on demand
alone.
"""

from __future__ import annotations

import datetime
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

# What `apply_async` takes and a message has; the rest of a task's options is about the connection.
_OPTIONS = (
    "queue",
    "expires",
    "headers",
    "priority",
    "time_limit",
    "soft_time_limit",
    "ignore_result",
    "shadow",
    "MessageGroupId",
    "MessageDeduplicationId",
)
_FIELDS = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")


class Unsupported(Exception):
    """An entry that no schedule of this service can stand for."""


@dataclass(frozen=True)
class Change:
    """What is to be done about one schedule: `+` create, `~` replace, `-` delete, `=` nothing, `!` cannot be done."""

    kind: str
    name: str
    text: str = ""
    wanted: Optional[dict[str, Any]] = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f"  {self.text}" if self.text else "")


def entries(app: Any, prefix: str) -> Iterator[Change]:
    """The schedules that the application's entries and the rows of django-celery-beat ask for, as changes of kind `+`
    or `!`. A row comes before the entry that it was made of, as somebody may have changed the row."""
    from . import beat_models

    app.loader.init_worker()
    app.finalize()
    rows = beat_models.changes(app, prefix) if beat_models.are_used() else {}
    for name, entry in sorted((app.conf.beat_schedule or {}).items()):
        if name in rows:
            continue
        own = prefix + name.replace("/", "_")
        try:
            wanted = definition(app, dict(entry))
        except Unsupported as reason:
            yield Change("!", own, str(reason))
        else:
            yield Change("+", own, wanted=wanted)
    yield from (change for change in rows.values() if change is not None)


def definition(app: Any, entry: dict[str, Any], zone: Optional[str] = None) -> dict[str, Any]:
    """The schedule of one entry, without its name. `zone` is its time zone, if that is not the application's."""
    task = entry["task"]
    args, kwargs = list(entry.get("args") or ()), dict(entry.get("kwargs") or {})
    options = _options(app, task, args, kwargs, dict(entry.get("options") or {}))
    return {
        "celery": {"task": task, "args": _plain(args), "kwargs": _plain(kwargs), "options": _plain(options)},
        "rule": rule(entry["schedule"]),
        "timezone": zone or _timezone(app),
    }


def rule(schedule: Any) -> dict[str, Any]:
    """The rule of a crontab, an interval, a number of seconds or one moment."""
    from celery import schedules

    if isinstance(schedule, datetime.datetime):
        return {"at": moment(schedule)}
    if isinstance(schedule, schedules.crontab):
        return {"crontab": {field: _field(getattr(schedule, f"_orig_{field}")) for field in _FIELDS}}
    if type(schedule) is schedules.schedule:
        schedule = schedule.run_every
    if isinstance(schedule, datetime.timedelta):
        schedule = schedule.total_seconds()
    if not isinstance(schedule, (int, float)):
        raise Unsupported(f"a schedule of the class {type(schedule).__qualname__} has no rule here")
    if schedule < 1:
        raise Unsupported(f"an interval of {schedule:g} s is below one second")
    return {"every": int(schedule) if float(schedule).is_integer() else schedule}


def moment(when: datetime.datetime) -> str:
    """A moment as text with its offset. Django's are in UTC, and without a zone where `USE_TZ` is off."""
    return (when if when.tzinfo else when.astimezone()).isoformat(timespec="milliseconds")


def _field(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(str(each) for each in sorted(value))
    return re.sub(r"\s+", "", str(value))


def _timezone(app: Any) -> str:
    zone = app.conf.timezone or ("UTC" if app.conf.enable_utc else None)
    if zone is None:
        raise Unsupported("the application has the time zone of its machine: set `timezone`")
    return str(getattr(zone, "key", None) or getattr(zone, "zone", None) or zone)


def _options(app: Any, name: str, args: Any, kwargs: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The options of the entry and of the task, and the queue that Celery routes the call to."""
    task = app.tasks.get(name)
    options = {**(task._get_exec_options() if task is not None else {}), **given}
    if options.get("serializer") not in (None, "json"):
        raise Unsupported(f"the task is sent as {options['serializer']}")
    unknown = sorted(given.keys() - {*_OPTIONS, "serializer", "exchange", "routing_key"})
    if unknown:
        raise Unsupported(f"no schedule has the options {unknown}")
    queue = app.amqp.router.route(dict(options), name, args, kwargs).get("queue")
    kept = {key: options[key] for key in _OPTIONS if options.get(key) not in (None, False)}
    kept["queue"] = str(getattr(queue, "name", queue) or app.conf.task_default_queue)
    expires = kept.get("expires")
    if isinstance(expires, datetime.timedelta):
        kept["expires"] = expires.total_seconds()
    elif isinstance(expires, datetime.datetime):
        raise Unsupported("`expires` is a fixed moment")
    return kept


def _plain(value: Any) -> Any:
    from .answer import plain

    try:
        return plain(value)
    except Exception as error:
        raise Unsupported(f"arguments that are no JSON: {error}") from error


class Service:
    """The schedules of a running service, over HTTP. `key` is an API key, or None."""

    def __init__(self, url: str, key: Optional[str]) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the address of the service must begin with http:// or https://, not {url!r}")
        self._url = url.rstrip("/")
        self._key = key

    def schedules(self, prefix: str) -> dict[str, dict[str, Any]]:
        """The schedules whose names begin with `prefix`."""
        found, url = {}, f"{self._url}/schedules/?limit=100"
        while url:
            page, link = self._request("GET", url)
            found.update({one["name"]: one for one in page})
            match = re.search(r'<([^>]+)>;\s*rel="next"', link)
            url = urllib.parse.urljoin(url, match.group(1)) if match else ""
        return {name: one for name, one in found.items() if name.startswith(prefix)}

    def make(self, change: Change, version: Optional[int]) -> None:
        """Makes a change. A schedule that somebody has changed since it was read is left alone: HTTP 412."""
        path = f"{self._url}/schedules/{urllib.parse.quote(change.name, safe='')}"
        if change.kind == "+":
            given = {name: value for name, value in (change.wanted or {}).items() if value is not None}
            self._request("POST", f"{self._url}/schedules/", {"name": change.name, **given})
        elif change.kind == "~":
            self._request("PATCH", path, change.wanted, version)
        elif change.kind == "-":
            self._request("DELETE", path, None, version)

    def _request(self, method: str, url: str, body: Any = None, version: Optional[int] = None) -> tuple[Any, str]:
        headers = {"content-type": "application/json"} if body is not None else {}
        if version is not None:
            headers["if-match"] = f'"{version}"'
        if self._key:
            headers["x-api-key"] = self._key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
                return (json.loads(text) if text else None), response.headers.get("link") or ""
        except urllib.error.HTTPError as error:
            detail = error.read(2000).decode(errors="replace")
            raise ValueError(f"{method} {url} is answered with {error.code}: {detail}") from error


def difference(wanted: list[Change], there: dict[str, dict[str, Any]], prune: bool) -> list[Change]:
    """The changes that make the service's schedules those that are wanted. Without `prune` none is deleted."""
    changes = []
    for change in wanted:
        found = there.get(change.name)
        if change.wanted is None or found is None:
            text = change.text or json.dumps((change.wanted or {})["rule"])
            changes.append(Change(change.kind, change.name, text, change.wanted))
            continue
        differs = [each for each, value in change.wanted.items() if _canonical(found.get(each)) != _canonical(value)]
        pairs = (f"{each}: {json.dumps(found.get(each))} → {json.dumps(change.wanted[each])}" for each in differs)
        changes.append(Change("~" if differs else "=", change.name, "; ".join(pairs), change.wanted))
    gone = sorted(there.keys() - {change.name for change in wanted}) if prune else []
    return changes + [Change("-", name, "is no entry any more") for name in gone]


def _canonical(value: Any) -> Any:
    """A part of a schedule for comparison: fields of a crontab that are left out are `*`, numbers are texts, moments
    are in UTC."""
    if isinstance(value, dict) and isinstance(value.get("at"), str):
        return {"at": _canonical(value["at"])}
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        when = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        return when.astimezone(datetime.timezone.utc)
    if isinstance(value, dict) and isinstance(value.get("crontab"), dict):
        return {"crontab": {field: str(value["crontab"].get(field, "*")) for field in _FIELDS}}
    return value

"""What of an application runs in the function, what does not, and the setting that helps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Optional

from .settings import is_served

#: Lambda's longest time, in seconds.
MAX_TIME = 900
ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """One thing to know. An `error` does not work as it stands, a `warning` works in another way."""

    level: str
    topic: str
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """What the check has found."""

    app: str
    broker: str
    backend: str
    queues: dict[str, Optional[str]]
    tasks: list[str]
    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        """1 if something does not work as it stands, or else 0."""
        return int(any(finding.level == ERROR for finding in self.findings))

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "ok": self.exit_code == 0}, indent=2)

    def to_text(self) -> str:
        lines = [f"{self.app}: {len(self.tasks)} tasks, broker {self.broker}, results {self.backend}", "", "Queues:"]
        lines += [f"  {name}  {url or 'no predefined URL'}" for name, url in self.queues.items()]
        lines += ["", "Tasks:", *(f"  {name}" for name in self.tasks)]
        for level in (ERROR, WARNING, NOTE):
            found = [finding for finding in self.findings if finding.level == level]
            lines += ["", f"{level.capitalize()}s:"] if found else []
            for finding in found:
                lines.append(f"  [{finding.topic}] {finding.text}")
                lines += [f"      → {finding.remedy}"] if finding.remedy else []
        return "\n".join([*lines, "", "All runs." if not self.exit_code else "Not all runs as it stands."])


def check(name: str) -> Report:
    """Imports the application as a worker does, and looks at its settings and tasks. Nothing is sent or stored."""
    from .start import find

    app = find(name)
    app.loader.init_worker()
    app.finalize()
    tasks = sorted(task for task in app.tasks if not task.startswith("celery."))
    findings = [finding for look in _LOOKS for finding in look(app, tasks)]
    return Report(name, _scheme(app.conf.broker_url), _backend(app), _queues(app, tasks), tasks, findings)


def _scheme(url: Any) -> str:
    first = url[0] if isinstance(url, (list, tuple)) and url else url
    return str(first or "").split(":", 1)[0] or "none"


def _backend(app: Any) -> str:
    return _scheme(app.conf.result_backend) if app.conf.result_backend else "none"


def _queues(app: Any, tasks: list[str]) -> dict[str, Optional[str]]:
    """The queues that the settings name, with their URLs."""
    urls = {name: queue.get("url") for name, queue in _predefined(app).items()}
    names = [app.conf.task_default_queue, *app.amqp.queues, *(_queue_of(app, task) for task in tasks)]
    return {name: urls.get(name) for name in dict.fromkeys([*names, *urls]) if name}


def _predefined(app: Any) -> dict[str, Any]:
    return dict((app.conf.broker_transport_options or {}).get("predefined_queues") or {})


def _queue_of(app: Any, name: str) -> str:
    """The queue that a call of the task goes to if the call names none."""
    task = app.tasks[name]
    queue = getattr(task, "queue", None) or app.amqp.router.route({}, name, (), {}).get("queue")
    return str(getattr(queue, "name", queue) or app.conf.task_default_queue)


def _look_at_broker(app: Any, tasks: list[str]) -> Iterator[Finding]:
    scheme = _scheme(app.conf.broker_url)
    if scheme != "sqs":
        remedy = "set broker_url = 'sqs://' and broker_transport_options['predefined_queues']"
        yield Finding(ERROR, "broker", f"the broker is {scheme}, and tasks come from SQS", remedy)
        return
    predefined = _predefined(app)
    if not predefined:
        remedy = "set broker_transport_options['predefined_queues']"
        yield Finding(WARNING, "broker", "without predefined queues the function lists and creates queues", remedy)
        return
    for queue in sorted({app.conf.task_default_queue, *(_queue_of(app, task) for task in tasks)} - predefined.keys()):
        remedy = f"add {queue!r} to predefined_queues, and to CeleryQueues of the stack"
        yield Finding(ERROR, "queue", f"the queue {queue!r} has no predefined URL, so that nothing can be sent", remedy)


def _look_at_backend(app: Any, _: list[str]) -> Iterator[Finding]:
    scheme = _backend(app)
    if scheme in ("dynamodb", "none"):
        return
    text = f"results are in {scheme}, where the function stores them itself: an attempt that is repeated stores again"
    yield Finding(
        WARNING, "results", f"{text}, and a chord may count twice", "set result_backend = 'dynamodb://@REGION/TABLE'"
    )


def _look_at_limits(app: Any, tasks: list[str]) -> Iterator[Finding]:
    remedy = "task_routes = {{{0!r}: {{'queue': 'long'}}}} for a queue that a Celery worker keeps (`-Q long`)"
    for name in tasks:
        task = app.tasks[name]
        limits = [limit for limit in (task.time_limit, task.soft_time_limit) if limit]
        if limits and max(limits) > MAX_TIME and _is_served(app, name):
            text = f"{name} may take {max(limits):g} s, and a function ends after {MAX_TIME} s"
            yield Finding(ERROR, "time", text, remedy.format(name))


def _is_served(app: Any, name: str) -> bool:
    import os

    queues = os.environ.get("SERVED_QUEUES")
    if not queues:
        return True
    queue = _queue_of(app, name)
    url = _predefined(app).get(queue, {}).get("url") or queue
    served = [each.strip() for each in queues.split(",")]
    return queue in served or is_served(served, url)


def _look_at_serializers(app: Any, tasks: list[str]) -> Iterator[Finding]:
    used = {app.conf.task_serializer, *(app.tasks[name].serializer for name in tasks)} - {"json", None}
    for name in sorted(used):
        remedy = f"add {name!r} to CELERY_ACCEPT of the worker; the body is decoded in the function alone"
        yield Finding(WARNING, "serializer", f"tasks are sent as {name!r}, which the worker refuses by default", remedy)
    if used and not used <= set(app.conf.accept_content):
        refused = sorted(used - set(app.conf.accept_content))
        yield Finding(ERROR, "serializer", f"accept_content has not {refused}", "add the serializer to accept_content")


def _look_at_requests(app: Any, tasks: list[str]) -> Iterator[Finding]:
    for name in tasks:
        request = app.tasks[name].Request
        if request not in ("celery.worker.request:Request", "celery.worker.request.Request"):
            text = f"{name} has a Request class of its own: it is made in the function, and only its failures are told"
            yield Finding(WARNING, "request", text, "move what the class does to signals or to the task's hooks")


def _look_at_control(app: Any, _: list[str]) -> Iterator[Finding]:
    from celery.worker.control import Panel

    for name, function in sorted(Panel.data.items()):
        module = getattr(function, "__module__", "")
        if not module.startswith("celery."):
            text = f"the control command {name!r} of {module} is never called"
            yield Finding(WARNING, "control", text, "make it a task")
    if app.steps["worker"] or app.steps["consumer"]:
        yield Finding(WARNING, "bootsteps", "steps of the worker are never started", "use worker_process_init")


def _look_at_rates(app: Any, tasks: list[str]) -> Iterator[Finding]:
    remedy = (
        "task_routes = {{{0!r}: {{'queue': 'limited'}}}} for a queue that a Celery worker keeps (`-Q limited`), or a "
        "function of its own for the task, with a reserved concurrency of N: at most N bodies at a time, which is at "
        "most N in the time that the shortest body takes"
    )
    for name in tasks:
        limit = app.tasks[name].rate_limit
        if limit and _is_served(app, name):
            text = f"{name} has the rate limit {limit}, which Celery's own worker keeps and the function does not"
            yield Finding(WARNING, "rate", text, remedy.format(name))


def _look_at_signals(_: Any, __: list[str]) -> Iterator[Finding]:
    from celery import signals

    for signal in ("worker_ready", "worker_shutdown", "worker_process_shutdown", "worker_shutting_down"):
        if getattr(signals, signal).receivers:
            yield Finding(WARNING, "signal", f"receivers of {signal} are never called", "use worker_process_init")


def _look_at_schedules(app: Any, _: list[str]) -> Iterator[Finding]:
    from .beat_scheduler import configured

    try:
        cls = configured(app)
    except Exception as error:
        remedy = "install the package, or change `beat_scheduler`"
        yield Finding(ERROR, "schedule", f"the scheduler {app.conf.beat_scheduler} is not found: {error}", remedy)
        return
    entries = app.conf.beat_schedule or {}
    yield from _scheduler(cls, len(entries))
    for name, entry in sorted(entries.items()):
        seconds = _seconds(entry.get("schedule") if isinstance(entry, dict) else entry.schedule)
        if seconds is not None and seconds < 60:
            text = f"the entry {name!r} is due each {seconds:g} s"
            remedy = "with BeatScheduler=own the function runs all the time; a schedule of this service does not"
            yield Finding(NOTE, "schedule", text, remedy)


def _scheduler(cls: type, count: int) -> Iterator[Finding]:
    """What to do about the application's scheduler class."""
    from .beat_scheduler import keeps_entries_elsewhere

    name = f"{cls.__module__}.{cls.__qualname__}"
    if keeps_entries_elsewhere(cls):
        remedy = "BeatScheduler=own has the class tick in a function"
        if any(each.__module__.startswith("django_celery_beat.") for each in cls.__mro__):
            remedy += ", or `beat-import` makes schedules of this service of its rows"
        yield Finding(WARNING, "schedule", f"the scheduler is {name}, which keeps its own entries", remedy)
    elif count:
        remedy = "`beat-import` makes schedules of this service of them, or BeatScheduler=own has the class tick"
        yield Finding(NOTE, "schedule", f"the scheduler is {name}, entries: {count}", remedy)


def _seconds(schedule: Any) -> Optional[float]:
    every = getattr(schedule, "run_every", schedule)
    if hasattr(every, "total_seconds"):
        return float(every.total_seconds())
    return float(every) if isinstance(every, (int, float)) else None


_LOOKS = (
    _look_at_broker,
    _look_at_backend,
    _look_at_limits,
    _look_at_serializers,
    _look_at_requests,
    _look_at_control,
    _look_at_rates,
    _look_at_signals,
    _look_at_schedules,
)

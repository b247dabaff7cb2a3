"""One attempt of one task: from the worker's request to the answer."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from datetime import datetime, timezone
from typing import Any, Callable, Optional

from . import answer, connections, envelope, progress, recording, tracing
from .limits import Alarm, HardLimit, Left, Limits
from .settings import is_served
from .start import Worker, worker
from .table import Table

logger = logging.getLogger(__name__)
# Seconds that an answer takes to the worker. The worker waits 2 s longer than the hard limit of a message.
_ANSWER = 1.0


def run(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Runs the task of a request and gives the answer. Raises when the application does not start."""
    started = worker()
    try:
        return answer.seal(Attempt(started, event, context).run())
    finally:
        connections.close(started.app)


class Attempt:
    """One attempt of one task."""

    def __init__(self, worker: Worker, event: dict[str, Any], context: Any) -> None:
        self.worker = worker
        self.app = worker.app
        self.event = event
        self.context = context
        self.is_native = "celery" not in event
        if self.is_native:
            self.form = envelope.of_native(event["task"], event.get("time_limit"), event.get("input"))
            self.form["headers"].update(tracing.of(event.get("trace") or {}))
        else:
            self.form = event["celery"]
        self.wants_requeue = False
        self.is_left_to_worker = False

    def run(self) -> dict[str, Any]:
        """The answer. What cannot be run has no `celery` part, so that the worker makes the end of it."""
        from celery.exceptions import NotRegistered
        from kombu.serialization import prepare_accept_content

        try:
            accept = prepare_accept_content(self.app.conf.accept_content)
            message = envelope.to_kombu(self.form, {"application/json"} if self.is_native else accept)
            if self._is_redelivered(message.headers):
                message.delivery_info["redelivered"] = True
            name = message.headers["task"]
            if name not in self.app.tasks:
                return answer.error(NotRegistered(name))
            self.task = self.app.tasks[name]
            self.request = self._request(message)
            self.args, self.kwargs, self.embed = message.payload
            self.recording = self._recording()
        except Exception as error:
            return answer.error(error)
        with recording.record(self.recording):
            outcome = self._trace()
        if self._goes_on(outcome):
            outcome = dict(answer.MOVED)
        if self.is_native or self.is_left_to_worker:
            return outcome
        return {**outcome, "celery": {**outcome.get("celery", {}), "calls": self.recording.calls()}}

    def _goes_on(self, outcome: dict[str, Any]) -> bool:
        """Whether the body has ended, and its task goes on all the same: the body caught what `retry` raised, or told
        `retry` to raise nothing. As with Celery's worker, the end holds, and the message of the retry is sent."""
        is_end = bool(outcome.keys() & {"result", "error", "ignore"})
        return is_end and not self.is_native and self.recording.own_message() is not None

    def _is_redelivered(self, headers: dict[str, Any]) -> bool:
        """Whether the message was given to an attempt before: there were more attempts than the body asked for."""
        return int(self.event["task"].get("attempt") or 1) - 1 > int(headers.get("retries") or 0)

    def _request(self, message: Any) -> Any:
        """Celery's own request, of the class that the task names."""
        from celery import signals
        from celery.utils.imports import symbol_by_name

        request = symbol_by_name(self.task.Request)(
            message,
            on_ack=lambda *_: None,
            on_reject=self._on_reject,
            hostname=self.worker.hostname,
            app=self.app,
            task=self.task,
            headers=message.headers,
            body=message.body,
            decoded=False,
            utc=self.app.uses_utc_timezone(),
        )
        signals.task_received.send(sender=self.worker, request=request)
        return request

    def _on_reject(self, _: Any, __: Any, requeue: bool) -> None:
        self.wants_requeue = requeue

    def _recording(self) -> recording.Recording:
        headers, embed = self.request.request_dict, self.embed or {}
        chords: dict[str, Any] = {}
        links: set[str] = set()
        if headers.get("group") and embed.get("chord"):
            chords[headers["group"]] = embed["chord"]
        for link in embed.get("chain") or ():
            _collect(link, chords, links)
        table = Table.of(self.task)
        if table is not None and self.form.get("body_encoding") and headers.get("group") in chords:
            # The worker does not read this message. It has to know the chord if this function never answers.
            table.note_chord(headers["group"], chords[headers["group"]])
        return recording.Recording(
            self.request.id,
            table,
            chords,
            frozenset(links),
            self.is_native,
            progress.reporter(self.event.get("progress_url")),
            tracing.of(headers),
            is_started=bool(self.form.get("started")),
            may_have_ended=int(self.event["task"].get("run") or 1) > 1 and int(headers.get("retries") or 0) > 0,
        )

    def _trace(self) -> dict[str, Any]:
        data = self.request.request_dict
        data.update(
            {"args": self.args, "kwargs": self.kwargs, "hostname": self.worker.hostname, "is_eager": False},
            **(self.embed or {}),
        )
        limits = self._limits(data.get("timelimit"))
        try:
            with self._alarm(limits):
                value, info, _, _ = self.task.__trace__(self.request.id, self.args, self.kwargs, data)
        except HardLimit:
            return self._timed_out(limits)
        except BaseException as error:
            return self._lost(error)
        if info is None:
            return self._succeeded(value)
        return self._ended(info.state, info.retval, value)

    def _limits(self, declared: Any) -> Limits:
        return Limits.of(declared, self.task, self._left(), self.worker.settings.margin)

    def _left(self) -> Optional[Left]:
        """The time of the function or of the worker, whichever ends first."""
        times = []
        if self.context is not None:
            seconds = self.context.get_remaining_time_in_millis() / 1000
            times.append(Left.of(seconds, self.worker.settings.margin))
        if self.event.get("deadline") is not None:
            times.append(Left.of(self.event["deadline"] / 1000 - time.time(), _ANSWER))
        return min(times, key=lambda left: left.usable, default=None)

    @contextlib.contextmanager
    def _alarm(self, limits: Limits) -> Any:
        is_in_body = lambda: self.recording.depth > 0  # noqa: E731
        alarm = Alarm(limits, is_in_body, self.context is not None)
        try:
            with alarm:
                yield
        finally:
            # Again: a limit that is over at the very end interrupts the first time.
            alarm.close()

    def _succeeded(self, value: Any) -> dict[str, Any]:
        if not self.is_native:
            return answer.result(answer.plain_or_text(value))
        try:
            return answer.result(answer.plain(value))
        except Exception as error:
            return answer.error(error)

    def _ended(self, state: str, error: BaseException, value: Any) -> dict[str, Any]:
        """The answer of an end that is no success; `value` is Celery's ExceptionInfo."""
        from celery import states

        if state == states.RETRY:
            return self._retry(error)
        if state == states.IGNORED:
            # Brokers other than SQS are not recorded, so the text tells.
            is_replaced = self.recording.is_replaced or str(error) == "Replaced by new task"
            return dict(answer.MOVED if is_replaced else answer.IGNORE)
        if state == states.REJECTED:
            # Since Celery 5.7 this stores a failure.
            self.request.on_failure(value, return_ok=True)
            return answer.reject(bool(getattr(error, "requeue", False)), getattr(error, "reason", error))
        return answer.error(error, str(getattr(value, "traceback", "") or ""))

    def _retry(self, error: Any) -> dict[str, Any]:
        call = self.recording.own_message()
        if call is None:
            # Sent through another broker, by an `apply_async` of the application's own, or not at all.
            return dict(answer.MOVED)
        found = envelope.read(call["send"]["body"]) or {}
        message = envelope.message(found)
        if not self._is_served(call["send"]["queue_url"], message) and not self.is_native:
            return dict(answer.MOVED)
        self.recording.take(call)
        outcome = answer.retry(_delay(message["headers"].get("eta")), getattr(error, "exc", None) or error)
        if not self.is_native:
            return {**outcome, "celery": {"message": message}}
        if "body_encoding" in message:
            return answer.error(ValueError("retry() of a task that no Celery client sent needs task_serializer='json'"))
        return {"retry": {**outcome["retry"], **_changed_input(message, self.form)}}

    def _is_served(self, url: str, message: dict[str, Any]) -> bool:
        served = self.worker.settings.served_queues
        if served is None:
            return True
        name = (message["properties"].get("delivery_info") or {}).get("routing_key")
        return is_served(served, url) or name in served

    def _timed_out(self, limits: Limits) -> dict[str, Any]:
        from celery.exceptions import TimeLimitExceeded

        self.recording.has_ended = True
        return self._failed(TimeLimitExceeded(limits.name), lambda _: self.request.on_timeout(False, limits.name))

    def _lost(self, error: BaseException) -> dict[str, Any]:
        """What leaves Celery's tracer: an exit, which ends the process of a pool, or the error of an error callback."""
        from celery.exceptions import Reject, WorkerLostError

        self.recording.has_ended = True
        if isinstance(error, Reject):
            return answer.reject(bool(error.requeue), error.reason)
        if not isinstance(error, Exception):
            error = WorkerLostError(f"Worker exited prematurely: {_exit_of(error)}.")
        assert isinstance(error, Exception)
        return self._failed(error, lambda info: self.request.on_failure(info, return_ok=False))

    def _failed(self, error: Exception, tell: Callable[[Any], None]) -> dict[str, Any]:
        """Tells Celery's request of a failure that its tracer has not seen. The answer is what Celery makes of it."""
        from billiard.einfo import ExceptionInfo
        from celery import states

        try:
            raise error
        except Exception:
            info = ExceptionInfo()
        try:
            tell(info)
        except Exception:
            logger.exception("Celery could not end task %s", self.request.id)
            # The worker makes the end, if Celery has stored none.
            self.is_left_to_worker = self.recording.own_status() is None
        stored = self.recording.own_status() or {}
        if stored.get("status") == states.SUCCESS:
            # A hook failed after the task had ended, which is not taken back.
            return answer.result(answer.plain_or_text(stored.get("result")))
        if stored.get("status") == states.RETRY:
            return self._retry(error)
        if self.wants_requeue:
            return answer.reject(True, error)
        return answer.error(error, info.traceback)


def _collect(link: Any, chords: dict[str, Any], links: set[str]) -> None:
    """Collects the chords and the ids of a signature, and of the body of a chord."""
    options = link.get("options") or {}
    if options.get("task_id"):
        links.add(options["task_id"])
    if options.get("chord") and options.get("group_id"):
        chords[options["group_id"]] = options["chord"]
    body = (link.get("kwargs") or {}).get("body") if link.get("subtask_type") == "chord" else None
    if isinstance(body, dict):
        _collect(body, chords, links)


def _delay(eta: Any) -> float:
    """Seconds until a time in ISO 8601; without a zone it is in UTC."""
    from celery.utils.time import maybe_iso8601

    if not eta:
        return 0.0
    when = maybe_iso8601(eta)
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return float((when - datetime.now(timezone.utc)).total_seconds())


def _changed_input(message: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The input of the next attempt of a task in the service's own format, if a retry has changed it."""
    args, kwargs = json.loads(message["body"])[:2]
    old_args, old_kwargs = json.loads(before["body"])[:2]
    return {} if (args, kwargs) == (old_args, old_kwargs) else {"input": {"args": args, "kwargs": kwargs}}


def _exit_of(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        return f"exitcode {code}"
    return f"{type(error).__qualname__}: {error}"

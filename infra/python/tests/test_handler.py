"""The answers of the handler, one attempt each, and what goes straight out."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Optional

import pytest

HERE = Path(__file__).parent


class Context:
    """Lambda's context with this much time left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


@pytest.fixture(scope="module")
def bodies(environment: dict[str, Any]) -> Any:
    import async_service_celery  # noqa: F401  before any session of botocore is made
    from async_service_celery.start import worker

    assert worker().app.conf.result_backend
    import bodies

    return bodies


@pytest.fixture
def made(bodies: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The operations of AWS that are made, in place of being answered."""
    from async_service_celery.recording import Recording

    operations: list[str] = []
    original = Recording.call

    def call(self: Any, operation: str, params: Any) -> Any:
        reply = original(self, operation, params)
        if reply is None:
            operations.append(operation)
        return reply

    monkeypatch.setattr(Recording, "call", call)
    yield operations


def native(job: str, given: Any = None, **fields: Any) -> dict[str, Any]:
    task = {"id": str(uuid.uuid4()), "job": job, "run": 1, "attempt": fields.pop("attempt", 1), "submitted_at": 0}
    return {"version": 1, "task": {**task, "caller": None}, "input": given, "progress_url": None, **fields}


def sent(name: str, args: Any = (), kwargs: Any = None, embed: Any = None, **headers: Any) -> dict[str, Any]:
    """The request for a task of a Celery client."""
    task_id = headers.pop("id", None) or str(uuid.uuid4())
    fields = {"lang": "py", "task": name, "id": task_id, "root_id": task_id, "parent_id": None, "retries": 0}
    form = {
        "headers": {**fields, "timelimit": [None, None], "group": None, "eta": None, "expires": None, **headers},
        "properties": {"correlation_id": task_id, "delivery_info": {"exchange": "", "routing_key": "celery"}},
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "body": json.dumps([list(args), kwargs or {}, embed or {}]),
    }
    task = {"id": task_id, "job": name, "run": 1, "attempt": 1, "submitted_at": 0, "caller": None}
    return {"version": 1, "task": task, "time_limit": None, "progress_url": None, "celery": form}


def run(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
    from async_service_celery import handler

    answer: dict[str, Any] = json.loads(json.dumps(handler(event, context)))
    return answer


def kinds(answer: dict[str, Any]) -> list[str]:
    return [next(iter(call)) for call in answer["celery"]["calls"]]


def stored(answer: dict[str, Any], at: int = -1) -> dict[str, Any]:
    stores = [call["store"] for call in answer["celery"]["calls"] if "store" in call]
    found: dict[str, Any] = json.loads(base64.b64decode(stores[at]["result"]))
    return found


# Tasks of Celery.


def test_a_result_is_recorded_and_nothing_is_called(bodies: Any, made: list[str]) -> None:
    event = sent("bodies.add", (1, 2))
    answer = run(event)
    assert answer["result"] == 3
    assert kinds(answer) == ["store"]
    store = answer["celery"]["calls"][0]["store"]
    assert store["id"] == f"b'celery-task-meta-{event['task']['id']}'"
    assert store["table"] == "results"
    assert abs(store["timestamp"] - time.time()) < 60
    assert stored(answer)["status"] == "SUCCESS"
    assert made == []


def test_a_failure_has_class_text_module_and_traceback(bodies: Any) -> None:
    error = run(sent("bodies.fail", ("why",)))["error"]
    assert (error["type"], error["message"], error["module"]) == ("ValueError", "why", "builtins")
    assert "in fail" in error["traceback"]


def test_a_retry_has_its_delay_and_the_next_message(bodies: Any, made: list[str]) -> None:
    event = sent("bodies.retried", ("t", "args"), retries=1)
    bodies.app.tasks["bodies.retried"].default_retry_delay = 180
    event["celery"]["headers"]["retries"] = 0
    answer = run(event)
    assert answer["retry"]["delay"] == pytest.approx(0, abs=1)
    message = answer["celery"]["message"]
    assert message["headers"]["id"] == event["task"]["id"]
    assert message["headers"]["retries"] == 1
    assert json.loads(message["body"])[0] == ["t", "args", 10]
    assert kinds(answer) == ["store"]
    assert stored(answer)["status"] == "RETRY"
    assert "SendMessage" not in made


def test_a_retry_on_a_queue_that_is_not_served_moves_the_task(bodies: Any) -> None:
    @bodies.app.task(bind=True, name="tests.to_other")
    def to_other(self: Any) -> None:
        raise self.retry(queue="other", countdown=5)

    watch(bodies.app, to_other)
    answer = run(sent("tests.to_other"))
    assert answer["moved"] is True
    assert kinds(answer) == ["send", "store"]
    assert answer["celery"]["calls"][0]["send"]["queue_url"].endswith("/other")


def test_a_replaced_task_moves(bodies: Any) -> None:
    event = sent("bodies.replaced", ("task",))
    answer = run(event)
    assert answer["moved"] is True
    assert kinds(answer) == ["send"]
    from async_service_celery import envelope

    found = envelope.read(answer["celery"]["calls"][0]["send"]["body"])
    assert found is not None
    assert envelope.task_id(found) == event["task"]["id"]


def test_links_and_callbacks_come_before_the_result(bodies: Any, made: list[str]) -> None:
    link = json.loads(json.dumps(bodies.add.s(1).set(task_id="next")))
    callback = json.loads(json.dumps(bodies.add.s(5)))
    answer = run(sent("bodies.add", (1, 2), embed={"chain": [link], "callbacks": [callback]}))
    assert kinds(answer) == ["send", "send", "store"]
    assert len(stored(answer)["children"]) == 2
    assert "SendMessage" not in made


def test_a_member_of_a_chord_is_counted_by_the_worker(bodies: Any, made: list[str]) -> None:
    if bodies.VERSION < (5, 4):
        pytest.skip("no counter on DynamoDB")
    body = json.loads(json.dumps(bodies.xsum.s().set(task_id="body")))
    answer = run(sent("bodies.add", (1, 2), embed={"chord": body}, group="g1", group_index=0))
    assert kinds(answer) == ["store", "chord"]
    chord = answer["celery"]["calls"][1]["chord"]
    assert chord["group"] == "g1"
    assert chord["body"]["task"] == "bodies.xsum"
    assert made == []


def test_the_body_of_a_chord_keeps_its_types(bodies: Any) -> None:
    if bodies.VERSION < (5, 4):
        pytest.skip("no counter on DynamoDB")
    typed = {"__type__": "uuid", "__value__": {"hex": uuid.UUID(int=7).hex}}
    body = json.loads(json.dumps(bodies.give.s().set(task_id="body")))
    body["args"] = [typed]
    answer = run(sent("bodies.add", (1, 2), embed={"chord": body}, group="g1", group_index=0))
    assert answer["celery"]["calls"][1]["chord"]["body"]["args"] == [typed]


def test_a_failed_member_is_counted_too(bodies: Any) -> None:
    if bodies.VERSION < (5, 4):
        pytest.skip("no counter on DynamoDB")
    body = json.loads(json.dumps(bodies.xsum.s().set(task_id="body")))
    answer = run(sent("bodies.fail", embed={"chord": body}, group="g1", group_index=0))
    assert kinds(answer) == ["store", "chord"]


def test_a_failure_ends_the_links_and_the_chord_behind_it(bodies: Any, made: list[str]) -> None:
    if bodies.VERSION < (5, 4):
        pytest.skip("no counter on DynamoDB")
    body = json.loads(json.dumps(bodies.xsum.s().set(task_id="body")))
    last = bodies.add.s(1).set(task_id="last", group_id="g2", chord=body)
    chain = json.loads(json.dumps([last, bodies.add.s(1).set(task_id="middle")]))
    answer = run(sent("bodies.fail", embed={"chain": chain}))
    assert sorted(kinds(answer)) == ["chord", "store", "store", "store"]
    assert [call["chord"]["group"] for call in answer["celery"]["calls"] if "chord" in call] == ["g2"]
    assert made == []


def test_what_a_body_sends_and_its_progress_go_straight_out(bodies: Any, made: list[str]) -> None:
    tag = uuid.uuid4().hex
    answer = run(sent("bodies.parent", (tag,)))
    assert kinds(answer) == ["store"]
    # Before Celery 5.4 a chord on DynamoDB sends `celery.chord_unlock`.
    assert made.count("SendMessage") == (6 if bodies.VERSION >= (5, 4) else 7)
    made.clear()
    assert run(sent("bodies.steps", (tag,)))["result"] == "done"
    assert made.count("PutItem") == 1


def test_calls_of_other_threads_go_straight_out(bodies: Any, made: list[str]) -> None:
    @bodies.app.task(name="tests.threads", bind=True)
    def threads(self: Any) -> None:
        thread = threading.Thread(target=bodies.add.delay, args=(1, 2))
        thread.start()
        thread.join()

    watch(bodies.app, threads)
    depth = queue_length()
    assert kinds(run(sent("tests.threads"))) == ["store"]
    assert queue_length() == depth + 1


def test_an_unknown_task_is_left_to_the_worker(bodies: Any) -> None:
    answer = run(sent("no.such.task"))
    assert answer == {"error": {"type": "NotRegistered", "message": "no.such.task", "module": "celery.exceptions"}}


def test_pickle_is_refused_unless_the_application_takes_it(bodies: Any) -> None:
    import pickle

    event = sent("bodies.add")
    body = base64.b64encode(pickle.dumps(((1, 2), {}, {}))).decode()
    event["celery"].update(
        content_type="application/x-python-serialize", content_encoding="binary", body=body, body_encoding="base64"
    )
    assert run(event)["error"]["type"] == "ContentDisallowed"
    bodies.app.conf.accept_content = ["json", "pickle"]
    try:
        assert run(event)["result"] == 3
    finally:
        bodies.app.conf.accept_content = ["json"]


def test_a_message_over_the_limit_of_sqs_fails_the_task(bodies: Any) -> None:
    @bodies.app.task(name="tests.large")
    def large() -> str:
        return "x" * 350_000

    watch(bodies.app, large)
    callback = json.loads(json.dumps(bodies.give.s()))
    error = run(sent("tests.large", embed={"callbacks": [callback] * 2, "chain": []}))
    assert "result" in error or "error" in error
    callback = json.loads(json.dumps(bodies.give.s("y" * 700_000).set(immutable=True)))
    answer = run(sent("bodies.add", (1, 2), embed={"callbacks": [callback]}))
    assert "must be shorter than 1048576 bytes" in answer["error"]["message"]


def test_a_result_over_the_limit_of_dynamodb_fails_the_task(bodies: Any) -> None:
    @bodies.app.task(name="tests.too_large")
    def too_large() -> str:
        return "x" * 500_000

    watch(bodies.app, too_large)
    answer = run(sent("tests.too_large"))
    assert "Item size has exceeded" in answer["error"]["message"]
    assert stored(answer)["status"] == "FAILURE"


def test_an_exit_of_the_body_is_a_lost_worker(bodies: Any) -> None:
    answer = run(sent("bodies.exits", ("exit",)))
    assert answer["error"]["type"] == "WorkerLostError"
    assert "exitcode 3" in answer["error"]["message"]
    assert stored(answer)["status"] == "FAILURE"
    assert run(sent("bodies.exits", ("interrupt",)))["error"]["type"] == "WorkerLostError"
    assert run(sent("bodies.add", (1, 1)))["result"] == 2


def test_results_that_are_no_json(bodies: Any) -> None:
    assert run(sent("bodies.typed", ("nan",)))["result"] == "NaN"
    assert run(sent("bodies.typed", ("surrogate",)))["result"] == "?"
    assert run(sent("bodies.typed", ("object",)))["error"]["type"] == "EncodeError"
    if bodies.VERSION >= (5, 3):
        assert run(sent("bodies.typed", ("uuid",)))["result"]["__type__"] == "uuid"


# Tasks in the service's own format.


@pytest.mark.parametrize(
    ("given", "result"),
    [({"x": 1, "y": 2}, 3), ({"args": [1], "kwargs": {"y": 5}}, 6), ({"args": [1, 2]}, 3), (4, 5)],
)
def test_the_forms_of_an_input(bodies: Any, made: list[str], given: Any, result: Any) -> None:
    assert run(native("bodies.add", given)) == {"result": result}
    assert made == []


def test_no_arguments_and_wrong_ones(bodies: Any) -> None:
    assert run(native("bodies.fail"))["error"]["message"] == "no"
    assert run(native("bodies.add", {"z": 1}))["error"]["type"] == "TypeError"
    assert run(native("bodies.typed", "object"))["error"]["type"] == "EncodeError"


def test_a_retry_of_the_own_format(bodies: Any, made: list[str]) -> None:
    tag = uuid.uuid4().hex
    answer = run(native("bodies.retried", {"tag": tag, "form": "exc"}))
    assert answer["retry"]["delay"] == pytest.approx(0, abs=1)
    assert answer["retry"]["error"]["type"] == "OSError"
    assert "input" not in answer["retry"]
    changed = run(native("bodies.retried", {"args": [tag, "args"]}))
    assert changed["retry"]["input"] == {"args": [tag, "args", 10], "kwargs": {}}
    assert run(native("bodies.retried", {"tag": tag, "form": "exc"}, attempt=3)) == {"result": 2}
    assert not {"SendMessage", "PutItem"} & set(made)


def test_replace_of_the_own_format_is_an_error(bodies: Any) -> None:
    assert run(native("bodies.replaced", "task"))["error"]["type"] == "NotImplementedError"


def test_progress_of_the_own_format_goes_to_its_address(bodies: Any, made: list[str]) -> None:
    got: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/p"
        assert run(native("bodies.steps", uuid.uuid4().hex, progress_url=url)) == {"result": "done"}
    finally:
        server.shutdown()
        server.server_close()
    assert got == [{"done": 1, "total": 2, "message": "PROGRESS"}]
    assert "PutItem" not in made


# Limits.


def test_a_hard_limit_of_the_task(bodies: Any) -> None:
    tag = uuid.uuid4().hex
    began = time.monotonic()
    answer = run(sent("bodies.hard", (tag,)))
    assert time.monotonic() - began < 3
    assert answer["error"]["type"] == "TimeLimitExceeded"
    assert stored(answer)["result"]["exc_message"] == [1]
    assert bodies.notes(tag) == []


def test_the_time_of_the_function_is_a_limit_with_a_name(bodies: Any) -> None:
    answer = run(sent("bodies.steps_sleep", (20,)), Context(1.2))
    assert answer["error"]["type"] == "TimeLimitExceeded"
    assert "the function's time of 1 s" in answer["error"]["message"]


def test_the_deadline_of_the_request_is_a_limit(bodies: Any) -> None:
    event = sent("bodies.steps_sleep", (20,))
    event["deadline"] = int((time.time() + 1) * 1000)
    began = time.monotonic()
    assert run(event)["error"]["type"] == "TimeLimitExceeded"
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("hard", [1, 5, 60, 800])
def test_the_limit_of_a_message_is_not_cut_by_the_worker_that_waits_longer(bodies: Any, hard: float) -> None:
    from async_service_celery.limits import Left, Limits

    # As the worker makes its deadline.
    limits = Limits.of([hard, None], bodies.add, Left.of(hard + 2, 1.0))
    assert (limits.hard, limits.name) == (hard, hard)


def test_a_soft_limit_is_cut_to_the_time(bodies: Any) -> None:
    tag = uuid.uuid4().hex
    event = sent("bodies.soft", (tag,), timelimit=[None, 600])
    assert run(event, Context(2))["result"] == "cleaned"
    assert bodies.notes(tag) == ["soft"]


def test_a_body_that_does_not_end_at_its_hard_limit_ends_the_process(bodies: Any, tmp_path: Path) -> None:
    script = """
        import time, async_service_celery, test_handler
        from bodies import app

        @app.task(name="tests.stubborn", time_limit=0.2)
        def stubborn():
            while True:
                try:
                    time.sleep(60)
                except BaseException:
                    pass

        async_service_celery.handler(test_handler.sent("tests.stubborn"), test_handler.Context(60))
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TIME_MARGIN": "0.4"},
        cwd=HERE,
        capture_output=True,
        timeout=30,
    )
    assert ended.returncode == 124, ended.stderr.decode()
    assert b"does not end at its hard time limit" in ended.stderr


def queue_length() -> int:
    import boto3

    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="celery")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def watch(app: Any, task: Any, hostname: Optional[str] = None) -> None:
    """What the start does for each task, for a task that a test adds."""
    from celery.app import trace

    from async_service_celery import body

    found = app.tasks[task.name]
    body.watch(found)
    found.__trace__ = trace.build_tracer(found.name, found, app.loader, hostname, app=app)

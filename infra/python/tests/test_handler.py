"""The answers to attempts of Celery's tasks, and what goes straight out."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from typing import Any

import pytest
from attempts import kinds, run, sent, stored, watch


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


@pytest.mark.parametrize(("how", "status"), [("no throw", "SUCCESS"), ("return", "SUCCESS"), ("fail", "FAILURE")])
def test_a_body_that_swallows_a_retry_ends_and_moves(bodies: Any, how: str, status: str) -> None:
    event = sent("bodies.swallowed", (uuid.uuid4().hex, how))
    answer = run(event)
    assert answer["moved"] is True
    assert kinds(answer) == ["send", "store"]
    assert stored(answer)["status"] == status


def test_the_run_after_a_swallowed_retry_overwrites_no_success(bodies: Any, made: list[str]) -> None:
    tag = uuid.uuid4().hex
    event = sent("bodies.swallowed", (tag, "return"), retries=1)
    event["task"]["run"] = 2
    bodies.app.backend.store_result(event["task"]["id"], "first", "SUCCESS")
    answer = run(event)
    assert answer["result"] == "second"
    assert kinds(answer) == []
    assert made == ["GetItem"]


def test_started_is_stored_once(bodies: Any, made: list[str]) -> None:
    task = bodies.app.tasks["bodies.add"]
    task.track_started = True
    try:
        watch(bodies.app, task)
        run(sent("bodies.add", (1, 2)))
        assert made == ["GetItem", "PutItem"]
        made.clear()
        event = sent("bodies.add", (1, 2))
        event["celery"]["started"] = True
        assert kinds(run(event)) == ["store"]
        assert made == []
    finally:
        task.track_started = False
        watch(bodies.app, task)


def test_the_body_of_a_chord_is_noted_for_a_message_that_the_worker_does_not_read(bodies: Any) -> None:
    backend = bodies.app.backend
    group = uuid.uuid4().hex
    key = {"id": {"S": str(backend.get_key_for_chord(group))}}
    body = json.loads(json.dumps(bodies.xsum.s().set(task_id="body")))
    event = sent("bodies.add", (1, 2), embed={"chord": body}, group=group, group_index=0)
    read = event["celery"]["body"]

    def noted() -> Any:
        found = backend.client.get_item(TableName=backend.table_name, Key=key).get("Item", {})
        return json.loads(found["chord_body"]["S"]) if "chord_body" in found else None

    backend.client.put_item(TableName=backend.table_name, Item={**key, "chord_count": {"N": "0"}})
    run(event)
    assert noted() is None
    event["celery"].update(body=base64.b64encode(read.encode()).decode(), body_encoding="base64")
    for _ in range(2):
        run(event)
        assert noted() == body
    backend.client.delete_item(TableName=backend.table_name, Key=key)
    assert run(event)["result"] == 3
    assert noted() is None


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


def queue_length() -> int:
    import boto3

    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="celery")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])

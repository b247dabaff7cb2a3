"""The worker's side of the contract: takes messages of SQS, calls the handler, and makes the calls of the answer.

As small as it can be, and with Celery's own code where the worker has its own: the count of a chord's members.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import json
import time
from base64 import b64decode
from typing import Any, Optional

import boto3
from celery.app.task import Context
from celery.utils.time import maybe_iso8601

from async_service_celery import envelope, handler


class Engine:
    """Runs what is in a queue until nothing is left."""

    def __init__(self, app: Any, queue_url: str, endpoint: str) -> None:
        self.app = app
        self.queue_url = queue_url
        self.sqs = boto3.client("sqs", endpoint_url=endpoint)
        self.dynamodb = boto3.client("dynamodb", endpoint_url=endpoint)
        self.answers: list[tuple[dict[str, Any], dict[str, Any]]] = []
        #: How often each task went on in another message.
        self._moved: collections.Counter[str] = collections.Counter()
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, dict[str, Any]]] = []

    def drain(self, seconds: float = 60.0) -> None:
        """Runs all tasks, and those that they start."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._receive()
            if not self._waiting:
                return
            due, _, event = heapq.heappop(self._waiting)
            if due > time.time():
                heapq.heappush(self._waiting, (due, next(self._order), event))
                time.sleep(min(due - time.time(), 0.2))
                continue
            self.run(event)
        raise AssertionError("tasks are left")

    def _receive(self) -> None:
        received = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        for message in received.get("Messages", ()):
            self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
            found = envelope.read(message["Body"])
            assert found is not None
            form = envelope.message(found)
            if form["headers"].get("compression"):
                form = decompressed(form)
            event = event_of(form)
            event["task"]["run"] += self._moved[event["task"]["id"]]
            self._wait(event, eta_of(form))

    def _wait(self, event: dict[str, Any], due: float) -> None:
        heapq.heappush(self._waiting, (due, next(self._order), event))

    def run(self, event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        """One attempt: the request and the answer pass through JSON as in Lambda."""
        answer: dict[str, Any] = json.loads(json.dumps(handler(json.loads(json.dumps(event)), context)))
        self.answers.append((event, answer))
        self._moved[event["task"]["id"]] += "moved" in answer
        form = event["celery"]
        part = answer.get("celery")
        if part is None:
            return answer
        for call in part["calls"]:
            self._make(call, form)
        if "retry" in answer:
            self._wait(event_of(part["message"], event["task"]["attempt"] + 1), time.time() + answer["retry"]["delay"])
        if answer.get("reject", {}).get("requeue"):
            self._wait(event_of(form, event["task"]["attempt"] + 1), time.time())
        return answer

    def _make(self, call: dict[str, Any], form: dict[str, Any]) -> None:
        ((kind, given),) = call.items()
        if kind == "send":
            self.sqs.send_message(QueueUrl=given["queue_url"], MessageBody=given["body"])
        elif kind == "store":
            self._put(given, {"result": {"B": b64decode(given["result"])}})
        elif kind == "counter":
            self._put(given, {"chord_count": {"N": "0"}})
        else:
            self._count(given, form)

    def _put(self, given: dict[str, Any], values: dict[str, Any]) -> None:
        item = {"id": {"S": given["id"]}, "timestamp": {"N": str(given["timestamp"])}, **values}
        self.dynamodb.put_item(TableName=given["table"], Item=item)

    def _count(self, given: dict[str, Any], form: dict[str, Any]) -> None:
        request = Context(group=given["group"], chord=given["body"], id=form["headers"]["id"])
        self.app.backend.on_chord_part_return(request, "SUCCESS", None)


def event_of(form: dict[str, Any], attempt: int = 1) -> dict[str, Any]:
    """The request of an attempt."""
    headers = form["headers"]
    task = {"id": headers["id"], "job": headers["task"], "run": 1, "attempt": attempt, "submitted_at": 0}
    return {"version": 1, "task": {**task, "caller": None}, "time_limit": None, "progress_url": None, "celery": form}


def eta_of(form: dict[str, Any]) -> float:
    eta: Optional[str] = form["headers"].get("eta")
    return float(maybe_iso8601(eta).timestamp()) if eta else 0.0


def decompressed(form: dict[str, Any]) -> dict[str, Any]:
    """The worker reads JSON, so that it is text in the request."""
    from kombu.compression import decompress

    body = decompress(b64decode(form["body"]), form["headers"]["compression"]).decode()
    return {**{key: value for key, value in form.items() if key != "body_encoding"}, "body": body}

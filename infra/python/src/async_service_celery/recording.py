"""Records what follows from the end of a task, in place of sending and storing it.

| Call of AWS, in the thread that runs the task | What happens to it |
|---|---|
| a message with the task's own id (`retry`, `replace`) | recorded |
| what `replace` sends and stores | recorded |
| what Celery, its hooks and signals send and store after the body | recorded |
| the count of a chord's member | recorded, answered so that Celery does nothing more |
| anything else, and all of other threads | is made |

A recorded call is answered as AWS would, and is in the answer to the worker, which makes it when the end is written.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from . import answer, envelope, frames
from .table import COUNTER, GROUP, TASK, Table, to_bytes

#: Messages beyond this many characters in all are sent by the function: Lambda's answers end at 6 MB.
MAX_MESSAGES = 4_000_000
# Of SQS, and of DynamoDB less what the worker adds to an item.
MAX_MESSAGE = 1_048_576
MAX_ITEM = 399 * 1024

Reply = dict[str, Any]
_current: Optional[Recording] = None


def current() -> Optional[Recording]:
    """The recording of the task that runs; None between tasks."""
    return _current


@contextlib.contextmanager
def record(recording: Recording) -> Iterator[Recording]:
    """Records into `recording` while the block runs."""
    global _current
    _current = recording
    try:
        yield recording
    finally:
        _current = None


@contextlib.contextmanager
def body() -> Iterator[None]:
    """The block is a task's body. The outermost one in the recorded thread is that of the task itself."""
    recording = _current
    if recording is None or threading.get_ident() != recording.thread:
        yield
        return
    recording.depth += 1
    try:
        yield
    finally:
        recording.depth -= 1
        recording.has_ended = recording.has_ended or recording.depth == 0


@dataclass
class Recording:
    """What is recorded of one attempt."""

    task_id: str
    #: The table of results; None if Celery stores results elsewhere.
    table: Optional[Table]
    #: Bodies of the chords that this task or the links behind it are members of, by the chord's group.
    chords: Mapping[str, Any] = field(default_factory=dict)
    #: Ids of the tasks behind this one in its chain.
    links: frozenset[str] = frozenset()
    #: A task in the service's own format: only a retry is recorded, and nothing of its own is stored.
    is_native: bool = False
    #: Gets what the body of a task in the service's own format stores as its state.
    on_state: Callable[[dict[str, Any]], None] = lambda _: None
    #: The headers of the task's trace, for the messages that it sends.
    trace: Mapping[str, str] = field(default_factory=dict)
    #: Whether the worker has stored STARTED.
    is_started: bool = False
    #: Whether an earlier run may have stored an end, as a body that catches what `retry` raises does.
    may_have_ended: bool = False
    thread: int = field(default_factory=threading.get_ident)
    #: How many bodies run, one inside of the other.
    depth: int = 0
    has_ended: bool = False
    is_replaced: bool = False
    _calls: list[dict[str, Any]] = field(default_factory=list)
    _own: list[dict[str, Any]] = field(default_factory=list)
    _items: dict[str, dict[str, Any]] = field(default_factory=dict)
    _size: int = 0

    def call(self, operation: str, params: dict[str, Any]) -> Optional[Reply]:
        """The reply to a call; None if the call is to be made."""
        reply = _REPLIES.get(operation)
        if reply is None or threading.get_ident() != self.thread:
            return None
        return reply(self, params)

    def calls(self) -> list[dict[str, Any]]:
        """The recorded calls in their order. Of several stores of one item the last remains."""
        last = {call["store"]["id"]: call for call in self._calls if "store" in call}
        return [call for call in self._calls if "store" not in call or last[call["store"]["id"]] is call]

    def own_message(self) -> Optional[dict[str, Any]]:
        """The call that sends the last message with the task's own id."""
        return self._own[-1] if self._own else None

    def take(self, call: dict[str, Any]) -> None:
        """Takes a call out of the recorded ones."""
        self._calls = [each for each in self._calls if each is not call]

    def own_status(self) -> Optional[dict[str, Any]]:
        """What was last stored as the task's own result."""
        if self.table is None:
            return None
        owned = (item for item in self._items.values() if self.table.owner(item) == (TASK, self.task_id))
        item = next(owned, None)
        return None if item is None else self.table.status(item)

    def _is_after(self) -> bool:
        # `before_start` or wrong arguments may end a task whose body never began.
        if not self.has_ended and self.depth == 0 and frames.is_ending():
            self.has_ended = True
        return self.has_ended and not self.is_native

    def _send(self, params: dict[str, Any]) -> Optional[Reply]:
        found = envelope.read(params.get("MessageBody"))
        if found is None:
            return None
        is_own = envelope.task_id(found) == self.task_id
        is_replacing = not self.has_ended and frames.is_replacing()
        if is_replacing and self.is_native:
            raise NotImplementedError("Task.replace works for tasks that a Celery client sent")
        if not (is_own or is_replacing or self._is_after()):
            return None
        body = params["MessageBody"]
        if len(body) > MAX_MESSAGE:
            reason = f"Message must be shorter than {MAX_MESSAGE} bytes, and has {len(body)}."
            return _refusal("InvalidParameterValue", f"One or more parameters are invalid. Reason: {reason}")
        self._size += len(body)
        if self._size > MAX_MESSAGES and not is_own:
            return None
        self.is_replaced = self.is_replaced or is_replacing
        call = {"send": _send_call(params)}
        self._calls.append(call)
        if is_own:
            self._own.append(call)
        return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": hashlib.md5(body.encode()).hexdigest()}

    def _put(self, params: dict[str, Any]) -> Optional[Reply]:
        owner = self._owner(params, "Item")
        if owner is None:
            return None
        item = params["Item"]
        if self.is_native:
            return self._put_native(owner, item)
        if self.is_started and owner == (TASK, self.task_id) and self._is_start(item):
            return {}
        size = sum(len(to_bytes(value)) for attribute in item.values() for value in attribute.values())
        if size + sum(map(len, item)) > MAX_ITEM:
            return _refusal("ValidationException", "Item size has exceeded the maximum allowed size")
        is_recorded = self._is_after() or frames.is_replacing()
        if is_recorded or owner == (TASK, self.task_id):
            self._items[item["id"]["S"]] = _stored(item)
        if not is_recorded:
            return None
        self._calls.append(_put_call(params["TableName"], item))
        return {}

    def _is_start(self, item: dict[str, Any]) -> bool:
        """Whether Celery's tracer stores STARTED, which it does before the body."""
        table = self.table
        return self._is_before() and table is not None and table.status(_stored(item)).get("status") == "STARTED"

    def _is_before(self) -> bool:
        return self.depth == 0 and not self.has_ended

    def _put_native(self, owner: tuple[str, str], item: dict[str, Any]) -> Optional[Reply]:
        if self.table is None or owner != (TASK, self.task_id):
            return None
        self.on_state(self.table.status(_stored(item)))
        return {}

    def _update(self, params: dict[str, Any]) -> Optional[Reply]:
        owner = self._owner(params, "Key")
        if owner is None or owner[0] != COUNTER or not self._is_after():
            return None
        call = {"chord": {"group": owner[1], "body": _signature(self.chords.get(owner[1]))}}
        # An error callback that fails makes Celery end the task twice, but a member counts once.
        if call not in self._calls:
            self._calls.append(call)
        # Less than the size of any chord, so that the tracer sees members that have not ended.
        return {"Attributes": {"chord_count": {"N": "0"}}}

    def _get(self, params: dict[str, Any]) -> Optional[Reply]:
        owner = self._owner(params, "Key")
        if owner == (TASK, self.task_id) and self.is_started and self._is_before() and frames.is_storing():
            return {}
        if owner is None or not (self._is_after() or frames.is_replacing()):
            return None
        item = self._items.get(params["Key"]["id"]["S"])
        if item is not None:
            return {"Item": item}
        kind, name = owner
        if owner == (TASK, self.task_id) and self.may_have_ended:
            # Celery overwrites no SUCCESS.
            return None
        if kind == TASK and (name == self.task_id or name in self.links):
            return {}
        if kind == GROUP and name in self.chords and self.table is not None:
            return {"Item": self.table.group_of_one(name, self.task_id)}
        return None

    def _describe_table(self, params: dict[str, Any]) -> Optional[Reply]:
        # The stack makes the table, and a function that stores nothing by itself need not look at it.
        return {"Table": {"TableStatus": "ACTIVE"}} if self._is_results(params) else None

    def _describe_ttl(self, params: dict[str, Any]) -> Optional[Reply]:
        if self.table is None or not self._is_results(params):
            return None
        status = {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
        return {"TimeToLiveDescription": status if self.table.has_ttl else {"TimeToLiveStatus": "DISABLED"}}

    def _queue_attributes(self, params: dict[str, Any]) -> Optional[Reply]:
        # kombu asks for the length when it declares a queue, and makes nothing of it.
        is_length = params.get("AttributeNames") == ["ApproximateNumberOfMessages"]
        if is_length and (self._is_after() or frames.is_replacing()):
            return {"Attributes": {"ApproximateNumberOfMessages": "0"}}
        return None

    def _is_results(self, params: dict[str, Any]) -> bool:
        return self.table is not None and params.get("TableName") == self.table.name

    def _owner(self, params: dict[str, Any], name: str) -> Optional[tuple[str, str]]:
        if self.table is None or not self._is_results(params):
            return None
        return self.table.owner(params.get(name))


_REPLIES: dict[str, Callable[[Recording, dict[str, Any]], Optional[Reply]]] = {
    "SendMessage": Recording._send,
    "PutItem": Recording._put,
    "UpdateItem": Recording._update,
    "GetItem": Recording._get,
    "DescribeTable": Recording._describe_table,
    "DescribeTimeToLive": Recording._describe_ttl,
    "GetQueueAttributes": Recording._queue_attributes,
}


def _refusal(code: str, message: str) -> Reply:
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}


def _signature(body: Any) -> Any:
    """A chord's body as JSON; None if it is none, so that the worker takes that of the message."""
    try:
        return answer.plain(body)
    except Exception:
        return None


def _send_call(params: dict[str, Any]) -> dict[str, Any]:
    call = {"queue_url": params["QueueUrl"], "body": params["MessageBody"]}
    for name, key in (
        ("DelaySeconds", "delay"),
        ("MessageGroupId", "group"),
        ("MessageDeduplicationId", "deduplication"),
    ):
        if name in params:
            call[key] = params[name]
    attributes = {name: _attribute(value) for name, value in (params.get("MessageAttributes") or {}).items()}
    return {**call, "attributes": attributes} if attributes else call


def _attribute(value: dict[str, Any]) -> dict[str, str]:
    if "BinaryValue" in value:
        return {"type": value["DataType"], "value": base64.b64encode(to_bytes(value["BinaryValue"])).decode()}
    return {"type": value["DataType"], "value": value["StringValue"]}


def _stored(item: dict[str, Any]) -> dict[str, Any]:
    """The item as DynamoDB gives it back."""
    if "result" not in item:
        return item
    return {**item, "result": {"B": to_bytes(item["result"]["B"])}}


def _put_call(table: str, item: dict[str, Any]) -> dict[str, Any]:
    place = {"table": table, "id": item["id"]["S"]}
    timestamp = float(item["timestamp"]["N"])
    if "result" in item:
        result = base64.b64encode(to_bytes(item["result"]["B"])).decode()
        return {"store": {**place, "result": result, "timestamp": timestamp}}
    return {"counter": {**place, "timestamp": timestamp}}

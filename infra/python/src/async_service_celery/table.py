"""The table of Celery's results: whose item a key is."""

from __future__ import annotations

import ast
import json
import logging
from typing import Any, Optional

from . import answer

logger = logging.getLogger(__name__)

TASK, GROUP, COUNTER = "task", "group", "counter"
# The longest signature that is noted: an item takes 400 KB, and the counter has the names of its members.
_MAX_BODY = 200_000


class Table:
    """The table of a DynamoDB backend."""

    def __init__(self, backend: Any) -> None:
        self.name: str = backend.table_name
        self._backend = backend
        self._prefixes = {
            TASK: backend.task_keyprefix,
            GROUP: backend.group_keyprefix,
            COUNTER: backend.chord_keyprefix,
        }

    @classmethod
    def of(cls, task: Any) -> Optional[Table]:
        """The table that the results of `task` go to; None when its backend is another one."""
        from celery.backends.dynamodb import DynamoDBBackend

        backend = task.backend
        return cls(backend) if isinstance(backend, DynamoDBBackend) else None

    @property
    def has_ttl(self) -> bool:
        """Whether the application wants items to expire."""
        return bool(self._backend._has_ttl())

    def owner(self, key: Any) -> Optional[tuple[str, str]]:
        """The kind of an item and the id of its task or group. Celery's keys are the Python text of bytes."""
        text = key.get("id", {}).get("S") if isinstance(key, dict) else None
        try:
            value = ast.literal_eval(text) if isinstance(text, str) and text[:1] == "b" else None
        except (SyntaxError, ValueError):
            return None
        if not isinstance(value, bytes):
            return None
        for kind, prefix in self._prefixes.items():
            if value.startswith(prefix):
                return kind, value[len(prefix) :].decode(errors="replace")
        return None

    def status(self, item: dict[str, Any]) -> dict[str, Any]:
        """What is stored in an item of a task: `status`, `result` and so on, as Celery's clients read it."""
        return dict(self._backend.decode(item["result"]["B"]))

    def note_chord(self, group: str, body: Any) -> None:
        """Notes the body of a chord on its counter, once. Whoever counts the last member may not know the body."""
        key = str(self._backend.get_key_for_chord(group))
        try:
            text = json.dumps(answer.plain(body))
            if len(text) > _MAX_BODY:
                return
            self._backend.client.update_item(
                TableName=self.name,
                Key={"id": {"S": key}},
                UpdateExpression="SET #body = :body",
                ConditionExpression="attribute_exists(chord_count) AND attribute_not_exists(#body)",
                ExpressionAttributeNames={"#body": "chord_body"},
                ExpressionAttributeValues={":body": {"S": text}},
            )
        except Exception as error:
            # Noted already, done already, or a client that has no counter; the task runs in any case.
            if "ConditionalCheckFailed" not in type(error).__name__:
                logger.warning("The body of a chord was not noted: %s", error)

    def group_of_one(self, group: str, member: str) -> dict[str, Any]:
        """The item of a group with one member."""
        payload = self._backend.encode({"result": [[group, None], [[[member, None], None]]]})
        return {"id": {"S": ""}, "result": {"B": to_bytes(payload)}, "timestamp": {"N": "0"}}


def to_bytes(payload: Any) -> bytes:
    """Bytes as DynamoDB gives them back, for bytes or text."""
    return payload.encode() if isinstance(payload, str) else bytes(payload)

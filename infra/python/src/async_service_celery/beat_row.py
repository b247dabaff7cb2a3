"""The row of an application's scheduler in DynamoDB: who ticks, and what the scheduler must remember.

The row is in the table of Celery's results, which the function may use anyway, under a key that no result has. A
*lease* lets one call tick at a time: whoever holds it writes its time again, and each write names the holder, so that
a call that was held up for longer than the lease changes nothing of what its successor has written.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from typing import Any, Callable, Optional

logger = logging.getLogger(__name__)

#: How long a lease holds without another write, in seconds. A call that dies stops the next ones for this time.
LEASE = 30.0
#: Seconds between two writes of a lease that is in use.
RENEW = 10.0
# How long a call waits for the lease of another one, in seconds: longer than a lease, so that the call after one
# that died ticks.
_PATIENCE = LEASE + 5
_PAUSE = 1.0
_KEY = "async-service-beat:"


class Row:
    """The row of one application. `client` is boto3's for DynamoDB."""

    def __init__(self, client: Any, table: str, app: str) -> None:
        #: What is remembered, as plain JSON: known when the lease is taken.
        self.state: dict[str, Any] = {}
        #: Whether another call has taken the lease over.
        self.is_lost = False
        self._client = client
        self._table = table
        self._key = {"id": {"S": _KEY + app}}
        self._owner = str(uuid.uuid4())
        self._renewed = 0.0
        self._stored = ""

    def take(self, left: Callable[[], float]) -> bool:
        """Takes the lease and reads the state. Waits for another call, but not for longer than `left()` seconds."""
        end = time.monotonic() + min(_PATIENCE, left())
        while True:
            now = time.time()
            names = {"#lease": "lease", "#owner": "owner"}
            condition = "attribute_not_exists(#lease) OR #lease < :now"
            row = self._write("#owner = :me, #lease = :until", condition, names, {":now": {"N": f"{now:.3f}"}})
            if row is not None:
                self._stored = row.get("state", {}).get("S", "")
                self.state = json.loads(self._stored) if self._stored else {}
                return True
            if time.monotonic() + _PAUSE > end:
                return False
            time.sleep(_PAUSE)

    def keep(self) -> bool:
        """Whether this call may go on: writes the lease again when that is due."""
        if not self.is_lost and time.monotonic() - self._renewed > RENEW:
            self._write_own("#lease = :until", {}, {})
        return not self.is_lost

    def save(self) -> None:
        """Stores the state, if it has changed."""
        text = self._changed()
        if text is not None and self._write_own("#lease = :until, #state = :state", *_state(text)):
            self._stored = text

    def release(self) -> None:
        """Stores the state, if it has changed, and gives the lease back."""
        text = self._changed()
        names, values = ({}, {}) if text is None else _state(text)
        self._write_own("#lease = :until" + (", #state = :state" if text else ""), names, values, lease=0.0)

    def _changed(self) -> Optional[str]:
        text = json.dumps(self.state, sort_keys=True)
        return None if text == self._stored else text

    def _write_own(self, update: str, names: Any, values: Any, lease: float = LEASE) -> bool:
        if self.is_lost:
            return False
        names = {"#lease": "lease", "#owner": "owner", **names}
        if self._write(update, "#owner = :me", names, values, lease) is None:
            self.is_lost = True
            logger.warning("another call has taken over the scheduler")
        return not self.is_lost

    def _write(
        self, update: str, condition: str, names: Any, values: Any, lease: float = LEASE
    ) -> Optional[dict[str, Any]]:
        """The row after a conditional write; None if the condition does not hold."""
        started, until = time.monotonic(), time.time() + lease if lease else 0.0
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=f"SET {update}",
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={":me": {"S": self._owner}, ":until": {"N": f"{until:.3f}"}, **values},
                ReturnValues="ALL_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        self._renewed = started
        return dict(answer["Attributes"])


def _state(text: str) -> tuple[dict[str, str], dict[str, Any]]:
    return {"#state": "state"}, {":state": {"S": text}}


def client() -> Any:
    """The client for DynamoDB. Versions of botocore before 1.31 do not read the address from the environment."""
    import boto3

    url = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ.get("AWS_ENDPOINT_URL")
    return boto3.client("dynamodb", endpoint_url=url)

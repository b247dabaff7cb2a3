"""Messages: kombu's envelope in SQS, and the form of docs/REMOTE.md.

Neither is a message of the other's: the envelope is text of SQS, the form is an object with `headers`, `properties`,
`content_type`, `content_encoding`, `body` and, when the body is base64, `body_encoding`.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Optional

_BASE64 = "base64"


def read(text: Any) -> Optional[dict[str, Any]]:
    """The envelope in the body of an SQS message; None if there is none."""
    if not isinstance(text, str):
        return None
    try:
        plain = text if text.lstrip().startswith("{") else base64.b64decode(text, validate=True)
        envelope = json.loads(plain)
    except (binascii.Error, ValueError):
        return None
    if isinstance(envelope, dict) and "body" in envelope and isinstance(envelope.get("properties"), dict):
        return envelope
    return None


def task_id(envelope: dict[str, Any]) -> Optional[str]:
    """The id of the task in an envelope. A message of protocol 1 has no headers, but its id as correlation id."""
    headers = envelope.get("headers")
    found = headers.get("id") if isinstance(headers, dict) else None
    found = found or envelope["properties"].get("correlation_id")
    return found if isinstance(found, str) else None


def message(envelope: dict[str, Any]) -> dict[str, Any]:
    """The envelope in the form of docs/REMOTE.md."""
    properties = envelope["properties"]
    headers = envelope.get("headers") or {}
    form = {
        "headers": headers,
        "properties": properties,
        "content_type": envelope.get("content-type"),
        "content_encoding": envelope.get("content-encoding"),
    }
    if properties.get("body_encoding") != _BASE64:
        return {**form, "body": envelope["body"]}
    text = None if headers.get("compression") else _text(envelope)
    return {**form, "body": envelope["body"], "body_encoding": _BASE64} if text is None else {**form, "body": text}


def _text(envelope: dict[str, Any]) -> Optional[str]:
    if envelope.get("content-type") != "application/json":
        return None
    try:
        return base64.b64decode(envelope["body"]).decode()
    except ValueError:
        return None


def to_kombu(form: dict[str, Any], accept: Any) -> Any:
    """A message of kombu, as a worker gets it from the broker. Content that is not in `accept` cannot be read."""
    from kombu.message import Message

    properties = dict(form.get("properties") or {})
    headers = dict(form.get("headers") or {})
    body: Any = form["body"]
    if form.get("body_encoding") == _BASE64:
        body = base64.b64decode(body)
    else:
        # The text has been decompressed by whoever made it.
        headers.pop("compression", None)
    return Message(
        body,
        content_type=form.get("content_type") or "application/json",
        content_encoding=form.get("content_encoding") or "utf-8",
        delivery_info=dict(properties.get("delivery_info") or {}),
        delivery_tag=properties.get("delivery_tag"),
        properties=properties,
        headers=headers,
        accept=accept,
    )


def of_native(task: dict[str, Any], time_limit: Optional[float], given: Any) -> dict[str, Any]:
    """A task in the service's own format as a message of Celery that stores nothing.

    `given` is its input: `{"args": […], "kwargs": {…}}`, an object of keyword arguments, null for no arguments, or one
    positional argument.
    """
    args, kwargs = arguments(given)
    headers = {
        "lang": "py",
        "task": task["job"],
        "id": task["id"],
        "root_id": task["id"],
        "parent_id": None,
        "retries": max(int(task.get("attempt") or 1) - 1, 0),
        "timelimit": [time_limit, None],
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "shadow": None,
        "ignore_result": True,
        "argsrepr": "",
        "kwargsrepr": "",
    }
    properties = {
        "correlation_id": task["id"],
        "reply_to": "",
        "priority": 0,
        "delivery_info": {"exchange": "", "routing_key": ""},
    }
    body = json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return {"headers": headers, "properties": properties, "body": body}


def arguments(given: Any) -> tuple[list[Any], dict[str, Any]]:
    """The positional and the keyword arguments of an input."""
    if given is None:
        return [], {}
    if not isinstance(given, dict):
        return [given], {}
    if given and given.keys() <= {"args", "kwargs"}:
        args, kwargs = given.get("args", []), given.get("kwargs", {})
        if isinstance(args, list) and isinstance(kwargs, dict):
            return args, kwargs
    return [], given

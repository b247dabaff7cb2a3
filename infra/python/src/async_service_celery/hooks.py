"""Looks at the calls of every AWS client that is made after `install`, and answers those that are recorded.

Celery makes its clients itself: kombu one for each broker connection, queue and set of credentials, the DynamoDB
backend one for each thread. Handlers that botocore registers in each new session are seen by all of them, in every
version.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Callable, Optional

from . import recording

# Where the parameters of a call are kept until the call is made. By then they are bytes of the service's protocol,
# which differs between versions of botocore.
_PARAMETERS = "async_service_parameters"
_SERVICES = ("dynamodb", "sqs")


@dataclass(frozen=True)
class _Response:
    """As much of an HTTP response as botocore reads."""

    status_code: int


def install() -> None:
    """Registers the handlers. Without botocore there is nothing to record."""
    try:
        from botocore import handlers
    except ImportError:
        return
    registered: list[tuple[str, Callable[..., Any]]] = [
        (f"before-parameter-build.{service}", _keep) for service in _SERVICES
    ]
    registered += [(f"before-call.{service}", _answer) for service in _SERVICES]
    handlers.BUILTIN_HANDLERS.extend(registered)
    # `boto3.client` uses one session for all, which somebody may have made already.
    session = getattr(sys.modules.get("boto3"), "DEFAULT_SESSION", None)
    if session is not None:
        for event, handler in registered:
            session.events.register(event, handler)


def _keep(params: Any, context: Any, **_: Any) -> None:
    if recording.current() is not None and context is not None:
        context[_PARAMETERS] = params


def _answer(model: Any, context: Any, **_: Any) -> Optional[tuple[_Response, dict[str, Any]]]:
    """What botocore takes in place of making the call; None to make the call."""
    current = recording.current()
    params = context.get(_PARAMETERS) if context else None
    if current is None or params is None:
        return None
    reply = current.call(model.name, params)
    if reply is None:
        return None
    status = reply.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
    reply.setdefault("ResponseMetadata", {"HTTPStatusCode": status})
    return _Response(status), reply

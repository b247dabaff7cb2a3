"""Answers to the worker, as docs/REMOTE.md has them."""

from __future__ import annotations

import json
import math
from typing import Any, Optional

#: Lambda takes answers of 6 MB, after escaping.
MAX_ANSWER = 6_000_000
# Characters of a traceback: its last lines say where the error was.
_MAX_TRACEBACK = 16_000
_MAX_TEXT = 4_000


def result(value: Any) -> dict[str, Any]:
    """The task has returned a value that [`plain`] has made plain."""
    return {"result": value}


def plain(value: Any) -> Any:
    """A value as plain JSON, written as Celery's JSON writes it (`__type__` and `__value__` for dates and the like).

    NaN and the infinities, which are no JSON, become text. Raises kombu's EncodeError for what Celery cannot write.
    """
    from kombu.exceptions import EncodeError
    from kombu.utils import json as kombu_json

    try:
        return json.loads(kombu_json.dumps(value), parse_constant=str)
    except (TypeError, ValueError, RecursionError, UnicodeError) as error:
        raise EncodeError(str(error)) from error


def plain_or_text(value: Any) -> Any:
    """As [`plain`], or the shortened `repr` of a value that is no JSON: the result of Celery is stored elsewhere."""
    from celery.utils.saferepr import saferepr
    from kombu.exceptions import EncodeError

    try:
        return plain(value)
    except EncodeError:
        return saferepr(value)


def error(exception: BaseException, traceback: Optional[str] = None) -> dict[str, Any]:
    """The task has failed, finally."""
    return {"error": describe(exception, traceback)}


def describe(exception: BaseException, traceback: Optional[str] = None) -> dict[str, Any]:
    """An exception: its class, text, module and traceback."""
    try:
        # The text of a KeyError, such as NotRegistered, is the `repr` of its key; Celery stores the key.
        is_key = isinstance(exception, KeyError) and len(exception.args) == 1
        text = str(exception.args[0] if is_key else exception)
    except Exception:
        text = f"<{type(exception).__qualname__} without text>"
    described = {
        "type": type(exception).__qualname__,
        "message": text[:_MAX_TEXT],
        "module": type(exception).__module__,
    }
    if traceback:
        described["traceback"] = traceback[-_MAX_TRACEBACK:]
    return described


def retry(delay: float, cause: Optional[BaseException]) -> dict[str, Any]:
    """The body wants another attempt in `delay` seconds."""
    described = {"delay": max(delay, 0.0) if math.isfinite(delay) else 0.0}
    return {"retry": described if cause is None else {**described, "error": describe(cause)}}


def reject(requeue: bool, reason: Any) -> dict[str, Any]:
    """The body does not take the task."""
    return {"reject": {"requeue": requeue, "reason": str(reason)[:_MAX_TEXT]}}


MOVED: dict[str, Any] = {"moved": True}
IGNORE: dict[str, Any] = {"ignore": True}


def seal(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as Lambda can pass it on: one that is too large is an error with its size."""
    text = json.dumps(answer)
    if len(text) > MAX_ANSWER:
        return error(ValueError(f"the answer of the task has {len(text)} bytes, more than {MAX_ANSWER}"))
    if "\\ud" in text:
        # A lone half of a surrogate pair is no text in UTF-8.
        sealed: dict[str, Any] = json.loads(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))
        return sealed
    return answer

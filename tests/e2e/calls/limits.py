"""The limits that AWS documents but that are not in AWS' models.

Sources of the numbers: "Service, account, and table quotas in Amazon DynamoDB", "Amazon SQS message
quotas", "Quotas for Amazon EventBridge Scheduler", and the pages of the operations themselves.
"""

import re
from decimal import Decimal, InvalidOperation

KB = 1024
MAX_ITEM = 400 * KB
MAX_KEY = 2048
MAX_EXPRESSION = 4 * KB
MAX_SUBSTITUTIONS = 2 * KB * KB
MAX_OPERATORS = 300
MAX_TRANSACTION = 4 * KB * KB
MAX_DIGITS = 38
MAX_DEPTH = 32
MAX_MESSAGE = KB * KB
MAX_ATTRIBUTES = 10
MAX_DELAY = 900
MAX_VISIBILITY = 43_200
MAX_SCHEDULE_INPUT = 256 * KB
MAX_INVOCATION = 6 * KB * KB

# The complement of the characters that the API reference of SendMessage allows in a body.
NO_CHARACTER_OF_SQS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NAME_OF_SQS = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
ID_OF_SQS = re.compile(r"[A-Za-z0-9_-]{1,80}")
TIME = re.compile(
    r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"
    r"|rate\([1-9]\d* (minutes?|hours?|days?)\)"
    r"|cron\(\S+ \S+ \S+ \S+ \S+ \S+\)"
)


def problems(service, operation, sent):
    """The documented limits that a call exceeds, one line for each."""
    check = {
        "dynamodb": _dynamodb,
        "sqs": _sqs,
        "scheduler": _scheduler,
        "lambda": _lambda,
    }.get(service)
    if check is None:
        yield f"{service}: this script has no limits of the service"
        return
    yield from check(operation, sent)


def _bytes(text):
    return len(text.encode("utf-8", "surrogatepass"))


# DynamoDB


def _dynamodb(operation, sent):
    for request in _requests(operation, sent):
        yield from _item(request.get("Item"))
        yield from _key(request.get("Key"))
        yield from _expressions(request)
    if operation.startswith("Transact"):
        yield from _transaction(sent)


def _requests(operation, sent):
    """The parts of a call, each in the form of a call with one part."""
    if operation.startswith("Transact"):
        for entry in sent.get("TransactItems", []):
            yield from entry.values()
    elif operation == "BatchWriteItem":
        entries = [entry for table in sent.get("RequestItems", {}).values() for entry in table]
        if len(entries) > 25:
            yield {"Key": {}, "too many": len(entries)}
        for entry in entries:
            yield from entry.values()
    elif operation == "BatchGetItem":
        for table in sent.get("RequestItems", {}).values():
            yield {name: part for name, part in table.items() if name != "Keys"}
            yield from ({"Key": key} for key in table.get("Keys", []))
    else:
        yield sent


def _item(item):
    if item is None:
        return
    size = sum(_bytes(name) + _size(value) for name, value in item.items())
    if size > MAX_ITEM:
        yield f"an item of {size} bytes"
    for name, value in item.items():
        yield from _value(value, name)


def _key(key):
    if key is None:
        return
    if not 1 <= len(key) <= 2:
        yield f"a key of {len(key)} attributes"
    for name, value in key.items():
        kind, text = next(iter(value.items()), ("", ""))
        if kind not in ("S", "N", "B"):
            yield f"a key of the type {kind}"
        elif not 1 <= _bytes(str(text)) <= MAX_KEY:
            yield f"the key {name} of {_bytes(str(text))} bytes"
        yield from _value(value, name)


def _expressions(request):
    expressions = [text for name, text in request.items() if name.endswith("Expression")]
    for text in expressions:
        if not 1 <= _bytes(text) <= MAX_EXPRESSION:
            yield f"an expression of {_bytes(text)} bytes"
        operators = len(re.findall(r"[=<>+,-]|\b(?:AND|OR|NOT|IN|BETWEEN)\b|\w\(", text))
        if operators > MAX_OPERATORS:
            yield f"an expression of {operators} operators"
    text = " ".join(expressions)
    for mark, given in (
        ("#", request.get("ExpressionAttributeNames")),
        (":", request.get("ExpressionAttributeValues")),
    ):
        used = set(re.findall(rf"{mark}\w+", text))
        if given is not None and not given:
            yield f"an empty map of substitutions with {mark}"
        for name in used - set(given or ()):
            yield f"{name} is used in an expression but not given"
        for name in set(given or ()) - used:
            yield f"{name} is given but not used in an expression"
    values = request.get("ExpressionAttributeValues") or {}
    size = sum(_bytes(name) + _size(value) for name, value in values.items())
    if size > MAX_SUBSTITUTIONS:
        yield f"values of {size} bytes in expressions"
    for name, value in values.items():
        yield from _value(value, name)


def _transaction(sent):
    places = []
    size = 0
    for entry in sent.get("TransactItems", []):
        for request in entry.values():
            item = request.get("Item") or request.get("Key") or {}
            values = request.get("ExpressionAttributeValues") or {}
            size += sum(_bytes(name) + _size(part) for name, part in {**item, **values}.items())
            if "Key" in request:
                places.append((request["TableName"], str(sorted(request["Key"].items()))))
    if size > MAX_TRANSACTION:
        yield f"a transaction of {size} bytes"
    if len(set(places)) != len(places):
        yield "a transaction with two actions on one item"


def _value(value, at, depth=1):
    kind, part = next(iter(value.items()), ("", None))
    if depth > MAX_DEPTH:
        yield f"{at}: nested more than {MAX_DEPTH} levels"
    elif kind == "N":
        yield from _number(part, at)
    elif kind in ("SS", "NS", "BS"):
        if not part or len(set(part)) != len(part):
            yield f"{at}: a set that is empty or has a value twice"
        for number in part if kind == "NS" else ():
            yield from _number(number, at)
    elif kind in ("L", "M"):
        for each in part if kind == "L" else part.values():
            yield from _value(each, at, depth + 1)


def _number(text, at):
    try:
        number = Decimal(text)
    except (InvalidOperation, TypeError):
        yield f"{at}: {text!r} is not a number"
        return
    if not number.is_finite():
        yield f"{at}: {text!r} is not a finite number"
        return
    digits = number.normalize().as_tuple().digits
    if len(digits) > MAX_DIGITS or (number and not -130 <= number.adjusted() <= 125):
        yield f"{at}: the number {text[:60]} is out of range"


def _size(value):
    """The bytes of a value in an item's size."""
    kind, part = next(iter(value.items()), ("", None))
    if kind == "S":
        return _bytes(part)
    if kind == "N":
        return len(part) // 2 + 2
    if kind == "B":
        return len(part) * 3 // 4
    if kind in ("SS", "NS", "BS"):
        return sum(_bytes(each) for each in part)
    if kind == "L":
        return 3 + sum(1 + _size(each) for each in part)
    if kind == "M":
        return 3 + sum(1 + _bytes(name) + _size(each) for name, each in part.items())
    return 1


# SQS


def _sqs(operation, sent):
    entries = sent.get("Entries")
    yield from _between(sent, "DelaySeconds", 0, MAX_DELAY)
    yield from _between(sent, "VisibilityTimeout", 0, MAX_VISIBILITY)
    yield from _between(sent, "WaitTimeSeconds", 0, 20)
    yield from _between(sent, "MaxNumberOfMessages", 1, 10)
    if entries is None:
        if operation == "SendMessage":
            yield from _message(sent)
        return
    if not 1 <= len(entries) <= 10:
        yield f"a batch of {len(entries)}"
    ids = [entry.get("Id", "") for entry in entries]
    if len(set(ids)) != len(ids) or not all(ID_OF_SQS.fullmatch(name) for name in ids):
        yield f"the ids {ids} of a batch"
    for entry in entries:
        yield from _between(entry, "DelaySeconds", 0, MAX_DELAY)
        yield from _between(entry, "VisibilityTimeout", 0, MAX_VISIBILITY)
        if operation == "SendMessageBatch":
            yield from _message(entry)
    size = sum(_message_size(entry) for entry in entries)
    if size > MAX_MESSAGE:
        yield f"a batch of {size} bytes"


def _between(sent, name, least, most):
    value = sent.get(name)
    if value is not None and not least <= value <= most:
        yield f"{name} of {value}, not {least} to {most}"


def _message(message):
    body = message.get("MessageBody", "")
    if not body or NO_CHARACTER_OF_SQS.search(body):
        yield "a body that is empty or has a character that SQS refuses"
    if _message_size(message) > MAX_MESSAGE:
        yield f"a message of {_message_size(message)} bytes"
    attributes = message.get("MessageAttributes") or {}
    if len(attributes) > MAX_ATTRIBUTES:
        yield f"{len(attributes)} attributes"
    for name, value in attributes.items():
        text = value.get("StringValue")
        if not NAME_OF_SQS.fullmatch(name):
            yield f"an attribute with the name {name!r}"
        if not re.fullmatch(r"(String|Number|Binary)(\..+)?", value.get("DataType", "")):
            yield f"the attribute {name} of the type {value.get('DataType')!r}"
        if text is not None and (not text or NO_CHARACTER_OF_SQS.search(text)):
            yield f"the attribute {name} is empty or has a character that SQS refuses"
    system = (message.get("MessageSystemAttributes") or {}).items()
    for name, value in system:
        if name != "AWSTraceHeader" or not value.get("StringValue", "").startswith("Root=1-"):
            yield f"the system attribute {name} with {value}"


def _message_size(message):
    size = _bytes(message.get("MessageBody", ""))
    for name, value in (message.get("MessageAttributes") or {}).items():
        size += _bytes(name) + sum(_bytes(part) for part in value.values() if isinstance(part, str))
    return size


# EventBridge Scheduler and Lambda


def _scheduler(operation, sent):
    if operation not in ("CreateSchedule", "UpdateSchedule"):
        return
    text = sent.get("Target", {}).get("Input", "")
    if not text or _bytes(text) > MAX_SCHEDULE_INPUT:
        yield f"a schedule's input of {_bytes(text)} bytes"
    if ":sqs:" in sent.get("Target", {}).get("Arn", "") and NO_CHARACTER_OF_SQS.search(text):
        yield "a schedule's input with a character that SQS refuses"
    if not TIME.fullmatch(sent.get("ScheduleExpression", "")):
        yield f"the expression {sent.get('ScheduleExpression')!r}"
    window = sent.get("FlexibleTimeWindow", {})
    if (window.get("Mode") == "OFF") == ("MaximumWindowInMinutes" in window):
        yield f"the time window {window}"


def _lambda(operation, sent):
    if operation == "Invoke" and _bytes(str(sent.get("Payload", ""))) > MAX_INVOCATION:
        yield "an event over 6 MB"

"""Checks the input of a call against botocore's model of its service."""

import base64
import binascii
import re
from urllib.parse import parse_qsl, unquote

NUMBERS = {"integer", "long", "float", "double"}


class Wrong(Exception):
    """A call that matches no operation of its service."""


def operation_of(model, call):
    """The name of the operation and its input, as the service reads them."""
    protocol = model.metadata["protocol"]
    if protocol == "json":
        return _json_operation(model, call)
    if protocol == "rest-json":
        return _rest_operation(model, call)
    raise Wrong(f"{model.service_name} has the protocol {protocol}, which this script cannot read")


def _json_operation(model, call):
    prefix, _, name = (call["target"] or "").partition(".")
    if prefix != model.metadata["targetPrefix"] or name not in model.operation_names:
        raise Wrong(f"x-amz-target {call['target']!r} is not an operation of {model.service_name}")
    expected = f"application/x-amz-json-{model.metadata['jsonVersion']}"
    if call["content_type"] != expected:
        raise Wrong(f"{name}: the content type is {call['content_type']!r}, not {expected!r}")
    if (call["method"], call["path"], call["query"]) != ("POST", "/", ""):
        raise Wrong(f"{name}: {call['method']} {call['path']}?{call['query']} is not POST /")
    return name, call["json"]


def _rest_operation(model, call):
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.http["method"] != call["method"]:
            continue
        names = re.findall(r"\{(\w+)\}", operation.http["requestUri"])
        pattern = re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(operation.http["requestUri"]))
        found = re.fullmatch(pattern, call["path"])
        if found:
            path = dict(zip(names, map(unquote, found.groups())))
            return name, _rest_input(operation, call, path)
    raise Wrong(f"{call['method']} {call['path']} is not an operation of {model.service_name}")


def _rest_input(operation, call, path):
    """The input by its members' names, from the path, the query and the body."""
    query = dict(parse_qsl(call["query"], keep_blank_values=True))
    body = call["json"] if isinstance(call["json"], dict) else {}
    found = {}
    members = operation.input_shape.members if operation.input_shape else {}
    for name, shape in members.items():
        at = shape.serialization.get("name", name)
        location = shape.serialization.get("location")
        source = {"uri": path, "querystring": query, None: body}.get(location)
        if source is None or at not in source:
            continue
        value = source.pop(at)
        found[name] = int(value) if location and shape.type_name in NUMBERS else value
    # The check of the structure reports values without a member as unknown.
    return {**found, **path, **query, **body}


def problems(shape, value, at="input"):
    """The rules of the model that a value breaks, one line for each."""
    kind = shape.type_name
    check = {
        "structure": _structure,
        "list": _list,
        "map": _map,
        "string": _string,
        "blob": _blob,
        "boolean": _boolean,
        "timestamp": _timestamp,
    }.get(kind, _number)
    yield from check(shape, value, at)


def _bounds(shape, size, at, what):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"{at}: {what} {size} is less than {least}"
    if most is not None and size > most:
        yield f"{at}: {what} {size} is more than {most}"


def _structure(shape, value, at):
    if not isinstance(value, dict):
        yield f"{at}: not a structure"
        return
    for name in shape.metadata.get("required", []):
        if value.get(name) is None:
            yield f"{at}: {name} is missing"
    for name, part in value.items():
        if name not in shape.members:
            yield f"{at}: {name} is unknown"
        elif part is not None:
            yield from problems(shape.members[name], part, f"{at}.{name}")
    if (shape.is_tagged_union or shape.name == "AttributeValue") and len(value) != 1:
        yield f"{at}: {len(value)} members of a union"


def _list(shape, value, at):
    if not isinstance(value, list):
        yield f"{at}: not a list"
        return
    yield from _bounds(shape, len(value), at, "the length")
    for index, part in enumerate(value):
        yield from problems(shape.member, part, f"{at}[{index}]")


def _map(shape, value, at):
    if not isinstance(value, dict):
        yield f"{at}: not a map"
        return
    yield from _bounds(shape, len(value), at, "the length")
    for name, part in value.items():
        yield from problems(shape.key, name, f"{at}: the key {name}")
        yield from problems(shape.value, part, f"{at}.{name}")


def _string(shape, value, at):
    if not isinstance(value, str):
        yield f"{at}: not a string"
        return
    yield from _bounds(shape, len(value), at, "the length")
    if shape.enum and value not in shape.enum:
        yield f"{at}: {value!r} is not one of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.search(pattern, value):
        yield f"{at}: {value[:80]!r} does not match {pattern}"


def _blob(shape, value, at):
    try:
        size = len(base64.b64decode(value, validate=True))
    except (TypeError, ValueError, binascii.Error):
        yield f"{at}: not base 64"
        return
    yield from _bounds(shape, size, at, "the length")


def _boolean(_shape, value, at):
    if not isinstance(value, bool):
        yield f"{at}: not a boolean"


def _timestamp(_shape, value, at):
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        yield f"{at}: not a time"


def _number(shape, value, at):
    whole = shape.type_name in ("integer", "long")
    allowed = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed):
        yield f"{at}: not a number of the type {shape.type_name}"
        return
    yield from _bounds(shape, value, at, "the number")

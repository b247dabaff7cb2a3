"""Checks recorded calls to AWS: `validate.py FILE`, where FILE has a JSON object for each call.

Prints the number of calls of each operation, and the calls that AWS would refuse. Fails if AWS would
refuse a call, or if the file has no calls. The local AWS endpoints depend on botocore.
"""

import json
import re
import sys
from collections import Counter

import botocore.session

import limits
import model


def main(path):
    session = botocore.session.Session()
    models, counts, wrong = {}, Counter(), Counter()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            call = json.loads(line)
            service = service_of(call)
            try:
                if service not in models:
                    models[service] = session.get_service_model(service)
                name, found = check(models[service], service, call)
                # The endpoints have refused the call too, and the function has handled that.
                refused = ", refused by the endpoints" if call["refused"] else ""
                counts[f"{service} {name}{refused}"] += 1
                wrong.update({} if refused else found)
            except model.Wrong as error:
                wrong[str(error)] += 1
    for name, count in sorted(counts.items()):
        print(f"{count:>8} {name}")
    for line, count in wrong.most_common():
        print(f"AWS would refuse {count} of them: {line}")
    if not counts:
        print("the file has no calls")
    return 1 if wrong or not counts else 0


def service_of(call):
    """The service in the signature's scope, which is also the name of the service's model."""
    scope = re.search(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request", call["authorization"])
    if not scope:
        raise SystemExit(f"a call that is not signed: {call['method']} {call['path']}")
    return scope.group(1)


def check(service_model, service, call):
    try:
        call["json"] = json.loads(call["body"]) if call["body"] else {}
    except ValueError:
        raise model.Wrong(f"{service}: {call['method']} {call['path']}: the body is not JSON") from None
    name, sent = model.operation_of(service_model, call)
    operation = service_model.operation_model(name)
    found = set()
    if operation.input_shape:
        found.update(model.problems(operation.input_shape, sent))
    # The limits can only be checked for input of the model's form.
    if not found:
        found.update(limits.problems(service, name, sent))
    return name, {f"{name}: {line}": 1 for line in found}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""Asks a Flower, or the service in its place, and prints what a client sees.

    python3 suite.py URL AUTHORIZATION

The output is JSON: for each case the status, the content type, and the text or the form of the answer. A form has the
names of an object's members with the types of their values. Ids are replaced. Needs the standard library alone.
"""

import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

JOB = "process_data"
NOBODY = "00000000-0000-4000-8000-000000000000"
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Seconds until a worker has certainly run a task.
PATIENCE = 60
# Members whose values are the same everywhere, beside their types.
VALUES = {"state", "args", "kwargs", "name", "exception", "retries", "message", "error", "children"}
# Members with values that a task of another program has, too: the form of the inside does not count.
OPAQUE = {"conf", "stats", "result", "registered", "active_queues"}


class Client:
    """A client of one Flower."""

    def __init__(self, url: str, authorization: str) -> None:
        self.url = url
        self.headers = {"authorization": authorization}
        self.outcomes: dict[str, Any] = {}

    def ask(self, method: str, path: str, body: Any = None, form: Any = None) -> tuple[int, str, str]:
        """The status, the content type and the text of an answer."""
        data, headers = None, dict(self.headers)
        if form is not None:
            data = urllib.parse.urlencode(form).encode()
            headers["content-type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            headers["content-type"] = "application/json"
        elif method == "POST":
            data = b""
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers.get_content_type(), answer.read().decode()
        except urllib.error.HTTPError as refusal:
            kind = refusal.headers.get_content_type() if refusal.headers["content-type"] else ""
            return refusal.code, kind, refusal.read().decode()

    def case(
        self, name: str, method: str, path: str, body: Any = None, form: Any = None, of_others: bool = False
    ) -> Any:
        """Notes the outcome of a request, and returns the answer's JSON if it is JSON. Of an answer that may have
        tasks of other tests (`of_others`), only the names of the tasks' members are noted."""
        status, kind, text = self.ask(method, path, body, form)
        outcome: dict[str, Any] = {"status": status, "type": kind}
        answer = None
        if kind == "application/json":
            answer = json.loads(text)
            outcome["form"] = [sorted(one) for one in answer.values()] if of_others else form_of(answer)
        elif "<html" not in text:
            outcome["text"] = UUID.sub("#", text)
        self.outcomes[name] = outcome
        return answer

    def until(self, task: str, states: set[str]) -> None:
        """Waits until a task is in one of the states."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            status, _, text = self.ask("GET", f"/api/task/info/{task}")
            if status == 200 and json.loads(text)["state"] in states:
                return
            time.sleep(0.1)
        raise SystemExit(f"the task {task} never got into {states}")


def form_of(value: Any, name: str = "") -> Any:
    """The names and types in a value, or the value itself where it is the same everywhere."""
    if isinstance(value, dict) and name not in OPAQUE:
        return {plain(key): form_of(one, key) for key, one in sorted(value.items())}
    if name == "client" and not isinstance(value, dict):
        # The caller, where callers are known.
        return "null or text" if value is None or isinstance(value, str) else type(value).__name__
    if name in VALUES and name not in OPAQUE:
        return UUID.sub("#", value) if isinstance(value, str) else value
    types = {dict: "object", list: "array", str: "text", bool: "bool", int: "number", float: "number"}
    return "null" if value is None else types[type(value)]


def plain(key: str) -> str:
    """A key without the ids and the names of workers, which are of one run."""
    return "worker" if "@" in key else UUID.sub("#", key)


def run(flower: Client) -> None:
    tasks_run(flower)
    results(flower)
    waiting(flower)
    lists(flower)
    refusals(flower)
    workers(flower)


def tasks_run(flower: Client) -> None:
    call = {"kwargs": {"values": [1, 2]}}
    done = flower.case("apply", "POST", f"/api/task/apply/{JOB}", call)
    flower.until(done["task-id"], {"SUCCESS"})
    flower.case("info of a success", "GET", f"/api/task/info/{done['task-id']}")
    flower.done = done["task-id"]
    failed = flower.case("apply with wrong arguments", "POST", f"/api/task/apply/{JOB}", {"args": [1, 2]})
    flower.until(failed["task-id"], {"FAILURE"})
    flower.case("info of a failure", "GET", f"/api/task/info/{failed['task-id']}")
    flower.failed = failed["task-id"]
    flower.case("async-apply", "POST", f"/api/task/async-apply/{JOB}", call)
    flower.case("async-apply without a body", "POST", f"/api/task/async-apply/{JOB}")
    flower.case("send-task", "POST", f"/api/task/send-task/{JOB}", call)
    flower.case("apply with a time-out", "POST", f"/api/task/apply/{JOB}", {**call, "countdown": 60, "timeout": 0.2})


def results(flower: Client) -> None:
    flower.case("result of a success", "GET", f"/api/task/result/{flower.done}")
    flower.case("result with a time-out", "GET", f"/api/task/result/{flower.done}?timeout=2")
    flower.case("result of a failure", "GET", f"/api/task/result/{flower.failed}")
    flower.case("result of an unknown task", "GET", f"/api/task/result/{NOBODY}")
    flower.case("result within a wrong time", "GET", f"/api/task/result/{NOBODY}?timeout=soon")
    flower.case("info of an unknown task", "GET", f"/api/task/info/{NOBODY}")
    flower.case("a task's types", "GET", "/api/task/types")


def waiting(flower: Client) -> None:
    later = {"kwargs": {"values": [1]}, "countdown": 90, "expires": 3600}
    task = flower.case("async-apply with a countdown", "POST", f"/api/task/async-apply/{JOB}", later)["task-id"]
    flower.until(task, {"RECEIVED", "PENDING"})
    flower.case("info of a waiting task", "GET", f"/api/task/info/{task}")
    flower.case("revoke", "POST", f"/api/task/revoke/{task}")
    flower.case("revoke and terminate", "POST", f"/api/task/revoke/{task}?terminate=true&signal=SIGKILL")
    flower.case("revoke an unknown task", "POST", f"/api/task/revoke/{NOBODY}")
    at = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime(time.time() + 90))
    soon = {"kwargs": {"values": [1]}, "eta": at}
    task = flower.case("async-apply with an eta", "POST", f"/api/task/async-apply/{JOB}", soon)["task-id"]
    flower.case("abort", "POST", f"/api/task/abort/{task}")
    late = {"kwargs": {}, "expires": -1}
    task = flower.case("async-apply of an expired task", "POST", f"/api/task/async-apply/{JOB}", late)["task-id"]
    flower.until(task, {"REVOKED"})
    flower.case("info of an expired task", "GET", f"/api/task/info/{task}")
    flower.case("result of an expired task", "GET", f"/api/task/result/{task}")


def lists(flower: Client) -> None:
    flower.case("the newest task of a state", "GET", "/api/tasks?limit=1&state=SUCCESS")
    flower.case("a task by its arguments", "GET", f"/api/tasks?limit=1&taskname={JOB}&search=kwargs:missing=1")
    flower.case("no tasks", "GET", "/api/tasks?limit=0")
    flower.case("no tasks of an unknown state", "GET", "/api/tasks?state=NOPE")
    flower.case("no tasks of an unknown name", "GET", "/api/tasks?taskname=nope")
    flower.case("no tasks of an unknown worker", "GET", "/api/tasks?workername=nope")
    since = urllib.parse.quote(time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + 3600)))
    flower.case("no tasks after", "GET", f"/api/tasks?state=SUCCESS&received_start={since}")
    flower.case("no tasks before", "GET", "/api/tasks?state=SUCCESS&received_end=1970-01-01%2000:00")
    for order in ("name", "-state", "received", "-started"):
        path = f"/api/tasks?limit=1&state=FAILURE&sort_by={order}"
        flower.case(f"a task by {order}", "GET", path, of_others=True)
    flower.case("a task of a search", "GET", "/api/tasks?limit=1&search=kwargs:values%20state:success%20(nope%20OR%20process)")
    for query in (
        "sort_by=age",
        "limit=x",
        "limit=1.5",
        "limit=",
        "offset=x",
        "received_start=yesterday",
        "search=ab",
        "search=(abc",
        "search=abc)",
        "search=%22abc",
        "search=abc%20OR",
        "search=AND%20abc",
        "search=NOT%20abc",
        "search=-abc",
        "search=state:",
        "search=()",
        "search=" + "(" * 6 + "abc" + ")" * 6,
        "search=" + "a" * 2049,
        "search=" + "abc%20" * 129,
    ):
        flower.case(f"tasks with {query[:40]}", "GET", f"/api/tasks?{query}")


def refusals(flower: Client) -> None:
    for action in ("apply", "async-apply", "send-task"):
        path = f"/api/task/{action}/{JOB}"
        flower.case(f"{action} of no JSON", "POST", path, "{")
        flower.case(f"{action} of another body", "POST", path, [1])
        flower.case(f"{action} of args that are no list", "POST", path, {"args": {"a": 1}})
    for action in ("apply", "async-apply"):
        path = f"/api/task/{action}/{JOB}"
        flower.case(f"{action} of an unknown task", "POST", f"/api/task/{action}/nope", {})
        flower.case(f"{action} at a wrong time", "POST", path, {"eta": "tomorrow"})
        flower.case(f"{action} with a wrong expiry", "POST", path, {"expires": "tomorrow"})
        flower.case(f"{action} after a wrong time", "POST", path, {"countdown": "soon"})
    flower.case("apply within a wrong time", "POST", f"/api/task/apply/{JOB}", {"timeout": "x"})
    flower.case("a wrong method", "GET", f"/api/task/apply/{JOB}")
    flower.case("another wrong method", "POST", "/api/tasks", {})
    flower.case("another path", "GET", "/api/nope")
    flower.case("healthcheck", "GET", "/healthcheck")


def workers(flower: Client) -> None:
    found = flower.case("workers", "GET", "/api/workers?refresh=true")
    name = sorted(found)[0]
    flower.case("the state of workers", "GET", "/api/workers?status=true")
    flower.case("one worker", "GET", f"/api/workers?refresh=1&workername={name}")
    flower.case("an unknown worker", "GET", "/api/workers?workername=nope")
    flower.case("workers with a wrong flag", "GET", "/api/workers?refresh=maybe")
    flower.case("queues", "GET", "/api/queues/length")
    for path in (
        "worker/shutdown",
        "worker/pool/restart",
        "worker/pool/grow",
        "worker/pool/shrink",
        "worker/pool/autoscale",
        "worker/queue/add-consumer",
        "worker/queue/cancel-consumer",
    ):
        flower.case(f"{path} of an unknown worker", "POST", f"/api/{path}/nope?min=1&max=2&queue=q")
    form = {"workername": "nope"}
    flower.case("timeout without a worker", "POST", f"/api/task/timeout/{JOB}", form={"soft": 1})
    flower.case("timeout of an unknown task", "POST", "/api/task/timeout/nope", form=form)
    flower.case("timeout at an unknown worker", "POST", f"/api/task/timeout/{JOB}", form=form)
    flower.case("rate-limit without a rate", "POST", f"/api/task/rate-limit/{JOB}", form=form)
    rate = {"workername": "nope", "ratelimit": "1/s"}
    flower.case("rate-limit of an unknown task", "POST", "/api/task/rate-limit/nope", form=rate)
    flower.case("rate-limit at an unknown worker", "POST", f"/api/task/rate-limit/{JOB}", form=rate)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    flower = Client(*sys.argv[1:])
    run(flower)
    print(json.dumps(flower.outcomes, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()

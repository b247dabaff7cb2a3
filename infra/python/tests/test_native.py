"""The answers to attempts of tasks in the service's own format."""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from attempts import native, run


@pytest.mark.parametrize(
    ("given", "result"),
    [({"x": 1, "y": 2}, 3), ({"args": [1], "kwargs": {"y": 5}}, 6), ({"args": [1, 2]}, 3), (4, 5)],
)
def test_the_forms_of_an_input(bodies: Any, made: list[str], given: Any, result: Any) -> None:
    assert run(native("bodies.add", given)) == {"result": result}
    assert made == []


def test_no_arguments_and_wrong_ones(bodies: Any) -> None:
    assert run(native("bodies.fail"))["error"]["message"] == "no"
    assert run(native("bodies.add", {"z": 1}))["error"]["type"] == "TypeError"
    assert run(native("bodies.typed", "object"))["error"]["type"] == "EncodeError"


def test_a_retry_of_the_own_format(bodies: Any, made: list[str]) -> None:
    tag = uuid.uuid4().hex
    answer = run(native("bodies.retried", {"tag": tag, "form": "exc"}))
    assert answer["retry"]["delay"] == pytest.approx(0, abs=1)
    assert answer["retry"]["error"]["type"] == "OSError"
    assert "input" not in answer["retry"]
    changed = run(native("bodies.retried", {"args": [tag, "args"]}))
    assert changed["retry"]["input"] == {"args": [tag, "args", 10], "kwargs": {}}
    assert run(native("bodies.retried", {"tag": tag, "form": "exc"}, attempt=3)) == {"result": 2}
    assert not {"SendMessage", "PutItem"} & set(made)


def test_replace_of_the_own_format_is_an_error(bodies: Any) -> None:
    assert run(native("bodies.replaced", "task"))["error"]["type"] == "NotImplementedError"


def test_progress_of_the_own_format_goes_to_its_address(bodies: Any, made: list[str]) -> None:
    got: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/p"
        assert run(native("bodies.steps", uuid.uuid4().hex, progress_url=url)) == {"result": "done"}
    finally:
        server.shutdown()
        server.server_close()
    assert got == [{"done": 1, "total": 2, "message": "PROGRESS"}]
    assert "PutItem" not in made

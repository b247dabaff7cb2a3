"""Tries an application whose task bodies run in the local stack's Python function, beyond what its own client tries.

    python bodies.py APPLICATION OUTPUT

runs in the application's environment. APPLICATION is a copy of `examples/celery`, which this program changes; OUTPUT is
the file that the function's processes write into, by which they are found. Exits with 1 when something is wrong.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

APPLICATION, OUTPUT = Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, str(APPLICATION))

from celery import group  # noqa: E402
from celery.exceptions import NotRegistered  # noqa: E402

from celery_config import celery_app, process_data  # noqa: E402
from orders import ask_supplier, send_mail  # noqa: E402
from reports import total  # noqa: E402

PATIENCE = 60


def main() -> None:
    for part in (
        a_job_in_rust_takes_over,
        a_further_queue,
        the_web_service,
        killed_processes,
        a_changed_body,
        a_task_that_sends_itself,
    ):
        started = time.monotonic()
        part()
        print(f"{part.__name__.replace('_', ' ')} ({time.monotonic() - started:.1f} s)", flush=True)


def a_job_in_rust_takes_over() -> None:
    """`process_data` is written in both languages, `total` in Python alone."""
    result = process_data.delay({"values": [1, 2, 3]}).get(timeout=PATIENCE)
    assert "processed_by" not in result, result
    assert total.delay([["north", 2], ["south", 3]]).get(timeout=PATIENCE) == 5


def a_further_queue() -> None:
    result = send_mail.apply_async(("a@example.com", "low"), queue="low")
    assert result.get(timeout=PATIENCE)["characters"] == 3


def the_web_service() -> None:
    """The FastAPI application by uvicorn."""
    with uvicorn() as url:
        ids = [
            post(f"{url}/process/", {"values": [1, 2, 3]}),
            post(f"{url}/orders/", {"order_id": 1, "cents": 100}),
            post(f"{url}/reports/region/?path=sales.csv&region=north", None),
            post(f"{url}/reports/sales/", [["north", 1], ["south", 2], ["north", 3]]),
            post(f"{url}/exports/?rows=3", None),
        ]
        results = [completed(url, task_id) for task_id in ids]
    assert results[1]["parcel"] == "P000001", results
    assert results[2:] == [180, {"north": 4, "south": 2}, {"rows": 3}], results


def killed_processes() -> None:
    """Tasks whose process is killed run again."""
    result = group(ask_supplier.s(n, 3) for n in range(4)).delay()
    wait(lambda: sum(child.state == "STARTED" for child in result.children) >= 2)
    pids = processes()
    assert pids, "no process runs the bodies"
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert result.get(timeout=PATIENCE) == [0, 1, 2, 3]


def a_changed_body() -> None:
    """The next task after a change of its file runs the new code, also when the processes have served before."""
    path = APPLICATION / "reports.py"
    text = path.read_text()
    changed = text.replace("return sum(amount for _, amount in rows)", "return -sum(amount for _, amount in rows)")
    assert changed != text
    path.write_text(changed)
    wait(lambda: total.delay([["north", 2]]).get(timeout=PATIENCE) == -2)
    # From now on every process has the new code.
    results = group(total.s([["north", n]]) for n in range(8)).delay().get(timeout=PATIENCE)
    assert results == [-n for n in range(8)], results


def a_task_that_sends_itself() -> None:
    """Messages of one task that do not count its retries are later runs all the same."""
    path, journal = APPLICATION / "orders.py", APPLICATION / "runs"
    note = f'    open({str(journal)!r}, "a").write(f"{{self.name}} {{run}}\\n")'
    ask = {
        "polls": "self.retry(kwargs={'run': run + 1}, countdown=0, throw=False)",
        "sends": "self.apply_async(kwargs={'run': run + 1}, task_id=self.request.id)",
    }
    for name, again in ask.items():
        body = f"    self.request.retries = -1\n{note}\n    if run < 3:\n        {again}\n"
        path.write_text(f"{path.read_text()}\n\n@celery_app.task(bind=True)\ndef {name}(self, run=1):\n{body}")
    # Until a process has the new code, the task is not known.
    for name in ask:
        wait(lambda name=name: not isinstance(outcome(f"orders.{name}"), NotRegistered))
    wanted = sorted(f"orders.{name} {run}" for name in ask for run in (1, 2, 3))
    wait(lambda: sorted(journal.read_text().splitlines()) == wanted)


def outcome(task: str) -> Any:
    return celery_app.send_task(task).get(timeout=PATIENCE, propagate=False)


def processes() -> list[int]:
    """The processes of the function."""
    wanted = f"LOCAL_LOG={OUTPUT}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


@contextlib.contextmanager
def uvicorn() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-B", "-m", "uvicorn", "main:app", "--port", str(port), "--log-level", "warning"]
    with subprocess.Popen(command, cwd=APPLICATION) as process:
        try:
            wait(lambda: answers(port) or process.poll() is not None)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def post(url: str, body: Any) -> str:
    """The id of the task that the service starts."""
    data = b"" if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)["task_id"]


def completed(url: str, task_id: str) -> Any:
    """The result of a task, as the service shows it."""
    found: dict[str, Any] = {}

    def ended() -> bool:
        with urllib.request.urlopen(f"{url}/result/{task_id}", timeout=PATIENCE) as answer:
            found.update(json.load(answer))
        return found["status"] == "completed"

    wait(ended)
    return found["result"]


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not true after {PATIENCE} s"
        time.sleep(0.05)


if __name__ == "__main__":
    celery_app.set_default()
    main()

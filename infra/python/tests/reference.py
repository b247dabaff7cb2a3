"""Writes `reference/VERSION.json`: the outcomes of the cases with Celery's own worker and Redis.

    PYTHON infra/python/tests/reference.py

PYTHON is one of `target/celery/VERSION/bin/python`; `redis-server` must be installed. Only the author of a case runs
this; the tests compare with the stored file.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STORED = HERE / "reference"
SECONDS = 25.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def outcomes(names: list[str]) -> dict[str, Any]:
    """Starts all cases, and looks at each when it has ended."""
    from cases import CASES, has_ended, outcome

    chosen = {name: CASES[name] for name in names or CASES}
    tags = {name: uuid.uuid4().hex for name in chosen}
    started = {name: case.start(tags[name]) for name, case in chosen.items()}
    end = time.monotonic() + SECONDS
    waiting = set(chosen)
    while waiting and time.monotonic() < end:
        waiting = {name for name in waiting if not has_ended(chosen[name], started[name], tags[name])}
        time.sleep(0.05)
    if waiting:
        print(f"have not ended: {sorted(waiting)}", file=sys.stderr)
    # What a case must not do could still come; nothing tells that nothing follows.
    time.sleep(2)
    return {name: outcome(case, started[name], tags[name]) for name, case in chosen.items()}


def main() -> None:
    import celery

    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(BROKER_URL=url, RESULT_BACKEND=url, JOURNAL=f"{folder}/journal")
        redis = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        arguments = ["-A", "bodies", "worker", "-c", "4", "--loglevel", "ERROR", "--without-gossip"]
        worker = subprocess.Popen([sys.executable, "-m", "celery", *arguments], cwd=HERE, stderr=subprocess.DEVNULL)
        try:
            found = outcomes(sys.argv[1:])
        finally:
            for process in (worker, redis):
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    if sys.argv[1:]:
        print(json.dumps(found, indent=1))
        return
    STORED.mkdir(exist_ok=True)
    path = STORED / f"{celery.__version__}.json"
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"{len(found)} cases in {path}")


if __name__ == "__main__":
    main()

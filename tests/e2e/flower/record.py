"""Runs `suite.py` against a real Flower with Redis and a Celery worker, and writes what a client sees.

    python3 record.py

The outcomes go to `reference.json` beside this file. Needs `redis-server`; the packages of `requirements.txt` are
installed into `target/flower/`. Everything listens on 127.0.0.1 alone and keeps nothing.
"""

import base64
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TARGET = ROOT / "target" / "flower"
sys.path.append(str(ROOT / "tests" / "celery"))

from reference import answers, free_port, program, redis, wait  # noqa: E402

USER = "flower:secret"


def main() -> None:
    python = environment()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        variables = stack.enter_context(redis(folder, TARGET / "redis.log"))
        celery = [python, "-B", "-m", "celery", "-A", "app"]
        log = TARGET / "flower.log"
        port = free_port()
        options = [f"--port={port}", "--address=127.0.0.1", f"--basic-auth={USER}", "--inspect-timeout=1000"]
        flower = stack.enter_context(program([*celery, "flower", *options], variables, HERE, log))
        wait("Flower", lambda: answers(port), flower)
        log = TARGET / "worker.log"
        words = ["worker", "-E", "--loglevel", "INFO", "--concurrency", "2", "--hostname", "reference@localhost"]
        worker = stack.enter_context(program([*celery, *words], variables, HERE, log))
        wait("the worker", lambda: " ready." in log.read_text(), worker)
        basic = base64.b64encode(USER.encode()).decode()
        command = [sys.executable, "-B", HERE / "suite.py", f"http://127.0.0.1:{port}", f"Basic {basic}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=300)
    (HERE / "reference.json").write_text(done.stdout)
    print(HERE / "reference.json")


def environment() -> Path:
    """The interpreter of an environment with Flower. The stamp is written last, so a broken install is repeated."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp = TARGET / "installed"
    python = TARGET / "venv" / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", TARGET / "venv"], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--no-input", "-r", HERE / "requirements.txt"]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted)
    return python


if __name__ == "__main__":
    main()

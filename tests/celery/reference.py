"""Runs the suite against real Celery workers, and writes what the clients see.

    python3 reference.py [--broker redis|sqs] [--worker VERSION] [--only TEXT] [VERSION...]

For each version of the client it starts a broker (`redis-server`, or the local AWS endpoints with SQS and DynamoDB) and
a worker, runs the suite, and ends all of them. The outcomes are in `target/celery/BROKER-VERSION.jsonl`, logs beside
them. Everything listens on 127.0.0.1 alone and keeps nothing. Needs the standard library alone.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import environments
from environments import HERE, TARGET, TESTED, VERSIONS

QUEUES = "celery,other.queue"
NEWEST = VERSIONS[-1]
# Seconds that a program may take until it answers.
START = 60
# What a client reads of the environment to find AWS, in place of the user's own settings.
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


def main() -> None:
    # A program that is told to end ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = arguments()
    for version in options.versions or TESTED:
        # The worker of 5.2 does not fetch messages with the versions of boto3 and pycurl that are pinned here.
        own = "5.3.6" if (options.broker, version) == ("sqs", "5.2.7") else version
        worker = options.worker or own
        started = time.monotonic()
        path = run(options.broker, version, worker, options.only)
        print(f"{path} ({time.monotonic() - started:.0f} s)", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=["redis", "sqs"], default="redis")
    parser.add_argument("--worker", help="the version of the worker, if it is not the client's")
    parser.add_argument("--only", default="", help="run the cases whose name has this text")
    parser.add_argument("versions", nargs="*", help="versions of the client")
    return parser.parse_args()


def run(broker: str, version: str, worker: str, only: str) -> Path:
    """Runs the suite with this version of the client, and returns the file of the outcomes."""
    client, server = environments.python(version), environments.python(worker)
    brokers = {"redis": redis, "sqs": sqs}
    path = TARGET / f"{broker}-{version}.jsonl"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = stack.enter_context(brokers[broker](folder, path.with_suffix(".broker.log")))
        stack.enter_context(celery_worker(server, environment, path.with_suffix(".worker.log")))
        suite(client, environment, path, only)
    return path


def suite(client: Path, environment: dict[str, str], path: Path, only: str = "") -> None:
    """Runs the suite and writes the outcomes to the path, and how long each case took beside it."""
    command: list[str | Path] = [client, "-B", "suite.py", "--times", "--only", only]
    with path.open("w") as outcomes, path.with_suffix(".suite.log").open("w") as errors:
        subprocess.run(command, cwd=HERE, env=environment, stdout=outcomes, stderr=errors, check=True, timeout=600)


@contextlib.contextmanager
def program(command: list[object], environment: dict[str, str], folder: Path, log: Path) -> Iterator[subprocess.Popen]:
    """A program that runs until the end of the block. Its output goes to the log."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait(what: str, condition: Callable[[], bool], process: subprocess.Popen) -> None:
    """Waits until the condition is true, as long as the program runs."""
    end = time.monotonic() + START
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{what} did not start: see its log in {TARGET}")
        time.sleep(0.05)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def clean_environment() -> dict[str, str]:
    """This process' environment without settings of AWS and Celery."""
    prefixes = ("AWS_", "CELERY_", "BROKER_URL", "RESULT_BACKEND", "TRANSPORT_OPTIONS", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


@contextlib.contextmanager
def redis(folder: Path, log: Path) -> Iterator[dict[str, str]]:
    """Redis without files; the environment of its clients."""
    server = shutil.which("redis-server") or sys.exit(
        "redis-server is missing: install it (`apt install redis-server`)"
    )
    port = free_port()
    command = [server, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", folder]
    environment = clean_environment()
    with program(command, environment, folder, log) as process:
        wait("redis-server", lambda: answers(port), process)
        url = f"redis://127.0.0.1:{port}"
        yield {**environment, "BROKER_URL": f"{url}/0", "RESULT_BACKEND": f"{url}/1"}


def aws_client(endpoint: str) -> dict[str, str]:
    """The environment of clients of SQS and DynamoDB at this endpoint.

    The URLs are those of real AWS: a URL with a host and keys has the worker open a connection to DynamoDB before it
    forks, which its processes then share. Without the wait, a worker of kombu before 5.6 would wait for the empty queue
    before it looks at the other one.
    """
    options = {"region": AWS["AWS_DEFAULT_REGION"], "supports_fanout": True}
    polling = {"wait_time_seconds": 0, "polling_interval": 0.1}
    urls = {"BROKER_URL": "sqs://", "RESULT_BACKEND": "dynamodb://@us-east-1/celery_results"}
    transport = {"TRANSPORT_OPTIONS": json.dumps({**options, **polling})}
    return {**clean_environment(), **AWS, **urls, **transport, "AWS_ENDPOINT_URL": endpoint}


@contextlib.contextmanager
def sqs(folder: Path, log: Path) -> Iterator[dict[str, str]]:
    """SQS, SNS and DynamoDB on this machine; the environment of their clients."""
    port = free_port()
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "sqs,sns,dynamodb"}
    ports = {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "PERSIST_STATE": "0"}
    environment = aws_client(f"http://localhost:{port}")
    with program([environments.ministack()], {**environment, **settings, **ports}, folder, log) as process:
        wait("ministack", lambda: answers(port), process)
        create: list[str | Path] = [environments.python(NEWEST), "-B", "resources.py"]
        subprocess.run(create, cwd=HERE, env=environment, check=True)
        yield environment


@contextlib.contextmanager
def celery_worker(python: Path, environment: dict[str, str], log: Path) -> Iterator[None]:
    """A worker that is ready for tasks. It has processes of its own, as only they have time limits and can be ended."""
    command = [python, "-B", "-m", "celery", "-A", "app", "worker", "--loglevel", "INFO", "--queues", QUEUES]
    pool = ["--pool", "prefork", "--concurrency", "8", "--hostname", "reference@localhost"]
    with program([*command, *pool], environment, HERE, log) as process:
        wait("the worker", lambda: " ready." in log.read_text(), process)
        yield


if __name__ == "__main__":
    main()

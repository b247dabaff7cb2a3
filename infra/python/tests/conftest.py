"""The local AWS endpoints for the tests, and the worker's side of the contract."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
QUEUES = ("celery", "other")
TABLE = "results"


def ministack() -> Path:
    """The program of the local AWS endpoints, as `cargo xtask` installs it."""
    beside = Path(sys.executable).parent / "ministack"
    for path in (beside, ROOT / ".venv/bin/ministack", ROOT / "target/celery/ministack/bin/ministack"):
        if path.exists():
            return path
    found = shutil.which("ministack")
    assert found, "ministack is not installed: `cargo xtask run` installs it into .venv"
    return Path(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SQS and DynamoDB on 127.0.0.1, with the queues and the table; the environment names them."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "sqs,dynamodb",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "0",
    }
    log = (tmp_path_factory.mktemp("ministack") / "log").open("w")
    process = subprocess.Popen([ministack()], env=environment, stdout=log, stderr=log)
    try:
        _wait(url, process)
        _set_up(url)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/health", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("ministack does not answer")


def _set_up(url: str) -> None:
    import boto3

    os.environ.update(
        AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1", AWS_ENDPOINT_URL=url
    )
    for name in QUEUES:
        boto3.client("sqs", endpoint_url=url).create_queue(QueueName=name)
    boto3.client("dynamodb", endpoint_url=url).create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.fixture(scope="session")
def environment(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The settings of the application `bodies`, put into the environment before it is imported."""
    import json

    queues = {
        name: {"url": f"{endpoint}/000000000000/{name}", "access_key_id": "test", "secret_access_key": "test"}
        for name in QUEUES
    }
    port = endpoint.rsplit(":", 1)[1]
    settings = {
        "CELERY_APP": "bodies:app",
        "BROKER_URL": f"sqs://test:test@localhost:{port}",
        "RESULT_BACKEND": f"dynamodb://test:test@localhost:{port}/{TABLE}?ttl_seconds=86400",
        "TRANSPORT_OPTIONS": json.dumps({"region": "us-east-1", "predefined_queues": queues}),
        "SERVED_QUEUES": "celery",
        "JOURNAL": str(tmp_path_factory.mktemp("journal") / "journal"),
    }
    os.environ.update(settings)
    return settings


@pytest.fixture(scope="session")
def bodies(environment: dict[str, Any]) -> Any:
    import async_service_celery  # noqa: F401  before any session of botocore is made
    from async_service_celery.start import worker

    assert worker().app.conf.result_backend
    import bodies

    return bodies


@pytest.fixture
def made(bodies: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The operations of AWS that are made, in place of being answered."""
    from async_service_celery.recording import Recording

    operations: list[str] = []
    original = Recording.call

    def call(self: Any, operation: str, params: Any) -> Any:
        reply = original(self, operation, params)
        if reply is None:
            operations.append(operation)
        return reply

    monkeypatch.setattr(Recording, "call", call)
    yield operations

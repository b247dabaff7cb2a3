"""Runs workflows that cross this service's worker and a worker of Celery, as during a migration.

    python3 crossing.py ENDPOINT [VERSION]

ENDPOINT is the URL of SQS, SNS and DynamoDB. Queue `celery` belongs to the worker that already runs, queue `python` to
a worker of Celery that this program starts. Exits with 1 when a workflow has another result than it should. Needs the
standard library alone; the version is of Celery.
"""

import json
import subprocess
import sys
from pathlib import Path

import environments
from environments import HERE, TARGET, VERSIONS
from reference import aws_client, program, wait

QUEUE = "python"

# Runs in the environment of the client.
WORKFLOWS = """
import json, sys
from celery import chain, chord, group
from app import add, app, fail, mul, xsum

here, there = {"queue": "celery"}, {"queue": "python"}

def at(signature, place):
    return signature.set(**place)

def ended(result):
    try:
        return result.get(timeout=60)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

workflows = {
    "to and fro": at(add.s(1, 2), here) | at(mul.s(10), there) | at(add.s(5), here) | at(mul.s(2), there),
    "from there": at(add.s(1, 2), there) | at(mul.s(10), here),
    "members of both": chord([at(add.s(i, i), there if i % 2 else here) for i in range(10)], at(xsum.s(), here)),
    "body there": chord([at(add.s(i, i), there if i % 2 else here) for i in range(10)], at(xsum.s(), there)),
    "chord in a chain": at(add.s(1, 1), here)
    | group(at(add.s(i), there if i % 2 else here) for i in range(6))
    | at(xsum.s(), here)
    | at(mul.s(3), there),
    "failure here": at(fail.s("ValueError", "no"), here) | at(add.s(1), there),
    "failure there": at(fail.s("ValueError", "no"), there) | at(add.s(1), here),
    "failed member there": chord([at(add.s(1, 1), here), at(fail.s("ValueError", "no"), there)], at(xsum.s(), here)),
    "failed member here": chord([at(fail.s("ValueError", "no"), here), at(add.s(1, 1), there)], at(xsum.s(), there)),
}
for name, workflow in workflows.items():
    print(json.dumps([name, ended(workflow.apply_async())]), flush=True)
"""

WANTED = {
    "to and fro": 70,
    "from there": 30,
    "members of both": 90,
    "body there": 90,
    "chord in a chain": 81,
    "failure here": "ValueError: no",
    "failure there": "ValueError: no",
    "failed member there": "ChordError: …",
    "failed member here": "ChordError: …",
}


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    endpoint, version = sys.argv[1], (sys.argv[2:] or [VERSIONS[-1]])[0]
    python, environment = environments.python(version), aws_client(endpoint)
    create = "import boto3; boto3.client('sqs').create_queue(QueueName='python')"
    subprocess.run([python, "-c", create], env=environment, check=True)
    log = TARGET / "crossing.worker.log"
    command: list[object] = [python, "-B", "-m", "celery", "-A", "app", "worker", "--queues", QUEUE]
    options: list[object] = ["--pool", "solo", "--loglevel", "INFO", "--hostname", "python@localhost"]
    with program([*command, *options], environment, HERE, log) as worker:
        wait("the worker", lambda: " ready." in log.read_text(), worker)
        sys.exit(not all_as_wanted(python, environment))


def all_as_wanted(python: Path, environment: dict[str, str]) -> bool:
    """Runs the workflows and prints those whose results are wrong."""
    run = subprocess.run(
        [python, "-B", "-c", WORKFLOWS], cwd=HERE, env=environment, stdout=subprocess.PIPE, text=True, timeout=600
    )
    found = dict(json.loads(line) for line in run.stdout.splitlines())
    wrong = [f"{name}: {found.get(name)!r}, not {wanted!r}" for name, wanted in WANTED.items() if not same(found.get(name), wanted)]
    print(*wrong, f"{len(WANTED)} workflows across two workers, {len(wrong)} wrong", sep="\n")
    return not wrong


def same(found: object, wanted: object) -> bool:
    """Whether a result is as wanted. The texts of chords' errors name a task."""
    if isinstance(wanted, str) and wanted.endswith("…"):
        return isinstance(found, str) and found.startswith(wanted[:-1])
    return found == wanted


if __name__ == "__main__":
    main()

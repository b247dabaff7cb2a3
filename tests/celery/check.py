"""Runs the suite against a worker that already runs, and compares what clients see with the reference.

    python3 check.py ENDPOINT TARGET [VERSION...]

ENDPOINT is the URL of SQS, SNS and DynamoDB, as `http://localhost:4566`; TARGET is the list of `differences.json`. The
outcomes are in `target/celery/TARGET-VERSION.jsonl`. Without versions it tries the oldest and the newest. Needs the
standard library alone; exits with 1 when a difference is not listed.
"""

import subprocess
import sys

import environments
from environments import HERE, TARGET, TESTED
from reference import aws_client, suite


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    endpoint, target, *versions = sys.argv[1:]
    results = [check(endpoint, target, version) for version in versions or TESTED]
    sys.exit(not all(results))


def check(endpoint: str, target: str, version: str) -> bool:
    """Whether this version of the client sees what it should."""
    path = TARGET / f"{target}-{version}.jsonl"
    suite(environments.python(version), aws_client(endpoint), path)
    stored = HERE / "reference" / f"{version}.jsonl"
    compared = subprocess.run([sys.executable, "-B", HERE / "compare.py", stored, path, target])
    return compared.returncode == 0


if __name__ == "__main__":
    main()

"""A Celery application that sends workflows, as the lines of its standard input say.

    python producer.py SEED

Each line is the number of a workflow; each answer is one line of JSON: the ids of its tasks, in the order in which they
may run, and the value of the last one. Now and then a message is sent twice, as by a client that has lost the answer.
"""

import json
import os
import random
import sys
from collections.abc import Iterator
from typing import Any

from celery import Celery, chain, chord, group
from celery.canvas import Signature
from celery.result import AsyncResult, GroupResult
from kombu.transport.SQS import Channel

app = Celery("storm", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
app.conf.broker_transport_options = json.loads(os.environ["TRANSPORT_OPTIONS"])

# One message in this many is sent twice.
TWICE_IN = 5


def step(at: int) -> Signature:
    """The built-in task that gives its arguments as a list: the results of the task before, and `at`."""
    return app.signature("celery.accumulate", args=(at,))


def body(name: str, at: int) -> Signature:
    """As `step`, with a body in Python: a task of `bodies/storm_bodies.py`."""
    return app.signature(f"storm.{name}", args=(at,))


def workflows() -> list[tuple[Signature, Any]]:
    """Each kind of workflow, and its value."""
    return [
        (chain(step(0), step(1), step(2)), [[[0], 1], 2]),
        (chord([step(0), step(1), step(2)], step(3)), [[[0], [1], [2]], 3]),
        # A chord in a chain, which the worker begins.
        (chain(step(0), group(step(1), step(2)), step(3)), [[[[0], 1], [[0], 2]], 3]),
        # Chains in a chord.
        (chord([step(0) | step(1), step(2) | step(3)], step(4)), [[[[0], 1], [[2], 3]], 4]),
        # A group in a chain that ends as a chord, whose body is a chain.
        (chain(group(step(0), step(1)), step(2), step(3)), [[[[0], [1]], 2], 3]),
        (chain(body("step", 0), body("again", 1), step(2)), [[[0], 1], 2]),
        (chord([body("again", 0), step(1), body("moved", 2)], body("step", 3)), [[[0], [1], [2]], 3]),
        # A chord in a chain, which the tracer of the function begins.
        (chain(body("moved", 0), group(body("step", 1), step(2)), body("again", 3)), [[[[0], 1], [[0], 2]], 3]),
    ]


def tasks(result: AsyncResult | GroupResult) -> Iterator[str]:
    """The ids of all tasks that a result comes from, itself last."""
    if result.parent is not None:
        yield from tasks(result.parent)
    if isinstance(result, GroupResult):
        for member in result.results:
            yield from tasks(member)
    else:
        yield result.id


def send_twice_at_times(seed: int) -> None:
    """Lets the transport of SQS send some messages twice."""
    choices, put = random.Random(seed), Channel._put

    def put_again(self: Channel, *args: Any, **options: Any) -> None:
        for _ in range(1 + (choices.randrange(TWICE_IN) == 0)):
            put(self, *args, **options)

    Channel._put = put_again


def main() -> None:
    send_twice_at_times(int(sys.argv[1]))
    for line in sys.stdin:
        kinds = workflows()
        workflow, value = kinds[int(line) % len(kinds)]
        # Members of a group have their parents in common.
        ids = list(dict.fromkeys(tasks(workflow.apply_async())))
        print(json.dumps({"ids": ids, "value": value}), flush=True)


if __name__ == "__main__":
    main()

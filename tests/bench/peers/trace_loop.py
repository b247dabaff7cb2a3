"""Runs the body of `tasks.process_data` under Celery's own tracer, again and again: what any worker does for a
task, without a broker and with results in memory.

    python trace_loop.py COUNT
"""

import json
import sys
import uuid

from celery.app import trace

from measured import measured
from tasks import celery as app
from tasks import process_data

app.conf.update(broker_url="memory://", result_backend="cache+memory://")
DATA = {"values": [1, 2, 3]}


def run(count: int) -> int:
    app.finalize()
    trace.setup_worker_optimizations(app, "celery@bench")
    tracer = trace.build_tracer(process_data.name, process_data, app.loader, "celery@bench", app=app)
    for _ in range(count):
        task_id = str(uuid.uuid4())
        request = {"id": task_id, "task": process_data.name, "args": [DATA], "kwargs": {}, "is_eager": False}
        ended = tracer(task_id, [DATA], {}, request)
        assert ended.info is None
    return count


def main(count: int) -> None:
    run(100)
    print(json.dumps(measured(lambda: run(count), "tasks")))


if __name__ == "__main__":
    main(int(sys.argv[1]))

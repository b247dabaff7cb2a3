"""The tasks of `tasks.py` with SQS and DynamoDB: their bodies run in this service's Python function.

The application of `async_service_celery.handler`, and `bare`, a handler that does nothing, for the part of AWS' runtime
client.
"""

import json
import os
from typing import Any

from tasks import celery as app
from tasks import process_data

app.conf.update(
    broker_url=os.environ["BROKER_URL"],
    result_backend=os.environ["RESULT_BACKEND"],
    broker_transport_options=json.loads(os.environ["TRANSPORT_OPTIONS"]),
)

# The name is not that of a job in Rust, which would come first.
app.task(name="bodies.process_data")(process_data.run)


def bare(event: dict[str, Any], _: object) -> dict[str, Any]:
    return {"result": None, "task": event["task"]["id"]}

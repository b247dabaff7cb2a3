"""The application behind the real Flower of `record.py`: a task of the name and arguments of the service's job."""

import os

import celery

app = celery.Celery("reference", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])


# Without the check of arguments: a wrong call fails in the worker, as it does for a client without the task's code.
@app.task(name="process_data", typing=False)
def process_data(**data):
    """Something that depends on the data."""
    return {"fields": sorted(data)}

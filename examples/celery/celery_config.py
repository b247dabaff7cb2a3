"""The Celery application. Its settings come from the environment; the defaults are for Redis on this machine."""

import json
import os
from datetime import timedelta

from celery import Celery
from celery.schedules import crontab

celery_app = Celery(
    "shop",
    broker=os.getenv("CELERY_BROKER_URL", "redis://localhost:6379/0"),
    backend=os.getenv("CELERY_RESULT_BACKEND", "redis://localhost:6379/1"),
    include=["orders", "reports"],
)

celery_app.conf.update(
    # Only SQS needs options: the region, and the queues' URLs.
    broker_transport_options=json.loads(os.getenv("CELERY_BROKER_TRANSPORT_OPTIONS", "{}")),
    broker_connection_retry_on_startup=True,
    task_track_started=True,
    result_extended=True,
    result_expires=timedelta(days=1),
    timezone="UTC",
    beat_schedule={
        "sales of yesterday": {
            "task": "reports.sales_report",
            "schedule": crontab(hour=4, minute=30, day_of_week="mon-fri"),
            "args": ([["north", 120], ["south", 80], ["north", 30]],),
        },
        "stock": {
            "task": "orders.check_stock",
            "schedule": timedelta(minutes=10),
            "options": {"expires": 300},
        },
    },
)


@celery_app.task
def process_data(data):
    """Describes the numbers of a JSON object."""
    numbers = {key: value for key, value in data.items() if isinstance(value, list) and value}
    return {
        "processed_by": "python",
        "fields": sorted(data),
        "means": {key: sum(value) / len(value) for key, value in numbers.items()},
    }

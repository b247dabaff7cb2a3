"""Clients with other settings: forms of the message that an application may choose."""

import os
from typing import Any

from celery import Celery

from app import app
from case import case

SETTINGS: dict[str, dict[str, Any]] = {
    "old protocol": {"task_protocol": 1},
    "compressed tasks": {"task_compression": "gzip"},
    "priority of all tasks": {"task_default_priority": 3},
    "events of sent tasks": {"task_send_sent_event": True},
    "local time": {"enable_utc": False, "timezone": "Europe/Berlin"},
    "default queue": {"task_default_queue": "other.queue"},
    "routes": {"task_routes": {"add": {"queue": "other.queue"}}},
    "transient messages": {"task_default_delivery_mode": "transient"},
    "no retries of sending": {"task_publish_retry": False},
    "plain envelope": {"broker_transport_options": {"sqs_base64_encoding": False}},
    "plain body": {"broker_transport_options": {"body_encoding": None}},
    "plain envelope and body": {"broker_transport_options": {"sqs_base64_encoding": False, "body_encoding": None}},
}


def client(settings: dict[str, Any]) -> Celery:
    """Another client of the same worker."""
    other = Celery("other", set_as_current=False)
    own = {name: app.conf[name] for name in ("broker_url", "result_backend", "accept_content", "result_serializer")}
    options = {**app.conf.broker_transport_options, **settings.get("broker_transport_options", {})}
    other.conf.update({**own, **settings, "broker_transport_options": options})
    return other


def called(settings: dict[str, Any], **options: Any) -> Any:
    other = client(settings)
    result = other.send_task("add", args=(2, 3), **options)
    outcome = {"value": result.get(timeout=15, interval=0.1), "state": result.state}
    other.close()
    return outcome


@case(*SETTINGS)
def client_with(name: str) -> Any:
    return called(SETTINGS[name])


@case("old protocol", "local time")
def countdown_of_a_client_with(name: str) -> Any:
    return called(SETTINGS[name], countdown=1, expires=60)


@case()
def client_that_ignores_results() -> Any:
    return called({"task_ignore_result": True})


@case()
def client_with_predefined_queues() -> Any:
    """With SQS: no call lists or creates queues. Other brokers do not read the setting."""
    options: dict[str, Any] = {}
    if app.conf.broker_url.startswith("sqs"):
        url = f"{os.environ['AWS_ENDPOINT_URL']}/000000000000/celery"
        options["predefined_queues"] = {"celery": {"url": url}}
    return called({"broker_transport_options": options})

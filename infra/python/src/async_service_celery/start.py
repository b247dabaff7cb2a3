"""Starts the application as a worker of Celery starts it: the main process first, then a process of its pool."""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import Any, Optional

from . import body, tracing
from .settings import Settings

_worker: Optional[Worker] = None


class Worker:
    """Stands for Celery's worker: the sender of its signals, with the attributes that receivers look at.

    Django's fixup closes pools of connections when `pool_cls` is prefork's.
    """

    pool_cls = "celery.concurrency.prefork:TaskPool"
    concurrency = 1

    def __init__(self, app: Any, hostname: str, settings: Settings) -> None:
        self.app = app
        self.hostname = hostname
        self.settings = settings
        self.pid = os.getpid()


def worker() -> Worker:
    """The started worker; the first call starts it."""
    global _worker
    if _worker is None:
        _worker = _start(Settings.of_environment())
    return _worker


def find(name: str) -> Any:
    """The application that `celery -A name` finds, with the working directory on `sys.path`."""
    from celery.app.utils import find_app

    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    app = find_app(name)
    if not hasattr(app, "tasks"):
        raise ValueError(f"CELERY_APP={name} is no Celery application but {type(app).__name__}")
    return app


def _start(settings: Settings) -> Worker:
    app = find(settings.app)
    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or socket.gethostname()
    worker = Worker(app, f"celery@{name}", settings)
    try:
        _start_main_process(worker)
        _start_pool_process(worker)
    except BaseException:
        # The next call imports the tasks again, instead of running without them.
        app.loader.worker_initialized = False
        raise
    return worker


def _start_main_process(worker: Worker) -> None:
    """What `celery worker` does before it starts its pool.

    `worker_ready` is not sent: its receivers expect a consumer that takes messages.
    """
    from celery import signals
    from celery.app import trace

    app = worker.app
    app.set_current()
    app.set_default()
    app.loader.init_worker()
    tracing.install()
    trace.setup_worker_optimizations(app, worker.hostname)
    signals.celeryd_init.send(sender=worker.hostname, instance=worker, conf=app.conf, options={})
    signals.worker_init.send(sender=worker)
    set_up_logging(app, worker)
    # Again, as receivers of `worker_init` may have added tasks.
    trace.setup_worker_optimizations(app, worker.hostname)
    signals.celeryd_after_setup.send(sender=worker.hostname, instance=worker, conf=app.conf)


def _start_pool_process(worker: Worker) -> None:
    """What a process of the prefork pool does before its first task."""
    from celery import signals
    from celery._state import _set_task_join_will_block
    from celery.app import trace

    app = worker.app
    # `.get()` inside of a task raises at once, instead of waiting for a worker that waits for this task.
    _set_task_join_will_block(True)
    app.loader.init_worker_process()
    for name, task in app.tasks.items():
        body.watch(task)
        # By the module's attribute: libraries such as Sentry's put their own function there.
        task.__trace__ = trace.build_tracer(name, task, app.loader, worker.hostname, app=app)
    signals.worker_process_init.send(sender=worker.hostname)


def set_up_logging(app: Any, worker: Worker) -> None:
    """As Celery: receivers of `setup_logging` alone decide. Without any, the handler of Lambda stays, as its lines
    have the id of the request."""
    from celery import signals

    keep = bool(logging.getLogger().handlers) and not signals.setup_logging.receivers
    hijack = app.conf.worker_hijack_root_logger
    if keep:
        app.conf.worker_hijack_root_logger = False
    try:
        app.log.setup(worker.settings.log_level, None, False, hostname=worker.hostname)
    finally:
        app.conf.worker_hijack_root_logger = hijack

"""Closes what must not stay open while Lambda freezes the process.

Connections to AWS stay: botocore makes a new one when a kept one has ended.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

logger = logging.getLogger(__name__)

# Transports of kombu that keep no socket of their own.
_WITHOUT_SOCKET = ("sqs", "memory", "filesystem")


def close(app: Any) -> None:
    """Closes connections to databases, and to a broker and a result backend that keep sockets."""
    try:
        _close_django()
        _close_broker(app)
        _close_backend(app)
    except Exception:
        # The task has ended; its answer must not be lost.
        logger.exception("Connections could not be closed")


def _close_django() -> None:
    # Celery's fixup closes them too, but not with every version and setting.
    database = sys.modules.get("django.db")
    if database is not None:
        database.connections.close_all()


def _close_broker(app: Any) -> None:
    from kombu import pools

    if getattr(app, "_pool", None) is None:
        return
    if app.connection_for_write().transport.driver_type not in _WITHOUT_SOCKET:
        pools.reset()
        app._after_fork()


def _close_backend(app: Any) -> None:
    backend = app.backend
    if type(backend).__module__ == "celery.backends.redis" and "client" in vars(backend):
        backend.client.connection_pool.disconnect()

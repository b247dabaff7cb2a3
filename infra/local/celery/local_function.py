"""The entry point of the function with task bodies in the local stack."""

from local_process import run


def start() -> None:
    import async_service_celery.start

    async_service_celery.start.worker()


run(start)

from async_service_celery import handler  # noqa: E402, F401

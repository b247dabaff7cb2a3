"""The entry point of the scheduler's function in the local stack."""

from local_process import run


def start() -> None:
    import async_service_celery.beat_ticks

    async_service_celery.beat_ticks.started()


run(start)

from async_service_celery import beat_handler  # noqa: E402, F401

"""An application's own scheduler in the function, call by call: each call in a process of its own."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import TABLE, free_port
from test_start import DJANGO, output, run, write

APP = """
    import json, os
    from celery import Celery
    app = Celery("shop", include=["shop_tasks"])
    app.conf.update(
        broker_url=os.environ["BROKER_URL"],
        result_backend=os.environ["RESULT_BACKEND"],
        broker_transport_options=json.loads(os.environ["TRANSPORT_OPTIONS"]),
        timezone="Europe/Berlin",
        beat_schedule={"hourly": {"task": "shop_tasks.count", "schedule": 3600.0, "args": (1,)}},
    )

    @app.on_after_finalize.connect
    def add(sender, **_):
        from celery.schedules import crontab
        # By its name: Celery 5.2 hangs when a receiver looks at a shared task here.
        count = sender.signature("shop_tasks.count", args=(2,))
        sender.add_periodic_task(crontab(minute=0, hour=4), count, name="daily")
"""
TASKS = """
    from celery import shared_task

    @shared_task
    def count(number): ...
"""
# A call with so many seconds for ticks.
CALL = """
    import json
    import async_service_celery
    from async_service_celery import beat_ticks

    class Context:
        def __init__(self, seconds):
            self.seconds = seconds
        def get_remaining_time_in_millis(self):
            return int((self.seconds + beat_ticks._WRAP_UP) * 1000)

    def call(seconds=20):
        return async_service_celery.beat_handler({}, Context(seconds))
"""


class Place:
    """An application's folder, its row and its queue."""

    def __init__(self, folder: Path, url: str) -> None:
        import boto3

        self.folder = folder
        self.key = {"id": {"S": "async-service-beat:shop:app"}}
        self._table = boto3.client("dynamodb", endpoint_url=url)
        self._sqs = boto3.client("sqs", endpoint_url=url)
        self._queue = f"{url}/000000000000/celery"
        self._table.delete_item(TableName=TABLE, Key=self.key)
        self.messages()

    def call(self, script: str = "print(json.dumps(call()))", **environment: str) -> Any:
        return output(self.run(script, **environment))

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"CELERY_APP": "shop:app", "BEAT_TABLE": TABLE, **environment}
        return run(self.folder, CALL + "\n    " + script, **settings)

    def row(self) -> dict[str, Any]:
        return dict(self._table.get_item(TableName=TABLE, Key=self.key, ConsistentRead=True)["Item"])

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.row()["state"]["S"]))

    def change(self, state: dict[str, Any]) -> None:
        """Stores a state that nobody holds."""
        row = {**self.row(), "state": {"S": json.dumps(state)}, "lease": {"N": "0"}}
        self._table.put_item(TableName=TABLE, Item=row)

    def age(self, **hours: int) -> None:
        """As if an entry had run last so many hours ago."""
        state = self.state()
        for name, count in hours.items():
            entry = state["beat"]["entries"][name]
            entry[0] = (datetime.fromisoformat(entry[0]) - timedelta(hours=count)).isoformat()
        self.change(state)

    def messages(self) -> list[dict[str, Any]]:
        """Takes all messages from the queue: their headers, with `args`."""
        found = []
        while True:
            got = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages")
            if not got:
                return found
            for message in got:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                read = json.loads(base64.b64decode(message["Body"]))
                body = json.loads(base64.b64decode(read["body"]))
                found.append({**read["headers"], "args": body[0]})


@pytest.fixture
def place(tmp_path: Path, endpoint: str, environment: dict[str, Any]) -> Place:
    write(tmp_path, {"shop.py": APP, "shop_tasks.py": TASKS})
    return Place(tmp_path, endpoint)


def test_what_is_due_is_sent_once_over_many_processes(place: Place) -> None:
    assert place.call() == {"ticks": 1, "sent": 0, "busy": False}
    assert sorted(place.state()["beat"]["entries"]) == ["daily", "hourly"]
    place.age(hourly=2)
    assert place.call()["sent"] == 1
    (sent,) = place.messages()
    assert (sent["task"], sent["args"]) == ("shop_tasks.count", [1])
    last, count = place.state()["beat"]["entries"]["hourly"]
    assert count == 1 and datetime.now(timezone.utc) - datetime.fromisoformat(last) < timedelta(minutes=1)
    assert place.call()["sent"] == 0
    place.age(daily=24)
    assert place.call()["sent"] == 1
    assert [message["args"] for message in place.messages()] == [[2]]


def test_a_call_that_dies_before_it_stores_is_repeated_with_the_same_id(place: Place) -> None:
    place.call()
    place.age(hourly=2)
    dies = """
    import os
    from async_service_celery.beat_row import Row
    stored = Row.save
    def save(self):
        if self.state["beat"]["entries"]["hourly"][1]:
            os._exit(9)
        stored(self)
    Row.save = save
    call()
    """
    assert place.run(dies).returncode == 9
    first = place.messages()
    # The dead call holds the lease. Its successor waits, or is told so.
    assert place.call("print(json.dumps(call(2)))")["busy"]
    place.change(place.state())
    assert place.call()["sent"] == 1
    assert [message["id"] for message in place.messages()] == [message["id"] for message in first]
    place.age(hourly=2)
    assert place.call()["sent"] == 1
    assert place.messages()[0]["id"] != first[0]["id"], "another run has another id"


def test_an_entry_under_a_minute_is_ticked_through_the_call(place: Place) -> None:
    write(place.folder, {"shop.py": APP.replace("3600.0", "1.0")})
    # Not over a full minute, where a call ends.
    time.sleep(max(0.0, time.time() % 60 - 45) and 60 - time.time() % 60)
    answer = place.call("print(json.dumps(call(4.5)))")
    assert 3 <= answer["sent"] <= 4, answer
    ids = [message["id"] for message in place.messages()]
    assert len(set(ids)) == len(ids) == answer["sent"]
    assert place.state()["beat"]["entries"]["hourly"][1] == answer["sent"]


def test_a_call_ends_before_the_next_full_minute() -> None:
    from async_service_celery.beat_ticks import _next_call

    assert [_next_call(now) for now in (0.0, 0.3, 54.9, 55.1, 59.9, 60.0)] == [60, 60, 60, 120, 120, 120]


def test_a_call_that_lost_its_lease_changes_nothing(place: Place) -> None:
    from async_service_celery import beat_row

    place.call()
    slow, fast = (beat_row.Row(beat_row.client(), TABLE, "shop:app") for _ in range(2))
    assert slow.take(lambda: 0.0) and not fast.take(lambda: 0.0)
    place.change(place.state())
    assert fast.take(lambda: 0.0)
    fast.state["beat"]["entries"]["hourly"][1] = 7
    fast.save()
    slow.state["beat"]["entries"]["hourly"][1] = 5
    slow.save()
    assert slow.is_lost and not slow.keep() and fast.keep()
    slow.release()
    assert not beat_row.Row(beat_row.client(), TABLE, "shop:app").take(lambda: 0.0), "the lease is that of the other"
    fast.release()
    assert place.state()["beat"]["entries"]["hourly"][1] == 7


def test_the_signals_of_beat_come_as_often_as_they_are_needed(place: Place) -> None:
    write(
        place.folder,
        {
            "shop.py": APP
            + """
    from celery import signals
    seen = []
    app.conf.beat_scheduler = "own:Own"

    @signals.import_modules.connect
    def imported(sender, **_):
        seen.append("import_modules")

    @signals.beat_init.connect
    def begun(sender, **_):
        seen.append(type(sender.scheduler).__name__)

    @signals.worker_init.connect
    def worker(sender, **_):
        seen.append("worker_init")
    """,
            "own.py": """
    from celery.beat import Scheduler
    from celery.signals import beat_init

    class Own(Scheduler):
        def close(self):
            import shop
            shop.seen.append("close")
            super().close()

    @beat_init.connect
    def lock(sender, **_):
        import shop
        shop.seen.append("lock")
    """,
        },
    )
    seen = place.call("call(); call(); import shop; print(json.dumps(shop.seen))")
    assert seen[:1] == ["import_modules"]
    assert sorted(seen[1:3]) == ["Own", "lock"]
    assert seen[3:] == ["close", "lock", "close"]
    # A scheduler that has nothing but its memory does not forget either.
    assert sorted(place.state()["beat"]["entries"]) == ["daily", "hourly"]


def test_a_time_is_stored_with_its_zone(place: Place) -> None:
    script = """
    call()
    from async_service_celery.beat_row import Row, client
    from async_service_celery.beat_scheduler import Shelf
    from celery.beat import ScheduleEntry
    import shop
    row = Row(client(), "results", "shop:app")
    assert row.take(lambda: 0.0)
    shelf = Shelf(row, shop.app, ScheduleEntry)
    row.release()
    last = shelf["entries"]["daily"].last_run_at
    print(json.dumps([str(last.tzinfo), shelf["tz"] == shop.app.conf.timezone]))
    """
    assert place.call(script) == ["Europe/Berlin", True]
    place.age(hourly=2)
    write(place.folder, {"shop.py": APP.replace("Europe/Berlin", "UTC")})
    # Celery forgets all runs when the zone changes.
    assert place.call()["sent"] == 0
    assert place.state()["beat"]["settings"]["tz"] == "UTC"


def test_a_table_must_be_named(place: Place) -> None:
    ended = place.run("call()", BEAT_TABLE="")
    assert "BEAT_TABLE is not set" in ended.stderr


BEAT_DJANGO = {
    **DJANGO,
    "site1/settings.py": DJANGO["site1/settings.py"]
    .replace('"django_celery_results", "shop"', '"django_celery_results", "django_celery_beat", "shop"')
    .replace('"sqs://a:b@localhost:1"', '__import__("os").environ["BROKER_URL"]')
    + """
        CELERY_BROKER_TRANSPORT_OPTIONS = __import__("json").loads(__import__("os").environ["TRANSPORT_OPTIONS"])
        CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
        CELERY_BEAT_SCHEDULE = {"conf": {"task": "shop.tasks.order", "schedule": 3600.0, "args": ("conf",)}}
    """,
}
SET_UP = """
    import site1.celery, django
    django.setup()
    from django.core.management import call_command
    call_command("migrate", run_syncdb=True, verbosity=0)
"""
MODELS = """
    import site1.celery, django
    django.setup()
    from datetime import timedelta
    from django_celery_beat.models import IntervalSchedule, PeriodicTask
    from django.utils import timezone
"""


def test_the_database_scheduler_keeps_its_own_state(tmp_path: Path, endpoint: str, environment: dict[str, Any]) -> None:
    pytest.importorskip("django_celery_beat")
    write(tmp_path, BEAT_DJANGO)
    place = Place(tmp_path, endpoint)

    def call(script: str) -> Any:
        return place.call(script, CELERY_APP="site1")

    create = """
    hour, _ = IntervalSchedule.objects.get_or_create(every=1, period="hours")
    PeriodicTask.objects.create(name="own", task="shop.tasks.order", args='["own"]', interval=hour)
    PeriodicTask.objects.create(name="off", task="shop.tasks.order", interval=hour, enabled=False)
    print(json.dumps(call()))
    """
    assert call(SET_UP + MODELS + create)["sent"] == 0
    changed = """
    print(json.dumps([str(PeriodicTask.objects.get(name="conf").date_changed), call()]))
    """
    before, _ = call(MODELS + changed)
    # Later calls do not set up the entries of the settings again, which would begin their intervals anew.
    assert call(MODELS + changed)[0] == before
    due = """
    PeriodicTask.objects.filter(name__in=["own", "conf"]).update(last_run_at=timezone.now() - timedelta(hours=2))
    answers = [call(), call()]
    print(json.dumps([answers, list(PeriodicTask.objects.order_by("name").values_list("name", "total_run_count"))]))
    """
    answers, counts = call(MODELS + due)
    assert [answer["sent"] for answer in answers] == [2, 0]
    assert [answer["ticks"] for answer in answers] == [3, 1], "not for the whole minute"
    assert ["conf", 1] in counts and ["own", 1] in counts and ["off", 0] in counts
    sent = place.messages()
    assert sorted(message["args"] for message in sent) == [["conf"], ["own"]]
    # A repeated run of the same time has the same id.
    again = """
    from django_celery_beat.schedulers import ModelEntry
    from async_service_celery.beat_scheduler import _with_id
    entry = ModelEntry(PeriodicTask.objects.get(name="own"))
    print(json.dumps([_with_id(site1.celery.app, entry).options["task_id"] for _ in range(2)]))
    """
    first, second = call(MODELS + again)
    assert first == second and first not in [message["id"] for message in sent]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait(10)


def test_redbeat_keeps_its_lock_and_its_state(place: Place, redis: str) -> None:
    pytest.importorskip("redbeat")
    redbeat = f"""
    app.conf.beat_scheduler = "redbeat.RedBeatScheduler"
    app.conf.redbeat_redis_url = {redis!r}
    """
    write(place.folder, {"shop.py": APP + redbeat})
    script = """
    import shop
    from redbeat import RedBeatSchedulerEntry
    from datetime import datetime, timedelta, timezone
    answers = [call(), call()]
    key = RedBeatSchedulerEntry.generate_key(shop.app, "hourly")
    RedBeatSchedulerEntry.from_key(key, app=shop.app).reschedule(datetime.now(timezone.utc) - timedelta(hours=2))
    answers += [call(), call()]
    print(json.dumps([answer["sent"] for answer in answers]))
    """
    assert place.call(script) == [0, 0, 1, 0]
    assert [message["args"] for message in place.messages()] == [[1]]
    # The lock is free between two calls, so another process ticks at once.
    assert place.call()["busy"] is False

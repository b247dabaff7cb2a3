"""A beat schedule as schedules of the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from test_start import DJANGO, SETTINGS, output, run, write

APP = f"""
    from datetime import timedelta
    from celery import Celery
    from celery.schedules import crontab, schedule
    app = Celery("shop")

    class Own(schedule):
        pass

    app.conf.update({SETTINGS}, timezone="Europe/Berlin")
    app.conf.task_routes = {{"shop.routed": {{"queue": "other"}}}}

    @app.task(expires=30)
    def expiring(): ...

    @app.task
    def routed(): ...

    @app.on_after_finalize.connect
    def add(sender, **_):
        sender.add_periodic_task(90.0, routed.s(1), name="added")

    app.conf.beat_schedule = {{
        "crontab": {{"task": "shop.expiring", "schedule": crontab(minute="*/5, 7", hour=[3, 1], day_of_week="mon-fri"),
                    "args": (1,), "kwargs": {{"at": timedelta(1).days}}}},
        "delta": {{"task": "shop.expiring", "schedule": timedelta(minutes=63),
                  "options": {{"queue": "own", "expires": 9}}}},
        "number": {{"task": "no.such", "schedule": schedule(30)}},
        "own": {{"task": "no.such", "schedule": Own(60)}},
        "fast": {{"task": "no.such", "schedule": 0.5}},
        "odd": {{"task": "no.such", "schedule": 5, "options": {{"connection": 1}}}},
    }}
"""


class Schedules(BaseHTTPRequestHandler):
    """As much of `/schedules/` as an import uses: pages of one, versions, and 412."""

    rows: dict[str, dict[str, Any]] = {}

    def do_GET(self) -> None:
        names = sorted(self.rows)
        at = int(self.path.partition("cursor=")[2] or 0)
        link = f'</schedules/?cursor={at + 1}>; rel="next"' if at + 1 < len(names) else ""
        self._answer(200, [self.rows[name] for name in names[at : at + 1]], link)

    def do_POST(self) -> None:
        body = self._body()
        self.rows[body["name"]] = {**body, "version": 1}
        self._answer(201, self.rows[body["name"]])

    def do_PATCH(self) -> None:
        row = self.rows[self._name()]
        if self.headers["if-match"] != f'"{row["version"]}"':
            return self._answer(412, {"detail": "another version"})
        row.update(self._body(), version=row["version"] + 1)
        self._answer(200, row)

    def do_DELETE(self) -> None:
        del self.rows[self._name()]
        self.send_response(204)
        self.end_headers()

    def _name(self) -> str:
        return unquote(self.path.removeprefix("/schedules/"))

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, status: int, body: Any, link: str = "") -> None:
        self.send_response(status)
        if link:
            self.send_header("link", link)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Schedules.rows = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Schedules)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def beat_import(folder: Path, url: str, *options: str, app: str = "shop:app") -> tuple[int, list[str]]:
    arguments = ["beat-import", app, "--url", url, *options]
    ended = run(folder, f"from async_service_celery.__main__ import main; raise SystemExit(main({arguments!r}))")
    assert ended.returncode < 2, ended.stderr
    return ended.returncode, [line[:1] + line[1:].split("  ")[0].rstrip() for line in ended.stdout.splitlines()]


def test_entries_become_schedules(tmp_path: Path, url: str) -> None:
    write(tmp_path, {"shop.py": APP})
    dry = beat_import(tmp_path, url)
    assert dry[0] == 1
    assert "+ beat.crontab" in dry[1] and "! beat.own" in dry[1] and "! beat.fast" in dry[1] and "! beat.odd" in dry[1]
    assert Schedules.rows == {}
    beat_import(tmp_path, url, "--apply")
    rows = Schedules.rows
    assert sorted(rows) == ["beat.added", "beat.crontab", "beat.delta", "beat.number"]
    assert rows["beat.crontab"] == {
        "name": "beat.crontab",
        "version": 1,
        "timezone": "Europe/Berlin",
        "rule": {
            "crontab": {
                "minute": "*/5,7",
                "hour": "1,3",
                "day_of_week": "mon-fri",
                "day_of_month": "*",
                "month_of_year": "*",
            }
        },
        "celery": {
            "task": "shop.expiring",
            "args": [1],
            "kwargs": {"at": 1},
            "options": {"expires": 30, "queue": "celery"},
        },
    }
    assert rows["beat.delta"]["rule"] == {"every": 63 * 60}
    assert rows["beat.delta"]["celery"]["options"]["expires"] == 9
    assert rows["beat.delta"]["celery"]["options"]["queue"] == "own"
    assert rows["beat.added"]["celery"]["options"]["queue"] == "other"
    assert rows["beat.number"]["rule"] == {"every": 30}


def test_a_second_import_changes_what_differs(tmp_path: Path, url: str) -> None:
    write(tmp_path, {"shop.py": APP})
    beat_import(tmp_path, url, "--apply")
    Schedules.rows["beat.gone"] = {"name": "beat.gone", "version": 3}
    Schedules.rows["mine"] = {"name": "mine", "version": 1}
    assert {line for line in beat_import(tmp_path, url)[1] if line[0] in "+~-"} == set()
    write(tmp_path, {"shop.py": APP.replace("timedelta(minutes=63)", "timedelta(minutes=64)")})
    code, lines = beat_import(tmp_path, url, "--apply", "--prune")
    assert [line for line in lines if line[0] in "+~-"] == ["~ beat.delta", "- beat.gone"]
    assert Schedules.rows["beat.delta"]["rule"] == {"every": timedelta(minutes=64).total_seconds()}
    assert Schedules.rows["beat.delta"]["version"] == 2
    assert sorted(Schedules.rows) == ["beat.added", "beat.crontab", "beat.delta", "beat.number", "mine"]


SITE = {
    **DJANGO,
    "site1/settings.py": DJANGO["site1/settings.py"].replace(
        '"django_celery_results", "shop"', '"django_celery_results", "django_celery_beat", "shop"'
    )
    + """
        CELERY_TIMEZONE = "Europe/Berlin"
        CELERY_BEAT_SCHEDULE = {
            "conf": {"task": "shop.tasks.order", "schedule": 90.0},
            "both": {"task": "shop.tasks.order", "schedule": 90.0},
        }
    """,
}
ROWS = """
    import json
    import site1.celery, django
    django.setup()
    from django.core.management import call_command
    call_command("migrate", run_syncdb=True, verbosity=0)
    from datetime import datetime, timedelta, timezone
    from django_celery_beat.models import (
        ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule)
    crontab = CrontabSchedule.objects.create(minute="*/5", hour="8-18", day_of_week="mon-fri", timezone="Asia/Tokyo")
    minutes = IntervalSchedule.objects.create(every=3, period="minutes")
    quick = IntervalSchedule.objects.create(every=500, period="microseconds")
    past, future = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2090, 1, 1, 12, 30, tzinfo=timezone.utc)
    once = ClockedSchedule.objects.create(clocked_time=future)
    gone = ClockedSchedule.objects.create(clocked_time=past)
    sun = SolarSchedule.objects.create(event="sunset", latitude=1, longitude=2)

    def create(name, **more):
        return PeriodicTask.objects.create(name=name, task="shop.tasks.order", **more)

    create("crontab", crontab=crontab, args='["a"]', kwargs='{"b": 1}', queue="own", priority=3,
           headers='{"tenant": "x"}', expire_seconds=60)
    create("interval/3", interval=minutes, start_time=future - timedelta(days=1), expires=future, enabled=False)
    create("both", interval=minutes)
    create("clocked", clocked=once, one_off=True)
    create("clocked before", clocked=gone, one_off=True)
    create("ran", interval=minutes, one_off=True, total_run_count=1)
    create("expired", interval=minutes, expires=past)
    create("solar", solar=sun)
    create("quick", interval=quick)
    create("broken", interval=minutes, args="no json")
    print(json.dumps("made"))
"""


def test_rows_of_django_celery_beat_become_schedules(tmp_path: Path, url: str) -> None:
    pytest.importorskip("django_celery_beat")
    write(tmp_path, SITE)
    assert output(run(tmp_path, ROWS)) == "made"
    code, lines = beat_import(tmp_path, url, "--apply", app="site1")
    assert code == 1
    assert [line for line in lines if line[0] == "!"] == ["! beat.broken", "! beat.quick", "! beat.solar"]
    rows = Schedules.rows
    assert sorted(rows) == ["beat.both", "beat.clocked", "beat.conf", "beat.crontab", "beat.interval_3"]
    assert rows["beat.crontab"] == {
        "name": "beat.crontab",
        "version": 1,
        "timezone": "Asia/Tokyo",
        "paused": False,
        "rule": {
            "crontab": {
                "minute": "*/5",
                "hour": "8-18",
                "day_of_week": "mon-fri",
                "day_of_month": "*",
                "month_of_year": "*",
            }
        },
        "celery": {
            "task": "shop.tasks.order",
            "args": ["a"],
            "kwargs": {"b": 1},
            "options": {
                "queue": "own",
                "priority": 3,
                "expires": 60,
                "headers": {"tenant": "x", "periodic_task_name": "crontab"},
            },
        },
    }
    interval = rows["beat.interval_3"]
    assert (interval["rule"], interval["paused"], interval["timezone"]) == ({"every": 180}, True, "Europe/Berlin")
    assert interval["start"] == "2089-12-31T12:30:00.000+00:00" and interval["end"] == "2090-01-01T12:30:00.000+00:00"
    clocked = rows["beat.clocked"]
    assert (clocked["rule"], clocked["max_runs"]) == ({"at": "2090-01-01T12:30:00.000+00:00"}, 1)
    # The row is what the database scheduler runs, not the entry that it was made of.
    assert rows["beat.both"]["rule"] == {"every": 180} and rows["beat.conf"]["rule"] == {"every": 90}


def test_a_changed_row_changes_its_schedule(tmp_path: Path, url: str) -> None:
    pytest.importorskip("django_celery_beat")
    write(tmp_path, SITE)
    output(run(tmp_path, ROWS))
    beat_import(tmp_path, url, "--apply", app="site1")
    # The service's own way to write a moment.
    Schedules.rows["beat.clocked"]["rule"] = {"at": "2090-01-01T12:30:00Z"}
    Schedules.rows["beat.interval_3"]["start"] = "2089-12-31T12:30:00.000Z"
    assert [line for line in beat_import(tmp_path, url, app="site1")[1] if line[0] in "+~-"] == []
    change = """
    import json
    import site1.celery, django
    django.setup()
    from django_celery_beat.models import PeriodicTask
    row = PeriodicTask.objects.get(name="interval/3")
    row.enabled, row.start_time, row.expires = True, None, None
    row.save()
    PeriodicTask.objects.filter(name="clocked").delete()
    print(json.dumps("changed"))
    """
    output(run(tmp_path, change))
    lines = beat_import(tmp_path, url, "--apply", "--prune", app="site1")[1]
    assert [line for line in lines if line[0] in "+~-"] == ["~ beat.interval_3", "- beat.clocked"]
    changed = Schedules.rows["beat.interval_3"]
    assert (changed["paused"], changed["start"], changed["end"], changed["version"]) == (False, None, None, 2)

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
from test_start import SETTINGS, run, write

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


def beat_import(folder: Path, url: str, *options: str) -> tuple[int, list[str]]:
    arguments = ["beat-import", "shop:app", "--url", url, *options]
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

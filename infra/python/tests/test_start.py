"""The start of an application, and the lookout over it, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

SETTINGS = (
    'broker_url="sqs://a:b@localhost:1", result_backend="dynamodb://@us-east-1/results", '
    'broker_transport_options={"predefined_queues": {"celery": {"url": "http://localhost:1/0/celery"}}}'
)
CALL = """
    import json, uuid
    import async_service_celery

    def call(name, *args):
        task = {"id": str(uuid.uuid4()), "job": name, "attempt": 1}
        return async_service_celery.handler({"version": 1, "task": task, "input": {"args": list(args)}}, None)
"""


def run(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a folder, as Lambda runs the handler in that of the code."""
    path = [entry for entry in sys.path if entry and not entry.endswith("tests")]
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("CELERY", "DJANGO", "SERVED"))
            },
            "PYTHONPATH": os.pathsep.join(path),
            "AWS_DEFAULT_REGION": "us-east-1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


def output(ended: subprocess.CompletedProcess[str]) -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def test_the_signals_of_a_worker_come_in_their_order(tmp_path: Path) -> None:
    names = "import_modules celeryd_init worker_init setup_logging celeryd_after_setup worker_process_init worker_ready"
    write(
        tmp_path,
        {
            "shop.py": f"""
                from celery import Celery, signals
                app = Celery("shop", include=["shop_tasks"])
                app.conf.update({SETTINGS})
                seen = []
                for name in {names.split()!r}:
                    def see(name=name, **given):
                        seen.append(name)
                    getattr(signals, name).connect(see, weak=False)
            """,
            "shop_tasks.py": """
                from celery import shared_task
                @shared_task
                def seen():
                    import shop, sys, os
                    return [shop.seen, os.getcwd() in sys.path]
            """,
        },
    )
    answer = output(run(tmp_path, CALL + '\n    print(json.dumps(call("shop_tasks.seen")))', CELERY_APP="shop"))
    order = [name for name in names.split() if name != "worker_ready"]
    assert answer == {"result": [order, True]}


def test_importing_the_package_starts_nothing_outside_of_lambda(tmp_path: Path) -> None:
    script = 'import sys, async_service_celery; print("\\"celery\\"" if "celery" in sys.modules else "null")'
    assert output(run(tmp_path, script)) is None
    ended = run(tmp_path, script, _HANDLER="async_service_celery.handler", CELERY_APP="nowhere")
    assert "No module named 'nowhere'" in ended.stderr


def test_an_application_that_does_not_start_is_tried_again(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "shop.py": f"""
                from celery import Celery
                app = Celery("shop", include=["shop_tasks"])
                app.conf.update({SETTINGS})
            """,
            "shop_tasks.py": """
                import os
                from celery import shared_task
                if not os.path.exists("ready"):
                    raise OSError("not yet")
                @shared_task
                def ok():
                    return "ok"
            """,
        },
    )
    script = """
    answers = []
    for attempt in range(2):
        try:
            answers.append(call("shop_tasks.ok"))
        except Exception as error:
            answers.append(str(error))
            open("ready", "w").close()
    print(json.dumps(answers))
    """
    assert output(run(tmp_path, CALL + script, CELERY_APP="shop:app")) == ["not yet", {"result": "ok"}]


DJANGO = {
    "site1/__init__.py": "",
    "site1/settings.py": """
        SECRET_KEY = "x"
        INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_results", "shop"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3", "CONN_MAX_AGE": None}}
        USE_TZ = True
        CELERY_BROKER_URL = "sqs://a:b@localhost:1"
        CELERY_RESULT_BACKEND = "django-db"
        CELERY_RESULT_EXTENDED = True
        LOGGING = {"version": 1, "disable_existing_loggers": False}
    """,
    "site1/celery.py": """
        import os
        from celery import Celery
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site1.settings")
        app = Celery("site1")
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.autodiscover_tasks()
    """,
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models
        class Order(models.Model):
            name = models.CharField(max_length=20)
    """,
    "shop/tasks.py": """
        from celery import shared_task
        from django.db import connection
        from .models import Order

        @shared_task
        def order(name):
            # A connection of the task before is closed.
            was_open = connection.connection is not None
            Order.objects.create(name=name)
            return [was_open, Order.objects.count()]
    """,
}


def test_django(tmp_path: Path) -> None:
    pytest.importorskip("django_celery_results")
    write(tmp_path, DJANGO)
    script = """
    import os
    import site1.celery, django
    django.setup()
    from django.core.management import call_command
    from django.db import connections
    call_command("migrate", run_syncdb=True, verbosity=0)
    message = {
        "headers": {"task": "shop.tasks.order", "id": "t1", "lang": "py", "retries": 0},
        "properties": {"delivery_info": {"exchange": "", "routing_key": "celery"}},
        "body": json.dumps([["c"], {}, {}]),
    }
    task = {"id": "t1", "job": "shop.tasks.order", "attempt": 1}
    answers = [call("shop.tasks.order", "a"), call("shop.tasks.order", "b")]
    answers.append(async_service_celery.handler({"task": task, "celery": message}, None))
    from django_celery_results.models import TaskResult
    is_open = connections["default"].connection is not None
    stored = list(TaskResult.objects.values_list("task_id", "status", "result", "task_name"))
    print(json.dumps([answers, is_open, stored]))
    """
    answers, is_open, stored = output(run(tmp_path, CALL + script, CELERY_APP="site1"))
    assert answers[:2] == [{"result": [False, 1]}, {"result": [False, 2]}]
    assert answers[2] == {"result": [False, 3], "celery": {"calls": []}}
    assert stored == [["t1", "SUCCESS", "[false, 3]", "shop.tasks.order"]]
    assert not is_open


CHECKED = f"""
    from celery import Celery, Task
    from celery.schedules import schedule
    from celery.worker.control import control_command
    app = Celery("shop")
    app.conf.update({SETTINGS})
    app.conf.task_routes = {{"shop.long": {{"queue": "long"}}}}
    app.conf.beat_schedule = {{"fast": {{"task": "shop.fine", "schedule": 5.0}}}}
    app.conf.beat_scheduler = "own_scheduler:Own"
    class Own(Task):
        Request = "shop:OwnRequest"
    @app.task
    def fine(): ...
    @app.task(time_limit=3600)
    def long(): ...
    @app.task(soft_time_limit=1000)
    def over(): ...
    @app.task(serializer="pickle")
    def pickled(): ...
    @app.task(rate_limit="10/m")
    def limited(): ...
    @app.task(base=Own)
    def own(): ...
    @control_command()
    def mine(state): ...
"""


def check(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = (
        f"from async_service_celery.__main__ import main; raise SystemExit(main({['check', 'shop:app', *arguments]!r}))"
    )
    return run(folder, script, **environment)


def test_check_finds_what_does_not_run(tmp_path: Path) -> None:
    own = "from celery.beat import Scheduler\nclass Own(Scheduler):\n    schedule = {}\n"
    write(tmp_path, {"shop.py": CHECKED, "own_scheduler.py": own})
    ended = check(tmp_path, "--json")
    assert ended.returncode == 1
    report = json.loads(ended.stdout)
    found = {(each["level"], each["topic"]): each for each in report["findings"]}
    assert report["queues"] == {"celery": "http://localhost:1/0/celery", "long": None}
    assert sorted(found) == [
        ("error", "queue"),
        ("error", "serializer"),
        ("error", "time"),
        ("note", "schedule"),
        ("warning", "control"),
        ("warning", "rate"),
        ("warning", "request"),
        ("warning", "schedule"),
        ("warning", "serializer"),
    ]
    assert "shop.over" in [each["text"].split()[0] for each in report["findings"] if each["topic"] == "time"]
    assert "CELERY_ACCEPT" in found["warning", "serializer"]["remedy"]
    assert "own_scheduler.Own" in found["warning", "schedule"]["text"]
    assert "BeatScheduler=own" in found["warning", "schedule"]["remedy"]
    served = json.loads(check(tmp_path, "--json", SERVED_QUEUES="celery").stdout)
    assert [each["text"].split()[0] for each in served["findings"] if each["topic"] == "time"] == ["shop.over"]


def test_check_tells_what_becomes_of_the_scheduler(tmp_path: Path) -> None:
    app = f'from celery import Celery\napp = Celery("shop")\napp.conf.update({SETTINGS})\n'
    entries = 'app.conf.beat_schedule = {"a": {"task": "b", "schedule": 90}}\n'
    missing = 'app.conf.beat_scheduler = "no_such.scheduler:One"\n'

    def found(text: str) -> list[tuple[str, str]]:
        write(tmp_path, {"shop.py": app + text})
        findings = json.loads(check(tmp_path, "--json").stdout)["findings"]
        return [(each["level"], each["text"]) for each in findings if each["topic"] == "schedule"]

    assert found("") == []
    assert found(entries) == [("note", "the scheduler is celery.beat.PersistentScheduler, entries: 1")]
    ((level, text),) = found(entries + missing)
    assert level == "error" and "no_such.scheduler:One is not found" in text


def test_check_of_an_application_that_fits(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"shop.py": f'from celery import Celery\napp = Celery("shop")\napp.conf.update({SETTINGS})\n'},
    )
    ended = check(tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "All runs." in ended.stdout


def test_check_of_an_application_that_does_not_start(tmp_path: Path) -> None:
    write(tmp_path, {"shop.py": "import no_such_module"})
    ended = check(tmp_path)
    assert ended.returncode == 2
    assert "no_such_module" in ended.stderr

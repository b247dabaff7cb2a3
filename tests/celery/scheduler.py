"""Tries the scheduler of an application in the local stack: the function that the application's own class ticks in.

    python scheduler.py APPLICATION OUTPUT

runs as `bodies.py` does, in a stack whose application has its scheduler in a function.
"""

import contextlib
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from bodies import APPLICATION, PATIENCE, wait
from celery_config import celery_app
from reports import note_the_hour

FUNCTION = "async-service-celery-beat"
TABLE = "async-service-celery-results"
ENTRY = "each hour"
JOURNAL = APPLICATION / "journal"
ENDPOINT = f"http://127.0.0.1:{os.environ['CELERY_BROKER_URL'].rsplit(':', 1)[1]}"
TABLES = boto3.client(
    "dynamodb",
    endpoint_url=ENDPOINT,
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
KEY = {"id": {"S": "async-service-beat:celery_config:celery_app"}}


def main() -> None:
    note = f'    open({str(JOURNAL)!r}, "a").write(note_the_hour.request.id + "\\n")'
    change('    return time.strftime("%H:%M")', note)
    # The body without the note returns the hour.
    wait(lambda: note_the_hour.delay().get(timeout=PATIENCE) is None)
    JOURNAL.unlink()
    for part in (the_rule_calls_the_scheduler, what_is_due_runs_once, a_killed_call_loses_nothing):
        started = time.monotonic()
        part()
        print(f"{part.__name__.replace('_', ' ')} ({time.monotonic() - started:.1f} s)", flush=True)


def the_rule_calls_the_scheduler() -> None:
    """The scheduler knows what the code plans by `add_periodic_task`, and what the settings have."""
    until(lambda: state() is not None)
    entries = state()["beat"]["entries"]
    assert sorted(entries) == [ENTRY, "sales of yesterday", "stock"], entries


def what_is_due_runs_once() -> None:
    rewind()
    # A call is repeated whose process has ended for the changed code.
    until(lambda: tick().get("busy") is False)
    assert count() == 1, state()
    tick()
    assert count() == 1, "it was due again"
    wait(lambda: len(runs()) == 1)


def a_killed_call_loses_nothing() -> None:
    """An entry of a second, while the process that ticks is killed: each run is one task."""
    change("3600.0", "1.0")
    threading.Thread(target=tick, daemon=True).start()
    until(lambda: count() >= 4)
    killed = processes()
    assert killed, "no process runs the scheduler"
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    before = count()
    # The lease of the dead call ends; the next call goes on from what is stored.
    threading.Thread(target=tick, daemon=True).start()
    until(lambda: count() >= before + 3)
    change("1.0", "3600.0")
    # Calls of the old code end with their minute.
    until(lambda: tick().get("sent") == 0)
    until(lambda: len(runs()) == count())
    assert len(set(runs())) == len(runs()), "a time has run twice"


def state() -> Any:
    """What the scheduler has stored."""
    row = TABLES.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True).get("Item", {})
    return json.loads(row["state"]["S"]) if "state" in row else None


def count() -> int:
    """How often the entry has run, by what is stored."""
    return state()["beat"]["entries"][ENTRY][1]


def rewind() -> None:
    """As if the entry had run last two hours ago. A call that ticks meanwhile would store over this, so none may."""
    until(change_row)


def change_row() -> bool:
    changed = state()
    entry = changed["beat"]["entries"][ENTRY]
    entry[0] = (datetime.fromisoformat(entry[0]) - timedelta(hours=2)).isoformat()
    with contextlib.suppress(TABLES.exceptions.ConditionalCheckFailedException):
        TABLES.update_item(
            TableName=TABLE,
            Key=KEY,
            UpdateExpression="SET #state = :state",
            ConditionExpression="#lease = :free",
            ExpressionAttributeNames={"#state": "state", "#lease": "lease"},
            ExpressionAttributeValues={":state": {"S": json.dumps(changed)}, ":free": {"N": "0"}},
        )
        return True
    return False


def tick() -> dict[str, Any]:
    """Calls the function, as the rule does once a minute."""
    url = f"{ENDPOINT}/2015-03-31/functions/{FUNCTION}/invocations"
    with urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST"), timeout=150) as answer:
        return json.load(answer)


def runs() -> list[str]:
    """The ids of the tasks that have run."""
    return JOURNAL.read_text().split() if JOURNAL.exists() else []


def change(old: str, new: str) -> None:
    """Changes the application's code, as an editor does."""
    path = APPLICATION / "reports.py"
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new))


def processes() -> list[int]:
    """The processes of the scheduler's function."""
    wanted = {f"AWS_LAMBDA_FUNCTION_NAME={FUNCTION}".encode(), f"LOCAL_APPLICATION={APPLICATION}".encode()}
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                found.append(int(folder.name))
    return found


def until(condition: Callable[[], bool]) -> None:
    """Waits for a call of the rule and what it does."""
    end = time.monotonic() + 3 * PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not true after {3 * PATIENCE} s"
        time.sleep(0.2)


if __name__ == "__main__":
    celery_app.set_default()
    main()

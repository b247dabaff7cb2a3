"""Calls every kind of task, and says for each whether its result is right.

    python client.py [TEXT]

runs the checks whose name has the text. Exits with 1 when a check fails.
"""

import sys
import time
import uuid

from celery import chain, chord, group

from celery_config import celery_app, process_data
from orders import apologize, ask_supplier, charge, check_stock, place, send_mail, ship, wait_for_carrier
from reports import combine, count_primes, export, load, only, region_total, sales_report, total

# Seconds that a result may take.
PATIENCE = 60
SALES = [["north", 120], ["south", 80], ["north", 30], ["east", 5]]
CHECKS = []


def check(function):
    CHECKS.append((function.__name__.replace("_", " "), function))
    return function


def get(result):
    return result.get(timeout=PATIENCE)


def same(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r}, not {wanted!r}")


def failure(result):
    """The class of the exception that a task ends with, by its name."""
    try:
        value = get(result)
    except Exception as error:
        return type(error).__name__
    raise AssertionError(f"no failure, but {value!r}")


def until(what, condition):
    """Waits for a condition."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"no {what} after {PATIENCE} s")
        time.sleep(0.05)


@check
def process_data_of_the_replaced_service():
    result = get(process_data.delay({"values": [1, 2, 3]}))
    # The service's own job in Rust, where there is one, describes the same data in more detail.
    return f"by {result.get('processed_by', 'rust')}"


@check
def a_task_with_keyword_arguments():
    same(get(send_mail.apply_async(kwargs={"to": "a@example.com", "text": "Grüße"})), {"to": "a@example.com", "characters": 5})


@check
def self_retry():
    same(get(charge.delay(1, 500, busy_for=2)), {"order_id": 1, "charged": 500, "attempts": 3})


@check
def self_retry_until_there_is_no_attempt_left():
    retrying = charge.s(2, 500, busy_for=99).set(retries=4)
    same(failure(retrying.delay()), "GatewayBusy")


@check
def autoretry_for_with_backoff():
    same(get(ship.delay(3, lost_connections=2)), {"order_id": 3, "parcel": "P000003", "attempts": 3})


@check
def an_exception_of_the_application():
    same(failure(charge.delay(4, 0)), "CardDeclined")


@check
def wrong_arguments():
    same(failure(celery_app.send_task("orders.send_mail", args=["only one"])), "TypeError")


@check
def a_countdown():
    started = time.monotonic()
    get(send_mail.apply_async(("a@example.com", "later"), countdown=2))
    if time.monotonic() - started < 1.9:
        raise AssertionError("too early")


@check
def a_soft_time_limit():
    same(get(wait_for_carrier.delay(30)), "gave up")


@check
def progress():
    result = export.delay(8)
    until("progress", lambda: result.state in ("PROGRESS", "SUCCESS"))
    seen = result.info
    same(get(result), {"rows": 8})
    return f"seen at {seen['current']} of {seen['total']}" if "current" in seen else "ended before it was seen"


@check
def a_task_that_computes():
    same(get(count_primes.delay(2_000_000)), 148_933)


@check
def a_chain():
    same(get(chain(load.s("sales.csv"), only.s("north"), total.s()).delay()), 180)


@check
def a_chain_that_fails():
    result = (charge.si(5, 0) | send_mail.si("a@example.com", "never")).delay()
    same(failure(result.parent), "CardDeclined")


@check
def a_group():
    same(get(group(region_total.s(SALES, region) for region in ("north", "south")).delay()), [["north", 150], ["south", 80]])


@check
def a_chord():
    header = [region_total.s(SALES, region) for region in ("north", "south", "east")]
    same(get(chord(header)(combine.s())), {"north": 150, "south": 80, "east": 5})


@check
def a_chord_with_a_failed_member():
    body = chord([region_total.s(SALES, "north"), charge.s(6, 0)])(combine.s())
    # Celery raises the member's exception if the client knows it already.
    if failure(body) not in ("ChordError", "CardDeclined"):
        raise AssertionError(f"{body.result!r}")
    until("failed body", lambda: body.state == "FAILURE")


@check
def a_task_that_replaces_itself_by_a_chain():
    placed = get(place.delay(7, 900))
    same(placed["parcel"], "P000007")
    # The last step has started a task of its own.
    same(get(celery_app.AsyncResult(placed["mail"]))["to"], "customer@example.com")


@check
def a_task_that_replaces_itself_by_a_chord():
    same(get(sales_report.delay(SALES)), {"north": 150, "south": 80, "east": 5})


@check
def callbacks():
    thanks, sorry = str(uuid.uuid4()), str(uuid.uuid4())
    text = send_mail.si("a@example.com", "thanks").set(task_id=thanks)
    charge.apply_async((8, 100), link=text)
    same(get(celery_app.AsyncResult(thanks))["characters"], 6)
    failed = charge.apply_async((9, 0), link_error=apologize.s().set(task_id=sorry))
    same(failure(failed), "CardDeclined")
    same(get(celery_app.AsyncResult(sorry)), {"apologized_for": failed.id})


@check
def a_task_without_a_result():
    result = check_stock.delay()
    if result.state not in ("PENDING", "STARTED"):
        raise AssertionError(result.state)


@check
def ten_tasks_that_wait_at_the_same_time():
    started = time.monotonic()
    same(get(group(ask_supplier.s(n, 2) for n in range(10)).delay()), list(range(10)))
    return f"{time.monotonic() - started:.1f} s"


def main():
    text = " ".join(sys.argv[1:])
    failed = 0
    for name, function in CHECKS:
        if text not in name:
            continue
        started = time.monotonic()
        try:
            said = function()
            outcome, more = "ok    ", f", {said}" if said else ""
        except Exception as error:
            outcome, more = "FAILED", f"\n        {type(error).__name__}: {error}"
            failed += 1
        print(f"{outcome}  {name} ({time.monotonic() - started:.1f} s){more}", flush=True)
    print(f"\n{failed} failed" if failed else "\nall ok")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

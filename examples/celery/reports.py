"""Reports over sales: small steps that workflows are made of, and one heavy computation."""

import math
import time

from celery import chord

from celery_config import celery_app


@celery_app.task
def load(path):
    """The rows of a file of sales, made up from the path."""
    return [[("north", "south", "east")[n % 3], 10 * n] for n in range(1, len(path) + 1)]


@celery_app.task
def only(rows, region):
    return [row for row in rows if row[0] == region]


@celery_app.task
def total(rows):
    return sum(amount for _, amount in rows)


@celery_app.task
def region_total(rows, region):
    return [region, sum(amount for name, amount in rows if name == region)]


@celery_app.task
def combine(totals):
    """The body of the chord: the total of each region."""
    return {region: amount for region, amount in totals}


@celery_app.task(bind=True)
def sales_report(self, rows):
    """Adds up the regions in parallel. The report's result is the result of the chord."""
    regions = sorted({region for region, _ in rows})
    raise self.replace(chord((region_total.s(rows, region) for region in regions), combine.s()))


@celery_app.task(bind=True)
def export(self, rows, pause=0.2):
    """Reports how far it is."""
    for done in range(1, rows + 1):
        time.sleep(pause)
        self.update_state(state="PROGRESS", meta={"current": done, "total": rows})
    return {"rows": rows}


@celery_app.task
def note_the_hour():
    """A task that the code itself plans, below."""
    return time.strftime("%H:%M")


@celery_app.on_after_finalize.connect
def plan(sender, **_):
    sender.add_periodic_task(3600.0, note_the_hour.s(), name="each hour")


@celery_app.task
def count_primes(limit):
    """The number of primes below the limit: a task that computes, and waits for nothing."""
    sieve = bytearray([1]) * max(limit, 2)
    sieve[0:2] = b"\0\0"
    for number in range(2, math.isqrt(max(limit - 1, 0)) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, len(sieve), number)))
    return sum(sieve[:limit])

"""Writes random crontabs and the times that Celery computes for them. Needs Celery; `rules.py` runs this.

    python rules_crontab.py SEED COUNT
"""

import json
import random
import sys
from datetime import datetime, timedelta, timezone

from celery import Celery
from celery.schedules import crontab

APP = Celery("rules", set_as_current=False)
APP.conf.timezone = "UTC"
MONTHS = ["jan", "Feb", "MAR", "april", "may", "june", "jul", "aug", "september", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "Mon", "TUE", "wednesday", "thu", "friday", "sat"]
# Each field in Celery's order: the least and the greatest number, and the names.
FIELDS = [(0, 59, []), (0, 23, []), (0, 6, WEEKDAYS), (1, 31, []), (1, 12, MONTHS)]
# What a random text is made of.
SIGNS = ["*", "*/", "/", "-", ",", " ", "_", "#", "\n"]
SCRAPS = [*SIGNS, "5", "0", "1-3", "mon", "dec", "x", "+2", "1_0", "L", "7", "60"]
EARLIEST = datetime(2000, 1, 1, tzinfo=timezone.utc)
# Milliseconds in which the random times lie: a hundred years.
SPAN = 100 * 365 * 24 * 3600 * 1000


def main() -> None:
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    draw = random.Random(seed)
    for _ in range(count):
        print(json.dumps(case(draw)))


def case(draw: random.Random) -> dict:
    texts = [field(draw, *each) for each in FIELDS]
    if draw.random() < 0.1:
        at = draw.randrange(5)
        texts[at] = "".join(draw.choice(SCRAPS) for _ in range(draw.randint(0, 4)))
    try:
        rule = crontab(*texts, app=APP)
    except Exception as error:
        # Celery raises errors of several types for texts that it cannot read.
        return {"fields": texts, "refused": f"{type(error).__name__}: {error}"}
    return {"fields": texts, "times": [pair for _ in range(2) for pair in times(draw, rule)]}


def times(draw: random.Random, rule: crontab) -> list:
    """Two times in a row after a random time: each with the time that it follows, in milliseconds."""
    after = EARLIEST + timedelta(milliseconds=draw.randrange(SPAN))
    if draw.random() < 0.3:
        after = after.replace(second=0, microsecond=0)
    first = following(rule, after)
    second = following(rule, first)
    return [[milliseconds(after), milliseconds(first)], [milliseconds(first), milliseconds(second)]]


def following(rule: crontab, after: datetime) -> datetime:
    rule.nowfun = lambda: after
    return after + rule.remaining_estimate(after)


def milliseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)


def field(draw: random.Random, least: int, most: int, names: list[str]) -> str:
    if draw.random() < 0.35:
        return "*"
    return ",".join(part(draw, least, most, names) for _ in range(draw.choice([1, 1, 1, 2, 3])))


def part(draw: random.Random, least: int, most: int, names: list[str]) -> str:
    def number() -> str:
        if draw.random() < 0.02:
            return str(draw.choice([least - 1, most + 1, most + 40]))
        value = draw.randint(least, most)
        return draw.choice(names[value - least :] or [str(value)]) if draw.random() < 0.2 else str(value)

    step = draw.choice([1, 2, 3, 5, 7, 10, 15, 100, draw.randint(0, most)])
    kind = draw.randrange(10)
    if kind < 4:
        return number()
    if kind < 6:
        return f"*/{step}"
    if kind < 8:
        return f"{number()}-{number()}"
    if kind < 9:
        return f"{number()}-{number()}/{step}"
    spaces = [f" {number()}", f"{number()} "]
    return draw.choice(["*", f"{number()}/{step}", *spaces, f"{number()}-", "", f"{step}-{step}-{step}"])


if __name__ == "__main__":
    main()

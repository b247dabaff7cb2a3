"""Writes random cron lines and the times that croniter computes for them. Needs croniter; `rules.py` runs this.

    python rules_line.py SEED COUNT

The texts are those of this service. croniter writes the last Friday of a month as `L5` instead of `5L`. Left out is
what the two read differently:

* croniter reads ranges that wrap (`fri-mon`) and starts with a step (`5/15`).
* croniter reads a range of one number (`6-6`) as all numbers.
* croniter requires both days where one of them has a `W`, `#` or `L`. This service requires either.
* croniter moves `31W` to the end of a shorter month. Here such a month has no such day.
* croniter requires both days where both have a `*`, as in `*/2` with `*/3`. Here only a `*` alone counts.
* croniter does not know `LW`.
"""

import json
import random
import re
import sys
from datetime import datetime, timedelta, timezone

from croniter import CroniterBadDateError, croniter

MONTHS = ["JAN", "feb", "MAR", "apr", "MAY", "jun", "JUL", "AUG", "sep", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "mon", "TUE", "wed", "THU", "fri", "SAT"]
FIELDS = [(0, 59, []), (0, 23, []), (1, 31, []), (1, 12, MONTHS), (0, 6, WEEKDAYS)]
DAY, WEEKDAY = 2, 4
NAMED = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]
WRONG = ["60", "", "1,", "*/0", "x", "1-", "3-99", "MONDAY", "#", "-5", "1//2", "1-2-3"]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
EARLIEST = datetime(2000, 1, 1, tzinfo=timezone.utc)
# Milliseconds in which the random times lie: a hundred years.
SPAN = 100 * 365 * 24 * 3600 * 1000


def main() -> None:
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    draw = random.Random(seed)
    for _ in range(count):
        print(json.dumps(case(draw)))


def case(draw: random.Random) -> dict:
    line = draw.choice(NAMED) if draw.random() < 0.02 else " ".join(fields(draw))
    try:
        times = [pair for _ in range(2) for pair in following(draw, theirs(line))]
    except CroniterBadDateError:
        return {"line": line, "refused": "never fires"}
    except Exception as error:
        # croniter raises errors of several types for lines that it cannot read.
        return {"line": line, "refused": f"{type(error).__name__}: {error}"}
    return {"line": line, "times": times}


def theirs(line: str) -> str:
    return re.sub(r"(\d)L$", r"L\1", line)


def following(draw: random.Random, line: str) -> list:
    """Two times in a row after a random time: each with the time that it follows, in milliseconds."""
    after = EARLIEST + timedelta(milliseconds=draw.randrange(SPAN))
    if draw.random() < 0.3:
        after = after.replace(second=0, microsecond=0)
    # Leap days on a certain day of the week are 40 years apart.
    times = croniter(line, after, max_years_between_matches=41)
    first, second = times.get_next(datetime), times.get_next(datetime)
    return [[milliseconds(after), milliseconds(first)], [milliseconds(first), milliseconds(second)]]


def milliseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(milliseconds=1)


def fields(draw: random.Random) -> list[str]:
    texts = [field(draw, *each) for each in FIELDS]
    kind = draw.random()
    if kind < 0.15:
        days = [f"{draw.randint(1, 28)}W", "L", f"L,{draw.randint(1, 28)}"]
        texts[DAY], texts[WEEKDAY] = draw.choice(days), "*"
    elif kind < 0.3:
        day = draw.choice([*WEEKDAYS, *"0123456"])
        days = [f"{day}#{draw.randint(1, 5)}", f"{draw.randint(0, 6)}L"]
        texts[DAY], texts[WEEKDAY] = "*", draw.choice(days)
    if "*/" in texts[DAY] and texts[WEEKDAY] != "*":
        texts[DAY] = "*"
    if draw.random() < 0.1:
        texts[draw.randrange(5)] = draw.choice(WRONG)
    return texts


def field(draw: random.Random, least: int, most: int, names: list[str]) -> str:
    if draw.random() < 0.4:
        return "*"
    return ",".join(part(draw, least, most, names) for _ in range(draw.choice([1, 1, 1, 2, 3])))


def part(draw: random.Random, least: int, most: int, names: list[str]) -> str:
    def text(value: int) -> str:
        return names[value - least] if names and draw.random() < 0.3 else str(value)

    first, last = sorted([draw.randint(least, most), draw.randint(least, most)])
    step = draw.randint(1, max(2, (most - least) // 2))
    kind = draw.randrange(10)
    if kind < 5:
        return text(first)
    if kind < 7:
        return f"*/{step}"
    if first == last:
        return text(first)
    if kind < 9:
        return f"{text(first)}-{text(last)}"
    return f"{text(first)}-{text(last)}/{step}"


if __name__ == "__main__":
    main()

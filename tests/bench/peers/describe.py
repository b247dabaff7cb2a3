"""Describes a CSV or JSON Lines file with Python libraries, and prints the time and memory needed.

The peer of `process_data` with a `source_url`: `python describe.py METHOD FILE` prints a line of
JSON: `seconds` and `cpu_seconds` (of all threads) for reading and describing, without the imports,
`max_rss_kb` of the process, and how many `rows` there were.
"""

import json
import sys
from collections.abc import Callable

from measured import measured


def with_pandas(file: str) -> Callable[[], int]:
    import pandas

    def describe() -> int:
        frame = pandas.read_csv(file) if is_csv(file) else pandas.read_json(file, lines=True)
        frame.describe(include="all")
        return len(frame)

    return describe


def with_polars(file: str) -> Callable[[], int]:
    """Describes the file lazily, without the whole file in memory."""
    import polars

    def describe() -> int:
        frame = polars.scan_csv(file) if is_csv(file) else polars.scan_ndjson(file)
        summary = frame.describe()
        # The first two rows count the values and the nulls, whose sum is the number of rows.
        return sum(int(count) for count in summary[:2, 1])

    return describe


def with_json(file: str) -> Callable[[], int]:
    """Only reads each record with the standard library: a lower bound for Python code."""
    import csv

    def read() -> int:
        with open(file, encoding="utf-8", newline="") as lines:
            if not is_csv(file):
                return sum(1 for _ in map(json.loads, lines))
            rows = csv.reader(lines)
            next(rows, None)
            return sum(1 for _ in rows)

    return read


def is_csv(file: str) -> bool:
    return file.endswith(".csv")


METHODS = {"pandas": with_pandas, "polars": with_polars, "json": with_json}


def main(method: str, file: str) -> None:
    print(json.dumps(measured(METHODS[method](file), "rows")))


if __name__ == "__main__":
    main(*sys.argv[1:])

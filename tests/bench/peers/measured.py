"""Measures the time and memory of work, for the peers that measure themselves."""

import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def measured(work: Callable[[], int], what: str) -> dict[str, Any]:
    """Runs `work`, which returns a count, and reports the count under the name `what`.

    `seconds` is wall time, `cpu_seconds` is the user and system time of all threads of this process,
    and `max_rss_kb` is the peak memory of the process since its start.
    """
    cpu, start = cpu_seconds(), time.perf_counter()
    count = work()
    seconds = time.perf_counter() - start
    return {
        "seconds": round(seconds, 6),
        "cpu_seconds": round(cpu_seconds() - cpu, 6),
        "max_rss_kb": max_rss_kb(),
        what: count,
    }


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def max_rss_kb() -> int:
    # Not `ru_maxrss`: on Linux its minimum is the memory of the process that started this one.
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(found[1])

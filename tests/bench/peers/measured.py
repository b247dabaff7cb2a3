"""What a piece of work takes, for the peers that are programs of their own."""

import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def measured(work: Callable[[], int], what: str) -> dict[str, Any]:
    """Does the work, which returns how many there were of `what`.

    `seconds` are by the clock, `cpu_seconds` of user and system in all threads of this process,
    `max_rss_kb` is the most that the process held since its start.
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
    # Not `ru_maxrss`, which on Linux is at least what the process held that started this one.
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(found[1])

"""Runs all cases against a running worker and prints one JSON line for each.

    python suite.py [--only TEXT] [--threads N]

The first line names the versions of the client. The lines are in the order of the cases in their files.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late

import celery
import kombu

from case import CASES, Case, outcome_text, plain, raised
from cases import calls, chains, chords, control, failures, groups, results, settings, states, values, wire

# Imported for the cases that they register.
MODULES = (calls, settings, values, wire, failures, results, states, chains, groups, chords, control)


def main() -> None:
    options = arguments()
    chosen = [case for case in CASES if options.only in case.name]
    names = [case.name for case in CASES]
    if len(set(names)) != len(names):
        sys.exit("two cases have the same name")
    print(json.dumps({"celery": celery.__version__, "kombu": kombu.__version__}), flush=True)
    pool = ThreadPoolExecutor(options.threads)
    waiting = [(case, pool.submit(timed, case)) for case in chosen]
    for case, future in waiting:
        outcome, seconds = finished(case, future)
        print(f'{{"case": {json.dumps(case.name)}, "outcome": {outcome}}}', flush=True)
        if options.times:
            print(f"{seconds:6.1f} s  {case.name}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    # A case that hangs must not keep the process.
    os._exit(0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run the cases whose name has this text")
    parser.add_argument("--threads", type=int, default=8, help="cases that run at the same time")
    parser.add_argument("--times", action="store_true", help="print how long each case took")
    return parser.parse_args()


def timed(case: Case) -> tuple[str, float]:
    """The outcome as JSON, and the seconds that it took."""
    started = time.monotonic()
    reason = case.reason_to_skip()
    if reason:
        return json.dumps({"skipped": reason}), 0
    try:
        outcome = outcome_text(case.run())
    except Exception as error:
        outcome = outcome_text({"the case itself": plain(raised(error))})
    return outcome, time.monotonic() - started


def finished(case: Case, future: "Future[tuple[str, float]]") -> tuple[str, float]:
    """Waits for the case. Its time starts when a thread takes it, so the wait for a thread comes on top."""
    while not (future.running() or future.done()):
        time.sleep(0.05)
    try:
        return future.result(timeout=case.limit)
    except Late:
        return json.dumps({"timed out": case.limit}), case.limit


if __name__ == "__main__":
    main()

"""`python -m async_service_celery`: looks at an application before it is deployed, and takes its schedule over."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Optional


def main(arguments: Optional[list[str]] = None) -> int:
    """Runs a command and gives its exit code: 0 when all runs, 1 when not, 2 when the application does not start."""
    parser = argparse.ArgumentParser(prog="async_service_celery", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="print what of an application runs, what does not, and what helps")
    check.add_argument("app", help="the application, as `celery -A` takes it, such as `module:app`")
    check.add_argument("--json", action="store_true", help="print JSON")
    beat = commands.add_parser("beat-import", help="make schedules of the service of an application's beat schedule")
    beat.add_argument("app", help="the application, as `celery -A` takes it")
    beat.add_argument("--url", required=True, help="the address of the service; its API key is in ASYNC_SERVICE_KEY")
    beat.add_argument("--prefix", default="beat.", help="what the names of the schedules begin with (%(default)s)")
    beat.add_argument("--prune", action="store_true", help="delete schedules of the prefix that are no entries")
    beat.add_argument("--apply", action="store_true", help="make the changes, and do not only print them")
    given = parser.parse_args(arguments)
    if given.command == "check":
        return _check(given.app, given.json)
    return _import(given)


def _check(app: str, is_json: bool) -> int:
    from . import check

    try:
        report = check.check(app)
    except Exception as error:
        print(f"The application {app} does not start: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(report.to_json() if is_json else report.to_text())
    return report.exit_code


def _import(given: argparse.Namespace) -> int:
    from . import beat_import
    from .start import find

    try:
        service = beat_import.Service(given.url, os.environ.get("ASYNC_SERVICE_KEY"))
        wanted = list(beat_import.entries(find(given.app), given.prefix))
        there = service.schedules(given.prefix)
        changes = beat_import.difference(wanted, there, given.prune)
        for change in changes:
            print(change)
            if given.apply:
                service.make(change, there.get(change.name, {}).get("version"))
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if not given.apply:
        print("Nothing is changed; --apply makes the changes.")
    return int(any(change.kind == "!" for change in changes))


if __name__ == "__main__":
    sys.exit(main())

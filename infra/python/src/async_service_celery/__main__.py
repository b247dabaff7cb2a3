"""`python -m async_service_celery check APP`: looks at an application before it is deployed."""

from __future__ import annotations

import argparse
import sys
from typing import Optional


def main(arguments: Optional[list[str]] = None) -> int:
    """Runs a command and gives its exit code: 0 when all runs, 1 when not, 2 when the application does not start."""
    parser = argparse.ArgumentParser(prog="async_service_celery", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="print what of an application runs, what does not, and what helps")
    check.add_argument("app", help="the application, as `celery -A` takes it, such as `module:app`")
    check.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    return _check(given.app, given.json)


def _check(app: str, is_json: bool) -> int:
    from . import check

    try:
        report = check.check(app)
    except Exception as error:
        print(f"The application {app} does not start: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(report.to_json() if is_json else report.to_text())
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())

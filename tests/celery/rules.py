"""Writes random rules of schedules and the times that Celery and croniter compute for them.

    python3 rules.py [--seed N] [--rules N] FOLDER

writes `crontabs.jsonl` (Celery's crontabs) and `lines.jsonl` (cron lines) to the folder. The tests of
`src/schedules/rule/` read `vectors/`, which has the rules of seed 1; they read another folder if the variable `RULES`
names one. Needs the standard library alone.
"""

import argparse
import random
import subprocess
from pathlib import Path

import environments
from environments import HERE, VERSIONS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--rules", type=int, default=5000, help="how many of each kind")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(f"rules of seed {options.seed}", flush=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    kinds = [
        (environments.python(VERSIONS[-1]), "rules_crontab.py", "crontabs.jsonl"),
        (environments.croniter(), "rules_line.py", "lines.jsonl"),
    ]
    for python, program, name in kinds:
        command = [python, "-B", program, str(options.seed), str(options.rules)]
        with (options.folder / name).open("w") as output:
            subprocess.run(command, cwd=HERE, stdout=output, check=True, timeout=600)


if __name__ == "__main__":
    main()

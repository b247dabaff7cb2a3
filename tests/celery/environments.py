"""The Python environments of the clients, in `target/celery/VERSION`.

    python3 environments.py [VERSION...]

makes them when they are missing or their pins have changed. Needs the standard library alone.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / "target" / "celery"
# Every version of Celery that the suite supports, oldest first.
VERSIONS = ("5.2.7", "5.3.6", "5.4.0", "5.5.3", "5.6.2", "5.7.0")
# The versions that a test run tries: the oldest and the newest.
TESTED = (VERSIONS[0], VERSIONS[-1])
# The program of the local AWS endpoints; its version is the one of the local stack.
EMULATOR = "ministack"
STACK_PINS = HERE.parents[1] / "infra" / "local" / "requirements.txt"


def python(version: str) -> Path:
    """The interpreter of the environment with this version of Celery."""
    text = (HERE / "requirements" / "common.txt").read_text() + (HERE / "requirements" / f"{version}.txt").read_text()
    return ready(version, pins(text)) / "bin" / "python"


def croniter() -> Path:
    """The interpreter of the environment with croniter, the reference for cron lines."""
    text = (HERE / "requirements" / "croniter.txt").read_text()
    return ready("croniter", pins(text)) / "bin" / "python"


def ministack() -> Path:
    """The program of the local AWS endpoints."""
    stack = [pin for pin in pins(STACK_PINS.read_text()) if pin.startswith(f"{EMULATOR}==")]
    return ready(EMULATOR, stack) / "bin" / EMULATOR


def pins(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def ready(name: str, wanted: list[str]) -> Path:
    """The environment with these packages installed. The stamp is written last, so a broken install is repeated."""
    folder = TARGET / name
    stamp = folder / "installed"
    text = "\n".join(wanted)
    if stamp.exists() and stamp.read_text() == text:
        return folder
    print(f"  installing {folder.name} …", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    subprocess.run([*pip, *wanted], check=True)
    stamp.write_text(text)
    return folder


if __name__ == "__main__":
    for each in sys.argv[1:] or VERSIONS:
        print(python(each))

"""Finds the Celery application of a folder, and writes what the local stack must know of it.

    python find_application.py FOLDER ANSWER [MODULE:APP]

runs in the environment with the application's packages. ANSWER is a file that gets one JSON object:
`{"app", "root", "celery", "tasks", "queues", "own_results"}` or `{"error"}`. Without MODULE:APP, the program reads the folder's Python
files for a module that makes an application, and imports the one module whose name says most.
"""

import ast
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Iterator

# Names of modules with an application, the most telling first.
MODULES = ("celery", "celery_app", "celeryapp", "celery_config", "celery_worker", "worker", "app", "tasks", "main", "__init__")
# Names of applications: what `celery -A MODULE` looks for first.
NAMES = ("app", "celery", "celery_app")
SKIPPED = {"node_modules", "site-packages", "tests", "test", "docs", "migrations", "build", "dist"}
# Folders below the given one that are read.
DEPTH = 3
# Places of results for which DynamoDB is a replacement. Results elsewhere, such as in the application's database, stay.
SHARED_RESULTS = ("redis", "sentinel", "rpc", "amqp", "cache", "memcache", "dynamodb")
# The versions that the handler knows: from the first up to the second, without it.
SUPPORTED = ((5, 2), (5, 8))


class Problem(Exception):
    """What the user has to know, as one text."""


def main() -> None:
    folder, answer, *named = sys.argv[1:]
    try:
        found = find(Path(folder), named[0] if named else None)
    except Problem as problem:
        found = {"error": str(problem)}
    Path(answer).write_text(json.dumps(found))


def find(folder: Path, named: str | None) -> dict[str, Any]:
    check_version()
    root = source_root(folder)
    if (folder / "__init__.py").exists() and named is None:
        raise Problem(f"{folder} is a package: give the folder that holds it, {folder.parent}, as `celery` is started there")
    name = named or choose(folder, root)
    app = load(root, name)
    return {"root": str(root), "celery": version(), **describe(app, name)}


def source_root(folder: Path) -> Path:
    """The folder that modules are imported from: `src` in projects that have one."""
    source = folder / "src"
    is_root = source.is_dir() and not (source / "__init__.py").exists() and any(python_files(source, 1))
    return source if is_root else folder


def check_version() -> None:
    try:
        import celery
    except ImportError:
        raise Problem("the application's packages have no celery") from None
    number = tuple(int(part) for part in celery.__version__.split(".")[:2])
    if not SUPPORTED[0] <= number < SUPPORTED[1]:
        raise Problem(f"Celery {celery.__version__} is not supported: 5.2 to 5.7 are")


def version() -> str:
    import celery

    return celery.__version__


def choose(folder: Path, root: Path) -> str:
    """The module and the name of the one application that stands out."""
    candidates = sorted(set(made(root)))
    if not candidates:
        raise Problem(f"no Python file in {folder} makes a Celery application: name it by --celery-app MODULE:APP")
    best = [name for rank, name in candidates if rank == candidates[0][0]]
    if len(best) > 1:
        raise Problem(f"several modules make a Celery application: choose by --celery-app, one of {', '.join(best)}")
    return best[0]


def made(root: Path) -> Iterator[tuple[tuple[bool, int, int], str]]:
    """The applications that modules make, each with its rank: the lowest is the likeliest."""
    for path in python_files(root, DEPTH):
        module = path.relative_to(root).with_suffix("")
        stem = module.name
        parts = module.parts[:-1] if stem == "__init__" else module.parts
        for name, is_call in assigned(path):
            place = MODULES.index(stem) if stem in MODULES else len(MODULES)
            yield (not is_call, place, len(parts)), f"{'.'.join(parts)}:{name}"


def python_files(folder: Path, depth: int) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.is_file() and path.suffix == ".py":
            yield path
        elif entry.is_dir() and depth > 0 and not is_skipped(path):
            yield from python_files(path, depth - 1)


def is_skipped(folder: Path) -> bool:
    return folder.name.startswith((".", "_")) or folder.name in SKIPPED or (folder / "pyvenv.cfg").exists()


def assigned(path: Path) -> Iterator[tuple[str, bool]]:
    """Names of a module that may be applications, and whether the module calls `Celery(...)` for it."""
    try:
        module = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        if not isinstance(value, ast.Call):
            continue
        called = getattr(value.func, "attr", getattr(value.func, "id", ""))
        for target in targets:
            if isinstance(target, ast.Name) and called == "Celery":
                yield target.id, True
            elif isinstance(target, ast.Name) and target.id in NAMES and "celery" in called.lower():
                yield target.id, False


def load(root: Path, name: str) -> Any:
    """Imports the application as `celery -A NAME` does."""
    from celery import Celery
    from celery.app.utils import find_app

    os.chdir(root)
    sys.path.insert(0, str(root))
    try:
        importlib.import_module(name.partition(":")[0])
        app = find_app(name)
    except BaseException as error:
        raise Problem(f"cannot import {name}: {type(error).__name__}: {error}") from error
    if not isinstance(app, Celery):
        raise Problem(f"{name} is no Celery application")
    return app


def describe(app: Any, name: str) -> dict[str, Any]:
    try:
        app.finalize()
        app.loader.import_default_modules()
    except BaseException as error:
        raise Problem(f"cannot import the tasks of {name}: {type(error).__name__}: {error}") from error
    tasks = sorted(task for task in app.tasks if not task.startswith("celery."))
    own = not str(app.conf.result_backend or "").startswith(SHARED_RESULTS)
    return {"app": qualified(app, name), "tasks": tasks, "queues": sorted(queues(app)), "own_results": own}


def qualified(app: Any, name: str) -> str:
    """The name with the application's attribute, also for a name that is a module alone."""
    if ":" in name:
        return name
    for module in (name, f"{name}.celery"):
        for attribute, value in vars(sys.modules.get(module, object)).items():
            if value is app:
                return f"{module}:{attribute}"
    return name


def queues(app: Any) -> set[str]:
    """The names of the queues that the application's settings and tasks name."""
    routes = app.conf.task_routes or {}
    entries = [*(app.conf.beat_schedule or {}).values(), *routed(routes)]
    named = {entry.get("queue") or (entry.get("options") or {}).get("queue") for entry in entries}
    named |= {getattr(task, "queue", None) for task in app.tasks.values()}
    return {name for name in {app.conf.task_default_queue, *app.amqp.queues, *named} if isinstance(name, str)}


def routed(routes: Any) -> list[dict[str, Any]]:
    if isinstance(routes, (list, tuple)):
        return [entry for route in routes for entry in routed(route)]
    values = routes.values() if isinstance(routes, dict) else []
    return [{"queue": value} if isinstance(value, str) else value for value in values if isinstance(value, (str, dict))]


if __name__ == "__main__":
    main()

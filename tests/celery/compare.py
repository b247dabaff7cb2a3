"""Compares what clients see of a worker with what they see of the reference.

    python3 compare.py REFERENCE.jsonl OTHER.jsonl TARGET

The differences must be those that `differences.json` lists for the target: no more, no fewer. Exits with 1 otherwise.
A case that either client cannot run is not compared. Needs the standard library alone.

`differences.json` has a list for each target. An entry is
`{"case", "outcome", "why", "clients": [versions of Celery, all if missing], "either": [more outcomes that may come]}`.
Each `why` is a sentence of docs/CELERY.md.
"""

import json
import sys
from pathlib import Path
from typing import Any

LIST = Path(__file__).parent / "differences.json"
DOCUMENT = Path(__file__).parents[2] / "docs" / "CELERY.md"


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    reference, other, target = sys.argv[1:]
    client, wanted = read(Path(reference))
    client_of_other, found = read(Path(other))
    if client != client_of_other:
        sys.exit(f"the clients differ: {client} and {client_of_other}")
    listed = known(json.loads(LIST.read_text())[target], client["celery"])
    problems = compare(wanted, found, listed)
    for problem in problems:
        print(problem)
    print(f"Celery {client['celery']}: {len(wanted)} cases, {len(listed)} known differences, {len(problems)} problems")
    sys.exit(bool(problems))


def read(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The versions of the client, and the outcome of each case."""
    head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    return head, {line["case"]: line["outcome"] for line in lines}


def known(entries: list[dict[str, Any]], client: str) -> dict[str, list[Any]]:
    """The outcomes that may come in place of the reference's, for each case that differs."""
    mine = [entry for entry in entries if client in entry.get("clients", [client])]
    document = " ".join(DOCUMENT.read_text().split())
    for entry in mine:
        if not entry["why"].strip() or entry["why"] not in document:
            sys.exit(f"{DOCUMENT.name} does not say why `{entry['case']}` differs: {entry['why']}")
    return {entry["case"]: [entry["outcome"], *entry.get("either", [])] for entry in mine}


def compare(wanted: dict[str, Any], found: dict[str, Any], listed: dict[str, list[Any]]) -> list[str]:
    """One text for each case that is not as it should be."""
    problems = [f"{case}: is listed, but no case has this name" for case in sorted(set(listed) - set(wanted))]
    if list(wanted) != list(found):
        missing = sorted(set(wanted) ^ set(found)) or "in another order"
        problems.append(f"the files have other cases: {missing}")
    for case in wanted.keys() & found.keys():
        if skipped(wanted[case]) or skipped(found[case]):
            continue
        allowed = listed.get(case, [wanted[case]])
        if not any(same(outcome, found[case]) for outcome in allowed):
            problems.append(difference(case, wanted[case], found[case], listed.get(case)))
        elif case in listed and same(wanted[case], found[case]) and len(allowed) == 1:
            problems.append(f"{case}: is listed as a difference, but is as in the reference")
    return sorted(problems)


def skipped(outcome: Any) -> bool:
    return isinstance(outcome, dict) and "skipped" in outcome


def same(one: Any, other: Any) -> bool:
    """Whether two outcomes are the same text: `1`, `1.0` and `true` are not."""
    return text(one) == text(other)


def difference(case: str, wanted: Any, found: Any, listed: list[Any] | None) -> str:
    lines = [f"{case}:", f"  reference  {text(wanted)}", f"  found      {text(found)}"]
    return "\n".join(lines + [f"  listed     {text(outcome)}" for outcome in listed or []])


def text(outcome: Any) -> str:
    return json.dumps(outcome, sort_keys=True, ensure_ascii=False)


if __name__ == "__main__":
    main()

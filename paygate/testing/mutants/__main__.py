"""`python -m paygate.testing.mutants [--json FILE] [NAME …]`: break each provider, and print which check noticed.

NAMEs are installed providers or fakepg, which is the default. Exit 1 where a broken one passes the whole contract.
With --json, what was found is kept in FILE: mutant → check for each provider; and what FILE says is tried first.
Where a change makes no difference to a provider, a person writes "not noticed: …" and why into FILE.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..contract.subject import subject_of
from .catching import hunt

EXPLAINED = "not noticed: "


def main(arguments: Sequence[str]) -> int:
    """Run it; returns the exit code."""
    names, file = list(arguments), None
    if "--json" in names:
        at = names.index("--json")
        file = Path(names[at + 1])
        del names[at:at + 2]
    kept: dict[str, dict[str, str]] = {}
    if file is not None and file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
    alive = made = 0
    for name in names or ["fakepg"]:
        hints, kept[name] = kept.get(name, {}), {}
        for found in hunt(subject_of(name), hints=hints):
            made += 1
            known = hints.get(found.mutant.name, "")
            by = found.by.run if found.by is not None else known if known.startswith(EXPLAINED) else None
            alive += by is None
            if by is not None:
                kept[name][found.mutant.name] = by
            print(f"{name}: {found.mutant.name}: {by or 'NOTHING'}", flush=True)
    if file is not None:
        file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{made} broken providers, {alive} not noticed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

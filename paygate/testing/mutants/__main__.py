"""`python -m paygate.testing.mutants [--json FILE] [NAME …]`: break each provider, and print which check noticed.

NAMEs are installed providers or fakepg, which is the default. Exit 1 where a broken one passes the whole contract.
With --json, what was found is also kept: mutant → check for each provider.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..contract.subject import subject_of
from .catching import hunt


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
    alive = 0
    for name in names or ["fakepg"]:
        kept[name] = {}
        for found in hunt(subject_of(name)):
            by = "nothing" if found.by is None else found.by.check.name
            alive += found.by is None
            kept[name][found.mutant.name] = by
            print(f"{name}: {found.mutant.name}: {by}", flush=True)
    if file is not None:
        file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{sum(map(len, kept.values()))} broken providers, {alive} not noticed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The tables that pages print from the providers' declarations and from the tests. `python docs/tables.py` writes them.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; a test fails where a page is stale.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from paygate.cli.providers import capability_table
from paygate.plugins import find_providers, load
from paygate.provider import ProviderSpec
from paygate.testing.mutants import all_mutants

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", ROOT / "docs/providers/index.md", ROOT / "docs/reliability.md",
         ROOT / "docs/mutants.md"]
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def specs() -> list[ProviderSpec]:
    """Every installed provider of this repository; what else is installed has no business on its pages."""
    ours: set[str] = set()
    for file in ROOT.glob("providers/*/pyproject.toml"):
        with file.open("rb") as opened:
            ours |= set(tomllib.load(opened)["project"]["entry-points"]["paygate"])
    return [load(found.name) for found in find_providers() if found.name in ours]


def profile_table(found: Sequence[ProviderSpec]) -> str:
    """A Markdown table of how each provider behaves and how that is known."""
    lines = [["entry", "meaning", *(spec.name for spec in found)], ["---"] * (2 + len(found))]
    facts = [spec.profile.describe() for spec in found]
    for entries in zip(*facts, strict=True):
        name, meaning, _ = entries[0]
        known = [f"{_plain(fact.value)} ({fact.certainty.value})" for _, _, fact in entries]
        lines.append([f"`{name}`", meaning, *known])
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _plain(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and re.search(r"[\[{*]", value):
        return f"`{value}`"
    return "; ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def failure_table() -> str:
    """A Markdown table of what can go wrong, what holds then, and which tests show it; read off the tests' source."""
    rows, awaited = (_literal(ROOT / "tests/failure_rows.py", name) for name in ("ROWS", "AWAITED"))
    tests = row_tests()
    lines = [["row", "what goes wrong", "what holds", "tests"], ["---"] * 4]
    for number, (wrong, holds) in rows.items():
        names = [f"`{name}`" for _, name in tests.get(number, ())]
        lines.append([number, wrong, holds, "<br>".join(names) or f"none yet: {awaited[number]}"])
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def mutant_table() -> str:
    """A Markdown table of which check notices which broken provider, as the tests have it on record."""
    kept = json.loads((ROOT / "tests/mutants_caught.json").read_text(encoding="utf-8"))
    lines = [["broken on purpose", "what it does", "noticed by"], ["---"] * 3]
    for mutant in sorted(all_mutants(), key=lambda m: m.name):
        found: dict[str, list[str]] = {}
        for name in sorted(kept):
            if (run := kept[name].get(mutant.name)) is not None:
                check = run.partition("[")[0]
                found.setdefault(check if check.startswith("not noticed") else f"`{check}`", []).append(name)
        told = [f"{by} ({', '.join(names)})" for by, names in found.items()]
        lines.append([f"`{mutant.name}`", mutant.does, "<br>".join(told)])
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def row_tests() -> dict[str, list[tuple[str, str]]]:
    """Of each row, the tests that say they are its: (file, name)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for file in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                for number in _rows_of(node):
                    found.setdefault(number, []).append((file.name, node.name))
    return found


def _rows_of(test: ast.FunctionDef) -> Iterator[str]:
    for call in test.decorator_list:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "row":
            yield from (arg.value for arg in call.args if isinstance(arg, ast.Constant))


def _literal(file: Path, name: str) -> dict[str, Any]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == name:
            made: dict[str, Any] = ast.literal_eval(ast.unparse(getattr(node, "value")))  # noqa: B009 (of either kind)
            return made
    raise LookupError(name)


def renewed(text: str) -> str:
    """A page's text with its tables as they should be."""
    made = {"capabilities": lambda: capability_table(specs()), "profiles": lambda: profile_table(specs()),
            "failures": failure_table, "mutants": mutant_table}
    return _TABLE.sub(lambda m: f"{m[1]}\n{made[m[2]]()}\n{m[3]}", text)


def main() -> int:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := renewed(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

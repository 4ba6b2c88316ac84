"""The tables that pages print from the providers' own declarations. `python docs/tables.py` writes them anew.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; a test fails where a page is stale.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from paygate.cli.providers import capability_table
from paygate.plugins import find_providers, load
from paygate.provider import ProviderSpec

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", ROOT / "docs/providers/index.md"]
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
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def renewed(text: str) -> str:
    """A page's text with its tables as they should be."""
    made = {"capabilities": capability_table, "profiles": profile_table}
    return _TABLE.sub(lambda m: f"{m[1]}\n{made[m[2]](specs())}\n{m[3]}", text)


def main() -> int:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := renewed(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""README and docs name what there is: tables as the specs say, every public name, error, argument, fault and state."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import paygate
from paygate import errors
from paygate.capability import Capability
from paygate.testing import FaultKind

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "README.ko.md", *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _tables() -> ModuleType:
    made = importlib.util.spec_from_file_location("paygate_docs_tables", DOCS / "tables.py")
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


TABLES = _tables()


def _rows(page: Path, columns: int) -> list[list[str]]:
    """The rows of a page's tables that have so many columns."""
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    return [row for row in rows if len(row) == columns]


def _names(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("page", TABLES.PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_printed_tables_say_what_the_specs_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert "<!-- table: " in text
    assert text == TABLES.renewed(text), "stale: run `python docs/tables.py`"


def test_a_stale_table_is_made_anew() -> None:
    text = "before\n<!-- table: capabilities -->\nold\n<!-- end of table -->\nafter\n"

    renewed = TABLES.renewed(text)

    assert "old" not in renewed
    assert "| charge | " in renewed
    assert renewed.startswith("before\n")
    assert renewed.endswith("\nafter\n")


def test_every_public_name_stands_in_the_reference() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    named = re.findall(r"^\.\. (?:auto\w+|py:data):: paygate\.(\w+)$", text, re.MULTILINE)

    assert sorted(named) == sorted(paygate.__all__)


def test_every_error_is_explained_and_says_rightly_whether_money_moved() -> None:
    told = {row[0].strip("`"): row[1] for row in _rows(DOCS / "errors.md", 4)[2:]}
    classes = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.PaygateError)]

    assert told == {c.__name__: "no" if c.moved is False else "unknown" for c in classes}
    assert "`LedgerError`" in (DOCS / "errors.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("face", [paygate.connect, paygate.connect_async])
def test_every_argument_of_connect_is_explained(face: object) -> None:
    rows = _rows(DOCS / "configuration.md", 3)[2:]

    assert [row[0].strip("`") for row in rows] == list(inspect.signature(face).parameters)  # type: ignore[arg-type]


def test_every_fault_is_explained() -> None:
    assert _names([row[0] for row in _rows(DOCS / "testing.md", 2)]) >= {kind.value for kind in FaultKind}


def test_every_state_of_the_ledger_is_explained() -> None:
    assert [row[0] for row in _rows(DOCS / "ledger.md", 2)][2:9] == [f"`{state.value}`" for state in paygate.State]


def test_every_capability_is_explained() -> None:
    assert _names([row[0] for row in _rows(DOCS / "providers/index.md", 2)]) >= {c.value for c in Capability}


@pytest.mark.checkout
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`\n]+`", "", prose)
    links = [link for link in LINK.findall(prose) if ":" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_page_tells_anybody_to_install_somebody_elses_distribution(page: Path) -> None:
    assert re.findall(r"pip install (?:-U |--upgrade )?['\"]?paygate(?![\w-])", page.read_text(encoding="utf-8")) == []

"""Every failure row has a test named for it, and the page that lists them is printed from the tests."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from failure_rows import AWAITED, ROWS, row

ROOT = Path(__file__).resolve().parents[1]


def _tables() -> ModuleType:
    made = importlib.util.spec_from_file_location("paygate_docs_tables", ROOT / "docs/tables.py")
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


TESTS = _tables().row_tests()


@pytest.mark.parametrize("number", ROWS)
def test_a_row_has_tests_named_for_it_or_says_why_not(number: str) -> None:
    names = [name for _, name in TESTS.get(number, ())]
    assert bool(names) != (number in AWAITED), f"{number}: {names}"
    for name in names:
        found = re.match(r"test_f(\d\d)(?:_to_f(\d\d))?_", name)
        assert found is not None, name
        first, last = int(found[1]), int(found[2] or found[1])
        assert first <= int(number[1:]) <= last, name


def test_no_test_claims_a_row_that_is_not_listed() -> None:
    assert set(TESTS) <= set(ROWS)
    with pytest.raises(AssertionError):
        row("F99")


def test_every_row_says_what_goes_wrong_and_what_holds() -> None:
    assert all(wrong and holds for wrong, holds in ROWS.values())
    assert list(ROWS) == sorted(ROWS)

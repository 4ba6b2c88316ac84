"""`paygate` exports the same names to Python, to type checkers and to readers."""

from __future__ import annotations

import ast
from pathlib import Path

import paygate


def test_the_names_exported_are_those_of_the_table_and_those_type_checkers_see() -> None:
    tree = ast.parse(Path(paygate.__file__).read_text(encoding="utf-8"))
    table = {name: module for module, names in paygate._HOME.items() for name in names.split()}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
    imported = {alias.name: node.module for node in imports for alias in node.names}
    assert imported == table
    assert len(paygate.__all__) == len(set(paygate.__all__))
    assert set(paygate.__all__) == set(table)
    assert dir(paygate) == sorted(paygate.__all__)


def test_all_is_a_plain_list_that_type_checkers_can_read() -> None:
    tree = ast.parse(Path(paygate.__file__).read_text(encoding="utf-8"))
    [value] = [n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"]
    assert ast.literal_eval(value) == paygate.__all__

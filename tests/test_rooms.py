"""The five rooms of the code, read off the imports of every module: who may import whom, and which door is whose.

The tables say the rule; `violations()` applies it to a tree. The last tests build small trees that break each rule.
A new module under paygate/ is taken for face unless a table names it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# First match wins. Patterns are paths without ".py", relative to paygate/ ("*" also crosses "/").
ROOMS = (
    ("values", ("money", "model", "commands", "errors", "wire", "secret", "text", "clock", "capability",
                "subscriptions", "terms", "vault", "scheduler/calendar", "scheduler/plan")),
    ("interface", ("flow", "provider")),
    ("doors", ("transport*", "plugins", "codec", "webhook", "ledger/sqlite*", "ledger/postgres*", "keyvault")),
    ("ledger", ("ledger/*",)),
    ("procedures", ("procedures/*", "scheduler/*")),
    ("shells", ("cli/*", "sandbox/*", "web/*", "workers/*", "testing/*")),
    ("face", ("*",)),
)
MAY_IMPORT = {
    "values": {"values"},
    "interface": {"values", "interface"},
    "doors": {"values", "interface", "doors", "ledger"},
    # ledger/__init__ names its stores; a store is loaded only when a ledger of its kind is opened.
    "ledger": {"values", "interface", "ledger", "doors"},
    "procedures": {"values", "interface", "ledger", "procedures", "doors"},
    "face": {"values", "interface", "doors", "ledger", "procedures", "face"},
    "shells": {"values", "interface", "doors", "ledger", "procedures", "face", "shells"},
}
# Doors that a procedure may use: what has no effect on the world.
PROCEDURE_DOORS = {"codec"}

# One door for each outside package. attrs is welcome everywhere.
DOORS = {
    "httpx": ("transport*", "testing/transport", "sandbox/*"),
    "httpcore": ("transport*", "testing/transport", "sandbox/*"),
    "certifi": ("transport*", "testing/transport", "sandbox/*"),
    "sqlite3": ("ledger/sqlite*",),
    "psycopg": ("ledger/postgres*",),
    "cryptography": ("keyvault",),
    "matplotlib": ("cli/due",),
    "pluggy": ("plugins",),
    "cattrs": ("codec",),
    "click": ("cli/*",),
    "jinja2": ("cli/new_provider",),
    "rich": ("cli/*",),
    "h11": ("sandbox/*",),
    "pytest": ("testing/*",),
    "hypothesis": ("testing/*",),
    "django": ("web/*",),
    "flask": ("web/*",),
    "starlette": ("web/*",),
    "procrastinate": ("workers/procrastinate",),
    "celery": ("workers/celery",),
}
EVERYWHERE = {"attr", "attrs", "__future__", "paygate"}
# Order is decided in procedures and words in flows; whoever drives them has the sockets, threads, clocks and loops.
WORLD = {"asyncio", "threading", "multiprocessing", "concurrent", "socket", "ssl", "http", "urllib.request",
         "subprocess", "select", "selectors", "time", "sched", "signal"}

# What a provider may know of paygate, besides its own package, attrs and the standard library.
PUBLIC_TO_PROVIDERS = {"money", "model", "commands", "errors", "wire", "secret", "text", "capability", "flow",
                       "provider", "codec", "plugins", "subscriptions", "terms", "webhook"}
PUBLIC_TO_EMULATORS = PUBLIC_TO_PROVIDERS | {"testing", "clock"}

# A PG's own words live with its provider.
PG_WORDS = re.compile("imp_uid|customer_uid|merchant_uid|idKey|orderCode|Secret-Token|iamport|steppay|naver|portone",
                      re.IGNORECASE)
LINE_LIMIT = 350


def violations(root: Path) -> list[str]:
    """Every breach of the tables in the tree at `root`, as "path:line: what"."""
    return sorted([*_core(root), *_providers(root)])


def room_of(module: str) -> str:
    """The room of a module, named by its path without ".py" relative to paygate/."""
    return next(room for room, patterns in ROOMS if any(fnmatch(module, p) for p in patterns))


def _core(root: Path) -> Iterator[str]:
    base = root / "paygate"
    for file in _files(base):
        if found := [n for n, line in enumerate(_text(file).splitlines(), 1) if PG_WORDS.search(line)]:
            yield f"{file.relative_to(root)}:{found[0]}: a PG's own word under paygate/"
    for file in _modules(base):
        yield from _too_long(root, file)
        where, module = file.relative_to(root), file.relative_to(base).with_suffix("").as_posix()
        room, tree = room_of(module), _parse(file)
        for line, name, typing_only in _imports(tree, ("paygate", *module.split("/"))):
            if not _is_ours(name):
                # A public signature may name an outside type; whoever calls it has that package already.
                if not (typing_only and room == "face") and (problem := _outside(module, room, name)) is not None:
                    yield f"{where}:{line}: {problem}"
            elif not typing_only and (target := _module_in(base, name)) is not None:
                theirs = room_of(target)
                if theirs not in MAY_IMPORT[room] or (
                        room == "procedures" and theirs == "doors" and target not in PROCEDURE_DOORS):
                    yield f"{where}:{line}: {room} does not import {theirs} ({name})"
        if room in ("values", "interface", "procedures"):
            yield from (f"{where}:{n}: no async in {room}" for n in _async_lines(tree))
        if room == "procedures":
            yield from (f"{where}:{n}: a procedure reads the clock it is given" for n in _clock_lines(tree, bare=True))


def _outside(module: str, room: str, name: str) -> str | None:
    top = name.partition(".")[0]
    if top in DOORS:
        if any(fnmatch(module, p) for p in DOORS[top]):
            return None
        return f"{top} has one door, {' or '.join(DOORS[top])}"
    if top in EVERYWHERE:
        return None
    if top not in sys.stdlib_module_names:
        return f"{top} has no door in this project"
    if room in ("values", "interface", "procedures") and _touches_world(name) and module != "clock":
        return f"{room} has no {name}"
    return None


def _providers(root: Path) -> Iterator[str]:
    for package in sorted([*root.glob("providers/*/paygate_*"), *root.glob("examples/*-provider/paygate_*")]):
        for file in _modules(package):
            yield from _too_long(root, file)
            where, tree, stem = file.relative_to(root), _parse(file), file.relative_to(package).as_posix()
            emulator = "emulator" in stem
            public = PUBLIC_TO_EMULATORS if emulator else PUBLIC_TO_PROVIDERS
            parts = (package.name, *file.relative_to(package).with_suffix("").parts)
            for line, name, _ in _imports(tree, parts):
                top, *rest = name.split(".")
                if top == package.name or top in ("attr", "attrs", "__future__"):
                    continue
                if top == "paygate":
                    if any(part.startswith("_") for part in rest):
                        yield f"{where}:{line}: {name} is private to paygate"
                    elif rest and rest[0] not in public and (root / "paygate" / rest[0]).with_suffix(".py").exists() | (
                            root / "paygate" / rest[0]).is_dir():
                        yield f"{where}:{line}: a provider does not know paygate.{rest[0]}"
                elif top not in sys.stdlib_module_names or top == "sqlite3" or _touches_world(name):
                    yield f"{where}:{line}: a provider has no {name}"
            if not emulator:
                yield from (f"{where}:{n}: no async in a flow" for n in _async_lines(tree))
                yield from (f"{where}:{n}: a flow has no clock" for n in _clock_lines(tree, bare=False))


def _files(base: Path) -> list[Path]:
    return sorted(f for f in base.rglob("*") if f.is_file() and "__pycache__" not in f.parts)


def _modules(base: Path) -> list[Path]:
    return [f for f in _files(base) if f.suffix == ".py"]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _parse(file: Path) -> ast.Module:
    return ast.parse(_text(file), str(file))


def _too_long(root: Path, file: Path) -> Iterator[str]:
    if (lines := len(_text(file).splitlines())) > LINE_LIMIT and file.name != "words.py":
        yield f"{file.relative_to(root)}:1: {lines} lines; look for the second subject"


def _imports(tree: ast.Module, module: tuple[str, ...]) -> Iterator[tuple[int, str, bool]]:
    """(line, absolute dotted name, under TYPE_CHECKING) of every import in a module, local ones included."""
    typing_only = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.If) and _is_type_checking(node.test)
                   for stmt in node.body for inner in ast.walk(stmt)}
    package = module[:-1]  # of a module and of a package's __init__ alike
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*package[:len(package) - node.level + 1], *filter(None, [node.module]))) \
                if node.level else node.module or ""
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}", id(node) in typing_only
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module",
                                                                       "__import__"):
            match node.args[:1]:
                case [ast.Constant(value=str(name))]:
                    yield node.lineno, name, id(node) in typing_only


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _is_ours(name: str) -> bool:
    return name == "paygate" or name.startswith("paygate.")


def _module_in(base: Path, name: str) -> str | None:
    """The module that `name` ("paygate.ledger.row.Row") is or is in, as a path under paygate/."""
    parts = name.split(".")[1:]
    for end in range(len(parts), 0, -1):
        path = base.joinpath(*parts[:end])
        if path.with_suffix(".py").is_file():
            return path.relative_to(base).as_posix()
        if (path / "__init__.py").is_file():
            return f"{path.relative_to(base).as_posix()}/__init__"
    return "__init__" if parts else None


def _touches_world(name: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in WORLD)


def _async_lines(tree: ast.Module) -> list[int]:
    kinds = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    return [n.lineno for n in ast.walk(tree) if isinstance(n, kinds)]


def _clock_lines(tree: ast.Module, *, bare: bool) -> list[int]:
    """Lines that ask the machine for the time. `bare`: only `datetime` and `date` themselves, not a passed-in clock."""
    return [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
            and n.func.attr in ("now", "today", "utcnow")
            and (not bare or ast.unparse(n.func.value).rpartition(".")[2] in ("datetime", "date"))]


@pytest.mark.checkout
def test_every_line_of_the_tree_is_in_its_room() -> None:
    assert violations(ROOT) == []


@pytest.mark.checkout
def test_every_room_named_in_the_tables_that_must_exist_has_modules() -> None:
    base = ROOT / "paygate"
    rooms = {room_of(f.relative_to(base).with_suffix("").as_posix()) for f in _modules(base)}

    assert {"values", "interface", "doors", "ledger", "procedures", "shells", "face"} <= rooms


TREE = {
    "paygate/__init__.py": "",
    "paygate/money.py": "from attrs import frozen\nimport decimal\n",
    "paygate/wire.py": "from .money import Money\n",
    "paygate/provider.py": "from .wire import Request\nfrom typing import TYPE_CHECKING\n"
                           "if TYPE_CHECKING:\n    from .testing.emulator import Emulator\n",
    "paygate/codec.py": "import cattrs\n",
    "paygate/transport.py": "import httpx\nimport time\n",
    "paygate/ledger/__init__.py": "from .sqlite import SqliteLedger\n",
    "paygate/ledger/row.py": "from ..money import Money\n",
    "paygate/ledger/sqlite.py": "import sqlite3\nfrom .row import Row\n",
    "paygate/procedures/__init__.py": "",
    "paygate/procedures/charge.py": "from ..ledger.row import Row\nfrom .. import codec\n"
                                    "def f(clock):\n    return clock.now()\n",
    "paygate/gateway.py": "from . import transport\nfrom .procedures.charge import charge\nimport asyncio\n"
                          "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import httpx\n",
    "paygate/cli/__init__.py": "import click\nfrom ..gateway import Gateway\n",
    "paygate/testing/__init__.py": "",
    "paygate/testing/emulator.py": "",
    "providers/x/paygate_x/__init__.py": "from paygate.provider import ProviderSpec\nfrom .flows import X\n",
    "providers/x/paygate_x/flows.py": "from paygate.wire import Request, path\nfrom attrs import frozen\nimport re\n",
    "providers/x/paygate_x/emulator.py": "from paygate.testing.emulator import Emulator\n",
}
BREACHES = [
    ("paygate/money.py", "import httpx", "one door"),
    ("paygate/money.py", "import requests", "no door"),
    ("paygate/money.py", "from .ledger.row import Row", "values does not import ledger"),
    ("paygate/money.py", "import socket", "values has no socket"),
    ("paygate/wire.py", "from .provider import Provider", "values does not import interface"),
    ("paygate/provider.py", "from .testing.emulator import Emulator", "interface does not import shells"),
    ("paygate/provider.py", "async def f() -> None: ...", "no async"),
    ("paygate/ledger/row.py", "import sqlite3", "one door"),
    ("paygate/ledger/row.py", "from ..procedures import charge", "ledger does not import procedures"),
    ("paygate/procedures/charge.py", "from ..transport import drive", "procedures does not import doors"),
    ("paygate/procedures/charge.py", "from ..gateway import Gateway", "procedures does not import face"),
    ("paygate/procedures/charge.py", "import time", "procedures has no time"),
    ("paygate/procedures/charge.py", "from datetime import datetime\nx = datetime.now()", "the clock it is given"),
    ("paygate/procedures/charge.py", "def f() -> None:\n    import threading", "procedures has no threading"),
    ("paygate/gateway.py", "import pluggy", "one door"),
    ("paygate/gateway.py", "import httpx", "one door"),
    ("paygate/procedures/charge.py", "if TYPE_CHECKING:\n    import httpx", "one door"),
    ("paygate/gateway.py", "from .cli import main", "face does not import shells"),
    ("paygate/gateway.py", "from importlib import import_module\nimport_module('cattrs')", "one door"),
    ("paygate/cli/__init__.py", "import h11", "one door"),
    ("paygate/gateway.py", "# the " + "imp" + "_uid of a payment", "a PG's own word"),
    ("paygate/gateway.py", "x = 1\n" * 351, "lines; look for the second subject"),
    ("providers/x/paygate_x/flows.py", "import httpx", "a provider has no httpx"),
    ("providers/x/paygate_x/flows.py", "import time", "a provider has no time"),
    ("providers/x/paygate_x/flows.py", "from paygate.codec import _depth", "private to paygate"),
    ("providers/x/paygate_x/flows.py", "from paygate.ledger import row", "does not know paygate.ledger"),
    ("providers/x/paygate_x/flows.py", "from paygate import procedures", "does not know paygate.procedures"),
    ("providers/x/paygate_x/flows.py", "from paygate.testing.emulator import Emulator", "not know paygate.testing"),
    ("providers/x/paygate_x/flows.py", "async def f() -> None: ...", "no async in a flow"),
    ("providers/x/paygate_x/flows.py", "from datetime import datetime\nx = datetime.now()", "a flow has no clock"),
    ("providers/x/paygate_x/emulator.py", "import paygate.gateway", "does not know paygate.gateway"),
]


def _tree(root: Path) -> Path:
    for name, text in TREE.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def test_a_tree_that_keeps_the_rules_has_no_violations(tmp_path: Path) -> None:
    assert violations(_tree(tmp_path)) == []


@pytest.mark.parametrize(("file", "line", "found"), BREACHES)
def test_a_line_in_the_wrong_room_is_found(tmp_path: Path, file: str, line: str, found: str) -> None:
    target = _tree(tmp_path) / file
    target.write_text(f"{target.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")

    problems = violations(tmp_path)

    assert len(problems) == 1, problems
    assert problems[0].startswith(f"{file}:")
    assert found in problems[0]


def test_tables_of_vendor_words_may_be_longer(tmp_path: Path) -> None:
    (_tree(tmp_path) / "providers/x/paygate_x/words.py").write_text("x = 1\n" * 900, encoding="utf-8")

    assert violations(tmp_path) == []


def test_a_pgs_word_in_a_page_or_script_is_found_too(tmp_path: Path) -> None:
    (_tree(tmp_path) / "paygate/page.html").write_text("<p>" + "order" + "Code</p>", encoding="utf-8")

    assert violations(tmp_path) == ["paygate/page.html:1: a PG's own word under paygate/"]

"""The switch: one merchant script, front end included, runs unchanged on every provider; only settings differ."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from paygate import MemoryLedger, Pay, connect
from paygate.plugins import find_providers, load
from paygate.sandbox import Sandbox

FOLDER = Path(__file__).resolve().parents[1] / "examples/switching"
NAMES = sorted(file.stem for file in (FOLDER / "settings").glob("*.json"))
INSTALLED = {found.name for found in find_providers()}

pytestmark = [pytest.mark.checkout]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("switching_script", FOLDER / "script.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


def settings(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((FOLDER / "settings" / f"{name}.json").read_text(encoding="utf-8"))
    return made


def play(name: str) -> tuple[list[str], Any]:
    """What the script said, and the emulator it played with."""
    with Sandbox([name]) as box:
        emulator = box.emulator(name)

        def page(action: Mapping[str, Any]) -> Mapping[str, str]:
            assert action["type"] in ("redirect", "client_call")
            with box.lock:
                return emulator.browse(action)

        with connect(name, settings(name), ledger=MemoryLedger(), base_url=box.url(name), clock=box.clock) as gate:
            return SCRIPT.shop(gate, page), emulator


def test_the_three_providers_are_there() -> None:
    assert {"portone-naverpay", "steppay-managed", "steppay-unmanaged"} <= set(NAMES) & INSTALLED


@pytest.mark.parametrize("name", NAMES)
def test_the_same_script_pays_confirms_and_gives_back_on_every_provider(name: str) -> None:
    told, emulator = play(name)
    assert told[:2] == ["pay: paid 14,000 KRW", "cancel: 4,000 KRW given back, 10,000 KRW left"]
    assert "register: a billing key" in told
    journal = emulator.journal
    ids = {m.order_id for m in journal.entries}
    kept = sorted(journal.taken(i) - journal.given_back(i) for i in ids)
    assert [k for k in kept if k] == [10_000]
    assert all(journal.charges(i) == 1 for i in ids)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_provider_lacks_is_known_before_a_byte_leaves(name: str) -> None:
    told, _ = play(name)
    offers = {c.value for c in load(name).capabilities}
    assert ("charge: not offered" in told) == ("charge" not in offers)
    assert ("charge: paid 14,000 KRW" in told) == ("charge" in offers)


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_are_those_of_the_sandbox(name: str) -> None:
    assert settings(name) == load(name).load_emulator()().settings()


def test_the_script_knows_no_gateway_but_by_the_name_of_its_extra_fields() -> None:
    tree = ast.parse((FOLDER / "script.py").read_text(encoding="utf-8"))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert imported <= {"__future__", "collections.abc", "typing", "paygate"}
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    assert [t for t in texts if re.search("|".join(NAMES), t)] == ["portone-naverpay"]


@pytest.mark.parametrize("name", NAMES)
def test_extra_fields_of_another_gateway_are_not_looked_at(name: str) -> None:
    with Sandbox([name]) as box, connect(name, settings(name), ledger=MemoryLedger(), base_url=box.url(name),
                                         clock=box.clock) as gate:
        checkout = gate.pay(Pay(order_id="order-1", money=SCRIPT.TEA, title="Tea", return_url=SCRIPT.BACK,
                                customer=SCRIPT.PAYER, extra={"another-gateway": {"anything": 1}}))
        assert "anything" not in json.dumps(checkout.action.to_dict())

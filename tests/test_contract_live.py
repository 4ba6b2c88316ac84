"""`paygate contract --live`: the safe part of the contract, with the sandbox on this machine as the real PG."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from paygate import BadSettings, MemoryLedger, connect
from paygate.cli.group import group
from paygate.sandbox import Sandbox
from paygate.secret import reveal_all
from paygate.testing.contract import live
from paygate.testing.contract.subject import named
from paygate.testing.emulator import FaultKind

NAMES = ["fakepg", "portone-naverpay", "steppay-managed", "steppay-unmanaged"]


@pytest.fixture
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox([request.param]) as made:
        yield made


ALL = pytest.mark.parametrize("box", NAMES, indirect=True)
FAKE = pytest.mark.parametrize("box", ["fakepg"], indirect=True)


def name_of(box: Sandbox) -> str:
    name, = box.stations
    return name


def key_at(box: Sandbox) -> str:
    """A billing key that a payer registered beforehand, as a merchant has one for tests."""
    name, ledger = name_of(box), MemoryLedger()
    spec, _ = named(name)
    with connect(spec, box.settings(name), ledger=ledger, base_url=box.url(name), clock=box.clock) as gate:
        story = box.emulator(name).story().register
        assert story is not None
        back = box.browse(name, gate.register(evolve(story, extra={})).action.to_dict())
        key = gate.confirm_key(story.order_id, back)
        assert key is not None
        return key.reveal()


def run(box: Sandbox, **more: Any) -> live.Live:
    spec, _ = named(name_of(box))
    return live.run(spec, box.settings(name_of(box)), ledger=MemoryLedger(), base_url=box.url(name_of(box)),
                    clock=box.clock, **more)


def kept(box: Sandbox, since: int = 0) -> int:
    entries = box.emulator(name_of(box)).journal.entries[since:]
    return sum(m.money.amount if m.kind == "charge" else -m.money.amount for m in entries)


@ALL
def test_without_a_key_no_money_moves_and_nothing_is_broken(box: Sandbox) -> None:
    told = run(box)

    assert told.holds, [s for s in told.steps if s.verdict == "broken"]
    assert box.emulator(name_of(box)).journal.entries == []
    assert told.steps[0].verdict == "holds"


@ALL
def test_with_a_key_a_small_amount_is_charged_and_all_of_it_given_back(box: Sandbox) -> None:
    key = key_at(box)
    since = len(box.emulator(name_of(box)).journal.entries)

    told = run(box, key=key)

    moved = box.emulator(name_of(box)).journal.entries[since:]
    assert told.holds, [s for s in told.steps if s.verdict == "broken"]
    assert told.left == []
    assert kept(box, since) == 0
    assert all(m.money.amount <= 10_000 for m in moved)
    assert bool(moved) == ("charge" in {c.value for c in named(name_of(box))[0].capabilities})


@FAKE
def test_the_cap_is_kept(box: Sandbox) -> None:
    told = run(box, key=key_at(box), cap=70)

    assert told.holds
    assert {m.money.amount for m in box.emulator("fakepg").journal.entries} == {70}


@FAKE
@pytest.mark.parametrize("kind", ["wrong_order", "drop_after", "error_500_after"])
def test_what_was_charged_in_spite_of_trouble_is_given_back_or_named(box: Sandbox, kind: str) -> None:
    box.fault("fakepg", FaultKind(kind), on="^POST /charges$")

    told = run(box, key=key_at(box))

    assert kept(box) == 0 or told.left != []


@FAKE
def test_what_cannot_be_given_back_is_named_and_the_run_has_failed(box: Sandbox) -> None:
    key = key_at(box)
    box.fault("fakepg", FaultKind.ERROR_500_BEFORE, on="/refunds$", times=50)

    told = run(box, key=key)

    assert not told.holds
    assert any("were charged and not given back" in text for text in told.left)


@FAKE
@pytest.mark.parametrize("mode", ["live", None])
def test_live_credentials_are_refused_and_nothing_is_sent(box: Sandbox, mode: str | None) -> None:
    spec, _ = named("fakepg")
    settings = {k: v for k, v in box.settings("fakepg").items() if k != "mode"} | ({"mode": mode} if mode else {})

    with pytest.raises(BadSettings, match="test credentials only"):
        live.run(spec, settings, ledger=MemoryLedger(), base_url=box.url("fakepg"))
    assert box.emulator("fakepg").calls == []


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["contract", *arguments])


@FAKE
def test_the_command_tells_each_step_and_exits_with_the_verdict(box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(reveal_all(box.settings("fakepg"))), encoding="utf-8")

    good = invoke("fakepg", "--live", "--settings", str(file), "--base-url", box.url("fakepg"))
    assert (good.exit_code, good.output.splitlines()[0][:6]) == (0, "holds:")
    file.write_text(json.dumps({"api_key": "wrong", "mode": "test"}), encoding="utf-8")
    bad = invoke("fakepg", "--live", "--settings", str(file), "--base-url", box.url("fakepg"))
    assert bad.exit_code == 1
    assert "broken: The credentials are accepted" in bad.output


def test_the_command_wants_settings_with_live_and_nothing_of_it_without(tmp_path: Path) -> None:
    assert invoke("fakepg", "--live").exit_code == 2
    assert invoke("fakepg", "--cap", "100").exit_code == 2
    odd = tmp_path / "odd.json"
    odd.write_text("[1]", encoding="utf-8")
    assert invoke("fakepg", "--live", "--settings", str(odd)).exit_code == 2
    assert invoke("fakepg", "--live", "--settings", str(tmp_path / "none.json")).exit_code == 2

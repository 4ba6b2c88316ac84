"""No simulation starts at an emulator under which nothing could be judged."""

from __future__ import annotations

import pytest
from attrs import evolve

from paygate.capability import Capability
from paygate.testing import shop_machine
from paygate.testing.asks import Asks
from paygate.testing.contract.registry import all_checks
from paygate.testing.contract.runner import run_check
from paygate.testing.contract.subject import subject_of
from paygate.testing.emulator import Call, Emulator
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.simulation import __main__ as command
from paygate.testing.simulation.duty import CannotJudge, hear
from paygate.testing.simulation.run import providers, spec_of


class Silent(FakePG):
    """Says of no call what it asks for."""

    def asks(self, call: Call) -> Asks:
        return Emulator.asks(self, call)


class SilentOfRefunds(FakePG):
    def asks(self, call: Call) -> Asks:
        said = super().asks(call)
        return Asks(kind="other") if said.kind == "refund" else said


class SilentOfDates(FakePG):
    def asks(self, call: Call) -> Asks:
        said = super().asks(call)
        return Asks(kind="other") if said.kind == "schedule" else said


class Keyless(FakePG):
    """Issues no key by itself."""

    def controls(self) -> dict[str, object]:
        return {name: do for name, do in super().controls().items() if name != "issue_key"}


SILENT = {Silent: "a charge", SilentOfRefunds: "a refund", SilentOfDates: "a schedule"}


@pytest.mark.parametrize("provider", providers())
def test_every_shipped_emulator_says_what_is_asked_of_it(provider: str) -> None:
    assert hear(spec_of(provider)) == []


@pytest.mark.parametrize("kind", SILENT, ids=lambda kind: kind.__name__)
def test_a_silent_emulator_is_refused(kind: type[FakePG]) -> None:
    spec = evolve(FAKEPG, emulator=f"{__name__}:{kind.__name__}")
    said = f"fakepg: {kind.__name__}.asks\\(call\\) does not say of {SILENT[kind]} that it is one"
    with pytest.raises(CannotJudge, match=said):
        hear(spec)
    with pytest.raises(CannotJudge, match=said):
        shop_machine(spec)


@pytest.mark.parametrize("kind", [Silent, SilentOfRefunds], ids=lambda kind: kind.__name__)
def test_a_silent_emulator_does_not_keep_the_contract(kind: type[FakePG]) -> None:
    name = "the_emulator_says_of_each_request_that_moves_money_what_it_asks_for"
    duty, = (check for check in all_checks() if check.name == name)
    assert [r.verdict for r in run_check(subject_of(FAKEPG), duty)] == ["holds"]
    assert [r.verdict for r in run_check(subject_of(FAKEPG, emulator=kind), duty)] == ["broken"]


def test_the_command_refuses_it_in_one_line(monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "spec_of", lambda name: evolve(FAKEPG, emulator=f"{__name__}:Silent"))
    assert command.main(["--provider", "fakepg", "--charges", "25"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("simulation: fakepg: Silent.asks(call) does not say of a charge")
    assert len(printed.err.splitlines()) == 1


def test_keys_that_cannot_be_registered_are_issued_by_the_emulator(capsys: pytest.CaptureFixture[str],
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = evolve(FAKEPG, capabilities=FAKEPG.capabilities - {Capability.REGISTER})
    assert hear(lacking) == []
    keyless = evolve(lacking, emulator=f"{__name__}:Keyless")
    unplayed = ("fakepg: no charge of a key is played: keys are not registered through the provider, and the emulator "
                "has no control issue_key")
    assert hear(keyless) == [unplayed]
    monkeypatch.setattr(command, "simulate", lambda plan, *_, **__: command.Tally(plan.provider, plan.ledger))
    monkeypatch.setattr(command, "spec_of", lambda name: keyless)
    assert command.main(["--provider", "fakepg"]) == 0
    assert capsys.readouterr().err.splitlines() == [unplayed]


@pytest.mark.parametrize(("arguments", "said"), [
    (["--provider", "nosuch"], "simulation: no provider nosuch is installed"),
    (["--ledger", "postgres"], "simulation: a postgres ledger needs --dsn"),
])
def test_what_cannot_be_played_ends_with_2_and_one_line(arguments: list[str], said: str,
                                                        monkeypatch: pytest.MonkeyPatch,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("PAYGATE_SIMULATION_DSN", raising=False)
    assert command.main([*arguments, "--charges", "25"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(said)
    assert len(printed.err.splitlines()) == 1

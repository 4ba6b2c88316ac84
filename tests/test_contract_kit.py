"""The contract kit itself: what it counts, that nothing of it is switched off silently, and what its report says."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner

from paygate import Charge, Money, Payment
from paygate.capability import Capability
from paygate.cli.group import group
from paygate.flow import Flow
from paygate.testing.contract import ProviderContract, all_checks, report, subject_of
from paygate.testing.contract.acts import ACTS
from paygate.testing.contract.bench import Bench
from paygate.testing.contract.checks.secrecy import PERSON, _forms, _leaks
from paygate.testing.contract.checks.truth import LATEST_S
from paygate.testing.contract.registry import Check
from paygate.testing.contract.runner import run_check, run_one
from paygate.testing.contract.suite import switched_off
from paygate.testing.contract.told import Broke, expect
from paygate.testing.contract.troubles import CASES, FAULTS, MAIN, STRANGE
from paygate.testing.contract.wire import LIMIT
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FAKEPG, FakePG, FakeProvider

pytest_plugins = ["pytester"]

CHECKS = {check.name: check for check in all_checks()}
BARE = evolve(FAKEPG, capabilities=frozenset({Capability.FIND, Capability.LOOKUP}))
"""A provider that claims next to nothing: its contract is over soon."""
FILE = """
from attrs import evolve
from paygate.capability import Capability
from paygate.testing import ProviderContract
from paygate.testing.fakepg import FAKEPG

class TestBare(ProviderContract):
    provider = evolve(FAKEPG, capabilities=frozenset({Capability.FIND, Capability.LOOKUP}))
"""
GUARD = "test_nothing_of_the_contract_is_switched_off_without_a_reason"


# What there is

def test_there_are_more_than_a_hundred_checks_each_a_sentence_with_a_reason() -> None:
    assert len(CHECKS) > 200
    for check in CHECKS.values():
        assert re.fullmatch(r"[a-z0-9_]{12,}", check.name)
        assert len(check.name.split("_")) >= 5, check.name
        assert (check.body.__doc__ or "").strip(), check.name


def test_every_mutating_verb_meets_more_than_twenty_named_faults() -> None:
    assert {t.name for t in FAULTS} == {kind.value for kind in FaultKind}
    assert len(FAULTS) >= 27
    assert len(STRANGE) >= 40
    for kind in ACTS:
        alone = CHECKS[f"the_flow_of_a_{kind.word}_claims_nothing_it_was_not_told"].runs(subject_of("fakepg"))
        asked = CHECKS[f"a_{kind.word}_is_told_as_it_is_whatever_goes_wrong"].runs(subject_of("fakepg"))
        assert {case for _, case in alone} == set(CASES if kind.is_main else MAIN)
        assert {case for _, case in asked} == set(CASES if kind.is_main and kind.is_once else MAIN)
    assert {kind.verb for kind in ACTS} == {kind.verb for kind in ACTS if kind.is_main}


def test_every_verb_that_changes_something_is_among_the_acts() -> None:
    looks = {"find", "lookup", "listing", "find_schedule", "schedules", "lookup_key", "keys", "receive",
             "cancel_partly"}
    assert {c.value for c in Capability} - looks <= {kind.verb for kind in ACTS} | {"pause"}


@pytest.mark.parametrize("capability", sorted(Capability))
def test_every_capability_has_checks_that_need_it(capability: Capability) -> None:
    assert [c.name for c in CHECKS.values() if capability in c.needs]


def test_what_is_not_claimed_is_left_out_with_that_as_its_reason() -> None:
    subject = subject_of(BARE)
    reasons = {c.name: c.why_not(subject) for c in CHECKS.values()}

    assert reasons["a_charge_takes_exactly_its_money_once"] == "not claimed: charge"
    assert reasons["a_payment_that_never_was_is_told_as_not_there"] is None


# What it sees

def broken(check: str, build: Any, **changes: Any) -> list[str]:
    """Why a check says that a FakePG provider made by `build` is broken; empty where it holds."""
    subject = subject_of(evolve(FAKEPG, build=build, **changes))
    return [r.why or "" for r in run_check(subject, CHECKS[check]) if r.verdict == "broken"]


class Right(FakeProvider):
    """As it should be."""


class Endless(FakeProvider):
    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        while True:
            yield from super().lookup(provider_id, order_id)


class Greedy(FakeProvider):
    def charge(self, command: Charge) -> Flow[Payment]:
        return super().charge(evolve(command, money=Money(command.money.amount + 10, command.money.currency)))


class Crashing(FakeProvider):
    def charge(self, command: Charge) -> Flow[Payment]:
        raise ZeroDivisionError


class ByHand(FakeProvider):
    def charge(self, command: Charge) -> Flow[Payment]:
        flow = super().charge(command)
        request = next(flow)
        try:
            while True:
                request = flow.send((yield request))
        except StopIteration as stop:
            payment: Payment = stop.value
            return payment


def test_a_flow_that_hands_answers_to_another_by_hand_reaches_for_nothing() -> None:
    assert broken("a_flow_reaches_for_nothing_but_its_requests", ByHand) == []


def test_a_provider_that_asks_for_ever_is_stopped() -> None:
    why, = {text.partition(" (")[0] for text in broken("a_payment_that_never_was_is_told_as_not_there", Endless)}

    assert f"more than {LIMIT} requests" in why


def test_the_journal_and_not_the_provider_says_what_was_taken() -> None:
    assert broken("a_charge_takes_exactly_its_money_once", Right) == []
    assert broken("a_charge_takes_exactly_its_money_once", Greedy)


def test_a_crash_breaks_the_contract_too() -> None:
    assert all("ZeroDivisionError" in why for why in broken("a_charge_takes_exactly_its_money_once", Crashing))


def test_each_check_has_a_pg_and_a_ledger_of_its_own() -> None:
    with Bench(subject_of("fakepg")) as bench:
        bench.do("charge", bench.charge())
        with bench.fresh() as other, bench.another() as beside:
            assert other.journal == []
            assert beside.journal is bench.journal
            assert beside.ledger is not bench.ledger


def test_what_left_is_seen_at_the_transport_with_its_host_and_the_money_it_moved() -> None:
    with Bench(subject_of("fakepg")) as bench:
        command = bench.charge()
        mark = bench.mark
        bench.do("charge", command)
        seen = bench.sent(mark)

    assert [s.line for s in seen] == ["POST /charges"]
    assert (seen[0].host, seen[0].scheme) == ("fakepg.example", "https")
    assert [m.money for m in seen[0].moved] == [command.money]


def test_the_scan_for_secrets_finds_each_of_their_forms() -> None:
    for name, text in PERSON.items():
        for form in _forms(text):
            assert _leaks("here", b"..." + form + b"...", {name: text}) == [f"{name} is in here"]


def test_the_kit_waits_longer_than_the_latest_of_its_troubles() -> None:
    assert LATEST_S > 120


def test_expectations_hold_under_optimised_python() -> None:
    with pytest.raises(Broke, match="because"):
        expect(False, "because")


def test_a_check_that_finds_out_that_it_does_not_fit_says_why() -> None:
    class Quiet(FakePG):
        def controls(self) -> dict[str, Any]:
            return {k: v for k, v in super().controls().items() if k != "next_charge"}

    subject = subject_of(FAKEPG, emulator=Quiet)
    result = run_one(subject, CHECKS["a_declined_charge_is_told_as_declined_and_takes_nothing"], "sync", None)

    assert (result.verdict, result.why) == ("not here", "the emulator has no control next_charge('failed', message=…)")


# Nothing is switched off silently

class Contract(ProviderContract):
    """Collected by nobody: it stands for a class that somebody writes."""

    provider = BARE
    __test__ = False


TESTS = {name for name in vars(ProviderContract) if name.startswith("test_")}


@pytest.mark.parametrize(("attributes", "fault"), [
    ({"test_a_payment_that_never_was_is_told_as_not_there": lambda self: None}, "replaces test_a_payment_that_never"),
    ({GUARD: lambda self: None}, f"replaces {GUARD}"),
    ({"pytest_generate_tests": lambda self, metafunc: None}, "replaces pytest_generate_tests"),
    ({"reasons": {"test_nothing_like_it": "why"}}, "gives a reason for test_nothing_like_it"),
    ({"reasons": {"test_a_payment_that_never_was_is_told_as_not_there": " "}}, "gives no reason for"),
    ({"reasons": {GUARD: "because"}}, "cannot be switched off"),
    ({"pytestmark": [pytest.mark.skip]}, "is marked skip"),
    ({"pytestmark": [pytest.mark.xfail]}, "is marked xfail"),
])
def test_whatever_is_switched_off_is_named(attributes: dict[str, Any], fault: str) -> None:
    cls = type("Changed", (Contract,), {**attributes, "__test__": False})

    assert [f for f in switched_off(cls, TESTS) if fault in f]
    assert switched_off(Contract, TESTS) == []


def test_tests_of_ones_own_may_stand_beside_it() -> None:
    assert switched_off(type("Beside", (Contract,), {"test_mine": lambda self: None, "__test__": False}), TESTS) == []


def test_a_class_of_one_line_runs_the_whole_contract(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_bare=FILE)

    result = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider")

    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) == 0
    assert outcomes["passed"] > 20
    assert outcomes["skipped"] > 100


ENTRY = "test_every_profile_entry_says_how_it_is_known"


@pytest.mark.parametrize(("more", "options", "is_green"), [
    ("", ["--deselect", f"test_bare.py::TestBare::{ENTRY}"], False),
    ("", ["-k", "profile_entry"], True),
    ("", [f"test_bare.py::TestBare::{ENTRY}", f"test_bare.py::TestBare::{GUARD}"], True),
    ("    pytestmark = __import__('pytest').mark.skip(reason='later')\n", [], False),
    (f"    reasons = {{'{ENTRY}': 'it does hold'}}\n", ["-k", "profile_entry"], False),
], ids=["deselected", "looked for", "named", "skipped", "stale reason"])
def test_a_skip_a_deselection_and_a_stale_reason_fail_the_suite(pytester: pytest.Pytester, more: str,
                                                                options: list[str], is_green: bool) -> None:
    pytester.makeini("[pytest]\n")  # Node ids begin here, wherever this folder is.
    pytester.makepyfile(test_bare=FILE + more)

    outcomes = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", *options).parseoutcomes()

    assert (outcomes.get("failed", 0) + outcomes.get("errors", 0) == 0) is is_green


def test_a_reason_makes_what_does_not_hold_an_expected_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_bare=FILE.replace("Capability.LOOKUP}))", """Capability.LOOKUP}),
        hosts=("fakepg.example", "*.example"))
    reasons = {"test_the_pgs_address_is_https_on_one_of_its_own_hosts": "the PG has a host for every merchant"}
"""))

    outcomes = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", "-k", "address or switched").parseoutcomes()

    assert outcomes["xfailed"] == 1
    assert {"failed", "errors", "xpassed"} & set(outcomes) == set()


# The report

FEW = [check for check in CHECKS.values() if check.room in ("declared", "lookups", "echoes")]


def test_two_reports_are_the_same_bytes() -> None:
    first, second = (report.made(subject_of("fakepg"), FEW) for _ in range(2))

    for write in (report.as_json, report.as_html, report.as_badge):
        assert write(first) == write(second)


def test_a_report_tells_versions_claims_results_and_its_own_hash() -> None:
    made = json.loads(report.as_json(report.made(subject_of("fakepg"), FEW)))

    assert set(made["versions"]) >= {"python", "paygate-core"}
    assert made["capabilities"]["charge"] is True
    assert made["capabilities"]["subscribe"] is False
    assert {line["verdict"] for line in made["checks"]} <= {"holds", "not here"}
    assert sum(made["summary"].values()) == len(made["checks"]) == len(FEW)
    assert re.fullmatch("[0-9a-f]{64}", made["sha256"])
    without = {k: v for k, v in made.items() if k != "sha256"}
    text = json.dumps(without, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == made["sha256"]


def test_what_is_broken_is_told_with_its_why_and_turns_the_badge_red() -> None:
    subject = subject_of(evolve(FAKEPG, build=Greedy))
    made = report.made(subject, [CHECKS["a_charge_takes_exactly_its_money_once"]])

    assert not made.holds
    assert "1 broken" in report.as_badge(made)
    assert "charge of an order that the PG takes raised OutcomeUnknown" in report.as_html(made)


def test_a_report_holds_no_text_of_a_plugin_as_markup() -> None:
    loud = evolve(FAKEPG, title="<script>alert(1)</script>")
    page = report.as_html(report.made(subject_of(loud), FEW[:3]))

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_command_writes_its_files_and_exits_with_the_verdict(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paygate.cli.contract.all_checks", lambda: FEW)
    files = [tmp_path / name for name in ("a.json", "a.html", "a.svg")]
    result = CliRunner().invoke(group, ["contract", "fakepg", "--json", str(files[0]), "--html", str(files[1]),
                                        "--badge", str(files[2])])

    assert result.exit_code == 0, result.output
    assert "0 broken" in result.output
    assert all(file.stat().st_size > 100 for file in files)
    assert json.loads(files[0].read_text(encoding="utf-8"))["sha256"] in result.output


def test_the_command_fails_for_a_broken_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    only: list[Check] = [CHECKS["a_charge_takes_exactly_its_money_once"]]
    monkeypatch.setattr("paygate.cli.contract.all_checks", lambda: only)
    monkeypatch.setattr("paygate.testing.fakepg.FAKEPG", evolve(FAKEPG, build=Greedy))
    result = CliRunner().invoke(group, ["contract", "fakepg"])

    assert result.exit_code == 1
    assert "broken: A charge takes exactly its money once." in result.output


def test_the_command_names_a_provider_that_is_not_installed() -> None:
    result = CliRunner().invoke(group, ["contract", "acme"])

    assert result.exit_code == 2
    assert "no provider acme" in result.output + result.stderr

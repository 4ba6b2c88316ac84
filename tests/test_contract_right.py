"""Right providers that are unlike FakePG in what their PG takes: the contract holds for them as well."""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from paygate import Charge, Money, Response
from paygate.capability import assumed
from paygate.commands import DatedCharge, Pay, Register
from paygate.errors import BadCommand
from paygate.testing.contract import all_checks, subject_of
from paygate.testing.contract.bench import Bench
from paygate.testing.contract.runner import run_one
from paygate.testing.contract.subject import Subject
from paygate.testing.emulator import json_response
from paygate.testing.fakepg import FAKEPG, FakePG, FakeProvider
from paygate.testing.story import Story

IDS = r"[A-Za-z0-9]{6,20}"
SMALL = Money(800, "USD")
LEAST, MOST = Money(50, "USD"), Money(1_500_000, "USD")


class Strict(FakeProvider):
    """Checks by itself what its PG takes."""

    def check(self, command: Any) -> None:
        super().check(command)
        for order in (command, *getattr(command, "charges", ())):
            if isinstance(order, (Pay, Register, Charge, DatedCharge)) and not re.fullmatch(IDS, order.order_id):
                raise BadCommand("such an order id is not taken; nothing was sent")
            money = getattr(order, "money", None)
            if isinstance(order, (Pay, Charge, DatedCharge)) and money.currency == LEAST.currency and money < LEAST:
                raise BadCommand("so little is not taken; nothing was sent")


class Small(FakePG):
    """A PG of a few dollars and of short ids, with a largest amount."""

    def story(self) -> Story:
        told = super().story()
        held = told.schedule
        assert told.pay is not None
        assert told.register is not None
        assert held is not None
        return evolve(
            told, cancel_part=Money(300, "USD"), charge_order_id="storycharge",
            pay=evolve(told.pay, money=SMALL, order_id="storypay"),
            register=evolve(told.register, money=SMALL, order_id="storyregister"),
            charge=lambda key, order_id: Charge(order_id=order_id, billing_key=key, money=SMALL, title="plan"),
            schedule=lambda key: evolve(held(key), charges=[evolve(c, money=SMALL, order_id=c.order_id.replace("-", ""))
                                                            for c in held(key).charges]))

    def _charge(self, body: dict[str, Any]) -> Response:
        if body["amount"] > MOST.amount and body["currency"] == MOST.currency:
            return json_response(422, b'{"code": "too_much", "message": "over the limit"}')
        return super()._charge(body)


def right() -> Subject:
    profile = evolve(FAKEPG.profile, order_id_pattern=assumed(IDS, "test"), maximum=assumed(MOST, "test"),
                     currencies=assumed(("USD", "KRW"), "test"), minimum=assumed(LEAST, "test"))
    return subject_of(evolve(FAKEPG, build=Strict, profile=profile), emulator=Small)


def broken(subject: Subject) -> list[str]:
    """What does not hold; of checks with many cases, the first six of them tell as much."""
    found = []
    for check in all_checks():
        if check.why_not(subject) is None and check.room not in ("model", "answers"):
            for face, case in [run for run in check.runs(subject) if run[0] == "sync"][:6]:
                result = run_one(subject, check, face, case)
                found += [f"{result.run}: {result.why}"] if result.verdict == "broken" else []
    return found


def test_a_pg_of_short_ids_small_amounts_and_a_largest_one_is_no_broken_one() -> None:
    assert broken(right()) == []


def test_order_ids_and_amounts_are_made_from_the_profile() -> None:
    with Bench(right()) as bench:
        assert all(re.fullmatch(IDS, bench.order(word)) for word in ("o", "charge", "registration"))
        assert bench.another_money(1) != bench.another_money(2) != bench.money
        assert bench.another_money(1).amount % 10 == bench.money.amount % 10

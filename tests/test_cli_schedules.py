"""`paygate schedules` and `paygate subscriptions`: what they list, show and change; exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, KEY, Shop, schedule, won
from test_cli_due import owe, run, shop, subscribe  # noqa: F401 (fixtures)
from test_plans import open_shop

from paygate import BadCommand, InProgress, Interval, Schedule, SubscribeKey, Unsupported

Run = Callable[..., Result]
SOON = datetime.now(UTC) + timedelta(days=400)


def words(told: Result) -> list[list[str]]:
    return [line.split() for line in told.stdout.splitlines()]


def said(told: Result) -> Any:
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout)


def test_nothing_that_waits_is_said_with_0(run: Run) -> None:  # noqa: F811
    for command, nothing in (("schedules", "no dated charge waits\n"), ("subscriptions", "no subscription runs\n")):
        told = run(command, "list")
        assert (told.exit_code, told.stdout) == (0, nothing)
        assert said(run(command, "list", "--json")) == {command: []}


def test_dated_charges_are_listed_by_their_dates_and_shown(run: Run, shop: Shop) -> None:  # noqa: F811
    owe(shop, "s1")
    subscribe(shop)
    assert words(run("schedules", "list"))[1:] == [
        ["2026-01-05", "04:00:00Z", "s1", "14,000", "KRW", "scheduled", "–"]]
    assert said(run("schedules", "list", "--json"))["schedules"] == [{
        "order_id": "s1", "due_at": "2026-01-05T04:00:00.000Z", "amount": 14_000, "currency": "KRW",
        "status": "scheduled", "payment": None, "provider_id": None, "attention": None}]
    shop.clock.advance(3600)
    shop.run_due()
    assert said(run("schedules", "show", "s1", "--json"))["payment"] == "paid"
    assert words(run("schedules", "show", "s1"))[1][-2:] == ["executed", "paid"]


def test_a_moved_charge_is_made_at_its_new_date_only(run: Run, shop: Shop) -> None:  # noqa: F811
    owe(shop, "s1")
    assert said(run("schedules", "move", "s1", SOON.isoformat(), "--json"))["due_at"][:16] == SOON.isoformat()[:16]
    shop.clock.advance(7200)
    assert shop.run_due().taken_up == 0
    shop.clock.advance((SOON - shop.clock.now()).total_seconds() + 1)
    assert shop.run_due().paid == ["s1"]
    assert run("schedules", "move", "s1", (SOON + timedelta(days=9)).isoformat()).exit_code == 2


def test_a_stopped_charge_is_not_made(run: Run, shop: Shop) -> None:  # noqa: F811
    owe(shop, "s1")
    assert words(run("schedules", "cancel", "s1"))[1][-2:] == ["revoked", "–"]
    assert said(run("schedules", "cancel", "s1", "--json"))["status"] == "revoked"
    shop.clock.advance(7200)
    assert (shop.run_due().taken_up, shop.pg.journal.entries) == (0, [])


@pytest.mark.parametrize("arguments", [
    ("schedules", "move", "s1", "tomorrow"), ("schedules", "move", "s1", "2099-01-01T00:00"),
    ("schedules", "move", "s1", "2026-01-05T04:00Z"), ("schedules", "move", "nothing", "2099-01-01T00:00Z"),
    ("schedules", "cancel", "nothing"), ("schedules", "cancel", "sub-1"), ("subscriptions", "show", "nothing"),
    ("subscriptions", "pause", "nothing"), ("subscriptions", "cancel", "sub"), ("subscriptions", "resume", "s1")])
def test_what_cannot_be_ends_with_2_and_changes_nothing(run: Run, shop: Shop,  # noqa: F811
                                                        arguments: tuple[str, ...]) -> None:
    owe(shop, "s1")
    subscribe(shop)
    before = shop.planned(SOON)
    told = run(*arguments)
    assert (told.exit_code, told.stdout) == (2, ""), told.output
    assert shop.planned(SOON) == before


def test_subscriptions_are_listed_paused_ones_too(run: Run, shop: Shop) -> None:  # noqa: F811
    subscribe(shop)
    assert words(run("subscriptions", "pause", "sub"))[1][:2] == ["sub", "paused"]
    one, = said(run("subscriptions", "list", "--json"))["subscriptions"]
    assert (one["order_id"], one["status"], one["next_due_at"], one["paid_periods"], one["every"]) == (
        "sub", "paused", None, 1, {"unit": "month", "count": 1})
    assert words(run("subscriptions", "list"))[1][:5] == ["sub", "paused", "9,000", "KRW", "month"]
    shop.clock.advance(86_400 * 300)
    assert shop.run_due().taken_up == 0
    assert said(run("subscriptions", "resume", "sub", "--json"))["status"] == "active"


def test_a_subscription_is_stopped_at_its_periods_end_or_now(run: Run, shop: Shop) -> None:  # noqa: F811
    for order_id in ("one", "two"):
        shop.subscribe_key(SubscribeKey(order_id=order_id, billing_key=KEY, money=won(9_000), title="Tea",
                                        every=Interval("year", 9), run_by="paygate"))
    ending = said(run("subscriptions", "cancel", "one", "--why", "moved away", "--json"))
    assert (ending["status"], ending["ends_at"]) == ("ending", "2035-01-05T03:00:00.000Z")
    assert said(run("subscriptions", "cancel", "two", "--now", "--why", "moved away", "--json"))["status"] == "ended"
    assert [one["order_id"] for one in said(run("subscriptions", "list", "--json"))["subscriptions"]] == ["one"]
    assert words(run("subscriptions", "show", "two"))[1][:6] == ["two", "ended", "9,000", "KRW", "9", "years"]
    assert any("moved away" in line.note for line in shop.trail("one"))


def test_a_subscription_in_the_hands_of_a_worker_ends_with_4(run: Run, shop: Shop) -> None:  # noqa: F811
    subscribe(shop)
    shop.clock.advance((SOON - shop.clock.now()).total_seconds())  # The lease is over the machine's time, too.
    shop.claim_due()
    assert run("subscriptions", "pause", "sub").exit_code == 4


@pytest.mark.parametrize("face", FACES)
def test_moving_keeps_the_id_and_leaves_the_command_repeatable(face: str) -> None:
    with open_shop(face) as made:
        asked = Schedule(billing_key=KEY, charges=schedule(made, "s1").charges, run_by="paygate")
        made.schedule(asked)
        later = made.clock.now() + timedelta(days=3)
        assert made.move_schedule("s1", later).due_at == later
        assert made.schedule(asked)[0].due_at == later
        for wrong in (made.clock.now(), later.replace(tzinfo=None)):
            with pytest.raises(BadCommand):
                made.move_schedule("s1", wrong)
        made.clock.advance(3 * 86_400)
        made.claim_due()
        with pytest.raises(InProgress):
            made.move_schedule("s1", later + timedelta(days=1))


def test_what_the_pg_holds_is_not_moved_here() -> None:
    with open_shop() as made:
        made.schedule(schedule(made, "s1"))
        with pytest.raises(Unsupported, match="unschedule"):
            made.move_schedule("s1", made.clock.now() + timedelta(days=3))

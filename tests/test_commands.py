"""Commands refuse what may not be sent when they are made, before ledger and PG (F01, F51, F54, F57, R13)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paygate import (
    BadCommand,
    BillingKey,
    Cancel,
    CancelWhole,
    Charge,
    Customer,
    DatedCharge,
    DeleteKey,
    MemoryLedger,
    Money,
    Pay,
    Register,
    Schedule,
    SchedulesOf,
    Unschedule,
    connect,
    new_order_id,
)
from paygate.commands import ORDER_ID
from paygate.scheduler.plan import check_room
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport

KEY = BillingKey("fakepg", "key-1")
WON = Money(14_000, "KRW")
SOON = datetime(2026, 2, 1, tzinfo=UTC)
NAIVE = datetime(2026, 2, 1)  # noqa: DTZ001 (that it has no zone is the point)
GOOD: dict[type, dict[str, Any]] = {
    Pay: {"order_id": "o1", "money": WON, "title": "Tea", "return_url": "https://shop.example/back"},
    Register: {"order_id": "o1", "money": WON, "title": "Tea", "return_url": "https://shop.example/back"},
    Charge: {"order_id": "o1", "billing_key": KEY, "money": WON, "title": "Tea"},
    DatedCharge: {"order_id": "o1", "due_at": SOON, "money": WON, "title": "Tea"},
    Cancel: {"cancel_id": "c1", "order_id": "o1", "money": WON, "reason": "returned"},
    CancelWhole: {"cancel_id": "c1", "order_id": "o1", "reason": "returned"},
    DeleteKey: {"billing_key": KEY, "reason": "left"},
    SchedulesOf: {"billing_key": KEY, "start": SOON, "end": SOON + timedelta(days=1)},
}
IDS = [(kind, name) for kind, fields in GOOD.items() for name in fields if name in ("order_id", "cancel_id")]
MONEYS = [kind for kind, fields in GOOD.items() if "money" in fields]
TEXTS = [(kind, name) for kind, fields in GOOD.items() for name in fields if name in ("title", "reason")]
URLS = [kind for kind, fields in GOOD.items() if "return_url" in fields]
KEYS = [kind for kind, fields in GOOD.items() if "billing_key" in fields]


def refused(kind: type, **changes: Any) -> None:
    with pytest.raises(BadCommand) as caught:
        kind(**{**GOOD[kind], **changes})
    assert isinstance(caught.value, ValueError)
    assert caught.value.moved is False
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", GOOD)
def test_a_command_that_says_what_it_should_is_made(kind: type) -> None:
    kind(**GOOD[kind])


@pytest.mark.parametrize(("kind", "name"), IDS)
@pytest.mark.parametrize("id", [
    "", " ", "a b", "a" * 41, "주문", "a\x00", "a\n", "a\r\nb", "\ud800", "a/b", "..", "a.b", "a?b", "a%2e", "é",
    "e\u0301",
    "a\u202eb", "😀", "x" * 1_000_000, None, 7, b"o1", True, ["o1"],
])
def test_an_id_that_might_not_arrive_as_it_is_is_refused(kind: type, name: str, id: Any) -> None:
    refused(kind, **{name: id})


@pytest.mark.parametrize(("kind", "name"), IDS)
def test_an_id_of_forty_letters_is_the_longest(kind: type, name: str) -> None:
    kind(**{**GOOD[kind], name: "aZ09_-" + "x" * 34})


@given(st.text())
@settings(max_examples=300, derandomize=True)
def test_any_text_is_an_id_exactly_when_every_character_is_allowed(text: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    if 1 <= len(text) <= 40 and set(text) <= allowed:
        assert Charge(**{**GOOD[Charge], "order_id": text}).order_id == text
    else:
        refused(Charge, order_id=text)


def test_new_ids_are_unguessable_distinct_and_allowed() -> None:
    made = {new_order_id() for _ in range(1000)} | {new_order_id("sub-2026") for _ in range(1000)}
    assert len(made) == 2000
    assert all(ORDER_ID.fullmatch(id) for id in made)
    drawn = {id.removeprefix("sub-2026") for id in made}
    assert len({c for id in drawn for c in id}) == 32
    assert {len(id) for id in drawn} == {20}  # 5 bits each: 100


def test_new_ids_leave_room_for_the_ids_of_a_subscriptions_charges() -> None:
    check_room(new_order_id("sub-2026"))


@pytest.mark.parametrize("prefix", ["too-long-1", "a b", "é", "\n", "/"])
def test_a_prefix_that_may_not_stand_in_an_id_is_refused(prefix: str) -> None:
    with pytest.raises(BadCommand):
        new_order_id(prefix)


@pytest.mark.parametrize("kind", MONEYS)
@pytest.mark.parametrize("money", [Money(0, "KRW"), None, 14_000, 14_000.0, "14000", True, float("nan")])
def test_every_amount_is_money_above_zero(kind: type, money: Any) -> None:
    refused(kind, money=money)


def test_a_refund_without_an_amount_cannot_be_said() -> None:
    said = {k: v for k, v in GOOD[Cancel].items() if k != "money"}
    with pytest.raises(TypeError):
        Cancel(**said)
    with pytest.raises(TypeError):
        CancelWhole(**GOOD[CancelWhole], money=WON)  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [Pay, Charge, DatedCharge])
@pytest.mark.parametrize("tax_free", [Money(14_001, "KRW"), Money(1, "USD"), 100, 1.0, True])
def test_the_untaxed_part_is_money_of_the_same_currency_and_at_most_the_whole(kind: type, tax_free: Any) -> None:
    refused(kind, tax_free=tax_free)
    kind(**GOOD[kind], tax_free=WON)


@pytest.mark.parametrize(("kind", "name"), TEXTS)
@pytest.mark.parametrize("text", ["", "a\x00", "a\nb", "a\rb", "\x1b[31m", "\x7f", "\x9b", "a\ud800", "a\u2028b",
                                  "x" * 201, None, 5, b"tea"])
def test_text_that_could_not_arrive_as_it_is_is_refused(kind: type, name: str, text: Any) -> None:
    if text is None:
        with pytest.raises((BadCommand, TypeError)):
            kind(**{k: v for k, v in GOOD[kind].items() if k != name})
        return
    refused(kind, **{name: text})


@pytest.mark.parametrize(("kind", "name"), TEXTS)
@pytest.mark.parametrize("text", ["녹차 한 통", "차\u1112\u1161\u11ab", "😀", "\u05d0\u05d1", "x" * 200])
def test_text_of_any_script_is_taken_as_it_is(kind: type, name: str, text: str) -> None:
    assert getattr(kind(**{**GOOD[kind], name: text}), name) == text


@pytest.mark.parametrize("name", ["id", "name", "phone", "email", "address", "postcode"])
@pytest.mark.parametrize("text", ["", "a\nb", "a\x00", "\ud800", "x" * 201])
def test_a_payer_described_in_text_that_could_not_arrive_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadCommand) as caught:
        Customer(**{name: text})
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("kind", URLS)
@pytest.mark.parametrize("url", [
    "", "javascript:alert(1)", "ftp://shop.example/", "http://shop.example/", "https://", "//shop.example/", "/back",
    "https://user@shop.example/", "https://user:pw@shop.example/", "https://shop.example/#part",
    "https://shop.example/\r\nX: y",
    "https://shop.example/a b", "https://상점.example/", "https://shop.example/\\evil", "https://shop.example:99999/",
    "https://[::1", "https://shop.example/" + "a" * 2000, "data:text/html,x", None, 5,
])
def test_a_payer_is_sent_back_only_to_a_plain_https_address(kind: type, url: Any) -> None:
    refused(kind, return_url=url)


@pytest.mark.parametrize("url",
                         ["http://127.0.0.1:8000/back", "http://localhost/back", "http://[::1]:9/",
                          "https://a.example/?x=1"])
def test_this_machine_may_be_spoken_to_without_tls(url: str) -> None:
    Pay(**{**GOOD[Pay], "return_url": url})


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("key", [None, "key-1", b"key", 5])
def test_a_billing_key_is_one_and_not_its_text(kind: type, key: Any) -> None:
    refused(kind, billing_key=key)


@pytest.mark.parametrize("due_at", [
    NAIVE, datetime(2100, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC),
    datetime(1970, 1, 21, tzinfo=UTC), 1_770_000_000, 1_770_000_000_000, "2026-02-01T00:00:00Z", None, SOON.date(),
])
def test_an_instant_is_a_datetime_with_a_zone_in_this_century(due_at: Any) -> None:
    refused(DatedCharge, due_at=due_at)
    refused(SchedulesOf, end=due_at)


def test_the_last_second_before_2100_counts_in_its_own_zone() -> None:
    seoul = timezone(timedelta(hours=9))
    DatedCharge(**{**GOOD[DatedCharge], "due_at": datetime(2100, 1, 1, 8, 59, tzinfo=seoul)})
    refused(DatedCharge, due_at=datetime(2099, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=9))))


def test_a_span_of_time_ends_after_it_begins() -> None:
    refused(SchedulesOf, end=SOON)
    refused(SchedulesOf, end=SOON - timedelta(days=1))


def test_a_schedule_names_each_charge_once_and_at_least_one() -> None:
    item = DatedCharge(**GOOD[DatedCharge])
    for charges in ([], [item, item], ["o1"], [None], (i for i in ())):
        with pytest.raises(BadCommand):
            Schedule(billing_key=KEY, charges=charges)  # type: ignore[arg-type]


@pytest.mark.parametrize("order_ids",
                         [(), [], "o1", None, ("o1", "o1"), ("",), ("..",), (None,), ({},), {"o1"}, iter(["o1"])])
def test_there_is_no_way_to_stop_charges_without_naming_them(order_ids: Any) -> None:
    with pytest.raises((BadCommand, TypeError)) as caught:
        Unschedule(billing_key=KEY, order_ids=order_ids)
    assert isinstance(caught.value, BadCommand)


@pytest.mark.parametrize("kind", [Cancel, CancelWhole, DeleteKey])
def test_a_refund_is_asked_for_by_the_customer_or_the_admin(kind: type) -> None:
    refused(kind, requested_by="robot")
    kind(**GOOD[kind], requested_by="admin")


@pytest.mark.parametrize("kind", [Pay, Register, Charge, DatedCharge, Cancel, CancelWhole])
@pytest.mark.parametrize("extra", [None, [], "x", {"fakepg": 1}, {1: {}}, {"fakepg": [("a", 1)]}])
def test_extra_is_a_table_of_tables(kind: type, extra: Any) -> None:
    refused(kind, extra=extra)


def test_a_command_that_this_gateway_cannot_take_leaves_no_row_and_no_call() -> None:
    pg, ledger = FakePG(), MemoryLedger()
    gate = connect(FAKEPG, pg.settings(), ledger=ledger, http=EmulatorTransport(pg), clock=pg.clock)
    past = pg.clock.now() - timedelta(seconds=1)
    foreign = BillingKey("another", "key-1")
    for verb, command in [
        (gate.charge, Charge(**{**GOOD[Charge], "money": Money(100, "JPY")})),
        (gate.charge, Charge(**{**GOOD[Charge], "billing_key": foreign})),
        (gate.pay, Pay(**{**GOOD[Pay], "money": Money(100, "JPY")})),
        (gate.cancel, Cancel(**{**GOOD[Cancel], "money": Money(100, "JPY")})),
        (gate.schedule, Schedule(billing_key=KEY, charges=[DatedCharge(**{**GOOD[DatedCharge], "due_at": past})])),
        (gate.schedule,
         Schedule(billing_key=KEY, charges=[DatedCharge(**{**GOOD[DatedCharge], "money": Money(1, "JPY")})])),
        (gate.schedule, Schedule(billing_key=foreign, charges=[DatedCharge(**GOOD[DatedCharge])])),
        (gate.unschedule, Unschedule(billing_key=foreign, order_ids=("o1",))),
        (gate.delete_key, DeleteKey(**{**GOOD[DeleteKey], "billing_key": foreign})),
    ]:
        with pytest.raises(BadCommand):
            verb(command)  # type: ignore[operator]
    assert pg.calls == []
    assert gate.pending() == []
    assert gate.trail("o1") == []
    assert gate.trail("c1") == []

"""V2 webhooks: which signatures are believed, what a message that comes again does, and what each event is about.

Every signature here is worked out by hand from the published rule, never with the provider's or the emulator's code.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator, Switches, UnmanagedEmulator

from paygate.assemble import connect
from paygate.errors import BadSettings, Declined, Forged, OutcomeUnknown
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.ledger.row import State
from paygate.model import Event, EventKind
from paygate.testing.emulator import VirtualClock
from paygate.testing.transport import EmulatorTransport
from paygate.web import Inbox, Receiver
from paygate.web.exchange import Asked
from paygate.web.run import carry_out

SPECS = {spec.name: spec for spec in paygate_providers()}
NOW = 1_767_582_000
"""2026-01-05T03:00:00Z, where the emulators' clock starts."""


def mark(key: str, stamp: int | str, body: bytes) -> str:
    """One signature: base64(HMAC-SHA256(verification key, "<timestamp>.<raw body>"))."""
    return base64.b64encode(hmac.new(key.encode(), str(stamp).encode() + b"." + body, hashlib.sha256).digest()).decode()


def header(stamp: int | str, *marks: str) -> dict[str, str]:
    return {"content-type": "application/json", "Steppay-Signature": f"timestamp={stamp},key={';'.join(marks)}"}


def envelope(event: str, data: Mapping[str, Any], stamp: Any = NOW, **more: Any) -> bytes:
    return json.dumps({"timestamp": stamp, "version": "v1", "event": event, "data": data, **more}).encode()


class Shop:
    """A merchant with verification keys, and the emulated PG. Its webhooks are made here, not there."""

    def __init__(self, kind: type[ManagedEmulator | UnmanagedEmulator], *keys: str) -> None:
        self.pg = kind(switches=Switches(hooks=()))
        self.gate: Gateway = connect(SPECS[kind.name], {**self.pg.settings(), "webhook_keys": list(keys)},
                                     ledger=MemoryLedger(), http=EmulatorTransport(self.pg), clock=self.pg.clock)

    def registered(self) -> str:
        """A payer registers; the browser never comes back. The idKey."""
        command = self.pg.story().register
        assert command is not None
        return self.pg.browse(self.gate.register(command).action.to_dict())["idKey"]

    def now(self) -> int:
        return int(self.pg.clock.now().timestamp())

    def send(self, body: bytes, *, key: str = "k1", at: int | None = None) -> Event:
        stamp = self.now() if at is None else at
        return self.gate.receive(header(stamp, mark(key, stamp, body)), body)

    def lookups(self) -> int:
        return len([c for c in self.pg.calls if c.method == "GET"])


def paid(id_key: str, stamp: int = NOW) -> bytes:
    return envelope("payment.completed", {
        "paymentId": 551, "idKey": id_key, "orderId": "story-register", "customerId": "payer-77", "paidAmount": 14000,
        "status": "COMPLETE", "paymentGateway": "NICE", "paymentMethod": "CARD_BILL", "paymentOnly": True}, stamp)


@pytest.fixture
def shop() -> Shop:
    return Shop(UnmanagedEmulator, "k1", "k2")


OTHER = envelope("customer.created", {"id": 5})


# Signatures

def test_the_held_vector_is_what_the_published_rule_gives() -> None:
    body = b'{"timestamp":1706002316,"version":"v1","event":"payment.completed","data":{"paymentId":1}}'
    assert mark("test-verification-key", 1706002316, body) == "rCHLFjIkJAzMbYESF9Eb6lAyqvZmiUXEkxFFyp3kgBY="
    gate = connect(SPECS["steppay-managed"], {"secret_token": "t", "product_code": "p", "webhook_keys": [
        "test-verification-key"]}, ledger=MemoryLedger(), clock=VirtualClock(datetime.fromtimestamp(1706002316, UTC)))
    event = gate.receive(header(1706002316, "rCHLFjIkJAzMbYESF9Eb6lAyqvZmiUXEkxFFyp3kgBY="), body)
    assert (event.kind, event.verified_by) == (EventKind.OTHER, "signature")


@pytest.mark.parametrize("signers", [("k1",), ("k2",), ("k1", "k2"), ("old", "k2"), ("k2", "new"),
                                     ("a", "b", "c", "d", "k1")])
def test_while_keys_are_rotated_any_of_ours_may_fit_any_of_theirs(shop: Shop, signers: tuple[str, ...]) -> None:
    marks = [mark(key, NOW, OTHER) for key in signers]
    assert shop.gate.receive(header(NOW, *marks), OTHER).kind is EventKind.CUSTOMER_CHANGED


@pytest.mark.parametrize("signers", [("old",), ("old", "new"), ("a", "b", "c", "d", "e", "k1")])
def test_none_of_our_keys_among_five_is_refused_and_so_are_six(shop: Shop, signers: tuple[str, ...]) -> None:
    with pytest.raises(Forged):
        shop.gate.receive(header(NOW, *[mark(key, NOW, OTHER) for key in signers]), OTHER)


@pytest.mark.parametrize("kind", [ManagedEmulator, UnmanagedEmulator])
def test_without_a_key_of_ours_a_signed_message_is_neither_believed_nor_called_forged(
        kind: type[ManagedEmulator | UnmanagedEmulator]) -> None:
    keyless = Shop(kind)
    with pytest.raises(BadSettings, match=r"settings\.webhook_keys is empty: put the portal's verification key there"):
        keyless.send(OTHER)
    with pytest.raises(Forged):
        keyless.send(OTHER, at=keyless.now() - 301)


def test_without_a_key_of_ours_the_pg_is_asked_to_send_again() -> None:
    keyless = Shop(UnmanagedEmulator)
    receiver = Receiver(Inbox(keyless.gate), url="https://shop.example/pay", secret="s" * 32,
                        order=lambda visit: "/", done=lambda visit, outcome: "/")
    headers = {name.lower(): value for name, value in header(NOW, mark("k1", NOW, OTHER)).items()}
    answer = carry_out(receiver.answer(Asked(method="POST", path="/webhooks/steppay-unmanaged", headers=headers)),
                       lambda _: OTHER)
    assert answer.status == 503


def test_the_sandboxs_own_signed_webhooks_are_believed_with_the_settings_it_prints() -> None:
    pg = UnmanagedEmulator(switches=Switches(hooks=("v2",)))
    gate = connect(SPECS[pg.name], pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg), clock=pg.clock)
    pg.controls()["set_webhook_url"](url="http://127.0.0.1:8000/hook", kind="v2")
    command = pg.story().pay
    assert command is not None
    pg.browse(gate.pay(command).action.to_dict())
    sent = [gate.receive(hook.headers, hook.body) for hook in pg.hooks]
    assert [e.kind for e in sent] == [EventKind.PAYMENT_PAID]


RIGHT = mark("k1", NOW, OTHER)


@pytest.mark.parametrize("value", [
    f"timestamp={NOW},key=x{RIGHT}", f"timestamp={NOW},key={RIGHT}x", f"timestamp={NOW},key={RIGHT[:-1]}",
    f"timestamp={NOW},key= {RIGHT}", f"timestamp={NOW},key={RIGHT} ", f" timestamp={NOW},key={RIGHT}",
    f"timestamp={NOW};key={RIGHT}", f"timestamp={NOW},key={RIGHT},", f"timestamp={NOW},key=;{RIGHT}",
    f"timestamp={NOW},key={RIGHT};", f"key={RIGHT},timestamp={NOW}", f"timestamp={NOW},KEY={RIGHT}",
    f"timestamp={NOW},key={RIGHT},timestamp={NOW}", f"timestamp={NOW - 1},timestamp={NOW},key={RIGHT}",
    f"timestamp={NOW},key={RIGHT},key={RIGHT}", f"timestamp={NOW},key={RIGHT}, timestamp={NOW},key={RIGHT}",
    f"timestamp=0{NOW},key={RIGHT}", f"timestamp=+{NOW},key={RIGHT}", f"timestamp={NOW}.0,key={RIGHT}",
    f"timestamp={NOW + 1},key={RIGHT}", f"timestamp=,key={RIGHT}", f"timestamp={NOW},key=", "", RIGHT,
    f"timestamp={NOW},key={RIGHT}\r\n", f"timestamp={NOW},key={RIGHT.lower()}", f"t={NOW},v1={RIGHT}",
    f"timestamp={NOW},key={base64.b64encode(base64.b64decode(RIGHT) + b'!').decode()}"])
def test_anything_around_the_signature_or_twice_in_its_header_is_refused(shop: Shop, value: str) -> None:
    with pytest.raises(Forged):
        shop.gate.receive({"content-type": "application/json", "Steppay-Signature": value}, OTHER)
    assert shop.gate.receive(header(NOW, RIGHT), OTHER).is_news  # What was refused was not remembered.


def test_a_header_that_comes_twice_or_not_at_all_is_refused(shop: Shop) -> None:
    with pytest.raises(Forged):
        shop.gate.receive({**header(NOW, RIGHT), "steppay-signature": f"timestamp={NOW},key={RIGHT}"}, OTHER)
    with pytest.raises(Forged):
        shop.gate.receive({"content-type": "application/json"}, OTHER)


@pytest.mark.parametrize("body", [OTHER + b" ", b" " + OTHER, OTHER.replace(b'"id": 5', b'"id":5'),
                                  OTHER.replace(b"5", b"6"), OTHER[:-1], b"",
                                  json.dumps(json.loads(OTHER), sort_keys=True).encode()])
def test_the_bytes_that_were_signed_count_not_what_they_say(shop: Shop, body: bytes) -> None:
    with pytest.raises(Forged):
        shop.gate.receive(header(NOW, RIGHT), body)


@pytest.mark.parametrize(("seconds", "fits"), [(-301, False), (-300, True), (300, True), (301, False),
                                               (9 * 365 * 86_400, False)])
def test_a_true_signature_of_another_time_is_refused(shop: Shop, seconds: int, fits: bool) -> None:
    at = NOW - seconds
    body = envelope("customer.created", {"id": 5}, at)
    if fits:
        assert shop.send(body, at=at).is_news
        return
    with pytest.raises(Forged):
        shop.send(body, at=at)


@pytest.mark.parametrize("told", [NOW - 301, NOW + 301, 0, NOW - 9 * 365 * 86_400, str(NOW), None, NOW * 1000, True])
def test_an_envelope_that_tells_another_time_than_its_signature_is_refused(shop: Shop, told: Any) -> None:
    with pytest.raises(Forged, match="another time"):
        shop.send(envelope("customer.created", {"id": 5}, told))
    body = b'{"version": "v1", "event": "customer.created", "data": {"id": 5}}'
    with pytest.raises(Forged, match="another time"):
        shop.send(body)


# The same message again

def test_a_payments_message_that_comes_again_is_neither_looked_up_nor_applied(shop: Shop) -> None:
    body = paid(shop.registered())
    first = shop.send(body)
    assert (first.kind, first.is_news) == (EventKind.KEY_REGISTERED, True)
    before, trail = shop.lookups(), shop.gate.trail("story-register")
    for seconds in (0, 1, 298):
        shop.pg.clock.advance(seconds)
        again = shop.send(body, at=NOW)
        assert (again.id, again.kind, again.payment, again.is_news) == (first.id, first.kind, first.payment, False)
    assert (shop.lookups(), shop.gate.trail("story-register")) == (before, trail)
    shop.pg.clock.advance(2)
    with pytest.raises(Forged):
        shop.send(body, at=NOW)


def test_what_the_pg_signs_anew_is_the_same_message_if_it_says_the_same(shop: Shop) -> None:
    body = paid(shop.registered())
    shop.send(body)
    before = shop.lookups()
    shop.pg.clock.advance(60)
    assert not shop.send(body).is_news  # sent again from the portal: signed now, the same to the letter
    assert shop.lookups() == before


def test_two_messages_of_one_second_are_two(shop: Shop) -> None:
    assert shop.send(envelope("customer.created", {"id": 5})).is_news
    assert shop.send(envelope("customer.created", {"id": 6})).is_news
    assert not shop.send(envelope("customer.created", {"id": 5})).is_news


def test_a_signature_does_not_fit_another_message_of_its_second(shop: Shop) -> None:
    id_key = shop.registered()
    shop.send(paid(id_key))
    with pytest.raises(Forged):
        shop.gate.receive(header(NOW, mark("k1", NOW, paid(id_key))), envelope("payment.canceled", {
            "idKey": id_key, "orderId": "story-register", "paymentOnly": True}))
    row = shop.gate.find("story-register")
    assert row.left == row.money


def test_a_message_that_could_not_be_settled_is_looked_at_again_when_it_comes_again(shop: Shop) -> None:
    shop.pg.controls()["switch"](name="payment_date_lag_s", value=60.0)
    body = paid(shop.registered())
    assert shop.send(body).kind is EventKind.PAYMENT_PENDING
    shop.pg.clock.advance(120)
    late = shop.send(body, at=NOW)
    assert (late.kind, late.is_news) == (EventKind.KEY_REGISTERED, True)
    assert shop.gate.confirm_key("story-register", {}) is not None


def test_a_message_that_came_while_the_order_was_held_is_looked_at_again_when_it_comes_again() -> None:
    pg = UnmanagedEmulator(switches=Switches(hooks=("v2",), billing_failure="error_body"))
    gate = connect(SPECS["steppay-unmanaged"], {**pg.settings(), "webhook_keys": list(pg.pg.webhook_keys)},
                   ledger=MemoryLedger(), http=EmulatorTransport(pg), clock=pg.clock)
    story, heard = pg.story(), []
    assert story.register is not None
    assert story.charge is not None
    key = gate.confirm_key("story-register", pg.browse(gate.register(story.register).action.to_dict()))
    assert key is not None
    pg.controls()["next_charge"](outcome="failed")
    pg.on_hook = lambda hook: heard.append(gate.receive(hook.headers, hook.body))  # before the charge's own answer
    with pytest.raises(OutcomeUnknown):
        gate.charge(story.charge(key, "order-2"))
    assert [event.kind for event in heard] == [EventKind.PAYMENT_FAILED]
    pg.on_hook = None
    assert gate.receive(pg.hooks[-1].headers, pg.hooks[-1].body).kind is EventKind.PAYMENT_FAILED
    with pytest.raises(Declined):
        gate.charge(story.charge(key, "order-2"))


def test_a_message_whose_look_up_failed_is_not_remembered(shop: Shop) -> None:
    body = paid(shop.registered())
    shop.pg.fault("drop_before", on="GET ", times=9)
    with pytest.raises(OutcomeUnknown):
        shop.send(body)
    shop.pg.faults.clear()
    assert shop.send(body).is_news


def test_a_signed_message_about_what_the_pg_does_not_show_is_not_called_a_forgery(shop: Shop) -> None:
    with pytest.raises(OutcomeUnknown, match="sent again"):
        shop.send(paid("1767582000000nobodyhasthis00"))


def test_a_refund_told_after_the_payment_is_another_message(shop: Shop) -> None:
    id_key = shop.registered()
    shop.send(paid(id_key))
    shop.pg.pg.payments[id_key].status = "CANCELED"
    shop.pg.controls()["switch"](name="receipt_cancels", value=False)
    told = shop.send(envelope("payment.canceled", {"idKey": id_key, "orderId": "story-register", "paymentOnly": True}))
    assert (told.kind, told.is_news) == (EventKind.PAYMENT_CANCELLED, True)
    replayed = shop.send(paid(id_key))
    assert (replayed.kind, replayed.is_news) == (EventKind.PAYMENT_CANCELLED, False)


def test_a_message_naming_another_order_than_its_payment_is_forged_however_it_is_signed(shop: Shop) -> None:
    body = paid(shop.registered()).replace(b"story-register", b"story-other")
    with pytest.raises(Forged):
        shop.send(body)
    assert [row.state for row in shop.gate.pending()] == [State.SENT]


# What each event is about

SUBJECTS = {
    "subscription.created": ("subscription", "9"), "subscription.updated": ("subscription", "9"),
    "subscription.payment_due_notification": ("subscription", "9"),
    "subscription.usage.added": ("subscription_item", "41"),
    **{f"invoice.{what}": ("invoice", "5") for what in ("created", "updated", "deleted")},
    **{f"customer.{what}": ("customer", "5") for what in ("created", "updated", "deleted")},
    **{f"product.{what}": ("product", "product_1") for what in ("created", "updated", "deleted")},
    **{f"product.price.{what}": ("price", "price_1") for what in ("created", "updated", "deleted")},
    **{f"cover.{what}": ("other", "5") for what in ("sent_message", "delayed_message", "changed_payment_date",
                                                    "paused")},
    "moon.rose": ("other", "5"),
}
DATA: Mapping[str, Mapping[str, Any]] = {
    "subscription": {"subscriptionId": 9, "status": "ACTIVE", "orderId": 1, "orderCode": "order_1"},
    "subscription_item": {"id": 5, "subscriptionItemId": 41, "accumulatedRecord": 1000, "recordQuotas": [{"id": 1}]},
    "invoice": {"id": 5, "status": "SENT", "orderId": 1, "orderCode": "order_1", "customerId": 3},
    "customer": {"id": 5, "code": "customer_1"}, "product": {"code": "product_1", "name": "x", "status": "SALE"},
    "price": {"priceCode": "price_1", "price": 1, "plan": {"name": "x", "description": ""}},
    "other": {"id": 5, "customerId": "3", "orderId": "1", "subscriptionId": "9"},
}
KINDS = {"subscription": EventKind.SUBSCRIPTION_CHANGED, "subscription_item": EventKind.SUBSCRIPTION_CHANGED,
         "invoice": EventKind.INVOICE_CHANGED, "customer": EventKind.CUSTOMER_CHANGED,
         "product": EventKind.PRODUCT_CHANGED, "price": EventKind.PRODUCT_CHANGED, "other": EventKind.OTHER}


@pytest.mark.parametrize("kind", [ManagedEmulator, UnmanagedEmulator], ids=lambda k: str(k.name))
@pytest.mark.parametrize("name", SUBJECTS)
def test_every_published_event_names_its_own_subject_and_an_unknown_one_is_kept_to_the_letter(
        kind: type[ManagedEmulator | UnmanagedEmulator], name: str) -> None:
    what, number = SUBJECTS[name]
    event = Shop(kind, "k1").send(envelope(name, DATA[what]))
    assert event.subject is not None
    assert (event.kind, event.subject.kind, event.subject.provider_id, event.subject.event) == (
        KINDS[what], what, number, name)
    assert (event.payment, event.verified_by, event.is_news) == (None, "signature", True)


def test_the_emulators_products_and_plans_are_told_as_the_guide_prints_them() -> None:
    pg = ManagedEmulator(switches=Switches(hook_events=("product.",)))
    gate = connect(SPECS["steppay-managed"], pg.settings(), ledger=MemoryLedger(), clock=pg.clock,
                   http=EmulatorTransport(pg))
    command = pg.story().pay
    assert command is not None
    gate.pay(command)
    [hook] = pg.hooks
    told = json.loads(hook.body)
    assert told["event"] == "product.price.created"
    assert not {"id", "code", "productId"} & set(told["data"])
    event = gate.receive(hook.headers, hook.body)
    assert event.subject is not None
    assert event.subject.provider_id == pg.product.prices[0].code == told["data"]["priceCode"]

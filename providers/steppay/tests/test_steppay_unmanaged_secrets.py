"""A registration's idKey is the billing key: it stands in no ledger byte, text, log or public object."""

from __future__ import annotations

import base64
import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from paygate_steppay import Unmanaged, UnmanagedSettings, paygate_providers
from paygate_steppay.emulator import UnmanagedEmulator

from paygate.assemble import connect
from paygate.commands import Cancel, CancelWhole
from paygate.errors import BadCommand, BadSettings, Forged, PaygateError
from paygate.gateway import Gateway
from paygate.ledger.row import State
from paygate.model import BillingKey, EventKind, Payment, PaymentStatus
from paygate.money import Money
from paygate.testing.transport import EmulatorTransport
from paygate.wire import Response

SPEC = next(spec for spec in paygate_providers() if spec.name == "steppay-unmanaged")
PART = Money(4_000, "KRW")


class Shop:
    """A merchant with a ledger in a file, who keeps everything that paygate ever said."""

    def __init__(self, tmp_path: Path, **settings: Any) -> None:
        self.folder = tmp_path
        self.pg = UnmanagedEmulator()
        self.control = self.pg.controls()
        self.story = self.pg.story()
        self.said: list[Any] = []
        self.gate = self.connect(**settings)

    def connect(self, **settings: Any) -> Gateway:
        return connect(SPEC, {**self.pg.settings(), **settings}, ledger=self.folder / "ledger.db", clock=self.pg.clock,
                       http=EmulatorTransport(self.pg))

    def keep(self, value: Any) -> Any:
        self.said.append(value)
        return value

    def registered(self) -> dict[str, str]:
        """The payer registers; what the browser brings back."""
        assert self.story.register is not None
        checkout = self.keep(self.gate.register(self.story.register))
        return self.pg.browse(checkout.action.to_dict())

    def key(self) -> BillingKey:
        key = self.keep(self.gate.confirm_key("story-register", self.registered()))
        assert isinstance(key, BillingKey)
        return key

    def hear(self) -> None:
        """Take every webhook sent so far."""
        for hook in list(self.pg.hooks):
            self.keep(self.gate.receive(hook.headers, hook.body))

    def rows(self) -> None:
        """Everything the ledger tells."""
        self.keep([*self.gate.pending(), *self.gate.attention()])
        for id in ("story-register", "order-2", "c-1", "c-2"):
            self.keep(self.gate.trail(id))


def forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode()
    yield from (raw, quote(secret, safe="").encode(), raw.hex().encode(), raw[::-1], secret.lower().encode())
    for cut in range(3):  # Base64 of it, wherever in a longer text it stands.
        yield base64.b64encode(raw[cut:]).rstrip(b"=")[:-2]
        yield base64.urlsafe_b64encode(raw[cut:]).rstrip(b"=")[:-2]


def leaks(where: str, said: bytes, secret: str) -> list[str]:
    return [f"{where}: {form!r}" for form in forms(secret) if form in said]


def shown(value: Any) -> bytes:
    """Every way in which a value might be printed, stored or sent."""
    texts = [repr(value), str(value), f"{value}", str(getattr(value, "__dict__", ""))]
    if attrs.has(type(value)):
        texts += [repr(attrs.asdict(value)), repr(attrs.astuple(value))]
    if isinstance(value, BaseException):
        texts += [repr(value.args), repr(vars(value)), repr(value.__cause__), repr(value.__context__)]
    if isinstance(value, (list, tuple)):
        texts += [shown(v).decode("utf-8", "surrogateescape") for v in value]
    try:
        texts.append(json.dumps(value, default=str))
    except (TypeError, ValueError) as error:
        texts.append(repr(error))
    made = "\n".join(texts).encode("utf-8", "surrogateescape")
    try:
        return made + pickle.dumps(value)
    except Exception as error:
        return made + repr(error).encode()


def test_the_billing_key_stands_nowhere_after_registering_charging_refunding_and_hooks(
        tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    shop = Shop(tmp_path)
    shop.pg.switches.set("billing_failure", "error_body")
    key = shop.key()
    assert shop.story.charge is not None
    shop.keep(shop.gate.charge(shop.story.charge(key, "order-2")))
    shop.keep(shop.gate.cancel(Cancel(cancel_id="c-1", order_id="order-2", money=PART, reason="asked")))
    shop.keep(shop.gate.cancel(Cancel(cancel_id="c-2", order_id="story-register", money=PART, reason="asked")))
    shop.keep(shop.gate.find("story-register"))
    shop.keep(shop.gate.lookup(shop.gate.find("story-register").provider_id or ""))
    shop.keep(shop.gate.lookup(key.reveal()))  # Asked by the key itself, the answer does not repeat it.
    shop.hear()
    shop.control["next_charge"](outcome="code", message=f"the key {key.reveal()} is closed", code=key.reveal())
    with pytest.raises(PaygateError) as caught:
        shop.gate.charge(shop.story.charge(key, "order-3"))
    shop.keep(caught.value)
    for fault in ("drop_before", "error_500_before", "unauthorized"):
        shop.pg.fault(fault, on="GET ", times=3)
        with pytest.raises(PaygateError) as caught:
            shop.gate.find("story-register")
        shop.keep(caught.value)
        shop.pg.faults.clear()
    shop.pg.clock.advance(3_600)
    shop.keep(shop.gate.reconcile())
    shop.rows()
    found = [leak for value in shop.said for leak in leaks(f"{type(value).__name__}", shown(value), key.reveal())]
    for file in sorted(tmp_path.iterdir()):  # The write-ahead log too: the gateway is still open.
        found += leaks(file.name, file.read_bytes(), key.reveal())
    assert {f.name for f in tmp_path.iterdir()} >= {"ledger.db", "ledger.db-wal"}
    found += [leak for record in caplog.records for leak in leaks("log", f"{record.getMessage()} {record.args!r} "
                                                                         f"{record.exc_text}".encode(), key.reveal())]
    out, err = capsys.readouterr()
    assert found + leaks("stdout", (out + err).encode(), key.reveal()) == []
    shop.gate.close()
    assert leaks("closed", (tmp_path / "ledger.db").read_bytes(), key.reveal()) == []


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/api/payment/receipt/"), ("POST", "/api/internal/payment/cancel")])
def test_words_of_the_pg_that_quote_the_key_are_shown_without_it(tmp_path: Path, method: str, path: str) -> None:
    shop = Shop(tmp_path)
    key = shop.key().reveal()
    really = shop.pg.answer
    no = json.dumps({"errorCode": key, "errorMessage": f"{key} is busy"}).encode()
    shop.pg.answer = lambda call: Response(  # type: ignore[method-assign]
        400, {"content-type": "application/json"}, no) \
        if call.method == method and call.path.startswith(path) else really(call)
    errors: list[BaseException] = []
    for act in (lambda: shop.gate.find("story-register"), lambda: shop.gate.lookup(key),
                lambda: shop.gate.cancel(Cancel(cancel_id="c-1", order_id="story-register", money=PART, reason="x")),
                lambda: shop.gate.confirm_key("story-register", {"event": "success", "idKey": key})):
        try:
            shop.keep(act())
        except PaygateError as error:
            errors.append(shop.keep(error))
    shop.rows()
    assert errors
    kept = b"".join(f.read_bytes() for f in tmp_path.iterdir())
    assert [*leaks("ledger", kept, key), *(leak for value in shop.said for leak in leaks("x", shown(value), key))] == []


def test_a_leak_would_be_noticed() -> None:
    payment = Payment(order_id="o", provider_id="16057932413479698c8vqQG0kMix9", status=PaymentStatus.PAID, money=PART)
    assert leaks("x", shown([payment]), "16057932413479698c8vqQG0kMix9") != []
    assert leaks("x", base64.b64encode(b"a16057932413479698c8vqQG0kMix9b"), "16057932413479698c8vqQG0kMix9") != []


def test_what_stands_for_a_key_finds_it_again_but_charges_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    key = shop.key()
    reference = shop.gate.find("story-register").provider_id
    assert reference is not None
    assert reference != key.reveal()
    assert shop.gate.lookup(reference) == shop.gate.find("story-register") == shop.gate.lookup(key.reveal())
    assert shop.story.charge is not None
    before = len(shop.pg.calls)
    with pytest.raises(BadCommand):
        shop.gate.charge(shop.story.charge(BillingKey(shop.gate.name, reference), "order-2"))
    assert len(shop.pg.calls) == before
    whole = shop.gate.cancel_whole(CancelWhole(cancel_id="c-1", order_id="story-register", reason="asked"))
    assert whole.payment.status is PaymentStatus.CANCELLED
    assert shop.pg.journal.given_back("story-register") == 14_000


def test_a_charge_keeps_the_name_the_pg_gave_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    key = shop.key()
    assert shop.story.charge is not None
    paid = shop.gate.charge(shop.story.charge(key, "order-2"))
    charged = [m.provider_id for m in shop.pg.journal.entries if m.order_id == "order-2"]
    assert [paid.provider_id] == charged


def test_a_key_that_only_a_webhook_told_of_is_still_to_be_had(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.registered()  # and the browser never comes back
    [hook] = shop.pg.hooks
    event = shop.gate.receive(hook.headers, hook.body)
    assert (event.kind, event.is_news) == (EventKind.KEY_REGISTERED, True)
    key = shop.gate.confirm_key("story-register", {})
    assert key is not None
    assert [key.reveal()] == [k["key"] for k in shop.control["keys"]()]


def test_a_payment_nobody_asked_for_that_may_have_issued_a_key_is_kept_without_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.registered()
    [hook] = shop.pg.hooks
    other = connect(SPEC, shop.pg.settings(), ledger=tmp_path / "restored.db", clock=shop.pg.clock,
                    http=EmulatorTransport(shop.pg))
    event = other.receive(hook.headers, hook.body)
    assert event.kind is EventKind.UNMATCHED
    [key] = [k["key"] for k in shop.control["keys"]()]
    kept = b"".join(f.read_bytes() for f in tmp_path.glob("restored.db*"))
    assert leaks("event", shown(event), key) + leaks("ledger", kept, key) == []


def test_a_one_off_payment_that_issued_a_key_against_our_will_is_kept_without_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    assert shop.story.pay is not None
    action = shop.gate.pay(shop.story.pay).action.to_dict()
    params = action["params"]
    assert isinstance(params, dict)
    back = shop.pg.browse({**action, "params": {**params, "paymentMethod": "CARD_BILL"}})  # A page can be changed.
    paid = shop.gate.confirm("story-pay", back)
    assert paid.status is PaymentStatus.PAID
    kept = b"".join(f.read_bytes() for f in tmp_path.iterdir())
    assert leaks("payment", shown(paid), back["idKey"]) + leaks("ledger", kept, back["idKey"]) == []


def test_a_new_token_needs_the_old_one_as_the_seals_secret(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    key = shop.key()
    old, shop.pg.pg.token = shop.pg.pg.token, "rotated-token"
    shop.gate.close()
    shop.gate = shop.connect(secret_token="rotated-token")
    with pytest.raises(BadSettings, match="seal_secret"):
        shop.gate.find("story-register")
    shop.gate.close()
    shop.gate = shop.connect(secret_token="rotated-token", seal_secret=old)
    assert shop.gate.find("story-register").status is PaymentStatus.PAID
    assert shop.gate.confirm_key("story-register", {}) == key
    [hook] = shop.pg.hooks
    assert not shop.gate.receive(hook.headers, hook.body).is_news
    assert shop.gate.attention() == []


def test_a_browser_cannot_bring_what_stands_for_a_key(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.key()
    reference = shop.gate.find("story-register").provider_id
    with pytest.raises(Forged):
        shop.gate.confirm_key("story-register", {"event": "success", "idKey": str(reference)})
    assert [row for row in shop.gate.pending() if row.state is State.UNKNOWN] == []


def test_the_settings_take_a_secret_for_seals_and_never_show_it() -> None:
    made = UnmanagedSettings(secret_token="t", payment_key="k", payment_gateway="NICE", seal_secret="canary")
    assert "canary" not in repr(made)
    with pytest.raises(BadSettings):
        UnmanagedSettings(secret_token="t", payment_key="k", payment_gateway="NICE", seal_secret="two words")
    assert Unmanaged(made).hide_key(Payment(order_id="o", provider_id=None, status=PaymentStatus.PENDING,
                                            money=PART)).provider_id is None

"""`examples/toss-provider`: a provider written from the outside, for a PG that nobody had in mind.

What its contract does not ask, because only this PG has it, is asked here: idempotency keys, and a balance that is
stated with every refund.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import paygate
from paygate import (
    BadCommand,
    BadSettings,
    BillingKey,
    Cancel,
    Charge,
    Conflict,
    Customer,
    DatedCharge,
    Declined,
    DeclineReason,
    EventKind,
    Forged,
    MemoryLedger,
    Money,
    OutcomeUnknown,
    Pay,
    PaymentStatus,
    ProviderSpec,
    Refused,
    Register,
    Schedule,
    State,
    Unauthorized,
    connect,
)
from paygate.testing import EmulatorTransport
from paygate.testing.contract import run_all, subject_of
from paygate.testing.mutants import all_mutants
from paygate.testing.mutants.catching import is_noticed

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples/toss-provider"
PACKAGE = "paygate_toss"
# Beside `paygate` itself: what providers may read with, and what emulators and their tests are made of.
PUBLIC = {"paygate.codec": {"Unreadable", "read_object"}, "paygate.webhook": {"clean_text", "json_fields"},
          "paygate.secret": {"opened", "sealed"},
          "paygate.testing": {"Emulator", "FaultKind", "ProviderContract", "VirtualClock"},
          "paygate.testing.emulator": {"Call", "json_response"}, "paygate.testing.asks": {"Asks", "fields"},
          "paygate.testing.story": {"Story"}}


@pytest.fixture(scope="module")
def spec() -> Iterator[ProviderSpec]:
    """What the package offers. Nothing of it stays imported: other tests count what is installed."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        made, = importlib.import_module(PACKAGE).paygate_providers()
        yield made
    finally:
        sys.path.remove(str(EXAMPLE))
        for module in [m for m in sys.modules if m.partition(".")[0] == PACKAGE]:
            del sys.modules[module]
        importlib.invalidate_caches()


class Shop:
    """A merchant with one billing key at the PG's emulator. `restart` loses everything that was remembered here."""

    def __init__(self, spec: ProviderSpec, **options: Any) -> None:
        self.spec = spec
        kind = spec.load_emulator()
        self.pg: Any = kind()
        self.key = BillingKey("toss", self.pg.issue_key("billing-key-1"))
        self.restart(**options)

    def restart(self, **options: Any) -> None:
        self.gate = connect(self.spec, self.pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(self.pg),
                            clock=self.pg.clock, **options)

    def charge(self, order_id: str = "order-1", **said: Any) -> Charge:
        made: Charge = self.pg.story().charge(self.key, order_id)
        return Charge(**{"order_id": order_id, "billing_key": self.key, "money": made.money, "title": "Tea",
                         "customer": made.customer, **said})

    def sent(self, end: str) -> list[Any]:
        return [c for c in self.pg.calls if c.method == "POST" and c.path.endswith(end)]


@pytest.fixture
def shop(spec: ProviderSpec) -> Iterator[Shop]:
    made = Shop(spec)
    yield made
    made.gate.close()


def won(amount: int) -> Money:
    return Money(amount, "KRW")


# The package

def test_its_whole_contract_holds(spec: ProviderSpec) -> None:
    results = list(run_all(subject_of(spec)))

    assert [f"{r.run}: {r.why}" for r in results if r.verdict not in ("holds", "not here")] == []
    assert len({r.check.name for r in results if r.verdict == "holds"}) > 100


def test_its_contract_test_is_the_five_lines_of_the_template() -> None:
    text = (EXAMPLE / "tests/test_contract.py").read_text(encoding="utf-8")

    assert text == ("from paygate.testing import ProviderContract\n\n\n"
                    'class TestToss(ProviderContract):\n    provider = "toss"\n')


def test_it_imports_public_names_only() -> None:
    seen = 0
    for file in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not [a.name for a in node.names if a.name.startswith("paygate")], file
            if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("paygate"):
                seen += 1
                public = set(paygate.__all__) if node.module == "paygate" else PUBLIC[node.module or ""]
                assert {a.name for a in node.names} <= public, file
            if isinstance(node, ast.Attribute):
                own = isinstance(node.value, ast.Name) and node.value.id == "self"
                assert own or not node.attr.startswith("_") or node.attr.endswith("__"), f"{file}: {node.attr}"
    assert seen > 8


def test_a_strict_type_checker_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="NOT CHECKED here: mypy is not installed")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), PACKAGE, "tests"],
                          cwd=EXAMPLE, capture_output=True, text=True, check=False, timeout=300,
                          env={**os.environ, "MYPYPATH": str(ROOT)})

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_assumed_and_what_is_left_out_is_said(spec: ProviderSpec) -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")

    assert {c.value for c in spec.capabilities} == {
        "pay", "register", "capture", "charge", "cancel", "cancel_partly", "find", "lookup", "receive"}
    assert {name for name, _, fact in spec.profile.describe() if fact.certainty.value == "assumed"} == {
        "absence", "maximum", "settle_s"}
    for left_out in ("Virtual accounts", "tax-free amounts", "Deleting a billing key", "Means of payment other than"):
        assert left_out in readme.partition("## What is left out")[2]


UNNOTICED = {
    "drops_the_tax_free_part": "tax-free parts are refused here",
    "finds_only_the_first_record": "this PG names one payment of an order",
    "finds_the_first_two_records": "this PG names one payment of an order",
    "puts_the_tax_free_part_on_top": "tax-free parts are refused here",
    "reveals_the_billing_key_in_its_request": "it stands in a path, which hides it, and not in the body",
    "takes_a_registration_for_a_payment": "no look-up of this PG tells of a registration",
    "takes_a_new_order_id_after_a_conflict": "the idempotency key is answered with the first charge: no conflict",
}
"""Ways of being wrong that make no difference to this provider."""
ELSEWHERE = {
    "calls_failed_payments_paid": "a_declined_charge_is_told_as_declined_and_takes_nothing[sync]",
    "gives_back_twice": "the_flow_of_a_partial_refund_claims_nothing_it_was_not_told[sync-wrong_amount]",
    "looks_up_the_same_one_always": "every_payment_is_looked_up_under_its_own_id_and_no_other[sync]",
}
"""Mutants that another check notices here than at the providers of this repository."""


def test_the_kit_notices_every_way_of_being_wrong_that_makes_a_difference_here(spec: ProviderSpec) -> None:
    kept = json.loads((ROOT / "tests/mutants_caught.json").read_text(encoding="utf-8"))
    subject = subject_of(spec)
    fitting = [m for m in all_mutants() if m.of(subject) is not None]

    alive = {m.name for m in fitting if not any(is_noticed(subject, m, run) for run in {
        ELSEWHERE.get(m.name, ""), *(runs[m.name] for runs in kept.values() if m.name in runs)})}

    assert len(fitting) > 90
    assert alive == set(UNNOTICED)


# Idempotency keys

def test_a_charge_that_was_only_slow_is_not_taken_twice_when_its_order_is_sent_again(shop: Shop) -> None:
    shop.pg.fault("drop_before", on="POST")
    with pytest.raises(OutcomeUnknown):
        shop.gate.charge(shop.charge())
    slow, = shop.sent("billing-key-1")
    for _ in range(8):
        shop.pg.clock.advance(70)
        shop.gate.reconcile()
    assert shop.gate.pending() == []  # The ledger takes it for proven that it never happened.

    shop.pg.answer(slow)  # It was on its way all the time.
    paid = shop.gate.charge(shop.charge())

    assert paid.status is PaymentStatus.PAID
    assert [c.headers["idempotency-key"] for c in shop.sent("billing-key-1")] == ["charge-order-1"] * 2
    assert shop.pg.journal.charges("order-1") == 1


def test_a_merchant_who_lost_the_ledger_is_told_of_the_first_charge_and_takes_no_second(shop: Shop) -> None:
    first = shop.gate.charge(shop.charge())
    shop.restart()

    assert shop.gate.charge(shop.charge()).provider_id == first.provider_id
    assert shop.pg.journal.charges("order-1") == 1


def test_after_fifteen_days_the_key_is_forgotten_and_the_order_id_still_guards(shop: Shop) -> None:
    first = shop.gate.charge(shop.charge())
    shop.restart()
    shop.pg.clock.advance(16 * 86_400)

    assert shop.gate.charge(shop.charge()).provider_id == first.provider_id
    assert len(shop.sent("billing-key-1")) == 2
    assert shop.pg.journal.charges("order-1") == 1


@pytest.mark.parametrize(("status", "code", "means"), [
    (409, "IDEMPOTENT_REQUEST_PROCESSING", OutcomeUnknown), (400, "PROVIDER_ERROR", OutcomeUnknown),
    (403, "FORBIDDEN_CONSECUTIVE_REQUEST", OutcomeUnknown), (400, "ALREADY_PROCESSED_PAYMENT", OutcomeUnknown),
    (500, "REJECT_CARD_PAYMENT", OutcomeUnknown), (400, "A_CODE_OF_TOMORROW", OutcomeUnknown),
    (403, "REJECT_CARD_PAYMENT", Declined), (400, "DUPLICATED_ORDER_ID", Conflict),
    (400, "NOT_MATCHES_CUSTOMER_KEY", Refused), (401, "UNAUTHORIZED_KEY", Unauthorized)])
def test_an_answer_is_no_refusal_unless_the_pg_refuses_without_a_doubt(
        shop: Shop, status: int, code: str, means: type[paygate.PaygateError]) -> None:
    flow = shop.spec.build(settings_of(shop)).charge(shop.charge())
    next(flow)

    with pytest.raises(paygate.PaygateError) as no:
        flow.send(json_of(status, {"code": code, "message": "말씀"}))
    assert (type(no.value), no.value.code, no.value.message) == (means, code, "말씀")


def test_two_refunds_of_one_payment_bear_their_own_keys_and_state_the_balance(shop: Shop) -> None:
    shop.gate.charge(shop.charge())
    for number, amount in (("1", 4_000), ("2", 4_000)):
        shop.pg.clock.advance(2)
        shop.gate.cancel(Cancel(cancel_id=f"back-{number}", order_id="order-1", money=won(amount), reason="반품"))

    sent = shop.sent("/cancel")
    assert [c.headers["idempotency-key"] for c in sent] == ["cancel-back-1", "cancel-back-2"]
    assert [json.loads(c.body)["refundableAmount"] for c in sent] == [14_000, 10_000]
    assert shop.pg.journal.given_back("order-1") == 8_000


def test_a_refund_against_a_balance_that_is_no_longer_so_gives_nothing_back(shop: Shop) -> None:
    shop.gate.charge(shop.charge())
    payment = shop.gate.find("order-1")
    real = shop.pg.answer

    def answer(call: Any) -> Any:
        record = shop.pg.payments[payment.provider_id]
        if call.path.endswith("/cancel") and record["cancels"] is None:  # Somebody at the PG's console is quicker.
            shop.pg._cancel(record, {"cancelReason": "console", "cancelAmount": 1_000})
        return real(call)
    shop.pg.answer = answer

    with pytest.raises(paygate.PaygateError):
        shop.gate.cancel(Cancel(cancel_id="back-1", order_id="order-1", money=won(4_000), reason="반품"))
    assert shop.pg.journal.given_back("order-1") == 1_000


# Windows

class Browser:
    """A payer in a window of the shop's."""

    def __init__(self, shop: Shop, command: Pay | Register, verb: str = "pay") -> None:
        self.shop, self.order_id = shop, command.order_id
        self.action = getattr(shop.gate, verb)(command).action.to_dict()

    def back(self, outcome: str = "approve", **changes: str) -> dict[str, str]:
        return {**self.shop.pg.browse(self.action, outcome), **changes}


def paying(shop: Shop, order_id: str = "order-1", amount: int = 14_000, **said: Any) -> Browser:
    return Browser(shop, Pay(**{"order_id": order_id, "money": won(amount), "title": "Tea",
                                "return_url": "https://shop.example/done", **said}))


def test_the_window_is_a_method_of_what_the_pgs_script_returns(shop: Shop) -> None:
    payer = Customer(id="ann-1", name=paygate.Secret("김하늘"), email=paygate.Secret("a@example.com"))
    window = paying(shop, customer=payer)

    assert window.action == {
        "type": "client_call", "script": "https://js.tosspayments.com/v2/standard", "setup": None,
        "through": [{"function": "TossPayments", "argument": "test_ck_of_the_emulator"},
                    {"function": "payment", "argument": {"customerKey": "ann-1"}}],
        "function": "requestPayment", "returns": "redirect", "params": {
            "method": "CARD", "amount": {"currency": "KRW", "value": 14_000}, "orderId": "order-1", "orderName": "Tea",
            "successUrl": "https://shop.example/done", "failUrl": "https://shop.example/done",
            "customerName": "김하늘", "customerEmail": "a@example.com"}}
    assert paying(shop, "order-2").action["through"][1]["argument"] == {"customerKey": "ANONYMOUS"}
    assert shop.pg.calls == []


def test_what_was_approved_is_confirmed_once_and_for_the_ledgers_amount(shop: Shop) -> None:
    window = paying(shop)
    came = window.back(amount="1")
    assert shop.pg.journal.entries == []
    for _ in range(3):
        assert shop.gate.confirm("order-1", came).status is PaymentStatus.PAID

    sent, = shop.sent("/confirm")
    assert json.loads(sent.body) == {"paymentKey": "pay-1", "orderId": "order-1", "amount": 14_000}
    assert sent.headers["idempotency-key"].startswith("confirm-order-1-")
    assert "pay-1" not in sent.headers["idempotency-key"]
    assert (shop.pg.journal.charges("order-1"), shop.pg.journal.taken("order-1")) == (1, 14_000)


def test_an_amount_that_the_browser_changed_is_never_confirmed(shop: Shop) -> None:
    window = paying(shop)
    window.action["params"]["amount"]["value"] = 100

    with pytest.raises(Forged):
        shop.gate.confirm("order-1", window.back())
    assert shop.sent("/confirm") == []
    assert shop.pg.journal.entries == []


def test_a_confirmation_whose_answer_is_lost_is_looked_up(shop: Shop) -> None:
    came = paying(shop).back()
    shop.pg.fault("drop_after", on="/confirm$")

    assert shop.gate.confirm("order-1", came).status is PaymentStatus.PAID
    assert len(shop.sent("/confirm")) == 1


def test_a_confirmation_that_was_lost_stays_a_doubt_until_the_approval_has_expired(shop: Shop) -> None:
    came = paying(shop).back()
    shop.pg.fault("drop_before", on="/confirm$")
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            shop.gate.confirm("order-1", came)
        shop.pg.clock.advance(70)
        shop.gate.reconcile()
    assert [row.state for row in shop.gate.pending()] == [State.UNKNOWN]

    shop.pg.clock.advance(600)
    shop.gate.reconcile()
    with pytest.raises(Declined) as no:
        shop.gate.confirm("order-1", came)
    assert no.value.code == "EXPIRED_PAYMENT"
    assert len(shop.sent("/confirm")) == 1
    assert shop.pg.journal.entries == []


def test_a_payer_who_does_not_come_back_is_not_charged(shop: Shop) -> None:
    came = paying(shop).back()
    shop.pg.clock.advance(900)
    shop.gate.reconcile()

    with pytest.raises(Declined):
        shop.gate.confirm("order-1", came)
    assert shop.sent("/confirm") == []
    assert shop.gate.pending() == []


def test_a_card_that_is_refused_when_it_is_confirmed_is_told_with_the_pgs_words(shop: Shop) -> None:
    came = paying(shop).back()
    shop.pg.next_charge("failed")
    with pytest.raises(Declined) as no:
        shop.gate.confirm("order-1", came)

    assert (no.value.code, no.value.message) == ("REJECT_CARD_PAYMENT", "the limit is reached")


def registering(shop: Shop, order_id: str = "card-1", payer: str = "ann-1") -> Browser:
    return Browser(shop, Register(order_id=order_id, money=won(9_900), title="Tea, monthly",
                                  return_url="https://shop.example/done", customer=Customer(id=payer)), "register")


def test_a_billing_key_is_issued_once_told_again_and_charged(shop: Shop) -> None:
    came = registering(shop).back()
    key = shop.gate.confirm_key("card-1", came)
    assert key is not None

    assert [shop.gate.confirm_key("card-1", query) for query in (came, {})] == [key, key]
    sent, = shop.sent("/issue")
    assert json.loads(sent.body) == {"authKey": "auth-2", "customerKey": "ann-1"}
    assert shop.pg.journal.entries == []
    shop.gate.charge(shop.charge(billing_key=key, customer=Customer(id="ann-1")))
    assert shop.pg.journal.charges("order-1") == 1


def test_the_key_is_nowhere_in_the_ledger(shop: Shop) -> None:
    key = shop.gate.confirm_key("card-1", registering(shop).back())
    assert key is not None
    row = shop.gate._account and shop.gate._driver.ledger.get("toss/test", paygate.ledger.row.Book.PAYMENT, "card-1")

    assert row is not None
    assert key.reveal() not in repr(row) + (row.result or "") + (row.provider_id or "")


def test_the_return_of_another_payer_or_of_a_payment_yields_no_key(shop: Shop) -> None:
    window, other = registering(shop), registering(shop, "card-2", "bob-2")
    paid = paying(shop).back()
    for forged in (other.back(), {**other.back(), "customerKey": "ann-1"}, {"paymentKey": paid["paymentKey"]}):
        with pytest.raises(paygate.PaygateError):
            shop.gate.confirm_key("card-1", forged)
    assert [json.loads(c.body)["customerKey"] for c in shop.sent("/issue")] == ["ann-1"]  # Which the PG refused.
    assert shop.pg.journal.entries == []
    assert set(shop.pg.keys) == {"billing-key-1"}
    assert window.order_id == "card-1"


def test_a_payer_without_a_name_cannot_be_registered(shop: Shop) -> None:
    with pytest.raises(BadCommand, match=r"customer\.id must be the customerKey"):
        shop.gate.register(Register(order_id="card-1", money=won(9_900), title="Tea",
                                    return_url="https://shop.example/done"))


# The PG's own words

def test_a_code_that_declines_is_told_with_the_pgs_words(shop: Shop) -> None:
    shop.pg.next_charge("failed")
    with pytest.raises(Declined) as no:
        shop.gate.charge(shop.charge())

    assert (no.value.code, no.value.reason) == ("REJECT_CARD_PAYMENT", DeclineReason.UNMAPPED)
    assert no.value.message == "the limit is reached, or the balance too small"


def test_a_charge_names_the_payer_for_whom_the_key_was_issued(shop: Shop) -> None:
    for wrong in (None, "k", "열쇠", "a b", "x" * 51):
        with pytest.raises(BadCommand, match=r"customer\.id must be the customerKey"):
            shop.gate.charge(shop.charge(customer=Customer(id=wrong)))
    assert shop.pg.calls == []


@pytest.mark.parametrize(("key", "mode"), [("test_sk_1", "live"), ("live_sk_1", "test"), ("sk_1", "test")])
def test_a_key_of_the_other_mode_is_refused_at_construction_and_not_repeated(
        spec: ProviderSpec, key: str, mode: str) -> None:
    with pytest.raises(BadSettings) as no:
        connect(spec, {"secret_key": key, "client_key": f"{mode}_ck_1", "mode": mode}, ledger=MemoryLedger())
    assert key not in str(no.value)


@pytest.mark.parametrize("key", ["test_sk_1", "test_gsk_1", "live_ck_1", "ck_1"])
def test_no_secret_key_is_taken_for_the_one_that_browsers_are_shown(spec: ProviderSpec, key: str) -> None:
    with pytest.raises(BadSettings, match="client_key") as no:
        connect(spec, {"secret_key": "test_sk_2", "client_key": key, "mode": "test"}, ledger=MemoryLedger())
    assert key not in str(no.value)


def test_a_webhook_is_believed_only_after_the_pg_was_asked(shop: Shop) -> None:
    shop.gate.charge(shop.charge())
    assert shop.pg.hooks == []  # Of a billing charge no webhook tells.
    shop.pg._cancel(shop.pg.payments["pay-1"], {"cancelReason": "in the PG's console", "cancelAmount": 4_000})
    hook, = shop.pg.hooks
    event = shop.gate.receive(hook.headers, hook.body)
    assert (event.kind, event.order_id, event.is_news) == (EventKind.PAYMENT_CANCELLED, "order-1", True)
    assert event.payment is not None
    assert event.payment.left == won(10_000)

    told = json.loads(hook.body)
    for data in ({"paymentKey": "pay-99"}, {"orderId": "order-99"}):
        with pytest.raises(Forged):
            shop.gate.receive(hook.headers, json.dumps({**told, "data": {**told["data"], **data}}).encode())
    with pytest.raises(Forged):
        shop.gate.receive(hook.headers, json.dumps({**told, "eventType": "DEPOSIT_CALLBACK"}).encode())


def test_dated_charges_are_run_by_paygate_and_name_the_payer_too(spec: ProviderSpec) -> None:
    vaults = pytest.importorskip("cryptography", reason="the extra `vault` is not installed") and paygate
    shop = Shop(spec, vault=vaults.KeyVault(vaults.new_vault_key()))
    due_at = shop.pg.clock.now() + timedelta(days=30)
    customer = shop.charge().customer
    shop.gate.schedule(Schedule(billing_key=shop.key, customer=customer, charges=[
        DatedCharge(order_id="order-feb", due_at=due_at, money=won(9_900), title="Tea, February")]))
    shop.pg.clock.advance(31 * 86_400)

    shop.gate.run_due()

    assert shop.pg.journal.taken("order-feb") == 9_900
    assert json.loads(shop.sent("billing-key-1")[0].body)["customerKey"] == customer.id
    shop.gate.close()


def settings_of(shop: Shop) -> Any:
    return shop.spec.settings(**shop.pg.settings())


def json_of(status: int, said: dict[str, Any]) -> paygate.Response:
    return paygate.Response(status, {"content-type": "application/json"}, json.dumps(said).encode())

"""A hostile StepPay, a merchant whose process is killed and whose ledger fails: no won moves twice, or unseen.

The PG here shares nothing with paygate or its emulators: it refuses no repeated order id, finds nothing by one, keeps a
journal of its own, and goes wrong in every way it can. The checks compare that journal with what the merchant was told.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from paygate_steppay import paygate_providers

from paygate.assemble import connect
from paygate.commands import Cancel, CancelWhole, Charge, Customer, Register
from paygate.errors import Forged, PaygateError
from paygate.gateway import Gateway
from paygate.ledger.row import LedgerError, State
from paygate.ledger.sqlite import SqliteLedger
from paygate.model import BillingKey, Payment
from paygate.money import Money

SPEC = next(spec for spec in paygate_providers() if spec.name == "steppay-unmanaged")
SETTINGS = {"secret_token": "token", "payment_key": "public", "payment_gateway": "NICE"}
PAYER = Customer(id="payer-7", name="Kim", phone="01012345678", email="kim@example.test")
JSON = {"content-type": "application/json"}


class Killed(BaseException):
    """The merchant's process is gone."""


class Clock:
    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 3, 0, tzinfo=UTC) + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class Pg(httpx.BaseTransport):
    """StepPay as bad as it can be. `moved` is what really happened, in order: (what, order id, idKey, won)."""

    CHARGE = ("drop_before", "drop_after", "late", "500_before", "500_after", "html_200", "html_502", "cut", "empty",
              "null", "bare_401", "bare_429", "own_403", "own_429", "own_400_after", "own_400_before", "no_id",
              "lie_failed", "other_id", "key_back", "kill_before", "kill_after", "declined")
    REFUND = ("drop_before", "drop_after", "500_before", "500_after", "html_200", "cut", "empty", "bare_429", "own_403",
              "own_429", "own_400_before", "own_400_after", "lie_failed", "slow", "slow_drop", "kill_before",
              "kill_after")
    READ = ("drop_before", "500_before", "html_200", "cut", "missing", "unpaid", "kill_before")

    def __init__(self, dice: random.Random, clock: Clock) -> None:
        self.dice, self.clock = dice, clock
        self.rate: Mapping[str, float] = {"charge": 0.5, "refund": 0.4, "read": 0.15}
        self.moved: list[tuple[str, str, str, int]] = []
        self.payments: dict[str, dict[str, Any]] = {}
        self.hooks: list[bytes] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.sends: dict[str, list[str]] = {}
        """For each order id, how each call to charge it ended: "done", "turned away", or what it may have been."""
        self.hit: Counter[str] = Counter()
        self.on_kill: Callable[[], None] = lambda: None

    # What it does

    def make(self, order: str, user: str, won: int, method: str, status: str) -> str:
        key = f"{int(self.clock.now().timestamp() * 1000)}{self.dice.getrandbits(80):020x}"[:29]
        paid = status == "COMPLETE"
        date = self.clock.now().replace(tzinfo=None).isoformat() if paid else None
        self.payments[key] = {"order": order, "user": user, "won": won, "method": method, "status": status,
                              "date": date, "back": 0, "was": 0, "slow": 0.0}
        if paid:
            self.moved.append(("charge", order, key, won))
        self.hooks.append(json.dumps({"webHookType": "PAYMENT" if paid else "FAILED", "orderId": len(self.payments),
                                      "idKey": key}).encode())
        return key

    def window(self, params: Mapping[str, Any], outcome: str) -> dict[str, str]:
        """A payer in the script's window; what the callback brings."""
        status = {"approve": "COMPLETE", "decline": "FAILED"}.get(outcome, "USER_CANCELED")
        key = self.make(params["partner"]["partnerOrderId"], params["partner"]["partnerUserId"],
                        params["product"]["amount"], params["paymentMethod"], status)
        return {"event": {"COMPLETE": "success", "FAILED": "error"}.get(status, "cancel"), "idKey": key}

    def receipt(self, key: str, *, unpaid: bool = False) -> httpx.Response:
        p = self.payments.get(key)
        if p is None:
            return httpx.Response(404, json={"errorCode": "NOT_FOUND"})
        under_way = p["slow"] > self.clock.passed
        status = "CANCEL_PROGRESS" if under_way else p["status"]
        return httpx.Response(200, json={
            "paymentStatus": status, "paymentDate": None if unpaid else p["date"], "paymentMethod": p["method"],
            "partnerOrderId": p["order"], "partnerUserId": p["user"], "amount": p["won"], "discount": 0,
            "cancel": {"canceledAmount": p["was"] if under_way else p["back"]}})

    def charge(self, body: Mapping[str, Any], status: str = "COMPLETE") -> str:
        partner = body["partner"]
        return self.make(partner["partnerOrderId"], partner["partnerUserId"], body["product"]["amount"], "CARD_BILL",
                         status)

    def refund(self, body: Mapping[str, Any], slow: float = 0.0) -> bool:
        p, won = self.payments[body["idKey"]], body["requestPrice"]
        if not 0 < won <= p["won"] - p["back"] or p["status"] not in ("COMPLETE", "PARTIAL_CANCELED"):
            return False
        p["was"], p["back"] = p["back"], p["back"] + won
        p["status"] = "CANCELED" if p["back"] == p["won"] else "PARTIAL_CANCELED"
        p["slow"] = self.clock.passed + slow
        self.moved.append(("refund", p["order"], body["idKey"], won))
        self.hooks.append(json.dumps({"webHookType": "CANCELED", "orderId": 1, "idKey": body["idKey"]}).encode())
        return True

    # How it answers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        body = json.loads(content) if content else {}
        kind = {"billing": "charge", "cancel": "refund"}.get(request.url.path.rpartition("/")[2], "read")
        faults = {"charge": self.CHARGE, "refund": self.REFUND, "read": self.READ}[kind]
        fault = self.dice.choice(faults) if self.dice.random() < self.rate[kind] else "none"
        self.hit[f"{kind} {fault}"] += 1
        if kind == "charge":
            self.sends.setdefault(body["partner"]["partnerOrderId"], []).append(
                "turned away" if fault in ("own_403", "own_429") else "sent")
        if fault == "kill_before":
            self.on_kill()
            raise Killed
        if fault in ("drop_before", "500_before", "own_403", "own_429", "own_400_before"):
            return self.wrong(fault)
        if kind == "read":
            key = request.url.path.rpartition("/")[2]
            return self.wrong(fault) if fault in ("html_200", "cut") else httpx.Response(
                404, json={"errorCode": "NOT_FOUND"}) if fault == "missing" else self.receipt(
                    key, unpaid=fault == "unpaid")
        if kind == "refund":
            done = self.refund(body, 2_500.0 if fault.startswith("slow") else 0.0)
            truth = {"result": done, "message": "" if done else "no", "response": {
                "cancelPayment": {"canceledAmount": body["requestPrice"]}} if done else None}
            return self.told(fault.replace("slow_drop", "drop_after").replace("slow", "none"), truth, body)
        if fault == "late":
            self.later.append((self.clock.passed + self.dice.choice((5, 200, 2_000)), lambda: void(self.charge(body))))
            raise httpx.ReadTimeout("late")
        key = self.charge(body, "FAILED" if fault == "declined" else "COMPLETE")
        truth = {"result": fault != "declined", "code": 200, "message": "no" if fault == "declined" else "",
                 "response": {"idKey": key}}
        return self.told(fault, truth, body)

    def told(self, fault: str, truth: dict[str, Any], body: Mapping[str, Any]) -> httpx.Response:
        """An answer after it was done."""
        if fault == "kill_after":
            self.on_kill()
            raise Killed
        others = [k for k, p in self.payments.items() if p["status"] == "COMPLETE"]
        lies: dict[str, Any] = {
            "none": truth, "declined": truth, "null": None, "no_id": {**truth, "response": {}},
            "lie_failed": {**truth, "result": False, "message": "internal error", "response": None},
            "other_id": {**truth, "response": {"idKey": self.dice.choice(others or ["x"])}},
            "key_back": {**truth, "response": {"idKey": body["idKey"]}}}
        return httpx.Response(200, json=lies[fault]) if fault in lies else self.wrong(fault)

    def wrong(self, fault: str) -> httpx.Response:
        if fault.startswith("drop"):
            raise httpx.ReadError("gone")
        own = json.dumps({"errorCode": "SOME_CODE", "errorMessage": "no"}).encode()
        status, headers, body = {
            "500_before": (500, JSON, own), "500_after": (500, JSON, own), "own_400_after": (400, JSON, own),
            "own_400_before": (400, JSON, own), "own_403": (403, JSON, own), "own_429": (429, JSON, own),
            "bare_401": (401, {}, b"<html>"), "bare_429": (429, {"retry-after": "0"}, b"slow down"),
            "html_200": (200, {"content-type": "text/html"}, b"<html>"), "html_502": (502, {}, b"<html>"),
            "cut": (200, JSON, b'{"result": tr'), "empty": (200, JSON, b"")}[fault]
        return httpx.Response(status, headers=headers, content=body)

    def turn(self, seconds: float) -> None:
        """Time passes, and what was late arrives."""
        self.clock.passed += seconds
        for due, do in [late for late in self.later if late[0] <= self.clock.passed]:
            self.later.remove((due, do))
            do()


def void(_: object) -> None:
    return None


class Shaky:
    """The SQLite ledger on a disk that fails now and then: before it wrote, or after."""

    blocking = True

    def __init__(self, path: Path, dice: random.Random, rate: float) -> None:
        self._inner, self._dice, self.rate = SqliteLedger(path), dice, rate

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self._inner, verb)

        def call(*args: Any) -> Any:
            failing = self._dice.random() < self.rate
            if failing and self._dice.random() < 0.5:
                raise LedgerError("disk full")
            done = method(*args)
            if failing:
                raise LedgerError("commit outcome unknown")
            return done
        return method if verb == "close" else call


class Merchant:
    """Who uses the public API, hears what it says, and starts again with the file as it was when killed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = random.Random(seed)
        self.folder, self.lives = folder, 0
        self.clock = Clock()
        self.pg = Pg(self.dice, self.clock)
        self.pg.on_kill = self.snapshot
        self.trouble = 0.03
        self.ledger = Shaky(folder / "0.db", self.dice, self.trouble)
        self.gate = self.connect()
        self.keys: dict[str, BillingKey] = {}
        self.windows: dict[str, list[dict[str, str]]] = {}
        self.charges: dict[str, Charge] = {}
        self.refunds: dict[str, Cancel | CancelWhole] = {}
        self.told: dict[str, set[str]] = {}
        self.given: dict[str, int] = {}

    def connect(self) -> Gateway:
        # A ledger made of the protocol's verbs; attributes that __getattr__ finds are as good as written ones.
        return connect(SPEC, SETTINGS, ledger=self.ledger, clock=self.clock, http=self.pg)  # type: ignore[arg-type]

    def snapshot(self) -> None:
        """What the disk holds at the moment of death."""
        for file in self.folder.glob(f"{self.lives}.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, self.folder / f"{self.lives + 1}.db{file.name.partition('.db')[2]}")

    def do(self, what: Callable[[], Any]) -> Any:
        """One call; an error is an answer, and a kill means a new process."""
        try:
            return what()
        except Killed:
            self.lives += 1
            self.gate.close()
            self.ledger = Shaky(self.folder / f"{self.lives}.db", self.dice, self.trouble)
            self.gate = self.connect()
            return None
        except (PaygateError, LedgerError) as error:
            return error

    # What it does

    def register(self) -> None:
        order = f"reg-{len(self.windows)}"
        command = Register(order_id=order, money=Money(self.dice.choice((1_000, 9_900)), "KRW"), title="plan",
                           return_url="https://shop.test/back", customer=PAYER)
        checkout = self.do(lambda: self.gate.register(command))
        self.windows[order] = []
        if checkout is None or isinstance(checkout, Exception):
            return
        params = dict(checkout.action.to_dict()["params"])
        if self.dice.random() < 0.2:  # A page can be changed before the window opens.
            params |= self.dice.choice(({"product": {**params["product"], "amount": 100}},
                                        {"product": {**params["product"], "amount": 0}}, {"paymentMethod": "CARD"},
                                        {"partner": {**params["partner"], "partnerUserId": "somebody"}}))
        self.windows[order].append(self.pg.window(params, self.dice.choice(("approve", "approve", "decline", "close"))))

    def confirm(self) -> None:
        if not self.windows:
            return
        order = self.dice.choice(sorted(self.windows))
        brought = [*self.windows[order], {}]
        if self.dice.random() < 0.2:  # A return of another order, or one that was made up.
            brought += [q for others in self.windows.values() for q in others]
            brought.append({"event": "success", "idKey": "1767225600000AbCdEfGhIjKlMnOp"})
        query = self.dice.choice(brought)
        key = self.do(lambda: self.gate.confirm_key(order, query))
        if isinstance(key, BillingKey):
            assert self.keys.setdefault(order, key) == key
            self.told.setdefault(order, set()).add("paid")
        elif isinstance(key, PaygateError):
            self.hear(order, key)

    def charge(self, order: str | None = None) -> None:
        if order is None and self.keys and (not self.charges or self.dice.random() < 0.5):
            key = self.keys[self.dice.choice(sorted(self.keys))]
            order = f"order-{len(self.charges)}"
            self.charges[order] = Charge(order_id=order, billing_key=key, title="plan", customer=PAYER,
                                         money=Money(self.dice.choice((9_900, 14_000, 30_000)), "KRW"))
        order = order or (self.dice.choice(sorted(self.charges)) if self.charges else None)
        if order is not None:
            command = self.charges[order]
            self.hear(order, self.do(lambda: self.gate.charge(command)))

    def cancel(self, cancel_id: str | None = None) -> None:
        orders = sorted([*self.charges, *self.keys])
        if cancel_id is None and orders and (not self.refunds or self.dice.random() < 0.6):
            number = len(self.refunds)
            cancel_id, order = f"back-{number}", self.dice.choice(orders)
            if self.dice.random() < 0.2:
                self.refunds[cancel_id] = CancelWhole(cancel_id=cancel_id, order_id=order, reason="asked")
            else:  # No two refunds are of one amount, so the journal tells whose each is.
                self.refunds[cancel_id] = Cancel(cancel_id=cancel_id, order_id=order, reason="asked",
                                                 money=Money(self.dice.choice((1_000, 4_000)) + number, "KRW"))
        cancel_id = cancel_id or (self.dice.choice(sorted(self.refunds)) if self.refunds else None)
        if cancel_id is None:
            return
        command = self.refunds[cancel_id]
        done = self.do(lambda: self.gate.cancel(command) if isinstance(command, Cancel)
                       else self.gate.cancel_whole(command))
        if done is not None and not isinstance(done, Exception):
            assert self.given.setdefault(cancel_id, done.money.amount) == done.money.amount

    def listen(self, chance: float = 0.5) -> None:
        """Some webhooks arrive, in any order, some twice, some never; and some that nobody sent."""
        letters = [h for h in self.pg.hooks if self.dice.random() < chance]
        self.dice.shuffle(letters)
        for body in [*letters, *letters[:2], b'{"webHookType":"PAYMENT","orderId":1,"idKey":"1767225600000forged"}']:
            event = self.do(lambda body=body: self.gate.receive(JSON, body))
            assert not isinstance(event, Forged) or b"forged" in body or self.is_doubtful(body)
            if event is not None and not isinstance(event, Exception) and event.payment is not None:
                self.hear(event.payment.order_id, event.payment)

    def is_doubtful(self, body: bytes) -> bool:
        """Whether a true webhook is about a payment that contradicts what was asked, or looked so just then."""
        return True if self.pg.rate["read"] else self.pg.payments[json.loads(body)["idKey"]]["order"] in self.odd()

    def hear(self, order: str, said: Any) -> None:
        if isinstance(said, Payment):
            self.told.setdefault(order, set()).add("paid" if said.status.took_money else said.status.value)
        elif isinstance(said, PaygateError):
            self.told.setdefault(order, set()).add("not moved" if said.moved is False else "unknown")

    def begin(self) -> None:
        """In fair weather: one payer registers."""
        rate, self.pg.rate, self.ledger.rate = self.pg.rate, dict.fromkeys(self.pg.rate, 0.0), 0.0
        while not self.keys:
            self.register()
            self.confirm()
        self.pg.rate, self.ledger.rate = rate, self.trouble

    def step(self) -> None:
        acts = (self.register, self.confirm, self.confirm, self.charge, self.charge, self.charge, self.cancel,
                self.cancel, self.listen, lambda: void(self.do(self.gate.reconcile)),
                lambda: self.pg.turn(self.dice.choice((1, 30, 130, 900))))
        self.dice.choice(acts)()

    def settle(self) -> None:
        """All goes well from now on, but the webhooks that were lost stay lost."""
        self.pg.rate, self.trouble, self.ledger.rate = dict.fromkeys(self.pg.rate, 0.0), 0.0, 0.0
        kept = [h for h in self.pg.hooks if self.dice.random() < 0.6]
        self.pg.turn(3_000)
        for _ in range(3):
            for _ in range(16):
                self.pg.turn(400)
                self.do(lambda: self.gate.reconcile(1_000))
            for body in kept:
                self.do(lambda body=body: self.gate.receive(JSON, body))
            for order in self.charges:
                if self.state(order) not in (None, State.NOT_SENT):  # It is asked, never sent.
                    self.charge(order)
            for cancel_id in self.refunds:
                if self.state(cancel_id) is State.ANSWERED:
                    self.cancel(cancel_id)
        self.pg.turn(86_400 * 9)
        for _ in range(10):
            self.do(lambda: self.gate.reconcile(1_000))
            self.pg.turn(86_400)

    # What must hold

    def state(self, id: str) -> State | None:
        """How the ledger has an order or a refund."""
        trail = self.gate.trail(id)
        return trail[-1].state if trail else None

    def flagged(self) -> set[str]:
        return {row.id for row in self.gate.attention(10_000)}

    def odd(self) -> set[str]:
        """Orders whose money did not move as it was asked for."""
        return {order for what, order, key, won in self.pg.moved if what == "charge" and (
            self.pg.payments[key]["user"] != "payer-7" or self.pg.payments[key]["method"] != "CARD_BILL"
            or (order in self.charges and won != self.charges[order].money.amount))} | {
                p["order"] for p in self.pg.payments.values() if p["won"] in (0, 100) or p["user"] != "payer-7"
                or p["method"] != "CARD_BILL"}

    def check(self) -> None:
        taken = Counter(order for what, order, _, _ in self.pg.moved if what == "charge")
        flagged, doubt = self.flagged(), {row.id for row in self.gate.pending(10_000)}
        for order, command in self.charges.items():
            said = self.told.get(order, set())
            assert taken[order] <= 1, f"{order} was charged {taken[order]} times"
            assert "paid" not in said or taken[order] == 1, f"{order} was called paid, and no money moved"
            if taken[order]:
                final = self.do(lambda command=command: self.gate.charge(command))
                known = isinstance(final, Payment) and final.status.took_money and final.money == command.money
                assert known or order in flagged, f"{order} was charged, and nobody is told ({final!r})"
                assert known or order in doubt, f"{order} was charged, and its doubt was dropped ({final!r})"
            sends = self.pg.sends.get(order, [])
            assert all(end == "turned away" for end in sends[:-1]), f"{order} was sent again: {sends}"
        for order, key in self.keys.items():
            right = [k for what, o, k, _ in self.pg.moved if what == "charge" and o == order and o not in self.odd()]
            assert right == [key.reveal()], f"{order} was confirmed wrongly"
        given = Counter((key, won) for what, _, key, won in self.pg.moved if what == "refund")
        for (key, won), times in given.items():
            assert times == 1 or self.pg.payments[key]["won"] == won, f"{won} won were given back {times} times"
        for key, p in self.pg.payments.items():
            assert p["back"] == sum(won * n for (k, won), n in given.items() if k == key) <= p["won"]
        for cancel_id, won in self.given.items():
            order = self.refunds[cancel_id].order_id
            assert any(what == "refund" and (o, w) == (order, won) for what, o, _, w in self.pg.moved), (
                f"{cancel_id} was called done, and nothing was given back")
        told = sum(self.given.values())
        open_ = {i for i in self.refunds if i in doubt}
        assert open_ <= flagged, f"refunds in doubt that nobody is told of: {open_ - flagged}"
        really = sum(won for what, _, _, won in self.pg.moved if what == "refund")
        late = self.refunds.keys() & flagged
        assert told == really or open_ or late, f"{really} won were given back, {told} told, and nobody is told"


@pytest.mark.parametrize("seed", range(20))
def test_no_won_moves_twice_or_unseen_whatever_goes_wrong(seed: int, tmp_path: Path) -> None:
    merchant = Merchant(seed, tmp_path)
    merchant.begin()
    for _ in range(80):
        merchant.step()
    merchant.settle()
    merchant.check()
    assert sum(merchant.pg.hit.values()) > 20
    merchant.gate.close()

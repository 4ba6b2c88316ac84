"""Clients written by hand against FakePG, without paygate: one that is right, and many that each do one thing wrong.

The checker must catch every wrong one before its silence about paygate counts for anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

from paygate.testing.emulator import Broken, Call, FaultKind
from paygate.testing.fakepg import FakePG
from paygate.testing.simulation.checker import Judge
from paygate.testing.simulation.faults import Weather
from paygate.testing.simulation.notes import Violation
from paygate.testing.simulation.recorder import CALLING, Recorder

KEY, OTHER_KEY = "key-1", "key-2"
SETTLE_S = 120.0


class NotReached(Exception):
    """No byte left."""


class Cut(Exception):
    """No complete answer came."""


class Died(Exception):
    """The client's process is gone; its ledger is not."""


class Town:
    """FakePG behind a bad network, and the journal that the checker reads."""

    def __init__(self, seed: str) -> None:
        self.rng = Random(seed)
        self.pg = FakePG()
        self.pg.issue_key(KEY)
        self.pg.issue_key(OTHER_KEY)
        self.clock = self.pg.clock
        self.judge = Judge()
        self.recorder = Recorder(self.pg, self.judge)
        self.weather = Weather(self.rng)
        self.token = ""
        self.deadly = 0.0

    def http(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request. Raises: NotReached, Cut, Died."""
        call = Call(method, path, {"authorization": f"Bearer {self.token}"}, json.dumps(body).encode() if body else b"")
        asks = self.pg.asks(call)
        trouble = self.weather.draw(asks)
        self.clock.advance(self.rng.random() * 0.3)
        if trouble is FaultKind.REFUSE:
            raise NotReached
        answer = self.recorder.exchange(call, asks, trouble)
        if self.rng.random() < self.deadly:
            raise Died
        if isinstance(answer, Broken):
            self.clock.advance(60 if answer.how == "hang" else 0)
            raise Cut
        try:
            said = json.loads(answer.body)
        except (ValueError, RecursionError):
            said = None
        return answer.status, said if isinstance(said, dict) else None


class RightClient:
    """Writes down before it speaks, sends once, looks, waits, and tells nothing it does not know."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.rows: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}

    # The wire

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A request with a token; again after what certainly did not arrive, and after a complete 401 or 429."""
        for n in range(4):
            try:
                if not self.town.token:
                    status, said = self.town.http("POST", "/token", {"api_key": "any"})
                    if status != 200 or not said or "token" not in said:
                        raise NotReached
                    self.town.token = said["token"]
                status, said = self.town.http(method, path, body)
            except NotReached:
                if n < 2:
                    continue
                raise
            except Cut:
                if method == "GET" and n < 2:
                    continue
                if not self.town.token:
                    raise NotReached from None
                raise
            if status == 401:
                self.town.token = ""
            elif status != 429:
                return status, said
        raise NotReached

    # Charging

    def charge(self, order: str, amount: int) -> tuple[str, int | None]:
        row = self.rows.get(order)
        if row is not None and row["state"] in ("answered", "refused"):
            return self.recorded(row)
        if row is not None and row["state"] in ("sent", "unknown"):
            return self.look(order)
        self.write(order, amount)
        return self.send(order, amount)

    def write(self, order: str, amount: int) -> None:
        self.rows[order] = {"state": "sent", "amount": amount, "sent_at": self.town.clock.monotonic(), "miss": None,
                            "attention": None}

    def send(self, order: str, amount: int) -> tuple[str, int | None]:
        row = self.rows[order]
        try:
            status, said = self.ask("POST", "/charges", self.bought(order, amount))
        except NotReached:
            row["state"] = "not_sent"
            return "no", None
        except Cut:
            return self.doubt(order)
        return self.answered(order, status, said)

    def bought(self, order: str, amount: int) -> dict[str, Any]:
        return {"order_id": order, "key": KEY, "amount": amount, "currency": "KRW"}

    def schedule(self, order: str, amount: int, due_s: float) -> tuple[str, int | None]:
        """Have a charge held for later; what became of it is looked up once it is due."""
        self.write(order, amount)
        self.rows[order]["sent_at"] = due_s
        due_at = self.town.clock.now() + timedelta(seconds=due_s - self.town.clock.monotonic())
        try:
            self.ask("POST", "/schedules", {"key": KEY, "items": [
                {**self.bought(order, amount), "due_at": due_at.isoformat(), "tax_free": None}]})
        except (NotReached, Cut):
            return "unknown", None
        return "pending", None

    def answered(self, order: str, status: int, said: Any) -> tuple[str, int | None]:
        row = self.rows[order]
        if status == 200 and said and said.get("status") == "paid" and said.get("order_id") == order \
                and said.get("amount") == row["amount"]:
            row["state"] = "answered"
            return self.recorded(row)
        return self.doubt(order)

    def doubt(self, order: str) -> tuple[str, int | None]:
        self.rows[order] |= {"state": "unknown", "sent_at": self.town.clock.monotonic()}
        return self.look(order)

    def recorded(self, row: dict[str, Any]) -> tuple[str, int | None]:
        return {"answered": ("paid", row["amount"]), "refused": ("no", None), "not_sent": ("no", None)}.get(
            row["state"], ("unknown", None))

    def look(self, order: str) -> tuple[str, int | None]:
        row, asked_at = self.rows[order], self.town.clock.monotonic()
        try:
            status, said = self.ask("GET", f"/payments?order_id={order}")
        except (NotReached, Cut):
            return "unknown", None
        items = said.get("items") if status == 200 and said else None
        if not isinstance(items, list):
            return "unknown", None
        ours = [i for i in items if i["order_id"] == order and i["amount"] == row["amount"]]
        if items and not ours:
            return "unknown", None
        if any(i["status"] == "paid" for i in ours):
            row |= {"state": "answered", "attention": row["attention"]}
        elif any(i["status"] == "pending" for i in ours):
            return "pending", None
        elif ours:
            row["state"] = "refused"
        else:
            self.missed(row, asked_at)
        return self.recorded(row)

    def missed(self, row: dict[str, Any], at: float) -> None:
        if row["miss"] is None:
            row["miss"] = at
        elif at - row["miss"] >= SETTLE_S / 4 and at - row["sent_at"] >= SETTLE_S:
            row["state"] = "not_sent"

    def hook(self, order: str, claims: str) -> None:
        """A webhook is a hint: look."""
        if order in self.rows and self.rows[order]["state"] in ("sent", "unknown"):
            self.look(order)

    # Giving back

    def refund(self, id: str, order: str, amount: int) -> tuple[str, int | None]:
        if (row := self.refunds.get(id)) is not None and row["state"] == "answered":
            return "done", row["amount"]
        if row is not None and row["state"] == "unknown":
            return self.look_at(id)
        if any(r["order"] == order and r["state"] == "unknown" for r in self.refunds.values()) \
                or self.rows.get(order, {}).get("state") != "answered":
            return "bad", None
        if (payment := self.balance(order)) is None or payment["amount"] - payment["given_back"] < amount:
            return "bad", None
        self.refunds[id] = {"state": "sent", "order": order, "amount": amount, "before": payment["given_back"],
                            "sent_at": self.town.clock.monotonic(), "miss": None, "attention": None}
        return self.give(id, payment)

    def give(self, id: str, payment: dict[str, Any]) -> tuple[str, int | None]:
        row = self.refunds[id]
        try:
            self.ask("POST", f"/payments/{payment['id']}/refunds", {
                "amount": self.part(row["amount"], payment), "left": payment["amount"] - row["before"], "reason": id})
        except NotReached:
            row["state"] = "not_sent"
            return "no", None
        except Cut:
            pass
        row |= {"state": "unknown", "sent_at": self.town.clock.monotonic()}
        return self.look_at(id)

    def part(self, amount: int, payment: dict[str, Any]) -> int:
        return amount

    def balance(self, order: str) -> dict[str, Any] | None:
        try:
            status, said = self.ask("GET", f"/payments?order_id={order}")
        except (NotReached, Cut):
            return None
        items = said.get("items") if status == 200 and said else None
        paid = [i for i in items or () if i["order_id"] == order and i["status"] == "paid"]
        return paid[0] if len(paid) == 1 else None

    def look_at(self, id: str) -> tuple[str, int | None]:
        row, asked_at = self.refunds[id], self.town.clock.monotonic()
        if (payment := self.balance(row["order"])) is None:
            return "unknown", None
        if payment["given_back"] == row["before"] + self.part(row["amount"], payment):
            row["state"] = "answered"
            return "done", row["amount"]
        if payment["given_back"] == row["before"]:
            self.missed(row, asked_at)
        return ("no" if row["state"] == "not_sent" else "unknown"), None

    # Time

    def reconcile(self) -> None:
        for order, row in self.rows.items():
            if row["state"] in ("sent", "unknown", "refused"):
                self.look(order)
        for id, row in self.refunds.items():
            if row["state"] in ("sent", "unknown"):
                self.look_at(id)

    def give_up(self) -> None:
        """The timetable is over: what is open is for a person."""
        for row in (*self.rows.values(), *self.refunds.values()):
            if row["state"] in ("sent", "unknown"):
                row["attention"] = "nobody knows"


class RetriesAnything(RightClient):
    """Sends again whatever went wrong."""

    def send(self, order: str, amount: int) -> tuple[str, int | None]:
        for _ in range(2):
            said = super().send(order, amount)
            if said[0] != "unknown":
                return said
        return said


class NewIdOnDoubt(RightClient):
    """Takes a new order id for what it does not know."""

    def charge(self, order: str, amount: int) -> tuple[str, int | None]:
        said = super().charge(order, amount)
        if said[0] != "unknown" or order.endswith("-b"):
            return said
        play_charge(self, f"{order}-b", amount, cart=order)
        return said


class TimeoutIsFailure(RightClient):
    """No answer means no payment."""

    def doubt(self, order: str) -> tuple[str, int | None]:
        self.rows[order]["state"] = "refused"
        return "no", None


class OkIsPaid(RightClient):
    """HTTP 200 means paid."""

    def answered(self, order: str, status: int, said: Any) -> tuple[str, int | None]:
        if status == 200:
            self.rows[order]["state"] = "answered"
        return self.recorded(self.rows[order]) if status == 200 else self.doubt(order)


class BodyNotCompared(RightClient):
    """Any answer that says paid means that this order is paid."""

    def answered(self, order: str, status: int, said: Any) -> tuple[str, int | None]:
        if status == 200 and said and said.get("status") == "paid":
            self.rows[order]["state"] = "answered"
            return self.recorded(self.rows[order])
        return self.doubt(order)


class NeverReconciles(RightClient):
    """What is unknown stays unknown, and nobody hears of it."""

    def reconcile(self) -> None:
        pass

    def give_up(self) -> None:
        pass


class FirstMissBelieved(RightClient):
    """Not found once means never happened."""

    def missed(self, row: dict[str, Any], at: float) -> None:
        row["state"] = "not_sent"


class FollowsRedirects(RightClient):
    """Sends the body again to wherever a redirect points."""

    def answered(self, order: str, status: int, said: Any) -> tuple[str, int | None]:
        if status == 307:
            return self.send(order, self.rows[order]["amount"])
        return super().answered(order, status, said)


class RefundsBlindly(RightClient):
    """Asks for a refund again until it is answered."""

    def give(self, id: str, payment: dict[str, Any]) -> tuple[str, int | None]:
        for _ in range(3):
            said = RightClient.give(self, id, payment)
            row = self.refunds[id]
            if said[0] == "done":
                return said
            row["before"] = payment["given_back"]
        return said

    def look_at(self, id: str) -> tuple[str, int | None]:
        return "unknown", None


class SpeaksBeforeItWrites(RightClient):
    """Remembers an order once the PG has answered."""

    def write(self, order: str, amount: int) -> None:
        super().write(order, amount)
        self.forgets = self.rows[order]

    def send(self, order: str, amount: int) -> tuple[str, int | None]:
        row = self.rows[order]
        try:
            return super().send(order, amount)
        except Died:
            self.rows.pop(order, None)
            assert row is not None
            raise


class BelievesHooks(RightClient):
    """A webhook that says paid means paid."""

    def hook(self, order: str, claims: str) -> None:
        if order in self.rows and claims == "paid":
            self.rows[order]["state"] = "answered"


class GivesUpQuietly(RightClient):
    """What is not known by the end of the timetable has failed."""

    def reconcile(self) -> None:
        pass

    def give_up(self) -> None:
        for row in (*self.rows.values(), *self.refunds.values()):
            if row["state"] in ("sent", "unknown"):
                row["state"] = "refused"


class RefundsInDoubt(RightClient):
    """Gives back what may never have been taken, and does not wait for an earlier refund."""

    def refund(self, id: str, order: str, amount: int) -> tuple[str, int | None]:
        row = self.rows.get(order)
        payment = {"id": "p1", "amount": row["amount"], "given_back": 0} if row else None
        if payment is None:
            return "bad", None
        found = next((p for p in self.town.pg.payments.values() if p["order_id"] == order), None)
        payment["id"] = found["id"] if found else "p999"
        self.refunds[id] = {"state": "sent", "order": order, "amount": amount, "before": 0, "miss": None,
                            "sent_at": self.town.clock.monotonic(), "attention": None}
        return self.give(id, payment)


class GivesBackDouble(RightClient):
    """Sends twice the amount of a refund."""

    def part(self, amount: int, payment: dict[str, Any]) -> int:
        return amount * 2


class GivesBackAll(RightClient):
    """Makes every partial refund a whole one."""

    def part(self, amount: int, payment: dict[str, Any]) -> int:
        left: int = payment["amount"] - self.before(payment)
        return left

    def before(self, payment: dict[str, Any]) -> int:
        return min((r["before"] for r in self.refunds.values() if r["order"] == payment["order_id"]), default=0)


class ChargesAnotherKey(RightClient):
    """Charges a key that belongs to another payer."""

    def bought(self, order: str, amount: int) -> dict[str, Any]:
        return {**super().bought(order, amount), "key": OTHER_KEY}


class ChargesDollars(RightClient):
    """Charges the right number of another currency."""

    def bought(self, order: str, amount: int) -> dict[str, Any]:
        return {**super().bought(order, amount), "currency": "USD"}


class ChargesMore(RightClient):
    """Adds a fee that nobody agreed to."""

    def bought(self, order: str, amount: int) -> dict[str, Any]:
        return super().bought(order, amount + 100)


class ChargesEarly(RightClient):
    """Has dated charges carried out a minute before their date."""

    def schedule(self, order: str, amount: int, due_s: float) -> tuple[str, int | None]:
        return super().schedule(order, amount, due_s - 60)


WRONG: dict[type[RightClient], set[str]] = {
    RetriesAnything: {"unsafe resend"},
    NewIdOnDoubt: {"unsafe resend", "double"},
    TimeoutIsFailure: {"false decline"},
    OkIsPaid: {"false success", "phantom"},
    BodyNotCompared: {"false success", "phantom"},
    NeverReconciles: {"stuck", "lost"},
    FirstMissBelieved: {"false decline", "lost"},
    FollowsRedirects: {"unsafe resend"},
    RefundsBlindly: {"unsafe resend"},
    SpeaksBeforeItWrites: {"lost", "unannounced"},
    BelievesHooks: {"phantom", "books"},
    GivesUpQuietly: {"lost"},
    RefundsInDoubt: {"unsafe resend"},
    GivesBackDouble: {"wrong amount"},
    GivesBackAll: {"wrong amount"},
    ChargesAnotherKey: {"wrong key"},
    ChargesDollars: {"wrong currency"},
    ChargesMore: {"wrong amount"},
    ChargesEarly: {"wrong date"},
}
"""Each wrong client, and what it must be caught at."""


def play_charge(client: RightClient, order: str, amount: int, cart: str | None = None) -> None:
    """Ask a client to charge, and write down what it says."""
    recorder = client.town.recorder
    call = recorder.ask("charge", order=order, amount=amount, cart=cart or order, currency="KRW", key=KEY)
    before = CALLING.set(call)
    try:
        recorder.tell(call, *client.charge(order, amount))
    except Died:
        client.town.token = ""
    finally:
        CALLING.reset(before)


def play_refund(client: RightClient, id: str, order: str, amount: int) -> None:
    recorder = client.town.recorder
    call = recorder.ask("refund", order=order, intent=id, amount=amount, currency="KRW")
    before = CALLING.set(call)
    try:
        recorder.tell(call, *client.refund(id, order, amount))
    except Died:
        client.town.token = ""
    finally:
        CALLING.reset(before)


def play_schedule(client: RightClient, order: str, amount: int, due_s: float) -> None:
    recorder = client.town.recorder
    call = recorder.ask("schedule", order=order, amount=amount, cart=order, currency="KRW", key=KEY, due=due_s)
    before = CALLING.set(call)
    try:
        recorder.tell(call, *client.schedule(order, amount, due_s))
    except Died:
        client.town.token = ""
    finally:
        CALLING.reset(before)


def play(kind: type[RightClient], seed: str, orders: int = 60) -> list[Violation]:
    """A day of a client's life: charges, refunds, webhooks, deaths, then peace. Returns what the checker found."""
    town = Town(f"{seed}")
    client, rng = kind(town), town.rng
    town.deadly = 0.03
    asked: dict[str, int] = {}
    for n in range(orders):
        order = f"o{n:04}"
        asked[order] = rng.randrange(1_000, 9_000)
        play_charge(client, order, asked[order])
        again = rng.choice(list(asked))
        match rng.randrange(5):
            case 0:
                play_charge(client, again, asked[again])
            case 1:
                play_refund(client, f"{again}-r{n}", again, rng.randrange(1, 500))
            case 2:
                _survived(client, lambda again=again: client.hook(again, "paid"))  # type: ignore[misc]
        if n % 10 == 5:
            play_schedule(client, f"d{n:04}", 2_000 + n, town.clock.monotonic() + 300.0)
        town.clock.advance(rng.choice((1, 10, 40, 130)))
        if rng.random() < 0.2:
            _survived(client, client.reconcile)
    town.deadly, town.weather.is_bad = 0.0, False
    for seconds in (130, 130, 4_000):
        town.clock.advance(seconds)
        _survived(client, client.reconcile)
    client.give_up()
    town.recorder.sync()
    for id, row in client.rows.items():
        town.recorder.note("row", book="payment", id=id, order=id, state=row["state"], amount=row["amount"],
                           paid=row["state"] == "answered", attention=row["attention"])
    for id, row in client.refunds.items():
        town.recorder.note("row", book="cancel", id=id, order=row["order"], state=row["state"], amount=row["amount"],
                           paid=False, attention=row["attention"])
    return town.judge.end()


def _survived(client: RightClient, do: Callable[[], None]) -> None:
    try:
        do()
    except Died:
        client.town.token = ""

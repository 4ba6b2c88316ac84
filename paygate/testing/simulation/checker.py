"""The judge of a simulation: plain journals in, violations out. It imports nothing of paygate.

What a history is made of stands in notes.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .notes import OPEN, READINGS, Event, Rules, Violation
from .remembered import Intent, OrderNote
from .terms import Terms


class Judge:
    """Feed it events as they happen; `violations` grows. `end()` judges what the ledger says in the end."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.violations: list[Violation] = []
        self.step = -1
        self._orders: dict[str, OrderNote] = {}
        self._charges: dict[str, Intent] = {}
        self._refunds: dict[str, Intent] = {}
        self._calls: dict[int, Event] = {}
        self._moved_by: dict[int, int] = {}
        self._refund_rows: dict[str, Event] = {}
        self._late: list[tuple[str, str, int]] = []
        """(kind, intent, event): money that moved after a "no", for which a person must have been told."""
        self._last_of_cart: dict[str, tuple[str, str]] = {}
        """The cart's order that was asked for last, and what was said of it last."""

    def forget(self, order: str) -> None:
        """Do not judge an order that belongs to the scenery."""
        self._orders.pop(order, None)
        self._charges.pop(order, None)

    def feed(self, event: Event) -> None:
        """Take one event."""
        self.step += 1
        getattr(self, f"_{event['what']}")(event)

    def found(self, kind: str, about: str, text: str, *, at_end: bool = False) -> None:
        """Note a violation."""
        self.violations.append(Violation(kind, about, text, None if at_end else self.step))

    def _order(self, id: str) -> OrderNote:
        return self._orders.setdefault(id, OrderNote())

    def _charge(self, id: str) -> Intent:
        return self._charges.setdefault(id, Intent())

    def _refund(self, id: str) -> Intent:
        return self._refunds.setdefault(id, Intent())

    # What the merchant does

    def _asked(self, e: Event) -> None:
        self._calls[e["call"]] = e
        if e["verb"] == "refund":
            self._refund(e["intent"]).terms.command(e)
        elif e["verb"] in ("charge", "pay", "schedule", "conflict"):
            self._charge(e["order"]).terms.command(e)
        if e["verb"] == "unschedule":
            self._order(e["order"]).is_to_stop = True
        if e["verb"] not in ("charge", "pay", "schedule"):
            return
        order, cart = self._order(e["order"]), e.get("cart")
        order.is_asked = True
        order.cart = cart
        if cart is None:
            return
        before, said = self._last_of_cart.get(cart, (e["order"], ""))
        if before != e["order"] and said != "no":
            self.found("unsafe resend", e["order"], f"a new order id for what {before} may have paid already")
        self._last_of_cart[cart] = (e["order"], said if before == e["order"] else "")

    def _told(self, e: Event) -> None:
        asked, said = self._calls[e["call"]], e["said"]
        if asked.get("verb") == "refund":
            self._told_of_refund(asked, said, e)
        elif (about := e.get("order") or asked.get("order")) is not None:
            self._told_of_charge(about, asked["verb"], said, e)
        about = str(asked.get("intent") or asked.get("order"))
        is_late = any(i[about].is_late for i in (self._charges, self._refunds) if about in i)
        if said in ("no", "bad") and self._moved_by.get(e["call"]) and not is_late:
            self.found("false decline", about, "the call moved money and was told that it did not")

    def _told_of_charge(self, id: str, verb: str, said: str, e: Event) -> None:
        order, intent = self._order(id), self._charge(id)
        if said == "paid" and order.charges != [e["amount"]]:
            self.found("false success", id,
                       f"told that {e['amount']} was paid; the PG took {order.charges or 'nothing'}")
        if verb not in READINGS:
            self._remember(intent, said)
            if said == "no" and order.charges and intent.is_denied and not intent.is_late:
                intent.is_late = True
                self._late.append(("charge", id, self.step))
        if said == "no" and verb not in READINGS and order.charges and not intent.is_late:
            self.found("false decline", id, f"told that it did not happen; the PG had taken {order.charges}")
        if order.cart is not None and said not in ("bad", "busy") and verb not in READINGS \
                and self._last_of_cart.get(order.cart, ("", ""))[0] == id:
            self._last_of_cart[order.cart] = (id, said)

    def _told_of_refund(self, asked: Event, said: str, e: Event) -> None:
        id, order = asked["intent"], self._order(asked["order"])
        given, intent = order.refunds.get(id, 0), self._refund(id)
        if said == "done" and asked["amount"] not in (None, e["amount"]):
            self.found("false success", id, f"told that {e['amount']} was given back; asked for was {asked['amount']}")
        if said == "done" and given != e["amount"]:
            self.found("false success", id, f"told that {e['amount']} was given back; the PG gave {given}")
        if said == "no" and given and not intent.is_late:
            self.found("false decline", id, f"told that it did not happen; the PG had given {given} back")
        self._remember(intent, said)

    def _remember(self, intent: Intent, said: str) -> None:
        if said == "no":
            intent.no_at, intent.sent_since_no = self.step, False
        elif said not in ("bad", "busy"):
            intent.no_at = None

    def _decided(self, e: Event) -> None:
        for intents in (self._charges, self._refunds):
            if e["intent"] in intents:
                intents[e["intent"]].sent_at = None

    # What reaches the PG

    def _request(self, e: Event) -> None:
        match e["kind"]:
            case "charge" | "schedule":
                for n, id in enumerate(e["orders"]):
                    if not self._order(id).is_asked:
                        self.found("phantom", id, "the PG was asked for money that nobody commanded")
                    self._compare(self._charge(id).terms, id, e, n)
                    self._sent(self._charge(id), id, e, self._may_charge_again)
            case "refund":
                self._refund_request(e)
            case "unschedule" if not e["orders"]:
                self.found("unsafe resend", "unschedule", "a request that names no order stops all of them")
            case "unschedule":
                for id in e["orders"]:
                    if not self._order(id).is_to_stop:
                        self.found("wrong order", id, "the PG was asked to stop what nobody commanded to stop")

    def _compare(self, terms: Terms, id: str, e: Event, n: int = 0, *, left: int = 0, owner: str | None = None) -> None:
        said = e["terms"][n] if e.get("terms") else {}
        for kind, text in terms.differs(said, left, owner=owner):
            self.found(kind, id, f"the PG was asked for {text}")

    def _sent(self, intent: Intent, id: str, e: Event, may: Any) -> None:
        if intent.sent_at is not None and (why := may(intent, e)) is not None:
            self.found("unsafe resend", id, why)
        intent.sent_since_no = True
        if e["fate"] == "maybe":
            intent.sent_at, intent.misses, intent.shown = e["at"], [], False

    def _may_charge_again(self, intent: Intent, e: Event) -> str | None:
        if intent.shown:
            return "sent again although the PG had shown a record of it"
        if not self.rules.askable:
            return "sent again, and this PG can prove no absence"
        return self._too_early(intent)

    def _too_early(self, intent: Intent) -> str | None:
        assert intent.sent_at is not None
        if len(intent.misses) < 2:
            return f"sent again after {len(intent.misses)} look-ups that found nothing; two are needed"
        if intent.misses[-1] - intent.misses[0] < self.rules.settle_s / 4 - 0.001:
            return "sent again after look-ups too close to each other"
        if intent.misses[-1] - intent.sent_at < self.rules.settle_s - 0.001:
            return "sent again before the settle window was over"
        return None

    def _refund_request(self, e: Event) -> None:
        (order_id,), (id,) = e["orders"], e["intents"]
        order, intent, owner = self._order(order_id), self._refund(id), self._charge(order_id)
        if owner.sent_at is not None and not owner.shown and not order.charges:
            self.found("unsafe resend", id, "money asked back of an order whose charge was in doubt")
        self._compare(intent.terms, id, e, left=order.taken - order.back, owner=order_id)
        before = order.last_refund
        if before not in (None, id) and (open_one := self._refund(str(before))).sent_at is not None \
                and not open_one.shown and not open_one.misses:
            self.found("unsafe resend", id, f"asked for while the refund {before} of the same order was in doubt")
        self._sent(intent, id, e, self._may_refund_again)
        if e["fate"] == "maybe":
            intent.back, order.last_refund = order.back - order.refunds.get(id, 0), id

    def _may_refund_again(self, intent: Intent, e: Event) -> str | None:
        if not intent.misses:
            return "sent again without a look at the balance that showed it undone"
        if intent.shown:
            return "sent again although the balance had changed"
        return None if e["guarded"] else self._too_early(intent)

    def _look(self, e: Event) -> None:
        if e["shown"] == "nothing":
            return
        for id in e["orders"]:
            intent = self._charge(id)
            if e["shown"] == "failed":
                intent.is_denied = True
            elif e["shown"] == "absent":
                intent.misses.append(e["at"])
            else:
                intent.shown = True
            refund = self._refunds.get(self._order(id).last_refund or "")
            if refund is not None and refund.sent_at is not None and e["shown"] == "record":
                if e["back"] == refund.back:
                    refund.misses.append(e["at"])
                else:
                    refund.shown = True

    def _moved(self, e: Event) -> None:
        order, amount = self._order(e["order"]), e["amount"]
        if e.get("call") is not None:
            self._moved_by[e["call"]] = self._moved_by.get(e["call"], 0) + amount
        if e["kind"] == "charge":
            order.charges.append(amount)
            intent = self._charge(e["order"])
            if len(order.charges) > 1:
                self.found("double", e["order"], f"charged {len(order.charges)} times: {order.charges}")
            self._did(intent.terms, e["order"], e)
            if (since := e.get("since")) is not None and intent.terms.is_before(since):
                self.found("wrong date", e["order"], "it was taken before the date it was commanded for")
            if not order.is_asked:
                self.found("phantom", e["order"], "money was taken that nobody asked for")
        else:
            intent = self._refund(e["intent"])
            self._did(intent.terms, e["intent"], e, left=order.taken - order.back)
            order.back += amount
            order.refunds[e["intent"]] = order.refunds.get(e["intent"], 0) + amount
            if order.back > order.taken:
                self.found("over-refund", e["order"], f"{order.back} was given back of {order.taken}")
        intent.moves += 1
        if intent.moves > 1 and e["kind"] == "refund" and e.get("call") is not None:
            self.found("double", e["intent"], f"given back {intent.moves} times")
        if intent.no_at is not None and not intent.sent_since_no:
            intent.is_late = True
            self._late.append((e["kind"], e["order"] if e["kind"] == "charge" else e["intent"], self.step))

    def _did(self, terms: Terms, id: str, e: Event, *, left: int = 0) -> None:
        for kind, text in terms.differs({"amount": e["amount"], "currency": e.get("currency")}, left):
            self.found(kind, id, f"the PG moved {text}")

    # What the ledger says in the end

    def _row(self, e: Event) -> None:
        if e["book"] == "cancel":
            self._refund_rows[e["id"]] = e
        else:
            self._order(e["id"]).row = e

    def end(self) -> list[Violation]:
        """Judge the final ledger. Returns all violations."""
        self._judge_late()
        for id, order in self._orders.items():
            self._judge_order(id, order)
        for id, row in self._refund_rows.items():
            self._judge_refund(id, row)
        self._judge_carts()
        self._judge_books()
        return self.violations

    def _judge_late(self) -> None:
        for kind, id, step in self._late:
            row = self._order(id).row if kind == "charge" else self._refund_rows.get(id)
            if row is None or not row["attention"]:
                self.violations.append(Violation(
                    "false decline", id, "it happened after the merchant was told no, and no person was told", step))

    def _judge_order(self, id: str, order: OrderNote) -> None:
        row = order.row
        if row is None:
            if order.charges:
                self.found("lost", id, f"{order.taken} was taken and the ledger knows nothing of it", at_end=True)
            elif self._charge(id).sent_at is not None:
                self.found("unannounced", id, "it was sent, and was not in the ledger before", at_end=True)
            return
        state, flagged = row["state"], bool(row["attention"])
        if state in OPEN and not flagged:
            self.found("stuck", id, f"it is {state} and nobody is told", at_end=True)
        if row["paid"] and order.charges != [row["amount"]]:
            self.found("phantom", id, f"the ledger says paid; the PG took {order.charges or 'nothing'}", at_end=True)
        if order.charges and not row["paid"]:
            if not flagged:
                self.found("lost", id, f"{order.taken} was taken; the ledger says {state}", at_end=True)
            elif self.rules.askable:
                self.found("stuck", id, f"{order.taken} was taken and the PG can be asked; it is {state}", at_end=True)

    def _judge_refund(self, id: str, row: Event) -> None:
        order = self._order(row["order"])
        given, state, flagged = order.refunds.get(id, 0), row["state"], bool(row["attention"])
        if state in OPEN and not flagged:
            self.found("stuck", id, f"the refund is {state} and nobody is told", at_end=True)
        if state == "answered" and given != row["amount"]:
            self.found("phantom", id, f"the ledger says {row['amount']} was given back; the PG gave {given}",
                        at_end=True)
        if given and state != "answered" and not flagged:
            self.found("lost", id, f"{given} was given back; the ledger says {state}", at_end=True)

    def _judge_carts(self) -> None:
        """A payer who paid twice for one thing, under two order ids, must have been shown to a person."""
        paid: dict[str, list[OrderNote]] = {}
        for order in self._orders.values():
            if order.cart is not None and order.taken > order.back:
                paid.setdefault(order.cart, []).append(order)
        for cart, orders in paid.items():
            if len(orders) > 1 and not any(o.row is not None and o.row["attention"] for o in orders):
                self.found("double", cart, f"paid {len(orders)} times, under {len(orders)} order ids", at_end=True)

    def _judge_books(self) -> None:
        """Double entry: what the shop holds by the PG's journal is what it holds by its ledger, order by order."""
        known = {id for o in self._orders.values() for id in o.refunds} & set(self._refund_rows)
        for id, order in self._orders.items():
            if order.row is None or order.row["attention"]:
                continue
            rows = [r for r in self._refund_rows.values() if r["order"] == id]
            strange = set(order.refunds) - known
            if strange or any(r["attention"] for r in rows):
                continue  # Judged one by one above; a refund made beside the ledger is nobody's entry.
            ours = (order.row["amount"] if order.row["paid"] else 0) - sum(
                r["amount"] for r in rows if r["state"] == "answered")
            if ours != order.taken - order.back:
                self.found("books", id, at_end=True, text=(
                    f"the PG holds {order.taken - order.back} for the shop, the ledger says {ours}"))


def judge(history: Iterable[Event], rules: Rules | None = None) -> list[Violation]:
    """Judge a whole history."""
    made = Judge(rules)
    for event in history:
        made.feed(event)
    return made.end()

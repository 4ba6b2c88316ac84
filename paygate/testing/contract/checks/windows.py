"""The payer's window: what is shown, what comes back from the browser, and that only the PG's record is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ....capability import Capability
from ....errors import Declined, Forged, PaygateError
from ....model import Checkout, ClientCall, Payment, PaymentStatus, Redirect
from ..bench import Bench
from ..registry import SYNC, check
from ..told import Broke, NotHere, Told, expect

C = Capability
HOSTILE = ("", " ", "null", "../..", "x" * 3_000, "a\x00b", "a\r\nSet-Cookie: x", "\ud800", "<script>", "%2e%2e%2f",
           "1e309", "p1?mode=live", "'; drop table--", "\u202eabc", "0", "-1", "true")


def _took(told: Told) -> bool:
    return isinstance(told.value, Payment) and told.value.status.took_money


@check(C.PAY)
def a_payer_who_approves_has_paid_exactly_once(bench: Bench) -> None:
    """Shown, approved, confirmed by a look-up: one payment of exactly that amount."""
    command, since = bench.pay(), len(bench.journal)
    checkout = bench.do("pay", command)
    expect(checkout.order_id == command.order_id, f"the window is of {checkout.order_id}")
    expect(not bench.journal[since:], "money moved before any payer acted")
    payment = bench.do("confirm", command.order_id, bench.browse(checkout.action))
    expect(payment.status is PaymentStatus.PAID, f"the payer approved, and the payment is {payment.status.value}")
    expect((payment.order_id, payment.money) == (command.order_id, command.money), f"told as {payment}")
    expect((bench.charges(since), bench.taken(since)) == (1, command.money.amount),
           f"{command.money} were to be paid once; the PG took {bench.taken(since)}")


@check(C.PAY)
def a_payer_who_declines_or_is_declined_has_paid_nothing(bench: Bench) -> None:
    """A failed payment is told as Declined, and it names a reason or that there is none."""
    command = bench.pay()
    query = bench.browse(bench.do("pay", command).action, "decline")
    told = bench.ask("confirm", command.order_id, query)
    expect(not bench.journal, "a declined payment took money")
    expect(isinstance(told.error, Declined) or told.in_doubt or (
        told.is_yes and told.value.status is PaymentStatus.PENDING), f"the payer was declined, and confirm {told}")
    if isinstance(told.error, Declined):
        expect(told.error.reason is not None, "a decline has neither a reason nor the word that it is unmapped")


@check(C.PAY)
def a_payer_who_closes_the_window_has_paid_nothing_yet(bench: Bench) -> None:
    """They may open it again: nothing is certain but that no money moved."""
    command = bench.pay()
    query = bench.browse(bench.do("pay", command).action, "close")
    told = bench.ask("confirm", command.order_id, query)
    expect(not _took(told), f"the payer closed the window, and confirm {told}")
    expect(not bench.journal, "a closed window took money")


@check(C.PAY)
def a_window_that_nobody_acted_in_is_not_paid(bench: Bench) -> None:
    """An open window is no payment, whatever a browser says."""
    command = bench.pay()
    bench.do("pay", command)
    for query in ({}, {"status": "success"}, {"success": "true"}, {"ok": "true", "paid": "1"},
                  {"event": "success", "code": "0"}, {"order_id": command.order_id, "status": "paid"}):
        told = bench.ask("confirm", command.order_id, query)
        expect(not _took(told), f"nobody paid, the browser brought {query}, and confirm {told}")
    expect(not bench.journal, "a window that nobody acted in took money")


@check(C.PAY)
def a_payer_who_fails_once_and_pays_in_the_next_window_has_paid(bench: Bench) -> None:
    """Several records under one order: the one that took money counts, whichever comes first."""
    command = bench.pay()
    action = bench.do("pay", command).action
    bench.browse(action, "decline")
    try:
        query = bench.browse(action)
    except Broke:
        raise NotHere("this PG closes an order for good once it was declined") from None
    told = bench.ask("confirm", command.order_id, query)
    expect(bench.charges() == 1, f"the payer paid in the second window, and the PG took money {bench.charges()} times")
    expect(_took(told), f"the payer failed once and then paid, and confirm {told}")
    if bench.claims(C.FIND):
        seen = bench.do("find", command.order_id)
        expect(seen.status.took_money, f"the payer failed once and then paid, and find says {seen}")


@check(C.PAY)
def a_window_shown_again_is_the_same_order_at_the_pg(bench: Bench) -> None:
    """Two windows of one order must not become two payments where the PG could have known."""
    command = bench.pay()
    first, again = bench.do("pay", command), bench.do("pay", command)
    if first.provider_id is None:
        raise NotHere("this PG prepares no order of its own")
    expect(again.provider_id == first.provider_id,
           f"the window was prepared as {first.provider_id}, and shown again as {again.provider_id}")
    bench.browse(first.action)
    try:
        bench.browse(again.action)
    except Broke:
        pass  # The PG does not let one order be paid twice.
    expect(bench.charges() == 1, "both windows of one order took money")


@check(C.PAY, faces=SYNC)
def the_window_takes_money_as_its_checkout_says(bench: Bench) -> None:
    """A merchant tells the payer what will happen by it."""
    command = bench.pay()
    checkout = bench.do("pay", command)
    query = bench.browse(checkout.action)
    if bench.claims(C.CAPTURE):
        expect(bench.taken() == 0, "capture is claimed, and the PG took money before it")
        bench.do("confirm", command.order_id, query)
    expect(checkout.takes_money is (bench.charges() > 0),
           f"the checkout says takes_money={checkout.takes_money}, and the PG took {bench.taken()}")


@check(C.PAY)
def the_return_of_another_order_confirms_nothing(bench: Bench) -> None:
    """Pay the cheap one, come back to the dear one: every order is bound to its own payment."""
    cheap, alike, dear = bench.pay(), bench.pay(), bench.pay(money=bench.another_money(7))
    query = bench.browse(bench.do("pay", cheap).action)
    for other in (alike, dear):
        bench.do("pay", other)
        told = bench.ask("confirm", other.order_id, query)
        expect(not _took(told), f"another order's return came back, and confirm {told}")
        row = bench.row(other.order_id)
        expect(row is not None and row.state.value != "answered", "another order's return was written down as payment")
    bench.do("confirm", cheap.order_id, query)
    for other in (alike, dear):
        told = bench.ask("confirm", other.order_id, query)
        expect(not _took(told), f"a payment that is used already came back, and confirm {told}")


@check(C.PAY)
def a_return_with_the_other_orders_id_written_into_it_confirms_nothing(bench: Bench) -> None:
    """The browser's query is anybody's text: our order id in it proves nothing."""
    paid = bench.pay()
    query = bench.browse(bench.do("pay", paid).action)
    if bench.claims(C.CAPTURE):
        bench.say(bench.provider.capture(paid.order_id, paid.money, bench.provider.read_return(query))).expected(
            "the capture of what was approved")
    for other in (bench.pay(), bench.pay(money=bench.another_money(7))):
        bench.do("pay", other)
        forged = {k: v.replace(paid.order_id, other.order_id) for k, v in query.items()}
        for claim in (forged, {**forged, "order_id": other.order_id}, query):
            told = bench.ask("confirm", other.order_id, claim)
            expect(not _took(told), f"a return was forged for {other.order_id}, and confirm {told}")


@check(C.PAY)
def a_return_confirmed_twice_tells_the_same_and_takes_nothing_more(bench: Bench) -> None:
    """Payers reload pages."""
    command = bench.pay()
    query = bench.browse(bench.do("pay", command).action)
    first, again = bench.do("confirm", command.order_id, query), bench.do("confirm", command.order_id, query)
    expect(first == again, f"told first as {first}, then as {again}")
    expect(bench.charges() == 1, "a return that came twice was paid twice")


@check(C.PAY)
def hostile_returns_are_forged_or_ignored_and_never_believed(bench: Bench) -> None:
    """Missing, repeated, overlong, with control characters, with somebody else's syntax."""
    command = bench.pay()
    bench.do("pay", command)
    true = bench.browse(bench.do("pay", bench.pay()).action, "close")
    for name in (*true, "status"):
        for text in HOSTILE:
            for query in ({**true, name: text}, {name: text}):
                told = bench.ask("confirm", command.order_id, query)
                expect(told.error is None or isinstance(told.error, PaygateError), f"a return with {name}: it {told}")
                expect(not _took(told), f"a return with {name}={text[:30]!r}: confirm {told}")
    expect(not bench.journal, "a forged return took money")


@check(C.PAY, faces=SYNC)
def reading_a_return_asks_nobody_and_raises_nothing_but_forged(bench: Bench) -> None:
    """What a browser brought is only read; whatever it is, it is a hint or Forged."""
    mark = bench.mark
    true = bench.browse(bench.do("pay", bench.pay()).action)
    mark = bench.mark
    keys = {*true, "order_id", "status", "code", "id", "success"}
    for query in ({}, dict.fromkeys(keys, ""), *({k: text} for k in sorted(keys) for text in HOSTILE),
                  *({**true, k: text} for k in true for text in HOSTILE)):
        try:
            bench.provider.read_return(query)
        except Forged:
            continue
        except Exception as error:
            expect(False, f"a return raises {type(error).__name__}: only Forged says that it is none")
    bench.silent(mark, "a return was only read")


@check(C.PAY, faces=SYNC)
def a_window_whose_amount_the_page_changed_is_not_taken_for_paid(bench: Bench) -> None:
    """The payer's browser holds the parameters: what was paid is compared with what was asked for."""
    command = bench.pay()
    action = bench.do("pay", command).action
    if not isinstance(action, ClientCall):
        raise NotHere("no amount passes through the payer's browser")
    said = json.loads(json.dumps(action.to_dict()))
    less = _less(said, command.money.amount)
    if less == said:
        raise NotHere("no amount passes through the payer's browser")
    try:
        query: Mapping[str, str] = bench.pg.browse(less)
    except ValueError:
        return  # The PG compares it with what was prepared.
    told = bench.ask("confirm", command.order_id, query)
    expect(not _took(told), f"{bench.taken()} were paid instead of {command.money.amount}, and confirm {told}")


def _less(value: Any, amount: int) -> Any:
    if isinstance(value, dict):
        return {k: _less(v, amount) for k, v in value.items()}
    if isinstance(value, list):
        return [_less(v, amount) for v in value]
    return amount - amount // 14 if type(value) is int and value == amount else value


def _urls(checkout: Checkout) -> list[str]:
    return [checkout.action.url] if isinstance(checkout.action, Redirect) else [checkout.action.script]


@check(C.PAY, faces=SYNC)
def the_payer_is_sent_nowhere_but_to_https(bench: Bench) -> None:
    """A page or script without TLS could be anybody's."""
    checkouts = [bench.do("pay", bench.pay())]
    if bench.claims(C.REGISTER):
        checkouts.append(bench.do("register", bench.register()))
    if bench.claims(C.SUBSCRIBE):
        checkouts.append(bench.do("subscribe", bench.subscribe()))
    for url in (url for checkout in checkouts for url in _urls(checkout)):
        parts = urlsplit(url)
        expect(parts.scheme == "https" and parts.hostname and "@" not in parts.netloc,
               f"the payer is sent to {url[:60]}")


@check(C.PAY, faces=SYNC)
def the_payer_comes_back_to_the_address_that_was_given(bench: Bench) -> None:
    """Where the address is told at all, it is told as it stands."""
    back = "https://shop.example/kanari-back/done?basket=7"
    mark = bench.mark
    action = bench.do("pay", bench.pay(return_url=back)).action
    said = json.dumps(action.to_dict()) + "".join(s.call.body.decode("utf-8", "replace") for s in bench.sent(mark))
    if "kanari-back" in said:
        expect(back in said or quote(back, safe="") in said, "the return_url was changed on its way")


@check(C.PAY, faces=SYNC)
def every_name_that_a_return_brings_is_declared(bench: Bench) -> None:
    """A page hands back the declared names only: one that is missing there is lost."""
    declared = set(bench.provider.return_keys)
    if not declared:
        raise NotHere("this provider takes whatever a page was given")
    for outcome in ("approve", "decline", "close"):
        query = bench.browse(bench.do("pay", bench.pay()).action, outcome)
        read = bench.provider.read_return(query)
        kept = bench.provider.read_return({k: v for k, v in query.items() if k in declared})
        expect(read == kept, f"after {outcome}, the return says {read}; with its declared names alone, {kept}")


@check(C.PAY, faces=SYNC)
def no_credential_is_shown_to_the_payers_browser(bench: Bench) -> None:
    """What the server authenticates with never goes into a page."""
    from .secrecy import credentials

    checkouts = [bench.do("pay", bench.pay())]
    if bench.claims(C.REGISTER):
        checkouts.append(bench.do("register", bench.register()))
    if bench.claims(C.SUBSCRIBE):
        checkouts.append(bench.do("subscribe", bench.subscribe()))
    if bench.claims(C.CHARGE):
        bench.do("charge", bench.charge())
    shown = "".join(json.dumps(c.action.to_dict(), default=str) for c in checkouts)
    for name, text in credentials(bench).items():
        expect(text not in shown, f"{name} is in what the payer's browser is given")


@check(C.PAY, faces=SYNC)
def a_return_says_paid_exactly_where_the_browser_brings_a_claim_of_success(bench: Bench) -> None:
    """After such a claim a failed record may be an earlier attempt's; without one, the order has failed for good."""
    brought = {outcome: [bench.browse(bench.do("pay", bench.pay()).action, outcome) for _ in range(2)]
               for outcome in ("approve", "decline", "close")}
    for outcome in ("decline", "close"):
        for query in brought[outcome]:
            expect(not bench.provider.read_return(query).says_paid,
                   f"the window ended with {outcome}, and its return is read as a claim that it was paid")
    first, second = brought["approve"]
    others = [query for outcome in ("decline", "close") for query in brought[outcome]]
    # A word that stands under one name in every return, and is another one where the payer has paid.
    claims = {n: v for n, v in first.items() if second.get(n) == v and any(n in query for query in others) and all(
        query.get(n) != v for query in others)}
    said = [bench.provider.read_return(query).says_paid for query in (first, second)]
    if claims and not bench.claims(C.CAPTURE):
        expect(all(said), f"only the return of a success says {claims}, and it is read as no claim that it was paid")
    bare = {n: v for n, v in first.items() if n not in claims}
    expect(not bench.provider.read_return(bare).says_paid, "without its claim of success a return is read as one")

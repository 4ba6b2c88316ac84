"""What the ledger keeps about a window beside its row: what the provider noted, and which billing key came of it."""

from __future__ import annotations

from attrs import evolve

from ..errors import OutcomeUnknown
from ..ledger.row import Book, Kind, LedgerError, Row, State
from ..ledger.rules import key_digest
from ..model import Checkout, Payment
from ..secret import Secret
from .account import Account
from .steps import Entry, Steps, change, get_row, open_rows, reread
from .talk import Talk


def noted(account: Account, row: Row, checkout: Checkout) -> Steps[Checkout]:
    """Write the provider's note about a window down, before anybody is shown it; the checkout goes on without it.

    A note belongs to the PG's order, so a window that is shown again keeps its first one.

    Raises: LedgerError.
    """
    if checkout.note is not None and checkout.provider_id is not None:
        note = Row(gateway=account.scope, kind=Kind.WINDOW, id=_note_id(checkout.provider_id), order_id=row.order_id,
                   digest="", state=State.ANSWERED, opened_at=account.now(), result=checkout.note)
        yield from open_rows([note], "noted before the window was handed out")
    return evolve(checkout, note=None)


def issued(account: Account, row: Row, records: tuple[Payment, ...], talk: Talk) -> Steps[Secret | None]:
    """The billing key that the PG's records of a registration name. Once told, it stays the key of that order.

    Raises: OutcomeUnknown where the PG's records do not tell which key it is, or the ledger cannot say whose it is.
    """
    told = row.key_digest
    try:
        for payment in records:
            note = None if payment.provider_id is None else (
                yield from get_row(account.scope, Book.EVENT, _note_id(payment.provider_id)))
            value = yield from talk.say(account.provider.issued_key(
                payment, None if note is None else note.result,
                None if told is None else lambda key: key_digest(key) == told))
            if value is not None:
                yield from _bound(account, row, value)
                return value
    except LedgerError as error:
        raise OutcomeUnknown(f"the billing key of order {row.order_id} is not told: the ledger cannot be used "
                             f"({error}); confirm again later", order_id=row.order_id,
                             next_step="confirm again later") from None
    return None


def _bound(account: Account, row: Row, value: Secret) -> Steps[None]:
    """One key belongs to one registration: note whose it is, unless the merchant named it beforehand.

    Raises: OutcomeUnknown where another registration has it already; of two at once, neither gets it.
    """
    if row.key_digest is not None:
        return
    digest = key_digest(value)
    yield from _untold(account, row, digest)
    held = yield from change(row, "its billing key is known", state=row.state, key_digest=digest)
    try:
        yield from _untold(account, row, digest)  # Two that were told at once see each other now.
    except OutcomeUnknown:
        held = held or (yield from reread(row))
        yield from change(held, "its billing key is another registration's", state=held.state, key_digest=None)
        raise


def _untold(account: Account, row: Row, digest: str) -> Steps[None]:
    others: list[Row] = yield Entry("of_key", (account.scope, digest))
    taken = next((other for other in others if other.kind is Kind.REGISTER and other.id != row.id), None)
    if taken is not None:
        raise OutcomeUnknown(f"the only billing key that order {row.order_id} can have issued is that of order "
                             f"{taken.order_id}; register again under a new order_id", order_id=row.order_id,
                             next_step="register again under a new order_id; never use a guessed key")


def _note_id(provider_id: str) -> str:
    return f"window:{provider_id}"

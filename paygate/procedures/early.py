"""Webhooks that the PG's own records did not bear out when they came: kept for a while, and looked up again.

A payment may be told before it can be looked up, or while the PG cannot be asked; and no PG is known to tell it twice.
They stand in the ledger beside the other rows, under a name of their own. There are never many, whoever invents them.
"""

from __future__ import annotations

import hashlib

from attrs import frozen

from ..capability import Capability
from ..codec import dump, load
from ..errors import Forged, OutcomeUnknown
from ..ledger.row import Kind, Row, State
from ..model import Hint
from ..secret import Secret, opened, sealed
from .account import Account
from .outcome import reason
from .receive import Letter, NoRecord, take
from .steps import Entry, Steps, change, open_rows

MOST = 200
"""How many of an account wait at once. What was looked up most often makes room."""
_AFTER_S = (5.0, 25.0, 90.0, 480.0, 3000.0, 18_000.0)
"""How long to wait before each look-up: after 5 s, 30 s, 2 min, 10 min, 1 h and 6 h. Then it is given up."""
_FOR_EVER = 1e12


@frozen(kw_only=True)
class Kept:
    """What is kept of a hint."""

    order_id: str | None
    alias: str | None
    event: str | None
    is_signed: bool
    identity: str | None
    sealed_id: str | None
    """The hint's `provider_id`: at some PGs it may be a billing key."""


def place(account: Account) -> str:
    """Under what the ledger keeps them."""
    return f"{account.scope}/early"


def is_kept(account: Account, hint: Hint) -> bool:
    """Whether nobody else would find out what a hint tells: reconciling finds an order of ours, where the PG can be
    asked by our id; but a signed hint may tell what the PG did by itself.
    """
    return (hint.kind == "payment" and (hint.provider_id or hint.alias) is not None
            and (hint.is_signed or not account.supports(Capability.FIND)))


def keep(account: Account, hint: Hint) -> Steps[None]:
    """Look a hint up again later."""
    at = account.now() + _AFTER_S[0]
    waiting: list[Row] = yield Entry("due", (place(account), _FOR_EVER, MOST))
    kept = Kept(order_id=hint.order_id, alias=hint.alias, event=hint.event, is_signed=hint.is_signed,
                identity=hint.identity, sealed_id=None if hint.provider_id is None
                else sealed(Secret(hint.provider_id), _under(account)))
    fresh = Row(gateway=place(account), kind=Kind.EVENT, id=_id(hint), order_id=hint.order_id or "", digest="",
                state=State.OPENED, opened_at=account.now(), check_at=at, result=dump(kept))
    (row, is_new), = yield from open_rows([fresh], "a webhook that the PG's records do not bear out yet")
    if not is_new and row.state is not State.NOT_SENT:
        return
    if not is_new:
        yield from change(row, "it came again", state=State.OPENED, checks=0, check_at=at)
    if len(waiting) >= MOST:
        yield from _let_go(max(waiting, key=lambda r: (r.checks, -r.opened_at)), "others came")


def due(account: Account, limit: int) -> Steps[list[Row]]:
    """Those to look up now."""
    rows: list[Row] = yield Entry("due", (place(account), account.now(), limit))
    return rows


def look_again(account: Account, row: Row) -> Steps[bool]:
    """Look one up, and bring the ledger up to date as when the webhook came; whether the PG could be asked."""
    assert row.result is not None
    kept = load(row.result, Kept)
    id = None if kept.sealed_id is None else opened(kept.sealed_id, _under(account))
    if kept.sealed_id is not None and id is None:
        yield from _let_go(row, "it was kept under other credentials")
        return True
    hint = Hint(order_id=kept.order_id, provider_id=None if id is None else id.reveal(), alias=kept.alias,
                event=kept.event, is_signed=kept.is_signed, identity=kept.identity)
    try:
        yield from take(account, Letter(hint, b""))
    except NoRecord:
        yield from later(account, row, "the PG has no record of it yet")
    except Forged:
        yield from _let_go(row, "the PG's record says otherwise")
    except OutcomeUnknown as doubt:
        yield from later(account, row, reason(doubt))
        return False
    else:
        yield from change(row, "the PG's record is there", state=State.ANSWERED, check_at=None)
    return True


def later(account: Account, row: Row, why: str) -> Steps[None]:
    """Look once more, unless that was the last time."""
    checks = row.checks + 1
    if checks >= len(_AFTER_S):
        yield from _let_go(row, f"given up: {why}")
    else:
        yield from change(row, why, state=row.state, checks=checks, check_at=account.now() + _AFTER_S[checks])


def _let_go(row: Row, why: str) -> Steps[None]:
    yield from change(row, why, state=State.NOT_SENT, check_at=None)


def _id(hint: Hint) -> str:
    said = repr((hint.provider_id, hint.alias, hint.order_id, hint.is_signed))
    return hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()


def _under(account: Account) -> Secret:
    return Secret("\0".join(["a webhook before its record", *(secret.reveal() for secret in account.secrets)]))

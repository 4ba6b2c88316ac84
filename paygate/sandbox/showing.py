"""The sandbox as the control room shows it: everything at once, newest first, so much of it as a page can hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ..money import LIMIT, Money
from ..testing.emulator import Emulator, Fault, Hook, Journal
from ..testing.overview import Dated, Held, Overview, Waiting
from .server import log

if TYPE_CHECKING:
    from .courier import Delivery
    from .merchant import Merchant
    from .sandbox import Sandbox
    from .station import Station

T = TypeVar("T")
MOST = 200
"""Of each list, so many are shown."""
_BODY_SHOWN = 64 << 10


def overview(box: Sandbox) -> dict[str, Any]:
    """What time it is, and what each gateway holds."""
    return {"now": box.clock.now().isoformat(),
            "gateways": [_gateway(station, box.url(name), box.merchants.get(name))
                         for name, station in box.stations.items()]}


def _gateway(station: Station, url: str, merchant: Merchant | None) -> dict[str, Any]:
    emulator = station.emulator
    seen = _seen(emulator)
    own = [] if merchant is None else merchant.due(MOST)
    dated = sorted([*seen.dated, *own], key=lambda d: d.at)
    totals = dict(seen.totals)
    if "dated" in totals:
        totals["dated"] += len(own)
    entries = emulator.journal.entries
    return {
        "name": station.name, "webhook_urls": [{"kind": kind, "url": url} for kind, url in seen.webhook_urls],
        "waiting": [_waiting(w, url) for w in _newest(seen.waiting)],
        "held": [_held(h, merchant) for h in _newest(seen.held)],
        "keys": [_row(k) for k in _newest(seen.keys)], "dated": [_row(d) for d in _around_now(dated)],
        "running": [_row(r) for r in _newest(seen.running)],
        "journal": [{"at": m.at.isoformat(), "order_id": m.order_id, "provider_id": m.provider_id,
                     "money": money(m.money), "kind": m.kind} for m in _newest(entries)],
        "totals": _totals(emulator.journal), "hooks": hooks(station, MOST)[::-1], "faults": faults(emulator.faults),
        "is_ledger_shown": merchant is not None,
        "counts": {**totals, "journal": len(entries), "hooks": len(emulator.hooks)}}


def _seen(emulator: Emulator) -> Overview:
    try:
        return emulator.overview(MOST)
    except Exception:
        # One gateway whose overview has a bug must not take the room from the others.
        log.exception("the overview of %s failed", emulator.name)
        return Overview()


def _newest(items: Sequence[T]) -> Sequence[T]:
    return items[:-MOST - 1:-1]


def _around_now(items: Sequence[Dated]) -> list[Dated]:
    """Oldest first: what has happened last, and what comes next."""
    return [d for d in items if not d.is_due][-MOST:] + [d for d in items if d.is_due][:MOST]


def _waiting(window: Waiting, url: str) -> dict[str, Any]:
    return {**_row(window), "page": window.page and url + window.page}


def _held(held: Held, merchant: Merchant | None) -> dict[str, Any]:
    return {**_row(held), "own_id": None if merchant is None else merchant.own_id(held.order_id)}


def _row(value: Any) -> dict[str, Any]:
    """A value's fields as JSON."""
    return {f.name: _plain(getattr(value, f.name)) for f in attrs.fields(type(value))}


def _plain(value: Any) -> Any:
    if isinstance(value, Money):
        return money(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def money(value: Money) -> dict[str, Any]:
    """An amount in minor units, and as a person reads it."""
    return {"amount": value.amount, "currency": value.currency, "text": str(value)}


def _totals(journal: Journal) -> list[dict[str, Any]]:
    """What was charged and refunded altogether, in each currency."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for m in journal.entries:
        sums[m.money.currency, m.kind] += m.money.amount
    return [{"currency": c, "charged": _sum(sums[c, "charge"], c), "refunded": _sum(sums[c, "refund"], c),
             "kept": _sum(sums[c, "charge"] - sums[c, "refund"], c)} for c in sorted({c for c, _ in sums})]


def _sum(amount: int, currency: str) -> dict[str, Any]:
    # No amount of one order may be below nothing or so large; a sum may.
    sign = "-" if amount < 0 else ""
    text = str(Money(abs(amount), currency)) if abs(amount) <= LIMIT else f"{abs(amount)} minor units of {currency}"
    return {"amount": amount, "currency": currency, "text": sign + text}


def faults(dialled: Iterable[Fault]) -> list[dict[str, Any]]:
    return [{"number": f.number, "kind": f.kind.value, "on": f.on, "times": f.times} for f in dialled]


def hooks(station: Station, most: int | None = None) -> list[dict[str, Any]]:
    """Every webhook, or the last so many, without their bodies; oldest first."""
    sent = station.emulator.hooks
    first = 0 if most is None else max(0, len(sent) - most)
    deliveries: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for made in station.courier.deliveries:
        if made.hook >= first:
            deliveries[made.hook].append(delivery(made))
    return [{"n": n, "at": hook.at.isoformat(), "url": hook.url.partition("?")[0],
             "headers": sorted(name.lower() for name in hook.headers), "body_bytes": len(hook.body),
             "deliveries": deliveries[n]} for n, hook in enumerate(sent[first:], first)]


def delivery(made: Delivery) -> dict[str, Any]:
    return {"state": made.state, "status": made.status, "error": made.error}


def hook(n: int, sent: Hook) -> dict[str, Any]:
    """One webhook as it is sent, byte for byte as far as it is text. Its secrets are invented."""
    return {"n": n, "at": sent.at.isoformat(), "url": sent.url,
            "headers": {name.lower(): value for name, value in sent.headers.items()},
            "body": sent.body[:_BODY_SHOWN].decode("utf-8", "replace"), "body_bytes": len(sent.body)}

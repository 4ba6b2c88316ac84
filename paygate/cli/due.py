"""`paygate due`: what paygate will charge by itself, from whom, how much and when. Asks no PG.

A payer is told by your own name for them, which the vault opens; nothing else of what it holds is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from attrs import frozen

from ..commands import Charge
from ..errors import BadCommand, BadSettings, PaygateError
from ..gateway import Gateway
from ..ledger.row import Kind, Row
from ..money import Money
from ..procedures.roll import Kept, plan_of
from ..procedures.sealed import unseal
from ..scheduler import plan as plans
from ..scheduler.plan import Plan
from .books import MOST_ROWS, iso, ledger_options, opened, short, show_json
from .providers import print_table
from .reconcile import instant

_LONGEST = 1000
"""How many charges of one subscription a forecast lists."""
_ZONE = ZoneInfo("Asia/Seoul")


@frozen(kw_only=True)
class Coming:
    """One charge to come. `payer` is the merchant's name for them; None where they gave none, or no vault opens it."""

    at: datetime
    order_id: str
    payer: str | None
    money: Money


@click.command()
@click.option("--until", metavar="WHEN", default="31d", show_default=True,
              help="36h, 7d from now on; a day in Seoul, to its end, such as 2026-02-01; or an instant such as "
                   "2026-02-01T00:00+09:00.")
@click.option("--plot", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Draw the sums of each day into FILE (.svg or .png); needs the extra `plot`.")
@click.option("--dry-run", is_flag=True, help="What this command does anyway: it charges nothing.")
@ledger_options
def command(until: str, plot: Path | None, ledger: str | None, name: str | None, as_json: bool,
            dry_run: bool) -> None:
    """List the charges that are due by WHEN, with those of later periods of each subscription. Nothing is charged."""
    with opened(ledger, name) as gate:
        end = _end(until, gate._account.clock.now())
        coming = forecast(gate, end)
    sums = sums_of(coming)
    if as_json:
        show_json({"until": end.isoformat(), "charges": [
            {"due_at": iso(one.at.timestamp()), "order_id": one.order_id, "payer": one.payer,
             "amount": one.money.amount, "currency": one.money.currency} for one in coming],
            "sums": {currency: money.amount for currency, money in sums.items()}})
    else:
        rows = [[short(one.at.timestamp()), one.order_id, one.payer or "–", str(one.money)] for one in coming]
        print_table([["due", "order", "payer", "amount"], *rows])
        click.echo(f"{len(coming)} charges: {', '.join(map(str, sums.values())) or 'nothing'}")
    if plot is not None:
        draw(coming, plot)


def _end(until: str, now: datetime) -> datetime:
    """The instant that `--until` names.

    Raises: BadCommand.
    """
    try:
        day = date.fromisoformat(until) if len(until) == len("2026-02-01") else None
        if day is not None:
            return datetime(day.year, day.month, day.day, tzinfo=_ZONE) + timedelta(days=1)
        return now + (now - instant(until, now)) if until[-1:] in ("m", "h", "d") else instant(until, now)
    except (OverflowError, ValueError):
        raise BadCommand("--until is 36h, 7d or the like, a day such as 2026-02-01, or an instant with its zone, such "
                         "as 2026-01-05T09:00+09:00") from None


def forecast(gate: Gateway, end: datetime) -> list[Coming]:
    """Every charge up to `end`, if each one succeeds and a worker begins now, by date."""
    found: list[Coming] = []
    for row in gate.planned(end, MOST_ROWS):
        payer = _payer(gate, row)
        found += _of_plan(plan_of(row), gate._account.clock.now(), end, payer) if row.kind is Kind.PLAN else \
            _of_charge(row, payer)
    return sorted(found, key=lambda one: (one.at, one.order_id))


def _payer(gate: Gateway, row: Row) -> str | None:
    try:
        kept = unseal(gate._account, row, Kept) if row.kind is Kind.PLAN else unseal(gate._account, row, Charge)
    except PaygateError:
        return None
    return kept.customer.id


def _of_charge(row: Row, payer: str | None) -> list[Coming]:
    assert row.due_at is not None
    assert row.money is not None
    return [Coming(at=datetime.fromtimestamp(row.due_at, UTC), order_id=row.id, payer=payer, money=row.money)]


def _of_plan(plan: Plan, now: datetime, end: datetime, payer: str | None) -> list[Coming]:
    found: list[Coming] = []
    plan = plans.caught_up(plan, now)
    while plan.begun_at is not None and plan.charge_at is not None and plan.next_at is not None \
            and plan.charge_at < end and not plan.is_over and len(found) < _LONGEST:
        if plan.waits_for_payer or (plan.ends_at is not None and plan.due_at >= plan.ends_at):
            break
        found.append(Coming(at=plan.charge_at, order_id=plan.charge_id, payer=payer, money=plan.coming))
        plan = plans.caught_up(plans.paid(plan, plan.charge_at), now)
    return found


def sums_of(coming: Sequence[Coming]) -> dict[str, Money]:
    """What `coming` comes to, by currency."""
    sums: dict[str, Money] = {}
    for money in (one.money for one in coming):
        sums[money.currency] = sums[money.currency] + money if money.currency in sums else money
    return sums


def by_day(coming: Sequence[Coming], currency: str) -> dict[date, int]:
    """The sum of each day in Seoul, in minor units."""
    days: dict[date, int] = {}
    for one in coming:
        if one.money.currency == currency:
            day = one.at.astimezone(_ZONE).date()
            days[day] = days.get(day, 0) + one.money.amount
    return days


def draw(coming: Sequence[Coming], file: Path) -> None:
    """A bar for each day's sum, in the first currency; a day is one in Seoul, as in `--until`.

    Raises: BadSettings.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BadSettings("--plot needs matplotlib: pip install 'paygate-core[plot]'") from None
    if file.suffix not in (".svg", ".png"):
        raise BadSettings("--plot takes a file that ends in .svg or .png")
    currency = coming[0].money.currency if coming else ""
    days = by_day(coming, currency)
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    axes.bar([day.toordinal() for day in days], list(days.values()))
    axes.set_xticks([day.toordinal() for day in days], [day.isoformat() for day in days], rotation=90, fontsize=7)
    axes.set_ylabel(f"{currency}, minor units a day")
    figure.savefig(file)


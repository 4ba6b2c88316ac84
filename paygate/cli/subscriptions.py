"""`paygate subscriptions`: those that paygate runs, from its ledger; single ones whoever runs them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from ..ledger.row import Kind, Row
from ..procedures.roll import plan_of
from ..scheduler.plan import subscription_of
from ..subscriptions import Subscription, Unsubscribe
from .books import MOST_ROWS, NEEDS_A_PERSON, iso, ledger_options, opened, short, show_json
from .providers import print_table
from .schedules import FOR_EVER


@click.group()
def command() -> None:
    """List, show, pause, resume or stop subscriptions.

    Exit code: 0 done, 4 it is being charged right now, or the PG did not answer: look again later, 2 there is no such
    subscription, or it cannot be.
    """


@command.command("list")
@ledger_options
@click.pass_context
def list_(ctx: click.Context, ledger: str | None, name: str | None, as_json: bool) -> None:
    """List the subscriptions that paygate runs and that have not ended, by when each is taken up next.

    Those that a PG runs are listed by the PG only. Exit code: 0, or 3 where one needs a person.
    """
    with opened(ledger, name) as gate:
        rows = [row for row in gate.planned(FOR_EVER, MOST_ROWS) if row.kind is Kind.PLAN]
    if as_json:
        show_json({"subscriptions": [_of_row(row) for row in rows]})
    elif rows:
        print_table([_HEAD, *[_line(subscription_of(plan_of(row)), _has_begun(row)) for row in rows]])
    else:
        click.echo("no subscription runs")
    ctx.exit(NEEDS_A_PERSON if any(row.attention for row in rows) else 0)


@command.command()
@click.argument("order_id")
@ledger_options
def show(order_id: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Show the subscription that ORDER_ID began. One that the PG runs is looked up there."""
    with opened(ledger, name) as gate:
        _show(gate.subscription(order_id), as_json)


@command.command()
@click.argument("order_id")
@ledger_options
def pause(order_id: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Charge nothing for the subscription of ORDER_ID until it is resumed."""
    with opened(ledger, name) as gate:
        _show(gate.pause(order_id), as_json)


@command.command()
@click.argument("order_id")
@ledger_options
def resume(order_id: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Charge the subscription of ORDER_ID again, from its next date on."""
    with opened(ledger, name) as gate:
        _show(gate.resume(order_id), as_json)


@command.command()
@click.argument("order_id")
@click.option("--now", is_flag=True, help="At once, not at the end of the period that is paid for.")
@click.option("--why", required=True, metavar="TEXT", help="Stays in the trail.")
@ledger_options
def cancel(order_id: str, now: bool, why: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Stop the subscription of ORDER_ID at the end of the period that is paid for. It gives no money back."""
    with opened(ledger, name) as gate:
        _show(gate.unsubscribe(Unsubscribe(order_id=order_id, when="now" if now else "period_end", reason=why)),
              as_json)


_HEAD = ["subscription", "status", "amount", "every", "next charge", "last paid", "ends"]


def _has_begun(row: Row) -> bool:
    return plan_of(row).begun_at is not None


def _line(told: Subscription, has_begun: bool = True) -> list[str]:
    return [told.order_id, told.status.value if has_begun else "not begun", str(told.money), _every(told),
            *[_short(at) for at in (told.next_due_at, told.last_paid_at, told.ends_at)]]


def _every(told: Subscription) -> str:
    return told.every.unit.value if told.every.count == 1 else f"{told.every.count} {told.every.unit.value}s"


def _short(at: datetime | None) -> str:
    return short(None if at is None else at.timestamp())


def _plain(told: Subscription) -> dict[str, Any]:
    return {"order_id": told.order_id, "provider_id": told.provider_id, "status": told.status.value,
            "amount": told.money.amount, "currency": told.money.currency,
            "every": {"unit": told.every.unit.value, "count": told.every.count},
            **{name: None if at is None else iso(at.timestamp()) for name, at in (
                ("next_due_at", told.next_due_at), ("last_paid_at", told.last_paid_at), ("ends_at", told.ends_at))}}


def _of_row(row: Row) -> dict[str, Any]:
    plan = plan_of(row)
    return {**_plain(subscription_of(plan)), "has_begun": _has_begun(row), "paid_periods": plan.paid,
            "missed_periods": [n + 1 for n in plan.missed], "declined": plan.reason and plan.reason.value,
            "waits_for_payer": plan.waits_for_payer, "attention": row.attention}


def _show(told: Subscription, as_json: bool) -> None:
    if as_json:
        show_json(_plain(told))
    else:
        print_table([_HEAD, _line(told)])

"""Which payer ordered what, and what became of it. No money is counted here."""

from __future__ import annotations

import secrets

from django.db import models, transaction

_RANK = {"failed": 1, "paid": 2, "subscribed": 3, "partly_cancelled": 4, "cancelled": 5}
"""An order's way is one-way: a message that comes late, or twice, takes nothing back."""


def new_id() -> str:
    """An order id that nobody can guess."""
    # At most 30 characters, because the charges of a subscription get ids derived from it.
    return secrets.token_hex(12)


class Order(models.Model):
    """One order; `status` is "open" until the shop hears of it, then a word of
    `paygate.web.Status`, or of `PaymentStatus` after a refund."""

    id = models.CharField(primary_key=True, max_length=30, default=new_id)
    payer = models.CharField(max_length=40)
    product = models.CharField(max_length=20)
    status = models.CharField(max_length=20, default="open")
    note = models.TextField(default="")

    @classmethod
    def cart(cls, payer: str, product: str) -> Order:
        """The payer's order of a product that is not over yet; a new one where there is none."""
        with transaction.atomic():  # pyright: ignore[reportGeneralTypeIssues]
            mine = cls.objects.filter(payer=payer, product=product)
            return mine.exclude(status__in=list(_RANK)).first() or mine.create(payer=payer, product=product)

    @classmethod
    def becomes(cls, id: str, status: str, note: str = "") -> None:
        """Write down what became of an order; said a second time without a note, it keeps the first one's."""
        with transaction.atomic():  # pyright: ignore[reportGeneralTypeIssues]
            order = cls.objects.select_for_update().filter(id=id).first()
            if order is None or _RANK.get(status, 0) < _RANK.get(order.status, 0):
                return
            if status != order.status or note:
                order.status, order.note = status, note
                order.save()


class Renewal(models.Model):
    """A later period of a subscription, once for each event."""

    event = models.CharField(unique=True, max_length=300)
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="renewals")
    note = models.TextField()

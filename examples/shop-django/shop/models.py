"""Which payer ordered what, and what became of it. No money is counted here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import ClassVar

from django.db import models, transaction

_RANK = {"failed": 1, "paid": 2, "subscribed": 3, "partly_cancelled": 4, "cancelled": 5}
"""An order's way is one-way: a message that comes late, or twice, takes nothing back."""


class Order(models.Model):
    """One order; `status` is "open" until the shop hears of it, then a word of
    `paygate.web.Status`, or of `PaymentStatus` after a refund."""

    id = models.CharField(primary_key=True, max_length=30)
    payer = models.CharField(max_length=40)
    product = models.CharField(max_length=20)
    status = models.CharField(max_length=20, default="open")
    note = models.TextField(default="")

    class Meta:
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["payer", "product"], name="orders_of_payer")]

    @classmethod
    def cart(cls, payer: str, product: str) -> Order:
        """The payer's order of a product that is not over yet; where there is none, the next one, not written down:
        whoever only looks leaves nothing behind."""
        past = list(cls.objects.filter(payer=payer, product=product))
        for order in past:
            if order.status not in _RANK:
                return order
        # The same in every tab until it is over. Nobody guesses it, because nobody guesses what `payer` is; and at most
        # 30 characters, because the charges of a subscription get ids derived from it.
        id = hashlib.sha256(f"{payer} {product} {len(past)}".encode()).hexdigest()[:24]
        return cls(id=id, payer=payer, product=product)

    @classmethod
    def begin(cls, id: str, payer: str, products: Iterable[str]) -> Order | None:
        """The payer's order of that id; one that was only offered so far is written down."""
        for order in (cls.cart(payer, product) for product in products if payer):
            if order.id == id:
                cls.objects.get_or_create(id=id, defaults={"payer": payer, "product": order.product})
        return cls.objects.filter(id=id, payer=payer).first()

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

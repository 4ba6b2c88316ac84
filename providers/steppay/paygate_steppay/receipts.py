"""A receipt: one payment by its idKey, and what it says. Pure; raises Unreadable.

Its shape is published nowhere as a whole: the status words and paymentDate are documented, the partner's ids, amount
and discount are what StepPay's own plugin reads (observed), what was given back is inferred from its internal record.
"""

from __future__ import annotations

from typing import Any

from paygate.codec import Unreadable
from paygate.model import DeclineReason, Payment, PaymentStatus
from paygate.money import Money

from . import fields, words
from .fields import Record
from .words import Standing


def payment(content: Any, asked: str, offset_hours: int) -> Payment:
    """Read the receipt of the payment `asked`, an idKey.

    Raises: Unreadable, also where a refund is under way, or part was given back and the receipt does not say how much.
    """
    receipt = fields.record(content)
    if receipt.get("idKey") is not None and fields.id_key(receipt["idKey"]) != asked:
        raise Unreadable("it is the receipt of another payment")
    word = receipt.get("paymentStatus")
    if not isinstance(word, str) or word not in words.PAYMENT_STATUSES:
        raise Unreadable("paymentStatus is not known")
    standing = words.PAYMENT_STATUSES[word]
    paid_at = fields.moment(receipt.get("paymentDate"), "paymentDate", offset_hours)
    money = _charged(receipt)
    status, back = _status(standing, receipt, money)
    if status.took_money and paid_at is None:
        status, back = PaymentStatus.PENDING, Money(0, money.currency)  # paymentDate lags (observed).
    failed = status is PaymentStatus.FAILED
    says = words.verbatim(receipt.get("errorMessage")) if failed else None
    aborted = standing is Standing.ABORTED
    reason = DeclineReason.PAYER_CANCELLED if aborted else words.decline_reason(says) if failed else None
    method, payer = words.verbatim(receipt.get("paymentMethod")) or None, receipt.get("partnerUserId") or None
    return Payment(
        order_id=fields.name_of(receipt.get("partnerOrderId"), "partnerOrderId"), provider_id=asked, status=status,
        money=money, cancelled=back, paid_at=paid_at if status.took_money else None,
        method=method, keyed=words.is_keyed(method), card_number=words.verbatim(receipt.get("cardNumber")),
        payer=None if payer is None else fields.name_of(payer, "partnerUserId"), reason=reason,
        code=words.verbatim(receipt.get("errorCode")) if failed else None, message=says,
        receipt_url=words.verbatim(receipt.get("paymentReceiptUrl")))


def lists_no_refund(content: Any, asked: str, payment: Payment) -> bool:
    """Whether this is the receipt of `payment`, says that part was given back, and does not tell how much.

    Raises: Unreadable.
    """
    receipt = fields.record(content)
    word = receipt.get("paymentStatus")
    return isinstance(word, str) and words.PAYMENT_STATUSES.get(word) is Standing.PARTLY_BACK \
        and not isinstance(receipt.get("cancel"), dict) and not receipt.get("cancelHistory") \
        and receipt.get("idKey") in (None, asked) and _charged(receipt) == payment.money \
        and fields.name_of(receipt.get("partnerOrderId"), "partnerOrderId") == payment.order_id


def _charged(receipt: Record) -> Money:
    if receipt.get("currency") not in (None, words.CURRENCY):
        raise Unreadable("it is in another currency")
    amount = fields.money(receipt.get("amount"), "amount")
    discount = receipt.get("discount")
    taken = Money(0, amount.currency) if discount is None else fields.money(discount, "discount")
    if taken > amount:
        raise Unreadable("the discount is more than the amount")
    return amount - taken


def _status(standing: Standing, receipt: Record, money: Money) -> tuple[PaymentStatus, Money]:
    none = Money(0, money.currency)
    match standing:
        case Standing.PENDING:
            return PaymentStatus.PENDING, none
        case Standing.FAILED | Standing.ABORTED:
            return PaymentStatus.FAILED, none
        case Standing.GIVING_BACK:
            raise Unreadable("a refund of it is under way")
    back = _given_back(receipt, money.currency)
    if standing is Standing.BACK:
        if back is not None and back != money:
            raise Unreadable("all was given back, but not the whole amount")
        return PaymentStatus.CANCELLED, money
    if standing is Standing.PAID:
        if back is not None and not back.is_zero:
            raise Unreadable("it is paid, and part was given back")
        return PaymentStatus.PAID, none
    if back is None or not none < back < money:
        raise Unreadable("part was given back, but not how much")
    return PaymentStatus.PARTLY_CANCELLED, back


def _given_back(receipt: Record, currency: str) -> Money | None:
    """What was given back so far: the sum that `cancel` tells, which its list must add up to; None where neither is
    there (inferred from the internal record: one is the sum, the other lists each refund, failed ones too).
    """
    cancel, listed = receipt.get("cancel"), receipt.get("cancelHistory")
    said = cancel.get("canceledAmount") if isinstance(cancel, dict) else None
    back = None if said is None else fields.money(said, "canceledAmount")
    if not listed:
        return back
    total = Money(0, currency)
    for refund in fields.rows(listed, "cancelHistory"):
        if refund.get("paymentStatus") in (None, "CANCELED", "PARTIAL_CANCELED"):
            total += fields.money(refund.get("canceledAmount"), "canceledAmount")
    if back is not None and total != back:
        raise Unreadable("its refunds do not add up to what it says was given back")
    return total

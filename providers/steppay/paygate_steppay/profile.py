"""What both StepPay providers offer and how they behave, as data."""

from __future__ import annotations

from paygate.capability import Absence, CancelGuard, Capability, Profile, assumed, documented

_SHARED = {Capability.PAY, Capability.REGISTER, Capability.CANCEL, Capability.CANCEL_PARTLY, Capability.LOOKUP,
           Capability.RECEIVE}
MANAGED_CAPABILITIES = frozenset(_SHARED | {
    Capability.LOOKUP_KEY, Capability.KEYS, Capability.DELETE_KEY, Capability.SUBSCRIBE, Capability.UNSUBSCRIBE,
    Capability.PAUSE, Capability.MOVE_NEXT, Capability.CHANGE_INTERVAL, Capability.CHANGE_METHOD, Capability.RENEW})
"""No CHARGE: a merchant's token cannot charge a saved means of payment. RENEW takes a subscription's own price."""
UNMANAGED_CAPABILITIES = frozenset(_SHARED | {Capability.CHARGE})

_ORDER_ID = assumed(r"[A-Za-z0-9_-]{1,40}", "paygate's own ids; StepPay publishes neither alphabet nor length")
_CURRENCIES = assumed(("KRW",), "every sample is in KRW (payment SDK guide, V1 specification); no other is described")
_MINIMUM = assumed(None, "no minimum is published; the PGs behind StepPay have their own")
_SIGNATURE = documented("V2: HMAC-SHA256 of its timestamp and raw body, any of several keys; V1: none", "webhook guide")
_SETTLE = assumed(120.0, "no processing time is published; StepPay's own plugin waits 60 s")

MANAGED_PROFILE = Profile(
    currencies=_CURRENCIES, minimum=_MINIMUM, order_id_pattern=_ORDER_ID,
    title_limit=assumed(200, "an order carries no title: the payer reads the product's and the plan's names"),
    refuses_reused_order_id=documented(False, "V1 specification, POST /api/v1/orders: it takes no merchant's id"),
    refuses_concurrent_order_id=documented(False, "V1 specification, POST /api/v1/orders: it takes no merchant's id"),
    absence=documented(Absence.NOTHING, "V1 specification: orders cannot be searched by a merchant's id"),
    schedule_run_by=documented("pg", "subscription guide: the PG renews; a dated charge of any amount does not exist"),
    register_takes_money=assumed(False, "V1 specification, POST /api/v1/customers/{id}/payment-method: an order that "
                                        "states no amount; that it costs nothing is not written"),
    cancel_guard=assumed(CancelGuard.COMPARE, "V1 specification, PATCH /api/v1/orders/{id}/cancel: no guard"),
    hooks_never_sent=documented(("V1: first orders, one-off orders, failed renewals, 0 won",
                                 "V2: what its list of events lacks, such as a closed payment page"), "webhook guide"),
    hook_signature=_SIGNATURE, settle_s=_SETTLE,
)

UNMANAGED_PROFILE = Profile(
    currencies=_CURRENCIES, minimum=_MINIMUM, order_id_pattern=_ORDER_ID,
    title_limit=assumed(200, "no length of itemName is published"),
    refuses_reused_order_id=assumed(False, "unmanaged payment guide: uniqueness of partnerOrderId is not described"),
    refuses_concurrent_order_id=assumed(False, "unmanaged payment guide: no lock and no idempotency key is described"),
    absence=documented(Absence.NOTHING, "unmanaged payment guide: receipts are found by idKey only"),
    schedule_run_by=documented("paygate", "unmanaged payment guide: the merchant needs a scheduler of its own"),
    register_takes_money=documented(True, "unmanaged payment guide: a *_BILL payment issues the key"),
    cancel_guard=assumed(CancelGuard.COMPARE, "payment specification, CancelRequestDTO: no guard is described"),
    hooks_never_sent=assumed(("a window that the payer leaves without closing it", "V2: a closed window"),
                             "webhook guides: no such event is listed"),
    hook_signature=_SIGNATURE, settle_s=_SETTLE,
)

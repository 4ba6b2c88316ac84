"""What the PG offers and how it behaves, as data: each entry with how certain it is, and its source."""

from __future__ import annotations

from paygate import Absence, CancelGuard, Capability, Profile, assumed, documented

from .words import MINIMUM, TITLE_LIMIT

CAPABILITIES = frozenset({
    Capability.PAY,
    Capability.REGISTER,
    Capability.CAPTURE,
    Capability.CHARGE,
    Capability.CANCEL,
    Capability.CANCEL_PARTLY,
    Capability.FIND,
    Capability.LOOKUP,
    Capability.RECEIVE,
})

PROFILE = Profile(
    currencies=documented(("KRW",), "API reference: KRW; others only for methods that are not claimed"),
    minimum=documented(MINIMUM, "error list, BELOW_MINIMUM_AMOUNT: 100 won by card"),
    order_id_pattern=documented(r"[A-Za-z0-9_-]{6,40}",
                                "API reference, orderId: 6 to 64 of letters, digits, - _ =; paygate's ids are shorter"),
    title_limit=documented(TITLE_LIMIT, "API reference, orderName: at most 100 characters"),
    refuses_reused_order_id=documented(True, "error list, DUPLICATED_ORDER_ID: approved or cancelled before"),
    refuses_concurrent_order_id=documented(
        True, "idempotency guide: a second request with a key at work is answered 409; the key is the order id"),
    absence=assumed(Absence.NEVER_HAPPENED_AFTER_SETTLING,
                    "nobody says how far look-ups lag; what is sent again bears the same idempotency key for 15 days"),
    schedule_run_by=documented("paygate", "billing guide: the merchant's own scheduler charges the key"),
    register_takes_money=documented(False, "billing guide: issuing a key charges nothing"),
    cancel_guard=documented(CancelGuard.CHECKSUM,
                            "API reference, cancel: refundableAmount is compared with the balance; error list, "
                            "NOT_MATCHES_REFUNDABLE_AMOUNT"),
    hooks_never_sent=documented(("success of immediate charges", "failed immediate charges", "closed windows"),
                                "webhook guide: nothing tells of the approval of a billing charge, nor of a window "
                                "before the payer chose a means of payment"),
    hook_signature=documented("none: every webhook is looked up", "webhook guide: only other events bear a signature"),
    settle_s=assumed(120.0, "the guides tell clients to wait up to a minute for an approval"),
)

"""What NaverPay through PortOne V1 offers and how it behaves, as data."""

from __future__ import annotations

from paygate.capability import Absence, CancelGuard, Capability, Profile, assumed, documented

from .words import MINIMUM, TITLE_LIMIT

CAPABILITIES = frozenset({
    Capability.PAY, Capability.REGISTER, Capability.CHARGE,
    Capability.SCHEDULE, Capability.UNSCHEDULE, Capability.FIND_SCHEDULE, Capability.SCHEDULES,
    Capability.CANCEL, Capability.CANCEL_PARTLY,
    Capability.FIND, Capability.LOOKUP, Capability.LISTING, Capability.LOOKUP_KEY, Capability.DELETE_KEY,
    Capability.RECEIVE,
})

PROFILE = Profile(
    currencies=assumed(("KRW",), "NaverPay settles in won; PortOne's NaverPay pages name no other currency"),
    minimum=documented(MINIMUM, "PortOne V1 guide, NaverPay: 10 won since 2024-01-24 (its V2 page says 100)"),
    order_id_pattern=documented(r"[A-Za-z0-9_-]{1,40}", "PortOne V1 REST, merchant_uid: at most 40 (alphabet: ours)"),
    title_limit=documented(TITLE_LIMIT, "PortOne V1 REST, name: at most 40"),
    refuses_reused_order_id=documented(True, "NaverPay recurring guide: a used merchant_uid cannot be used again"),
    refuses_concurrent_order_id=assumed(False, "PortOne V1 documents no lock, and no idempotency key"),
    absence=assumed(Absence.NEVER_HAPPENED_AFTER_SETTLING,
                    "PortOne V1 REST, GET /payments/findAll/{merchant_uid} answers 404; read lag is not documented"),
    schedule_run_by=documented("pg", "PortOne V1 REST, POST /subscribe/payments/schedule"),
    register_takes_money=documented(False, "NaverPay recurring guide: registration approves no payment"),
    cancel_guard=documented(CancelGuard.CHECKSUM, "PortOne V1 REST, POST /payments/cancel, checksum"),
    hooks_never_sent=documented(("failed immediate charge", "failed or abandoned payment window", "cancel by API"),
                                "PortOne V1 guide, webhook; POST /payments/cancel, enable_webhook"),
    hook_signature=documented("none: every webhook is looked up", "PortOne V1 guide, webhook: no signature described"),
    settle_s=assumed(120.0, "PortOne V2 advises a read time-out of 60 s and works on after a hang-up; V1 taken alike"),
)

"""Where sources on the PG disagree or are silent: one switch each, with the side this emulator takes by default.

Nothing is decided here; the modules that act read these.
"""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import in_


@frozen(kw_only=True)
class Switches:
    """How the PG behaves where its documents leave room."""

    sandbox: bool = True
    """All channels are test channels, and records say so. False makes them look live."""

    hides_sandbox: bool = True
    """GET /payments/{imp_uid} knows test-channel payments only with include_sandbox=true (documented, since
    2026-01-26). False is how it was before, which older client libraries need."""

    card_channel: bool = True
    """A second test channel, of an ordinary card PG, takes card data sent by API. NaverPay refuses such data
    (documented); without this channel so does everything here."""

    duplicate_code: int = -1
    """`code` for a merchant_uid used before, on a charge (text observed, code assumed)."""

    strict_reuse: bool = False
    """A merchant_uid whose attempt failed is refused as well (manual: never reuse; error text: only
    paid or cancelled)."""

    unknown_key_status: int = field(default=404, validator=in_((200, 404)))
    """HTTP status for an unknown customer_uid (schema: 404; older client tests: 200)."""

    list_shape: str = field(default="paged", validator=in_(("paged", "array")))
    """Lists of schedules (prose and clients: paged; schema: array)."""

    partial_is_cancelled: bool = True
    """`status` after a partial refund is `cancelled` (observed at another PG); False keeps `paid` until nothing is
    left."""

    minimum_won: int = 10
    """Least KRW amount NaverPay charges (V1 pages: 10; a V2 page: 100)."""

    key_with_schedules_stays: bool = False
    """Deleting a billing key that still has dated charges is refused (V2 refuses, V1 only says to check first)."""

    past_schedules: bool = False
    """A dated charge may be created for an instant already past; it fires at once (silent; assumed to be refused)."""

    bare_tokens: bool = True
    """A token without the word Bearer is accepted (samples and clients send it so)."""

    names_required: bool = False
    """`name` of a charge, `name` and `currency` of a dated one must be present (schema; NaverPay examples omit
    them)."""

    pay_method: str = field(default="card", validator=in_(("card", "point", "trans", "naverpay")))
    """`pay_method` of NaverPay payments (undocumented)."""

    registration_hook: bool = True
    """A finished registration sends a `paid` webhook (assumed)."""

    registration_can_be_cancelled: bool = False
    """POST /payments/cancel on a registration record answers success, though no money moves (undocumented)."""

    execution_lag_s: float = 0.0
    """How long after its instant a dated charge is made (one sample: 15 s)."""

    unschedule_all_or_nothing: bool = False
    """One merchant_uid that cannot be revoked spoils the whole call (undocumented)."""

    missing_credential_status: int = field(default=400, validator=in_((400, 401)))
    """HTTP status of getToken without a key or secret (a client test: not 401)."""

    failed_hooks: bool = False
    """A declined immediate charge sends a webhook (documented: no)."""

    form_hooks: bool = False
    """Webhooks are sent form-encoded instead of as JSON (chosen in the console)."""

    window_needs_tel: bool = False
    """Registration without `buyer_tel` does not open (manual: required; current list: optional)."""

    window_needs_redirect: bool = True
    """Without `naverPopupMode: true` the window opens only with an `m_redirect_url` (documented)."""

    nulls: bool = True
    """Absent values are sent as null (observed). False leaves such fields out, as a literal reading of the schema,
    which knows no null, would have it."""

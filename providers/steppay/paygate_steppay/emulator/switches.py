"""Where StepPay's sources disagree or say nothing, both sides can be dialled. Defaults are the recommended reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import Attribute, define, field, fields
from attrs.validators import and_, deep_iterable, ge, in_, instance_of, le

_FLAG = instance_of(bool)


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):  # Its letters are no values.
        raise ValueError(f"it takes a list, such as [{values[:40]!r}]")
    return tuple(values)


def _numbers(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(values)


def _seconds(_: object, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 31_536_000:
        raise ValueError(f"{attribute.name} is a number of seconds from 0 to one year")


@define(kw_only=True)
class Switches:
    """How this StepPay behaves. `set("amounts", "decimal")` changes one; ValueError for what is not on offer."""

    create_status: int = field(default=201, validator=in_((200, 201)))
    """Status of an answer to a creation: the specification says 201, an integrator's code wants 200."""
    unauthorized_status: int = field(default=403, validator=in_((401, 403)))
    refund_header: str = field(default="either", validator=in_(("either", "secret-key", "secret-token")))
    """Which header carries the token of a payment cancel: the guide prints Secret-Key, all else uses Secret-Token."""
    amounts: str = field(default="mixed", validator=in_(("mixed", "int", "decimal", "text")))
    """How amounts are written: 10000 and 10000.0 side by side, one of them only, or as text in payment answers."""
    partner_ids: str = field(default="text", validator=in_(("text", "number")))
    """Whether a receipt writes partner ids that look like numbers as numbers."""
    nulls: str = field(default="null", validator=in_(("null", "absent")))
    """Whether an empty optional field is null (as in the published samples) or left out."""
    status_words: str = field(default="current", validator=in_(("current", "2023")))
    """The receipt's status words: COMPLETE and FAILED, or the guide of 2023's SUCCESS and PAYMENT_FAILURE."""
    zone_hours: int = field(default=0, validator=[instance_of(int), ge(-12), le(14)])
    """Offset of the zone-less times: UTC by four pieces of evidence, +9 by one integrator's code."""
    payment_date_lag_s: float = field(default=0.0, validator=_seconds)
    """For how long after the payer's approval look-ups still show an unpaid order (observed)."""
    billing_lag_s: float = field(default=0.0, validator=_seconds)
    """For how long a charged key's payment stays STANDBY (assumed: a /sync twin exists)."""
    billing_id_key: str = field(default="response", validator=in_(("response", "top", "absent")))
    """Where the answer to a charge puts idKey: nothing is published."""
    billing_failure: str = field(default="result_false", validator=in_(("result_false", "error_body")))
    """How a declined charge is answered: 200 with `result` false, or 400 with the error body."""
    billing_with_order_key: bool = field(default=False, validator=_FLAG)
    """Whether the idKey of a managed CARD_BILL order can be charged (untested by anyone)."""
    return_order_id: bool = field(default=True, validator=_FLAG)
    """Whether the browser returns with order_id; one sample of the guide lacks it."""
    return_on_cancel: bool = field(default=False, validator=_FLAG)
    """Whether anything is appended to cancelUrl; nothing is published."""
    refund_lag_s: float = field(default=0.0, validator=_seconds)
    """For how long a refund is under way: CANCEL_PROGRESS, and CANCELLATION_REFUNDING for items (meanings assumed)."""
    receipt_cancels: bool = field(default=True, validator=_FLAG)
    """Whether a receipt lists what was given back (assumed from the internal payment object)."""
    username_required: bool = field(default=False, validator=_FLAG)
    hidden_plans: str = field(default="everywhere", validator=in_(("everywhere", "list", "product", "nowhere")))
    """Where a price plan that is hidden from the shop is shown: in the price list, in the product's answer, both or
    neither; nothing is published."""
    setup_echo: bool = field(default=False, validator=_FLAG)
    """Whether a plan without a set-up fee is shown with one of 0 won, as in the published list."""
    payment_before_attempt: bool = field(default=False, validator=_FLAG)
    """Whether an unpaid order already carries a payment object, with gateway UNKNOWN (documented sample)."""
    partial_cancel_ends: bool = field(default=True, validator=_FLAG)
    """Whether giving back part of a subscription's first order ends the subscription as giving back all does."""
    vat_included: bool = field(default=True, validator=_FLAG)
    """False adds a TAX item of `vat_rate` percent to every order (documented)."""
    vat_rate: int = field(default=10, validator=[instance_of(int), ge(0), le(100)])
    retry_days: tuple[int, ...] = field(default=(1, 3, 5, 10, 14), converter=_numbers, validator=deep_iterable(
        and_(instance_of(int), ge(1), le(365)), instance_of(tuple)))
    """Days after the first failure at which a failed renewal is tried again (documented)."""
    hooks: tuple[str, ...] = field(default=("v2",), converter=_texts, validator=deep_iterable(
        in_(("v1", "v2")), instance_of(tuple)))
    """Which generations of webhooks are registered."""
    hook_events: tuple[str, ...] = field(default=("order.", "subscription.", "payment."), converter=_texts,
                                         validator=deep_iterable(instance_of(str), instance_of(tuple)))
    """Beginnings of the V2 event names that are registered; "customer." and "product." are there too."""
    v1_content: str = field(default="json", validator=in_(("json", "form")))
    v1_order_id: str = field(default="theirs", validator=in_(("theirs", "ours")))
    """Whose order id the V1 payment webhook carries for an unmanaged payment (not published)."""
    hook_copies: int = field(default=1, validator=[instance_of(int), ge(1), le(5)])
    """How often each webhook is delivered."""
    hook_order: str = field(default="sent", validator=in_(("sent", "reversed")))
    """Whether the webhooks of one happening arrive in their order; it is not guaranteed (documented)."""
    hook_delay_s: float = field(default=0.0, validator=_seconds)

    def set(self, name: str, value: Any) -> None:
        """Turn one switch.

        Raises: ValueError for a switch or a value that does not exist.
        """
        if name not in {f.name for f in fields(Switches)}:
            raise ValueError(f"there is no switch {name}")
        try:
            setattr(self, name, value)
        except TypeError as error:
            raise ValueError(f"switch {name}: {type(value).__name__} is not a value for it") from error
        except ValueError as error:
            raise ValueError(f"switch {name}: {error.args[0]}") from error  # The rest is attrs' own, for a debugger.

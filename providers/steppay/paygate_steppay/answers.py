"""StepPay's answers: what a status and a body mean for a command or a look-up. Pure.

Success is any 2xx (the description says 201 for creations, an integrator's code wants 200); all else carries the
error body {errorCode, errorMessage, traceId, details}. What is not fully understood is OutcomeUnknown: this module
never guesses that money moved, nor that it did not.

Source: StepPay V1 and payment specifications (documented); error codes are published nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import frozen

from paygate.codec import Unreadable, read_json
from paygate.errors import BadCommand, NotFound, OutcomeUnknown, PaygateError, RateLimited, Refused, Unauthorized
from paygate.wire import Response

from . import words

T = TypeVar("T")


@frozen(kw_only=True)
class Fault:
    """An error body. `code` and `says` are the PG's own, verbatim."""

    code: str | None = None
    says: str | None = None


def content(response: Response) -> Any:
    """The JSON a response carries: an object or an array.

    Raises: Unreadable, also for a content type that is not JSON.
    """
    kind = response.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Unreadable("it is not JSON by its content type")
    return read_json(response.body)


def fault(response: Response) -> Fault | None:
    """The error body of a response; None where it carries none."""
    try:
        body = content(response)
    except Unreadable:
        return None
    code = words.verbatim(body.get("errorCode")) if isinstance(body, dict) else None
    return None if not code else Fault(code=code, says=words.verbatim(body.get("errorMessage")))


def is_unprocessed(response: Response) -> bool:
    """Whether the PG says that it did not let the call in: 401, 403 or 429 with its own error body.

    A bare one proves nothing: whatever stands in front of the PG may say so too, after the PG has taken the money.
    """
    return response.status in (401, 403, 429) and fault(response) is not None


def accepted(response: Response, order_id: str | None = None) -> Any:
    """The content of an answer to a command.

    Raises: Unauthorized (401, 403), RateLimited (429), NotFound (404) or Refused (400), each only with the PG's own
    error body; OutcomeUnknown for anything else.
    """
    if 200 <= response.status < 300:
        return understood(content, response, order_id=order_id)
    raise refusal(response, order_id)


def known(response: Response, order_id: str | None = None) -> Any | None:
    """The content of an answer to a look-up; None where the PG says that it knows nothing under that id.

    Raises: as `accepted`, but for 404; RateLimited whoever asks for patience, since nothing was at stake.
    """
    if response.status == 404 and fault(response) is not None:
        return None
    if response.status == 429:
        raise limited(response, order_id)
    found = accepted(response, order_id)
    if found is None:
        raise unclear("a record is missing", order_id)
    return found


def refusal(response: Response, order_id: str | None) -> Refused | OutcomeUnknown:
    """The error for an answer that is not 2xx."""
    said = fault(response)
    status = response.status
    if said is None:
        return unclear(f"HTTP {status}", order_id)
    if status == 429:
        return limited(response, order_id)
    if status in (401, 403):
        return Unauthorized("the PG does not accept the token; nothing was done; check the settings", order_id=order_id,
                            code=said.code, pg_message=said.says)
    if status not in (400, 404):
        return unclear(f"HTTP {status}", order_id, said)
    kind = NotFound if status == 404 else Refused
    return kind("the PG answered no; its own words are in .code and .message", order_id=order_id, code=said.code,
                pg_message=said.says)


def limited(response: Response, order_id: str | None) -> RateLimited:
    """The error for an answer that asks for fewer requests."""
    said, after = fault(response), response.headers.get("retry-after", "").strip()
    return RateLimited("the PG asks for fewer requests; nothing was done; wait, then try again", order_id=order_id,
                       code=said.code if said else None, pg_message=said.says if said else None,
                       retry_after_s=float(after) if re.fullmatch(r"[0-9]{1,6}", after) else None)


def unclear(why: str, order_id: str | None, said: Fault | None = None) -> OutcomeUnknown:
    """The error for an answer that is not understood."""
    return OutcomeUnknown(f"the PG's answer is not understood ({why}); look it up, never send it again",
                          order_id=order_id, code=said.code if said else None, pg_message=said.says if said else None)


def accepted_unseen(error: PaygateError, order_id: str | None) -> OutcomeUnknown:
    """The error for what the PG called done, where the look at what that left failed with `error`."""
    told = OutcomeUnknown("the PG said that it gave the money back; what that left cannot be read now",
                          order_id=order_id, code=error.code, pg_message=error.message)
    told.accepted = True
    return told


def understood(read: Callable[..., T], *given: Any, order_id: str | None = None) -> T:
    """`read(*given)`, where what does not fit is OutcomeUnknown."""
    try:
        return read(*given)
    except Unreadable as fault:
        raise unclear(str(fault), order_id) from None
    except BadCommand:
        raise unclear("its status and amounts contradict each other", order_id) from None

"""PortOne V1's answers: the envelope around every one of them, and what it means for a command or a look-up. Pure.

Every answer is {"code": int, "message": str | null, "response": …}; 200 alone means nothing, code 0 means handled.
What is not fully understood is OutcomeUnknown: this module never guesses that money moved, nor that it did not.

Source: PortOne V1 REST, response envelope (documented); business errors as 200 or 404 with code != 0 (both seen).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import frozen

from paygate.codec import Unreadable, read_object
from paygate.errors import BadCommand, NotFound, NotSent, OutcomeUnknown, RateLimited, Unauthorized
from paygate.secret import Secret
from paygate.wire import Response, Token

from . import words

T = TypeVar("T")


@frozen(kw_only=True)
class Envelope:
    """An answer of the PG. `code` and `says` are its own number and words, verbatim; None where it gave none."""

    code: str | None = None
    says: str | None = None
    content: Any = None

    @property
    def is_yes(self) -> bool:
        return self.code == "0"


def envelope(response: Response) -> Envelope:
    """Read an answer's envelope.

    Raises: Unreadable.
    """
    body = read_object(response)
    if type(body.get("code")) is not int:
        raise Unreadable("it has no code")
    return Envelope(code=str(body["code"]), says=words.verbatim(body.get("message")), content=body.get("response"))


def accepted(response: Response, order_id: str | None) -> Any:
    """The content of an answer to a command.

    Raises: Unauthorized (401), RateLimited (429), Refused or a class under it (200, 400 or 404 with code != 0),
    OutcomeUnknown for anything else.
    """
    answer = _ours(response, order_id)
    if answer.is_yes and response.status == 200:
        return answer.content
    if answer.is_yes:
        raise unclear(f"HTTP {response.status} with code 0", order_id)
    kind = NotFound if response.status == 404 else words.refusal(answer.says)
    raise kind("the PG answered no; its own words are in .message", order_id=order_id, code=answer.code,
               pg_message=answer.says)


def known(response: Response, order_id: str | None = None) -> Any | None:
    """The content of an answer to a look-up; None where the PG says that it knows nothing under that id.

    Raises: Unauthorized, RateLimited, OutcomeUnknown.
    """
    answer = _ours(response, order_id)
    if answer.is_yes and response.status == 200 and answer.content is not None:
        return answer.content
    if not answer.is_yes and (response.status == 404 or (response.status == 200 and words.says_absent(answer.says))):
        return None
    raise OutcomeUnknown("a look-up was answered neither with a record nor with its absence; look up again later",
                         order_id=order_id, code=answer.code, pg_message=answer.says)


def token(response: Response) -> Token:
    """The access token in an answer to POST /users/getToken; its lifetime is taken from the PG's own clock.

    Raises: Unauthorized (400, 401, or 200 with code != 0), NotSent for everything else: no token, nothing asked.
    """
    answer = _envelope_if_any(response)
    if response.status in (400, 401) or (response.status == 200 and answer.code not in (None, "0")):
        raise Unauthorized("the PG does not accept imp_key and imp_secret; nothing else was sent; check the settings",
                           code=answer.code, pg_message=answer.says)
    made = answer.content if response.status == 200 and isinstance(answer.content, dict) else {}
    text, now, until = made.get("access_token"), made.get("now"), made.get("expired_at")
    if not isinstance(text, str) or not re.fullmatch(r"[\x21-\x7e]{1,500}", text) \
            or type(now) is not int or type(until) is not int or not 0 < until - now <= 86_400:
        raise NotSent("the PG gave no access token; nothing else was sent; try again later")
    return Token(headers={"Authorization": Secret(f"Bearer {text}")}, lifetime_s=until - now)


def unclear(why: str, order_id: str | None) -> OutcomeUnknown:
    """The error for an answer that is not understood."""
    return OutcomeUnknown(f"the PG's answer is not understood ({why}); look it up, never send it again",
                          order_id=order_id)


def understood(read: Callable[..., T], *content: Any, order_id: str | None = None) -> T:
    """`read(*content)`, where content that does not fit is OutcomeUnknown."""
    try:
        return read(*content)
    except Unreadable as fault:
        raise unclear(str(fault), order_id) from None
    except BadCommand:
        raise unclear("its status and amounts contradict each other", order_id) from None


def _ours(response: Response, order_id: str | None) -> Envelope:
    if response.status == 401:
        answer = _envelope_if_any(response)
        raise Unauthorized("the PG does not accept the access token; nothing was done; check the settings",
                           order_id=order_id, code=answer.code, pg_message=answer.says)
    if response.status == 429:
        answer, after = _envelope_if_any(response), response.headers.get("retry-after", "").strip()
        raise RateLimited("the PG asks for fewer requests; nothing was done; wait, then try again", order_id=order_id,
                          retry_after_s=float(after) if re.fullmatch(r"[0-9]{1,6}", after) else None,
                          code=answer.code, pg_message=answer.says)
    if response.status not in (200, 400, 404):
        raise unclear(f"HTTP {response.status}", order_id)
    return understood(envelope, response, order_id=order_id)


def _envelope_if_any(response: Response) -> Envelope:
    try:
        return envelope(response)
    except Unreadable:
        return Envelope()

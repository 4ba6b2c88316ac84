"""One conversation with the PG within one call: token, retries and the one fact that counts, "may it have arrived?"."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import evolve

from ..clock import Deadline
from ..errors import NotSent, OutcomeUnknown, PaygateError
from ..flow import Flow
from ..model import Payment, ScheduledCharge
from ..secret import Secret, without
from ..wire import Lost, Request, Response, Token
from .account import Account
from .steps import Alone, Pause, Send, Steps

T = TypeVar("T")

_AGAIN = 2
"""How often a request that certainly did not arrive, or may arrive twice, is sent again."""
_LONGEST_PAUSE_S = 10.0


class Talk:
    """Runs flows against the PG. `sent` turns True when a request that may not be repeated may have arrived."""

    def __init__(self, account: Account, deadline: Deadline | None = None, *, hide: Secret | None = None) -> None:
        self.account = account
        self.deadline = deadline or account.deadline()
        self.sent = False
        self._hide = hide
        """What must not stand in the PG's words, beside the credentials, should it quote it back."""

    def say(self, flow: Flow[T]) -> Steps[T]:
        """Drive `flow` to its end; what the PG says comes without any secret that it quotes.

        Raises: what the flow raises; NotSent where nothing left; OutcomeUnknown where no complete answer came back.
        """
        try:
            value = yield from self._drive(flow)
        except PaygateError as error:
            error.message, error.code = self._shown(error.message), self._shown(error.code)
            raise
        shown: T = self._shown(value)
        return shown

    def _shown(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple([self._shown(item) for item in value])
        if isinstance(value, Payment) and value.for_key and self.account.spec.profile.register_takes_money.value:
            # Where registering takes money, a record of none taken is not what was asked for, whatever it calls itself.
            value = evolve(value, for_key=False)
        if isinstance(value, str):
            return self._hushed(value)
        if isinstance(value, (Payment, ScheduledCharge)) and (value.message is not None or value.code is not None):
            return evolve(value, message=self._hushed(value.message), code=self._hushed(value.code))
        return value

    def _hushed(self, text: str | None) -> str | None:
        if not text:
            return text
        token = self.account.tokens.held(self.account.clock)
        # Of a header such as "Bearer abc" the last word is the secret.
        held = [] if token is None else [Secret(value.reveal().split()[-1]) for value in token.headers.values()]
        for secret in (*self.account.secrets, *held, *([] if self._hide is None else [self._hide])):
            text = without(text, secret)
        return text

    def _drive(self, flow: Flow[T]) -> Steps[T]:
        try:
            request = next(flow)
            while True:
                came = yield from self._exchange(request)
                request = flow.throw(_unanswered(request, came)) if isinstance(came, Lost) else flow.send(came)
        except StopIteration as stop:
            value: T = stop.value
            return value
        except PaygateError as error:
            # The flow's frames hold what it was reading, and a PG's record may name a billing key: they end here.
            if error.__cause__ is None:
                error.__context__ = None
            raise error.with_traceback(None)  # noqa: B904 (it is the same error)

    def _exchange(self, request: Request) -> Steps[Response | Lost]:
        token = (yield from self._token(None)) if request.auth else None
        renewed, tries = False, 0
        while True:
            again, came = tries < _AGAIN, (yield from self._once(request, token))
            if isinstance(came, Lost):
                again = again and came.may_retry and (request.repeatable or not came.sent)
                if not again or not (yield from self._pause(0.1 * 5**tries)):
                    return came
                tries += 1
                continue
            response = came
            certain = request.repeatable or self._unprocessed(response)
            if response.status == 401 and request.auth and not renewed and certain:
                token, renewed = (yield from self._token(token)), True
                continue
            if again and certain and self._is_worth_another(request, response) \
                    and (yield from self._pause(_wait_s(response, 0.1 * 5**tries))):
                tries += 1
                continue
            self.sent |= not certain
            return response

    def _is_worth_another(self, request: Request, response: Response) -> bool:
        if request.repeatable:
            return response.status == 429 or response.status >= 500
        # Where the PG would not notice a second one, not even its own "too many" is reason enough to send again.
        return response.status == 429 and self.account.spec.profile.refuses_reused_order_id.value

    def _unprocessed(self, response: Response) -> bool:
        return response.status in self.account.spec.unprocessed or self.account.provider.is_unprocessed(response)

    def _once(self, request: Request, token: Token | None) -> Steps[Response | Lost]:
        try:
            response: Response = yield Send(request, token, self.deadline)
        except Lost as lost:
            self.sent |= lost.sent and not request.repeatable
            return lost
        except BaseException:
            self.sent |= not request.repeatable
            raise
        return response

    def _pause(self, seconds: float) -> Steps[bool]:
        """Wait, unless the deadline would be over by then."""
        if seconds >= self.deadline.remaining_s():
            return False
        yield Pause(seconds)
        return True

    def _token(self, spent: Token | None) -> Steps[Token]:
        held = self.account.tokens.held(self.account.clock)
        if held is not None and held is not spent:
            return held
        fetched: Token = yield Alone(self._fetch_token(spent))
        return fetched

    def _fetch_token(self, spent: Token | None) -> Steps[Token]:
        held = self.account.tokens.held(self.account.clock)
        if held is not None and held is not spent:
            return held  # Another worker was first.
        self.account.tokens.drop()
        token = yield from self.say(self.account.provider.token())
        self.account.tokens.keep(token, self.account.clock)
        return token


def _wait_s(response: Response, otherwise: float) -> float:
    asked = response.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_PAUSE_S) if asked.isascii() and asked.isdigit() and len(asked) < 6 else otherwise


def _unanswered(request: Request, lost: Lost) -> PaygateError:
    # What may not be tried again never came as far as the PG: a broken request, a certificate that does not fit.
    reached = "the PG could not be reached" if lost.may_retry else "the request could not be sent"
    if lost.sent or request.repeatable:
        return OutcomeUnknown(f"{'the PG gave no complete answer' if lost.sent else reached} ({lost.why})")
    return NotSent(f"{reached} ({lost.why}); nothing was sent; the same order_id may be sent again")

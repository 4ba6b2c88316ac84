"""A merchant's payment endpoints, whatever the framework: requests in, answers out, as values.

    POST /start                 the order of the merchant's own database → what the payer's browser does now
    GET|POST /complete/<tag>    the browser is back → look up what came of it → the merchant's next page
    POST /webhooks/<gateway>    a PG's message → the inbox
    GET /paygate.<hash>.js      the script for the merchant's pages

An amount never comes from a browser, an order never from a query, and no answer tells which ids exist.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..async_gateway import AsyncGateway
from ..codec import Unreadable, read_json
from ..commands import Pay, Register
from ..errors import BadCommand, BadSettings, Conflict, Forged, InProgress, OutcomeUnknown, PaygateError
from ..gateway import Gateway
from ..ledger.rules import digest
from ..model import Checkout
from ..procedures import facts as _facts
from ..secret import Secret
from ..subscriptions import Subscribe
from . import page
from .ending import Outcome, Status, Visit, ended, failed, holds_s, light, once_each
from .exchange import FORM, JSON, Answer, Asked, Exchange, Wrong, body, do, go, pairs, say, show
from .inbox import AsyncInbox, Inbox
from .session import WINDOW, Begun, Session
from .turns import Known, Turn, Turns, wait, wait_async

log = logging.getLogger("paygate.web")

T = TypeVar("T")

HOOK_LIMIT = 64 << 10
FORM_LIMIT = 16 << 10
_OK = say(200, {"ok": True})

Command = Pay | Register | Subscribe
_BEGINS = {Pay: "pay", Register: "register", Subscribe: "subscribe"}
_CONFIRMS = {"pay": "confirm", "register": "confirm_key", "subscribe": "confirm_subscription"}

Order = Callable[[Visit], "Command | str | Awaitable[Command | str]"]
Done = Callable[[Visit, Outcome], "str | Awaitable[str]"]


class Receiver:
    """The endpoints of one shop; an adapter (`paygate.web.asgi`, `.django`, `.flask`) puts them into a framework.

    `url` is the public https address at which the adapter is mounted; `secret` signs the payer's cookie.
    `order(visit)` returns the command for what the payer wants, made from the merchant's own data, or another page of
    the shop to go to; for a cart that has begun an order it returns that order again, until it is over.
    `done(visit, outcome)` returns the page of the shop to show next.

    Raises: BadSettings.
    """

    def __init__(self, inbox: Inbox | AsyncInbox, *, url: str, secret: str | Secret, order: Order, done: Done,
                 body_timeout_s: float = 10.0) -> None:
        try:
            self._session = Session(url, secret)
        except BadCommand:
            raise BadSettings("url is the public address of the payment endpoints: https, or http on this machine") \
                from None
        self.inbox = inbox
        self.is_async = isinstance(inbox, AsyncInbox)
        self._order, self._done = order, done
        self._timeout_s = body_timeout_s
        clock = inbox.first._account.clock
        self._starts: Turns[Checkout] = Turns(clock)
        self._returns: Turns[Outcome] = Turns(clock)

    @property
    def script(self) -> page.Html:
        """The element that loads paygate.js, for the merchant's own pages."""
        return page.script_tag(self._session.path)

    def return_url(self, order_id: str) -> str:
        """The return address of an order."""
        return self._session.return_url(order_id)

    def answer(self, asked: Asked) -> Exchange[Answer]:
        """Answer one request.

        Raises: whatever the merchant's own functions raise.
        """
        try:
            match asked.path.strip("/").split("/"):
                case ["start"]:
                    _only(asked, "POST")
                    return (yield from self._start(asked))
                case ["complete", tag]:
                    _only(asked, "GET", "POST")
                    return (yield from self._complete(asked, tag))
                case ["webhooks", name] if name in self.inbox.gateways:
                    _only(asked, "POST")
                    return (yield from self._webhook(asked, name))
                case [name] if name == page.script_name():
                    _only(asked, "GET", "HEAD")
                    return page.serve_script()
            raise Wrong(404, "not_found")
        except Wrong as wrong:
            return wrong.answer

    # POST /start

    def _start(self, asked: Asked) -> Exchange[Answer]:
        self._check_site(asked)
        form = yield from self._form(asked, (FORM, JSON))
        visit = Visit(request=asked.request, form=form, session=self._session)
        wanted: Command | str = yield do(self._order, visit)
        wants_json = JSON in asked.headers.get("accept", "")
        if isinstance(wanted, str):
            return self._onward(self._checked(wanted), wants_json)
        if (verb := _BEGINS.get(type(wanted))) is None:
            raise BadCommand(f"order() returns Pay, Register, Subscribe or an address, not {type(wanted).__name__}")
        complete = self._session.return_url(wanted.order_id)
        if wanted.return_url != complete:
            raise BadCommand("return_url is visit.return_url(order_id): no other address brings the payer back here")
        gate = self.inbox.first
        cookie = self._session.keep(Begun(order_id=wanted.order_id, verb=verb, gateway=gate.name), self._now())
        try:
            checkout = yield from self._window(wanted, verb)
        except Conflict as over:
            # Paid or failed already: the payer is shown what became of it.
            log.warning("order %s is not begun again: %s", wanted.order_id, over)
            return self._onward(complete, wants_json).with_cookie(cookie)
        except PaygateError as error:
            if isinstance(error, BadCommand):
                raise
            log.warning("order %s cannot be begun now: %s", wanted.order_id, error)
            raise Wrong(503, "later") from None
        return self._begun(asked, checkout, complete, wants_json=wants_json).with_cookie(cookie)

    def _window(self, wanted: Command, verb: str) -> Exchange[Checkout]:
        """What the payer is to do; for one who presses again at once the same, without asking the PG."""
        gate, said = self.inbox.first, digest(wanted)
        turn = yield from self._turn(self._starts, gate, wanted.order_id, said)
        if isinstance(turn, Known):
            return turn.value
        if turn == "later":
            raise InProgress(f"order {wanted.order_id} was begun too often just now; ask again later",
                             order_id=wanted.order_id)
        try:
            checkout: Checkout = yield do(getattr(gate, verb), wanted)
            self._starts.keep(f"{gate.name} {wanted.order_id}", said, (yield from self._version(gate, wanted.order_id)),
                              checkout)
        finally:
            self._starts.end(f"{gate.name} {wanted.order_id}")
        return checkout

    def _begun(self, asked: Asked, checkout: Checkout, complete: str, *, wants_json: bool) -> Answer:
        run = page.started(checkout, complete, keep=self._return_keys(self.inbox.first.name), fields=asked.fields)
        if wants_json:
            return say(200, run)
        if run["action"]["type"] == "redirect":
            return go(run["action"]["url"])
        return show(page.checkout_page(run, self._session.path, _language(asked)))

    def _onward(self, url: str, wants_json: bool) -> Answer:
        return say(200, {"go": url}) if wants_json else go(url)

    # GET|POST /complete/<tag>

    def _complete(self, asked: Asked, tag: str) -> Exchange[Answer]:
        if asked.method == "POST":
            self._check_site(asked)
            given = pairs(_text((yield from body(asked, (FORM,), FORM_LIMIT, self._timeout_s))))
        else:
            given = _hints(asked.query)
        begun = self._session.begun(asked, tag, self._now())
        outcome = yield from self._outcome(begun, given)
        visit = Visit(request=asked.request, session=self._session)
        url: str = yield do(self._done, visit, outcome)
        if asked.cookie(WINDOW) is None:
            return go(self._checked(url))
        return show(page.return_page(self._checked(url), self._session.path, _language(asked)), page.RETURN_HEADERS) \
            .with_cookie(self._session.forget_window(tag))

    def _outcome(self, begun: Begun | None, given: list[tuple[str, str]]) -> Exchange[Outcome]:
        if begun is None or begun.gateway not in self.inbox.gateways:
            return Outcome(status=Status.LOST)
        gate = self.inbox.gateways[begun.gateway]
        query = once_each(given, self._return_keys(gate.name))
        try:
            outcome = yield from self._looked_up(gate, begun, query)
        except PaygateError as error:
            outcome = Outcome(status=Status.UNKNOWN, order_id=begun.order_id, error=error)
        try:
            yield from self.inbox.tell_order_steps(gate, begun.order_id)  # type: ignore[arg-type]
        except Exception:
            log.exception("what became of order %s could not be told; it is told later", begun.order_id)
        return outcome

    def _looked_up(self, gate: Gateway | AsyncGateway, begun: Begun, query: dict[str, str]) -> Exchange[Outcome]:
        """What came of an order: looked up, or known from a look-up just before."""
        order_id, brought = begun.order_id, repr(sorted(query.items())) if query else ""
        turn = yield from self._turn(self._returns, gate, order_id, brought)
        if isinstance(turn, Known):
            return turn.value
        if turn == "later":
            raise OutcomeUnknown(f"order {order_id} was asked about too often just now; ask again later",
                                 order_id=order_id)
        try:
            try:
                came = yield do(getattr(gate, _CONFIRMS[begun.verb]), order_id, query)
            except PaygateError as error:
                outcome = Outcome(status=failed(error), order_id=order_id, error=error)
            else:
                outcome = ended(begun, came)
            self._returns.keep(f"{gate.name} {order_id}", brought, (yield from self._version(gate, order_id)),
                               light(outcome), holds_s(begun, outcome))
        finally:
            self._returns.end(f"{gate.name} {order_id}")
        return outcome

    def _turn(self, turns: Turns[T], gate: Gateway | AsyncGateway, order_id: str, asked: str) -> Exchange[Turn[T]]:
        """What to do now; whoever comes while another asks about the same order waits for that answer."""
        for _ in range(2):
            version = yield from self._version(gate, order_id)
            turn = turns.take(f"{gate.name} {order_id}", asked, version)
            if not isinstance(turn, Future):
                return turn
            yield do(wait_async if self.is_async else wait, turn)
        return "later"

    def _version(self, gate: Gateway | AsyncGateway, order_id: str) -> Exchange[Hashable]:
        version: Hashable = yield do(gate._run, _facts.version(gate._account, order_id))
        return version

    # POST /webhooks/<gateway>

    def _webhook(self, asked: Asked, name: str) -> Exchange[Answer]:
        inbox: Any = self.inbox  # of one face, as its gateways are
        gate = inbox.gateways[name]
        raw = yield from body(asked, (JSON, FORM), HOOK_LIMIT, self._timeout_s)
        try:
            letter = yield from inbox.open_steps(gate, asked.headers, raw)
        except Forged:
            # Found out from its own bytes, so it tells nothing of ours; a PG whose key is wrong here must see it.
            return say(400, {"error": "unreadable"})
        except Exception:
            log.exception("a webhook of %s could not be read", name)
            raise Wrong(503, "later") from None
        try:
            yield from inbox.take_steps(gate, letter)
        except Forged as forged:
            log.info("a webhook of %s is not believed: %s", name, forged)
        except OutcomeUnknown as doubt:
            log.info("a webhook of %s is left for later: %s", name, doubt)
            raise Wrong(503, "later") from None
        except Exception:
            log.exception("a webhook of %s could not be taken", name)
            raise Wrong(503, "later") from None
        # The same for what was believed and what was not: nobody learns here which ids exist.
        return _OK

    # What they share

    def _form(self, asked: Asked, types: tuple[str, ...]) -> Exchange[dict[str, str]]:
        raw = yield from body(asked, types, FORM_LIMIT, self._timeout_s)
        if asked.media_type == FORM:
            return dict(pairs(_text(raw)))
        try:
            said = read_json(raw)
        except Unreadable:
            raise Wrong(400, "bad_json") from None
        if not isinstance(said, dict) or not all(isinstance(v, str) for v in said.values()):
            raise Wrong(400, "bad_json")
        return said

    def _check_site(self, asked: Asked) -> None:
        """Refuse what another site's page posted. What has neither header is no browser, and brings no cookie."""
        site, origin = asked.headers.get("sec-fetch-site"), asked.headers.get("origin")
        if site not in ("same-origin", "none") if site is not None else origin not in (None, self._session.origin):
            raise Wrong(403, "other_site")

    def _checked(self, url: str) -> str:
        """A page of this shop: a path, or an address of the receiver's own site.

        Raises: BadCommand, so that no mistake makes an open redirect.
        """
        if isinstance(url, str) and url.isascii() and url.isprintable() and "\\" not in url:
            parts = urlsplit(url)
            if url.startswith("/") and not url.startswith("//"):
                return url
            if f"{parts.scheme}://{parts.netloc}" == self._session.origin:
                return url
        raise BadCommand("the page to go to is a path of the shop, such as /orders/17")

    def _return_keys(self, name: str) -> tuple[str, ...]:
        return self.inbox.gateways[name]._account.provider.return_keys

    def _now(self) -> float:
        return self.inbox.first._account.now()


def _only(asked: Asked, *methods: str) -> None:
    if asked.method not in methods:
        raise Wrong(405, "method", (("allow", ", ".join(methods)),))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise Wrong(400, "bad_form") from None


def _hints(query: str) -> list[tuple[str, str]]:
    """What a return brings. One that cannot be read is none: the payer may have paid, and the PG is asked anyway."""
    try:
        return [] if len(query) > FORM_LIMIT else pairs(query)
    except Wrong:
        return []


def _language(asked: Asked) -> str:
    return page.language_of(asked.headers.get("accept-language", ""))

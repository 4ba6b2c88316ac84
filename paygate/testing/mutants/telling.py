"""Wrong in what it tells: reasons made up, words changed, the mode of its own settings, windows that lead astray."""

from __future__ import annotations

import unicodedata
from typing import Any

import attrs
from attrs import evolve

from ...capability import Capability
from ...errors import Declined, NotSent, OutcomeUnknown, Unauthorized
from ...flow import Flow
from ...model import Checkout, ClientCall, DeclineReason, Payment, PaymentStatus, Redirect
from ...secret import Secret
from ...wire import Token
from ..contract.subject import Subject
from .bending import asks, bent, mutant, numbers, on_error, on_request, on_value, texts

C = Capability


def _failed(change: Any) -> Any:
    """Change a decline, whichever way it is told."""
    def method(right: Any, self: Any, *args: Any) -> Flow[Any]:
        try:
            made = yield from right(*args)
        except Declined as error:
            said = Payment(order_id="-", provider_id="-", status=PaymentStatus.FAILED, money=args[0].money,
                           reason=error.reason, code=error.code, message=error.message)
            told = change(said)
            raise Declined("declined", reason=told.reason, code=told.code, pg_message=told.message) from None
        if isinstance(made, tuple):
            return tuple(change(p) if p.status is PaymentStatus.FAILED else p for p in made)
        return change(made) if made is not None and made.status is PaymentStatus.FAILED else made
    return method


def _everywhere(subject: Subject, change: Any) -> Subject:
    verbs = {"charge": C.CHARGE, "find": C.FIND, "lookup": C.LOOKUP}
    return bent(subject, **{v: _failed(change) for v, needs in verbs.items() if subject.claims(needs)})


def _records(subject: Subject, change: Any) -> Subject:
    """Change every payment that is told."""
    def each(value: Any, *_: Any) -> Any:
        return tuple(map(change, value)) if isinstance(value, tuple) else None if value is None else change(value)
    verbs = {"charge": C.CHARGE, "find": C.FIND, "lookup": C.LOOKUP, "cancel": C.CANCEL}
    return bent(subject, **{v: on_value(each) for v, needs in verbs.items() if subject.claims(needs)})


@mutant(C.CHARGE)
def takes_every_decline_for_an_empty_account(subject: Subject) -> Subject:
    """Words that stand in no table are given a reason."""
    return _everywhere(subject, lambda p: evolve(p, reason=DeclineReason.INSUFFICIENT_FUNDS))


@mutant(C.CHARGE, C.FIND)
def leaves_the_reason_out(subject: Subject) -> Subject:
    """A failed record has neither a reason nor the word that it is unmapped."""
    return _everywhere(subject, lambda p: evolve(p, reason=None))


@mutant(C.CHARGE)
def translates_the_pgs_words(subject: Subject) -> Subject:
    """The PG's words are replaced by friendlier ones."""
    return _everywhere(subject, lambda p: evolve(p, message="Your payment could not be made."))


@mutant(C.CHARGE)
def trims_the_pgs_words(subject: Subject) -> Subject:
    """The PG's words are cut at forty characters."""
    return _everywhere(subject, lambda p: evolve(p, message=(p.message or "")[:40]))


@mutant(C.CHARGE)
def makes_up_a_code(subject: Subject) -> Subject:
    """The PG's code is replaced by one of ours."""
    return _everywhere(subject, lambda p: evolve(p, code="ERR_DECLINED_1"))


@mutant(C.CHARGE)
def puts_the_pgs_words_into_its_message(subject: Subject) -> Subject:
    """What the PG said stands in the error's own text."""
    def charge(right: Any, self: Any, command: Any) -> Flow[Any]:
        try:
            made = yield from right(command)
        except Declined as error:
            raise Declined(f"declined: {error.message}", reason=error.reason, pg_message=error.message) from None
        if made.status is PaymentStatus.FAILED:
            raise Declined(f"declined: {made.message}", reason=made.reason, pg_message=made.message)
        return made
    looks = {"find": on_error(Exception, lambda *_: ())} if subject.claims(C.FIND) else {}
    return bent(subject, charge=charge, **looks)


@mutant(C.CHARGE, when=lambda s: s.emulator().tells_mode)
def repeats_its_own_mode(subject: Subject) -> Subject:
    """Whether a payment is a test is taken from the settings and not from the record."""
    right = subject.spec.build

    def build(settings: Any) -> Any:
        made: Any = right(settings)
        made._kit_test = settings.mode == "test"
        return made

    mine = subject.built_by(build)
    return bent(mine, **{v: on_value(_own_mode) for v, n in (("charge", C.CHARGE), ("find", C.FIND),
                                                             ("lookup", C.LOOKUP)) if mine.claims(n)})


def _own_mode(value: Any, self: Any, *_: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(evolve(p, test=self._kit_test) for p in value)
    return None if value is None else evolve(value, test=self._kit_test)


@mutant(C.CHARGE, when=lambda s: s.emulator().tells_mode)
def does_not_read_the_mode(subject: Subject) -> Subject:
    """Whether a payment is a test is not told, though the record says it."""
    return _records(subject, lambda p: evolve(p, test=None))


@mutant(C.REGISTER, C.FIND, when=lambda s: not s.spec.profile.register_takes_money.value)
def takes_a_registration_for_a_payment(subject: Subject) -> Subject:
    """A record that only registered a key looks like money."""
    return _records(subject, lambda p: evolve(p, for_key=False))


@mutant(C.PAY)
def sends_the_payer_without_tls(subject: Subject) -> Subject:
    """The payer is sent to http."""
    def plain(checkout: Any, *_: Any) -> Any:
        action = checkout.action
        if isinstance(action, Redirect):
            return evolve(checkout, action=Redirect(action.url.replace("https:", "http:", 1)))
        return evolve(checkout, action=evolve(action, script=action.script.replace("https:", "http:", 1)))
    return bent(subject, pay=on_value(plain))


@mutant(C.PAY)
def says_that_its_window_takes_nothing(subject: Subject) -> Subject:
    """The checkout tells the payer that no money will be taken."""
    return bent(subject, pay=on_value(lambda checkout, *_: evolve(checkout, takes_money=False)))


@mutant(C.PAY)
def opens_a_window_for_another_amount(subject: Subject) -> Subject:
    """The payer is shown a tenth more."""
    def dearer(command: Any) -> Any:
        return evolve(command, money=evolve(command.money, amount=command.money.amount * 11 // 10))
    return bent(subject, pay=lambda right, self, command, prepared=None: right(dearer(command), prepared))


def _window(subject: Subject) -> Checkout:
    """A window of its."""
    from ..contract.bench import Bench

    with Bench(subject) as bench:
        made: Checkout = bench.do("pay", bench.pay())
        return made


@mutant(C.PAY, when=lambda s: _window(s).provider_id is not None)
def prepares_a_new_order_each_time(subject: Subject) -> Subject:
    """A window shown again is another order, which can be paid as well."""
    return bent(subject, pay=lambda right, self, command, prepared=None: right(command, None))


@mutant(C.PAY)
def cuts_the_return_address(subject: Subject) -> Subject:
    """The query of return_url is dropped."""
    def pay(right: Any, self: Any, command: Any, prepared: Any = None) -> Any:
        return right(evolve(command, return_url=command.return_url.partition("?")[0]), prepared)
    return bent(subject, pay=pay)


@mutant(C.CHARGE, C.PAY)
def cuts_titles(subject: Subject) -> Subject:
    """Titles are cut at ten characters."""
    return bent(subject, charge=lambda right, self, c: right(evolve(c, title=c.title[:10])),
                pay=lambda right, self, c, prepared=None: right(evolve(c, title=c.title[:10]), prepared))


@mutant(C.CHARGE, C.PAY)
def normalises_titles(subject: Subject) -> Subject:
    """Titles are written in another normal form."""
    def other(command: Any) -> Any:
        return evolve(command, title=unicodedata.normalize("NFKC", command.title))
    return bent(subject, charge=lambda right, self, c: right(other(c)),
                pay=lambda right, self, c, prepared=None: right(other(c), prepared))


@mutant(C.CHARGE)
def drops_the_tax_free_part(subject: Subject) -> Subject:
    """A tax-free part is taken, and the PG is not told."""
    return bent(subject, charge=lambda right, self, c: right(evolve(c, tax_free=None)))


@mutant(C.CHARGE)
def ignores_extra_fields_it_does_not_know(subject: Subject) -> Subject:
    """A misspelt field is lost without a word."""
    def check(right: Any, self: Any, command: Any) -> Any:
        return right(evolve(command, extra={})) if hasattr(command, "extra") else right(command)

    def charge(right: Any, self: Any, command: Any) -> Any:
        return right(evolve(command, extra={}))
    return bent(subject, check=check, charge=charge)


@mutant(C.CHARGE)
def lets_extra_fields_replace_the_amount(subject: Subject) -> Subject:
    """A field of `extra` named amount is sent as the amount."""
    def check(right: Any, self: Any, command: Any) -> Any:
        return right(evolve(command, extra={})) if hasattr(command, "extra") else right(command)

    def change(request: Any, self: Any, command: Any) -> Any:
        stated = command.extra.get(subject.name, {}).get("amount")
        if stated is None or not asks(request):
            return request
        return evolve(request, json=numbers(request.json, lambda n: stated if n == command.money.amount else n))
    return bent(subject, check=check, charge=on_request(change))


def _has_token(subject: Subject) -> bool:
    from ..contract.checks.tokens import _has_token as why_not

    return why_not(subject) is None


@mutant(C.LOOKUP, when=_has_token)
def fetches_a_token_for_every_request(subject: Subject) -> Subject:
    """A token's lifetime is told as nothing."""
    return bent(subject, token=on_value(lambda token, *_: evolve(token, lifetime_s=0.001)))


@mutant(C.LOOKUP, when=_has_token)
def keeps_tokens_for_ever(subject: Subject) -> Subject:
    """A token's lifetime is told in milliseconds."""
    return bent(subject, token=on_value(lambda token, *_: evolve(token, lifetime_s=token.lifetime_s * 1_000)))


@mutant(C.CHARGE, when=_has_token)
def blames_the_credentials_for_everything(subject: Subject) -> Subject:
    """A token's request that is not answered is told as wrong credentials."""
    return bent(subject, token=on_error((OutcomeUnknown, NotSent), lambda *_: Unauthorized("wrong credentials")))


@mutant(C.CHARGE, when=_has_token)
def never_blames_the_credentials(subject: Subject) -> Subject:
    """Wrong credentials are told as a PG that cannot be reached."""
    return bent(subject, token=on_error(Unauthorized, lambda *_: NotSent("no token")))


@mutant(C.CHARGE, when=_has_token)
def makes_a_token_of_anything(subject: Subject) -> Subject:
    """Where no token comes, an empty one is used."""
    return bent(subject, token=on_error((OutcomeUnknown, NotSent), lambda *_: Token(
        headers={"authorization": Secret("Bearer None")}, lifetime_s=1800.0)))


@mutant(C.CHARGE)
def writes_json_by_hand(subject: Subject) -> Subject:
    """Quotation marks in a title are doubled on their way."""
    def change(request: Any, self: Any, command: Any) -> Any:
        return evolve(request, json=texts(request.json, lambda t: t.replace('"', '\\"') if t == command.title else t))
    return bent(subject, charge=on_request(change))


@mutant(C.PAY, when=lambda s: isinstance(_window(s).action, ClientCall))
def puts_the_servers_secret_into_the_page(subject: Subject) -> Subject:
    """What the server authenticates with goes into the parameters of the payer's page."""
    def pay(right: Any, self: Any, command: Any, prepared: Any = None) -> Flow[Any]:
        checkout = yield from right(command, prepared)
        action: ClientCall = checkout.action
        return evolve(checkout, action=evolve(action, params={**action.params, **self._kit_secrets}))

    right = subject.spec.build

    def build(settings: Any) -> Any:
        made: Any = right(settings)
        held = {f.name: getattr(settings, f.name) for f in attrs.fields(type(settings))}
        made._kit_secrets = {n: v for n, v in held.items() if isinstance(v, Secret)}
        return made
    return bent(subject.built_by(build), pay=pay)

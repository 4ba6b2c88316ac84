"""Wrong about webhooks and returns: believed without a look, whoever signed them and however long ago."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from attrs import evolve

from ...capability import Capability
from ...errors import Forged
from ...flow import Flow
from ...model import Hint, Payment, PaymentStatus
from ...secret import Secret
from ..contract.subject import Subject
from .bending import bent, mutant

C = Capability


def _signs(subject: Subject) -> bool:
    """Whether the provider checks signatures, and its emulator makes some."""
    from ..contract.bench import Bench
    from ..contract.checks import signatures
    from ..contract.told import NotHere

    if signatures.signs(subject) is not None:
        return False
    try:
        with Bench(subject) as bench:
            return bool(signatures.signed(bench))
    except NotHere:
        return False


@mutant(C.RECEIVE, when=_signs)
def believes_every_webhook_to_be_signed(subject: Subject) -> Subject:
    """Whatever comes in is told as signed by the PG."""
    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        hint: Hint = right(headers, body, now)
        return evolve(hint, is_signed=True)
    return bent(subject, read_webhook=read_webhook)


@mutant(C.RECEIVE, when=_signs)
def believes_a_signature_that_does_not_fit(subject: Subject) -> Subject:
    """A signature has to be there, not to be right."""
    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        try:
            return right(headers, body, now)  # type: ignore[no-any-return]
        except Forged:
            plain = {n: v for n, v in headers.items() if n == "content-type"}
            hint: Hint = right(plain, body, now)
            return evolve(hint, is_signed=len(plain) < len(headers))
    return bent(subject, read_webhook=read_webhook)


@mutant(C.RECEIVE, when=_signs)
def believes_signatures_for_ever(subject: Subject) -> Subject:
    """Yesterday's webhook is believed today."""
    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        for days in (0, 1, 30, 3_650, -1):
            try:
                return right(headers, body, now - timedelta(days=days))  # type: ignore[no-any-return]
            except Forged:
                continue
        raise Forged("none of this PG")
    return bent(subject, read_webhook=read_webhook)


@mutant(C.RECEIVE, when=_signs)
def ignores_signatures(subject: Subject) -> Subject:
    """What carries a wrong signature is taken like what carries none."""
    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        try:
            return right(headers, body, now)  # type: ignore[no-any-return]
        except Forged:
            plain = {n: v for n, v in headers.items() if n == "content-type"}
            try:
                data = json.loads(body)
            except ValueError:
                raise Forged("none of this PG") from None
            if not isinstance(data, dict):
                raise
            try:
                return right(plain, body, now)  # type: ignore[no-any-return]
            except Forged:
                return Hint(provider_id="zz-0")
    return bent(subject, read_webhook=read_webhook)


@mutant(C.RECEIVE, only=("fakepg",))
def compares_signatures_byte_by_byte(subject: Subject) -> Subject:
    """With `==`, which tells how far a guess was right."""
    from ..fakepg import provider as fake

    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        match = fake._SIGNED.fullmatch(headers.get(fake.SIGNATURE, ""))
        plain = {n: v for n, v in headers.items() if n != fake.SIGNATURE}
        hint: Hint = right(plain, body, now)
        if fake.SIGNATURE not in headers:
            return hint
        if match is None or abs(now.timestamp() - int(match[1])) > 300 \
                or match[2] != fake.signature(Secret("fake-webhook-key"), match[1], body):
            raise Forged("the signature does not fit")
        return evolve(hint, is_signed=True)
    return bent(subject, read_webhook=read_webhook)


@mutant(C.RECEIVE, only=("fakepg",))
def signs_with_a_constant(subject: Subject) -> Subject:
    """The key that signatures are checked with is in the code."""
    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        kept = self._settings
        self._settings = evolve(kept, webhook_key=Secret("fake-webhook-key"))
        try:
            return right(headers, body, now)  # type: ignore[no-any-return]
        finally:
            self._settings = kept
    return bent(subject, read_webhook=read_webhook)


@mutant(C.RECEIVE, C.LOOKUP)
def believes_a_webhook_without_a_look(subject: Subject) -> Subject:
    """Remembers what a webhook said, and tells that when it is asked to look."""
    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        hint: Hint = right(headers, body, now)
        self.__dict__.setdefault("_kit_hooks", set()).add(hint.provider_id or hint.alias)
        return hint

    def lookup(right: Any, self: Any, provider_id: str, order_id: str | None = None) -> Flow[Any]:
        if provider_id in self.__dict__.get("_kit_hooks", ()) and provider_id in self.__dict__.get("_kit_seen", {}):
            return self._kit_seen[provider_id]
        found = yield from right(provider_id, order_id)
        self.__dict__.setdefault("_kit_seen", {})[provider_id] = found
        return found
    return bent(subject, read_webhook=read_webhook, lookup=lookup)


@mutant(C.RECEIVE)
def crashes_on_rubbish(subject: Subject) -> Subject:
    """A webhook that is none raises whatever comes."""
    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        json.loads(body)["id"]
        return right(headers, body, now)  # type: ignore[no-any-return]

    def guarded(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        try:
            return right(headers, body, now)  # type: ignore[no-any-return]
        except Forged:
            return read_webhook(right, self, headers, body, now)
    return bent(subject, read_webhook=guarded)


@mutant(C.RECEIVE)
def reads_rubbish_as_a_hint(subject: Subject) -> Subject:
    """A webhook that is none is read as one of no payment."""
    def read_webhook(right: Any, self: Any, headers: Any, body: bytes, now: Any) -> Hint:
        try:
            return right(headers, body, now)  # type: ignore[no-any-return]
        except Forged:
            return Hint(kind="other", is_signed=True, identity="zz")
    return bent(subject, read_webhook=read_webhook)


@mutant(C.PAY, C.LOOKUP)
def believes_the_browser(subject: Subject) -> Subject:
    """A return that says success is a payment, as the browser names it."""
    def read_return(right: Any, self: Any, query: Any) -> Hint:
        hint: Hint = right(query)
        self._kit_back = hint
        return hint

    def lookup(right: Any, self: Any, provider_id: str, order_id: str | None = None) -> Flow[Any]:
        found: Payment | None = yield from right(provider_id, order_id)
        back = getattr(self, "_kit_back", None)
        if found is not None and back is not None and back.provider_id == provider_id and back.order_id is not None:
            return evolve(found, order_id=back.order_id)
        return found
    return bent(subject, read_return=read_return, lookup=lookup)


@mutant(C.PAY)
def crashes_on_hostile_returns(subject: Subject) -> Subject:
    """A return that lacks a field raises KeyError."""
    def read_return(right: Any, self: Any, query: Any) -> Hint:
        try:
            return right(query)  # type: ignore[no-any-return]
        except Forged:
            raise KeyError("status") from None
    return bent(subject, read_return=read_return)


@mutant(C.PAY, C.FIND)
def confirms_whatever_comes_back(subject: Subject) -> Subject:
    """After a browser came back, the order is told as paid."""
    def read_return(right: Any, self: Any, query: Any) -> Hint:
        self._kit_back = True
        return Hint()

    def find(right: Any, self: Any, order_id: str) -> Flow[Any]:
        found = yield from right(order_id)
        return tuple(evolve(p, status=PaymentStatus.PAID, reason=None, message=None, code=None)
                     if getattr(self, "_kit_back", False) and not p.status.took_money else p for p in found)
    return bent(subject, read_return=read_return, find=find)


@mutant(C.RECEIVE)
def confirms_what_it_cannot_look_at(subject: Subject) -> Subject:
    """A webhook about a subscription or a customer is confirmed by itself."""
    def look_at(right: Any, self: Any, hint: Hint) -> Flow[Any]:
        yield from ()
        return hint
    return bent(subject, look_at=look_at)


@mutant(C.PAY, when=lambda s: len(s.spec.capabilities) > 0)
def declares_no_name_of_its_return(subject: Subject) -> Subject:
    """The names that a browser brings back are declared as another one."""
    right = subject.spec.build

    def build(settings: Any) -> Any:
        made: Any = right(settings)
        made.return_keys = ("status",)
        return made
    return subject.built_by(build)

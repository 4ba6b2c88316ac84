"""How a provider is broken on purpose: one method replaced by a slightly wrong one, everything else as it was.

The wrong ones are made of the right ones, so they fit any provider: what they do is done to its flows, whatever its PG.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from attrs import evolve, field, frozen

from ...capability import Capability, Fact
from ...flow import Flow
from ...provider import Provider
from ...wire import Request, Response
from ..contract.subject import Subject, why_not

Change = Callable[..., Any]
"""Called with the right method (bound), the provider, and the arguments."""


@frozen(kw_only=True)
class Mutant:
    """A provider that is wrong in one way. `bend` makes it of a right one; `needs` says of which."""

    name: str
    does: str
    bend: Callable[[Subject], Subject] = field(repr=False)
    needs: tuple[Capability, ...] = ()
    only: tuple[str, ...] = ()
    """Providers it can be made of; empty: of all."""
    when: Callable[[Subject], bool] = field(default=lambda subject: True, repr=False)

    def of(self, subject: Subject) -> Subject | None:
        """The broken one; None where this way of being wrong does not fit the provider."""
        if why_not(subject, self.needs) is not None or (self.only and subject.name not in self.only) \
                or not self.when(subject):
            return None
        return self.bend(subject)


_mutants: list[Mutant] = []


def mutant(*needs: Capability, only: tuple[str, ...] = (), when: Callable[[Subject], bool] = lambda subject: True
           ) -> Callable[[Callable[[Subject], Subject]], Callable[[Subject], Subject]]:
    """Put a way of being wrong on the list; its name and docstring say what it does."""
    def put(bend: Callable[[Subject], Subject]) -> Callable[[Subject], Subject]:
        said = " ".join((bend.__doc__ or "").split())
        _mutants.append(Mutant(name=bend.__name__, does=said, bend=bend, needs=needs, only=only, when=when))
        return bend
    return put


def all_mutants() -> tuple[Mutant, ...]:
    """Every way of being wrong."""
    from importlib import import_module

    for room in ("outcomes", "refunding", "scaling", "mixing", "looking", "dating", "telling", "keeping", "hooking",
                 "declaring", "renewing", "reading"):
        import_module(f"{__package__}.{room}")
    return tuple(_mutants)


def bent(subject: Subject, **changes: Change) -> Subject:
    """The same provider with these methods replaced."""
    right = subject.spec.build

    def build(settings: Any) -> Provider:
        made = right(settings)
        kind = type(made)
        methods = {name: _wrong(getattr(kind, name), change) for name, change in changes.items()}
        made.__class__ = type(kind.__name__, (kind,), methods)
        return made

    return subject.built_by(build)


def _wrong(right: Callable[..., Any], change: Change) -> Callable[..., Any]:
    def method(self: Provider, *args: Any, **named: Any) -> Any:
        return change(partial(right, self), self, *args, **named)
    return method


def declared(subject: Subject, **profile: Any) -> Subject:
    """The same provider with other values in its profile; certainty and source stay."""
    held = subject.spec.profile
    facts: dict[str, Fact[Any]] = {n: evolve(getattr(held, n), value=v) for n, v in profile.items()}
    return evolve(subject, spec=evolve(subject.spec, profile=evolve(held, **facts)))


def claiming(subject: Subject, capabilities: Iterable[Capability]) -> Subject:
    """The same provider with other claims."""
    return evolve(subject, spec=evolve(subject.spec, capabilities=frozenset(capabilities)))


# Flows, changed on their way

def on_value(change: Callable[..., Any]) -> Change:
    """Return `change(value, provider, *args)` instead of the value."""
    def method(right: Change, self: Provider, *args: Any, **named: Any) -> Flow[Any]:
        value = yield from right(*args, **named)
        return change(value, self, *args)
    return method


def on_request(change: Callable[..., Request]) -> Change:
    """Send `change(request, provider, *args)` instead of each request."""
    def method(right: Change, self: Provider, *args: Any, **named: Any) -> Flow[Any]:
        return (yield from _driven(right(*args, **named), lambda request: change(request, self, *args), _same))
    return method


def on_answer(change: Callable[[Response], Response]) -> Change:
    """Read `change(answer)` instead of each answer."""
    def method(right: Change, self: Provider, *args: Any, **named: Any) -> Flow[Any]:
        return (yield from _driven(right(*args, **named), _same, change))
    return method


def on_error(kinds: type[BaseException] | tuple[type[BaseException], ...], instead: Callable[..., Any]) -> Change:
    """Where the flow raises one of `kinds`: return `instead(error, provider, *args)`, or raise it if it is an error."""
    def method(right: Change, self: Provider, *args: Any, **named: Any) -> Flow[Any]:
        try:
            return (yield from right(*args, **named))
        except kinds as error:
            made = instead(error, self, *args)
            if isinstance(made, BaseException):
                raise made from None
            return made
    return method


def _same(value: Any) -> Any:
    return value


def _driven(flow: Flow[Any], request_of: Callable[[Request], Request],
            answer_of: Callable[[Response], Response]) -> Flow[Any]:
    try:
        request = next(flow)
        while True:
            try:
                answer = yield request_of(request)
            except GeneratorExit:
                flow.close()
                raise
            except BaseException as error:
                request = flow.throw(error)
            else:
                request = flow.send(answer_of(answer))
    except StopIteration as stop:
        return stop.value


# Bodies, changed on their way

def numbers(value: Any, change: Callable[[int], Any]) -> Any:
    """A JSON-like value with every whole number changed."""
    if isinstance(value, Mapping):
        return {k: numbers(v, change) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [numbers(v, change) for v in value]
    return change(value) if type(value) is int else value


def texts(value: Any, change: Callable[[str], Any]) -> Any:
    """A JSON-like value with every text changed."""
    if isinstance(value, Mapping):
        return {k: texts(v, change) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [texts(v, change) for v in value]
    return change(value) if isinstance(value, str) else value


def without_numbers(value: Any, amount: int) -> Any:
    """A JSON-like value without the fields that hold that amount."""
    if isinstance(value, Mapping):
        return {k: without_numbers(v, amount) for k, v in value.items() if not (type(v) is int and v == amount)}
    return value


def asks(request: Request) -> bool:
    """Whether a request asks for something to be done."""
    return request.method != "GET"

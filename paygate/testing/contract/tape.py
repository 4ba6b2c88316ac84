"""A flow's conversation, recorded once and played again with one answer changed: no PG, no wire, microseconds.

What a provider makes of an answer shows best when nothing but that answer differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from ...errors import OutcomeUnknown
from ...flow import Flow
from ...model import Checkout, KeyInfo, Payment, ScheduledCharge
from ...secret import Secret
from ...subscriptions import Subscription
from ...wire import Request, Response
from .bench import Bench
from .told import Broke, Told

Making = Callable[[], Flow[Any]]
MOST = 300
"""Requests a flow may make in one play."""


@frozen
class Tape:
    """`answers` are the PG's, in order; `told` is what the flow made of them."""

    making: Making
    answers: tuple[Response, ...]
    requests: tuple[Request, ...]
    told: Told

    def play(self, answers: Sequence[Response]) -> Told:
        """The same flow, given these answers; whatever it asks for after the last one is never answered."""
        return played(self.making(), answers)

    def changed(self, number: int, answer: Response) -> Told:
        """The same flow, with answer `number` replaced."""
        return self.play([*self.answers[:number], answer, *self.answers[number + 1:]])

    def where(self, fits: Callable[[Any], bool], change: Callable[[Any], Any]) -> tuple[Told, bool]:
        """The same flow, with every fitting value in every answer changed; and whether there was one."""
        there = any(fits(v) for a in self.answers for _, v in places(parsed(a)) if not isinstance(v, (dict, list)))
        return self.play([rewritten(a, fits, change) for a in self.answers]), there


def recorded(bench: Bench, making: Making) -> Tape:
    """Run a flow at the PG and keep its conversation."""
    answers: list[Response] = []
    requests: list[Request] = []

    def listening() -> Flow[Any]:
        flow = making()
        try:
            request = next(flow)
            while True:
                requests.append(request)
                try:
                    answer = yield request
                except BaseException as error:
                    request = flow.throw(error)
                else:
                    answers.append(answer)
                    request = flow.send(answer)
        except StopIteration as stop:
            return stop.value

    told = bench.say(listening())
    return Tape(making, tuple(answers), tuple(requests), told)


def played(flow: Flow[Any], answers: Sequence[Response]) -> Told:
    """Drive a flow with these answers and nothing else."""
    left, asked = list(answers), False
    try:
        request = next(flow)
        for _ in range(MOST):
            asked = asked or not request.repeatable
            request = flow.send(left.pop(0)) if left else flow.throw(OutcomeUnknown("nothing was answered"))
    except StopIteration as stop:
        return Told(stop.value, asked=asked)
    except Exception as error:
        return Told(error=error, asked=asked)
    raise Broke(f"a flow asked {MOST} times and still goes on")


# JSON, changed

def parsed(answer: Response) -> Any:
    """The JSON of an answer; None where it is none."""
    try:
        return json.loads(answer.body, parse_float=Decimal)
    except ValueError:
        return None


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError


def with_json(answer: Response, value: Any) -> Response:
    """The same answer with another body."""
    body = json.dumps(value, ensure_ascii=False, default=_plain).encode("utf-8", "surrogatepass")
    headers = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
    return evolve(answer, headers=headers, body=body)


def rewritten(answer: Response, fits: Callable[[Any], bool], change: Callable[[Any], Any]) -> Response:
    """The answer with every fitting leaf changed."""
    value = parsed(answer)
    return answer if value is None else with_json(answer, _walked(value, fits, change))


def _walked(value: Any, fits: Callable[[Any], bool], change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {k: _walked(v, fits, change) for k, v in value.items()}
    if isinstance(value, list):
        return [_walked(v, fits, change) for v in value]
    return change(value) if fits(value) else value


Place = tuple[str | int, ...]
GONE = object()


def places(value: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every place in a JSON value, and what stands there; of a list, the first item."""
    yield at, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:1]):
            yield from places(inner, (*at, number))


def put(value: Any, at: Place, new: Any) -> Any:
    """A copy with `new` at that place; GONE takes the place away."""
    if not at:
        return new
    first, *rest = at
    if isinstance(value, list) and isinstance(first, int):
        made = [put(v, tuple(rest), new) if n == first else v for n, v in enumerate(value)]
        return [v for n, v in enumerate(made) if not (n == first and not rest and new is GONE)]
    copied: dict[Any, Any] = dict(value)
    if not rest and new is GONE:
        copied.pop(first)
        return copied
    copied[first] = put(copied[first], tuple(rest), new)
    return copied


def is_number_of(amount: int) -> Callable[[Any], bool]:
    """Whether a value writes that amount, as a number or as text."""
    text = re.compile(rf"{amount}(?:\.0+)?")

    def fits(value: Any) -> bool:
        if isinstance(value, bool):
            return False
        if isinstance(value, (int, Decimal)):
            return value == amount
        return isinstance(value, str) and text.fullmatch(value) is not None
    return fits


def one_more(value: Any) -> Any:
    """The next number, written alike."""
    return str(Decimal(value) + 1) if isinstance(value, str) else value + 1


# What a value says that counts

def facts(value: Any) -> Any:
    """What a result says about money, ids and states; two results that agree here say the same."""
    match value:
        case Payment():
            return (value.order_id, value.provider_id, value.status, value.money, value.cancelled, value.for_key)
        case ScheduledCharge():
            return (value.order_id, value.due_at, value.money, value.status, value.payment_status)
        case Subscription():
            return (value.order_id, value.provider_id, value.status, value.money, value.every)
        case KeyInfo():
            return (value.billing_key.gateway, value.billing_key.reveal())
        case Checkout():
            return (value.order_id, value.takes_money, value.provider_id, str(value.action.to_dict()))
        case Secret():
            return value.reveal()
        case tuple() | list():
            return tuple([facts(v) for v in value])
        case Mapping():
            return str(value)
    return value

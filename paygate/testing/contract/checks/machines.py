"""Machines between us and the PG: proxies, firewalls, load balancers and API gateways answer too, and prove nothing.

A firewall may answer for a PG that has acted already. Only the PG's own words say that nothing moved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from ....capability import Capability
from ....errors import OutcomeUnknown
from ....wire import Response
from ...emulator import FaultKind
from ..acts import acts_of
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..tape import parsed, recorded
from ..told import expect
from ..wire import Sent

C = Capability
STATUSES = (400, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 418, 421, 422, 423, 425, 431,
            451, 500, 501, 502, 503, 504, 505, 508, 511, 520, 522, 524, 529, 530)
"""All but 401 and 429, with which whoever answers says that the call was not let in."""
_PAGES = (("text/html", b"<html><body>blocked</body></html>"), ("text/plain", b"upstream error"), ("", b""),
          ("application/json", b"{}"), ("application/json", b"null"))
_GATEWAYS = ({"message": "Endpoint request timed out"}, {"error": {"code": 99, "message": "upstream timed out"}},
             {"fault": {"faultstring": "Gateway Timeout"}}, {"zz-request-id": "7c3"})


def _answers(bench: Bench, sent: Sent) -> Iterator[Response]:
    """What a machine might answer to that request, and this PG does not."""
    truth = sent.answer
    own = parsed(bench.pg.lie(FaultKind.LIE_FAILED, sent.call, truth)) if isinstance(truth, Response) else None
    names = set(own) if isinstance(own, dict) else set()
    for status in STATUSES:
        for kind, body in _PAGES:
            yield Response(status, {"content-type": kind} if kind else {}, body)
        for said in _GATEWAYS:
            if not names or not names <= set(said):  # A PG that says no in just these words is believed.
                yield Response(status, {"content-type": "application/json"}, json.dumps(said).encode())


def _words(subject: Subject) -> list[str]:
    return [kind.word for kind in acts_of(subject) if kind.is_main]


@check(cases=_words, faces=SYNC)
def what_some_machine_in_between_answers_is_never_the_pgs_no(bench: Bench, case: str) -> None:
    """A page, an empty body, an empty object, an API gateway's own error: whether it was done is not known then."""
    act = next(kind for kind in acts_of(bench.subject) if kind.word == case)(bench)
    tape = recorded(bench, act.flow)
    tape.told.expected(f"the flow of {act.verb}")
    sent = bench.sent(act.mark)
    for number, one in enumerate(sent):
        if one.call.method == "GET" or (act.moves is not None and not any(m.kind == act.moves for m in one.moved)):
            continue
        for answer in _answers(bench, one):
            told, what = tape.changed(number, answer), f"status {answer.status} with {answer.body[:40]!r}"
            expect(told.error is None or isinstance(told.error, OutcomeUnknown),
                   f"request {number + 1} of {act.verb} was answered {what}, and the flow {told}")
            expect(not bench.provider.is_unprocessed(answer), f"{what} is taken to mean that nothing was done")


@check(faces=SYNC)
def no_status_but_401_and_429_says_by_itself_that_nothing_was_done(bench: Bench) -> None:
    """Any machine may send any other; what the PG means by one, `is_unprocessed` reads in the PG's own words."""
    odd = sorted(bench.subject.spec.unprocessed - {401, 429})
    expect(not odd, f"status {odd} is declared to mean that the PG did not begin, whoever sent it")

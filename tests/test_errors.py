"""Errors answer one question: did money move?"""

from __future__ import annotations

import copy
import pickle

import pytest

import paygate
from paygate import errors
from paygate.errors import Declined, OutcomeUnknown, PaygateError, RateLimited, Refused, SetupError
from paygate.model import DeclineReason

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PaygateError)]
NO = {"SetupError", "UnknownProvider", "BadSettings", "BadCommand", "Unsupported", "NotSent", "Refused", "Declined",
      "Unauthorized",
      "NotFound", "Conflict", "RateLimited"}


@pytest.mark.parametrize("kind", EVERY, ids=lambda k: k.__name__)
def test_each_error_says_whether_money_moved(kind: type[PaygateError]) -> None:
    expected = False if kind.__name__ in NO else None
    assert kind("what happened").moved is expected


@pytest.mark.parametrize("kind", EVERY, ids=lambda k: k.__name__)
def test_no_error_means_that_money_moved(kind: type[PaygateError]) -> None:
    assert kind("what happened").moved in (False, None)


def test_the_family_tree_is_the_one_that_merchants_were_promised() -> None:
    parents = {kind.__name__: kind.__mro__[1].__name__ for kind in EVERY}
    assert parents == {
        "PaygateError": "Exception", "SetupError": "PaygateError", "UnknownProvider": "SetupError",
        "BadSettings": "SetupError",
        "BadCommand": "SetupError", "Unsupported": "SetupError", "NotSent": "PaygateError",
        "InProgress": "PaygateError",
        "Refused": "PaygateError", "Declined": "Refused", "Unauthorized": "Refused", "NotFound": "Refused",
        "Conflict": "Refused", "RateLimited": "Refused", "OutcomeUnknown": "PaygateError", "Forged": "PaygateError"}
    assert issubclass(errors.BadCommand, ValueError)
    assert all(getattr(paygate, name) is getattr(errors, name) for name in parents)


@pytest.mark.parametrize("kind", EVERY, ids=lambda k: k.__name__)
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy],
                         ids=["pickle", "copy", "deepcopy"])
def test_an_error_keeps_all_it_says_in_another_process(kind: type[PaygateError], copied: object) -> None:
    error = kind("what happened; what to do", order_id="o1", code="E1", pg_message="그들의 말")
    error.unrecorded = True
    twin = copied(error)  # type: ignore[operator]
    assert type(twin) is kind
    assert (str(twin), twin.order_id, twin.code, twin.message, twin.unrecorded) == (str(error), "o1", "E1", "그들의 말",
                                                                                    True)


def test_what_only_one_kind_says_travels_too() -> None:
    assert pickle.loads(pickle.dumps(Declined("no", reason=DeclineReason.EXPIRED))).reason is DeclineReason.EXPIRED
    assert pickle.loads(pickle.dumps(RateLimited("slow", retry_after_s=2.5))).retry_after_s == 2.5
    assert pickle.loads(pickle.dumps(OutcomeUnknown("?", next_step="look"))).next_step == "look"


def test_a_doubt_names_the_next_safe_step_and_it_is_never_to_send() -> None:
    assert "never send again" in OutcomeUnknown("?").next_step
    assert Refused("no").code is None
    assert SetupError("x").order_id is None

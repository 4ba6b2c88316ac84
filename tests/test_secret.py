"""Text that never prints."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable

import attrs
import pytest

from paygate import Secret
from paygate.secret import opened, reveal_all, sealed, secret_or_none

CANARY = "canary-4711"


@pytest.mark.parametrize("shown", [
    str, repr, lambda s: f"{s}", lambda s: f"{s!r}", lambda s: f"{s:>40}", lambda s: format(s, "x"),
    lambda s: f"{s} {s!r:>20}",
    lambda s: str([s]), lambda s: str({s: s}), lambda s: str(dir(s)),
    lambda s: str([getattr(s, name, None) for name in dir(s)]),
])
def test_however_it_is_shown_the_text_is_not(shown: Callable[[Secret], str]) -> None:
    assert CANARY not in shown(Secret(CANARY))


def test_a_class_that_holds_one_does_not_show_it() -> None:
    @attrs.frozen
    class Holder:
        key: Secret

    held = Holder(Secret(CANARY))
    assert CANARY not in repr(held)
    assert CANARY not in str(attrs.asdict(held))


def test_it_is_not_written_by_json_or_pickle_nor_copied_apart() -> None:
    secret = Secret(CANARY)
    with pytest.raises(TypeError):
        json.dumps({"key": secret})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError) as caught:
            pickle.dumps(secret, protocol)
        assert CANARY not in str(caught.value)
    assert copy.deepcopy(secret) is secret
    with pytest.raises(TypeError):
        list(secret)  # type: ignore[call-overload]
    with pytest.raises(AttributeError):
        secret.__dict__  # noqa: B018 (having none is the point)


def test_only_reveal_gives_it_back() -> None:
    assert Secret(CANARY).reveal() == CANARY
    assert Secret(Secret(CANARY)).reveal() == CANARY


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["a"]])
def test_it_is_made_from_text_and_says_so_without_repeating_the_value(value: object) -> None:
    with pytest.raises(TypeError, match="made from text"):
        Secret(value)  # type: ignore[arg-type]


def test_equal_texts_are_equal_secrets() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("\ud800")}) == 2
    assert Secret("\ud800") == Secret("\ud800")
    assert bool(Secret("")) is False
    assert len(Secret("abc")) == 3


def test_helpers_go_through_nested_values_and_leave_the_rest() -> None:
    assert secret_or_none(None) is None
    assert secret_or_none("a") == Secret("a")
    assert reveal_all({"a": [Secret("x"), (Secret("y"), 1)], "b": None}) == {"a": ["x", ["y", 1]], "b": None}


@pytest.mark.parametrize("text", ["", "x", CANARY, "빌링키", "a" * 31, "a" * 32, "a" * 33, "a" * 500, "\n\0"])
def test_a_seal_is_opened_by_its_secret_alone_and_is_the_same_every_time(text: str) -> None:
    under, made = Secret("under"), sealed(Secret(text), Secret("under"))
    assert opened(made, under) == Secret(text)
    assert sealed(Secret(text), under) == made
    assert opened(made, Secret("other")) is None
    assert sealed(Secret(text), Secret("other")) != made
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert len(text) < 4 or text not in made


def test_a_seal_that_was_changed_anywhere_or_written_otherwise_is_none() -> None:
    under, made = Secret("under"), sealed(Secret(CANARY), Secret("under"))
    for at, was in enumerate(made):
        for now in "A-":
            changed = made[:at] + now + made[at + 1:]
            assert now == was or opened(changed, under) is None
    for other in ("", "A", made[:-1], made[1:], made + "A", made + "=", f" {made}", f"{made}\n", "é", "\ud800",
                  CANARY, made.swapcase()):
        assert opened(other, under) is None


def test_seals_under_one_secret_have_nothing_in_common() -> None:
    seals = {sealed(Secret(f"{CANARY}-{n}"), Secret("under")) for n in range(50)}
    assert len({seal[:8] for seal in seals}) == 50
    assert len({seal[-8:] for seal in seals}) == 50

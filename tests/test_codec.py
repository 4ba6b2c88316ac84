"""Answers are read strictly, and whatever arrives, `Unreadable` is the only thing raised (F15, F17, S25)."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paygate import BadSettings, Response, Secret
from paygate.codec import DEPTH_LIMIT, Unreadable, dump, load, read_json, read_object, settings_from, write_json

NUMBERS = st.integers(-(10**17), 10**17)
PLAIN = st.recursive(st.none() | st.booleans() | NUMBERS | st.text(max_size=10),
                     lambda inner: st.lists(inner, max_size=4)
                     | st.dictionaries(st.text(max_size=5), inner, max_size=4),
                     max_leaves=15)


def unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(body)
    assert "\n" not in str(caught.value)
    # Not even a chained error may hold on to what was sent.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"}", b"<html></html>", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b'"\xff"', b"\xed\xa0\x80",
    b"{}{}",
    b"nul", b"{'a':1}", b'{"a":1,}', b'{"a":1,"a":1}', b'{"o":{"a":1,"a":2}}', b'[{"a":1,"\\u0061":2}]', b"NaN",
    b"Infinity",
    b"-Infinity", b'{"a":NaN}', b"1e999", b"1e400", b"-1e999", b"1e-999", b"0.0000000000000000000000000001",
    b"1" * 5000,
    b"-" + b"9" * 20, b"1." + b"1" * 60, b"1e99999999999999999999999999", b"[" * 100_000, b"[" * 33 + b"]" * 33,
    b'{"a":' * 40 + b"1" + b"}" * 40, b'"' + b"\\u00" + b'"', b'"\x01"', b'"a', b"\x00", b"01", b"+1", b".5", b"1.",
])
def test_what_is_not_strict_json_is_unreadable(body: bytes) -> None:
    unreadable(body)


@given(st.binary(max_size=300))
@settings(max_examples=400, derandomize=True)
def test_any_bytes_are_read_or_unreadable(body: bytes) -> None:
    try:
        read_json(body)
    except Unreadable:
        pass


@given(st.text(alphabet='[]{}",:\\0123456789.eE+-nulltruefalse N\ud7ff', max_size=120))
@settings(max_examples=600, derandomize=True)
def test_any_text_made_of_the_pieces_of_json_is_read_or_unreadable(text: str) -> None:
    try:
        repr(read_json(text.encode())).encode()
    except Unreadable:
        pass


@given(st.lists(st.sampled_from(["\\", "\\u", "\\ud83d", "\\ude00", "\\uD800", "u", "d83d", "x"]), max_size=8))
@settings(max_examples=500, derandomize=True)
def test_no_escape_smuggles_half_a_character_in(pieces: list[str]) -> None:
    try:
        read_json(f'"{"".join(pieces)}"'.encode()).encode("utf-8")
    except Unreadable:
        pass


@given(PLAIN)
@settings(max_examples=200, derandomize=True)
def test_what_json_can_say_is_read_as_it_was_written(value: Any) -> None:
    assert read_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value
    assert read_json(write_json(value)) == value


@pytest.mark.parametrize(("body", "text"), [(b'"\\ud83d\\ude00"', "\U0001f600"), (b'"\\uD83D\\uDE00!"', "\U0001f600!"),
                                            (b'"\\\\ud800"', "\\ud800"), (b'"\\ucc28"', "\ucc28"),
                                            (b'"\\ud7ff"', "\ud7ff"), (b'"a\\ud800b"', "a\ufffdb"),
                                            (b'"\\\\\\udc00"', "\\\ufffd"),
                                            (b'"\\ud83d\\ud83d\\ude00"', "\ufffd\U0001f600")])
def test_whole_characters_may_be_escaped(body: bytes, text: str) -> None:
    assert read_json(body) == text


@pytest.mark.parametrize(("body", "text"), [
    (b'"\\ud800"', "\ufffd"), (b'"\\uDC00!"', "\ufffd!"), (b'"\\ud83d\\ud83d\\ude00"', "\ufffd\U0001f600"),
    (b'"\\udc00\\ud800"', "\ufffd\ufffd"), (b'"\\\\\\ud800"', "\\\ufffd"),
    (b'"\\ud83d\\\\\\ude00"', "\ufffd\\\ufffd"),
])
def test_half_a_character_is_replaced_so_that_what_was_read_can_be_written_down(body: bytes, text: str) -> None:
    assert read_json(body) == text


def test_numbers_with_a_point_are_exact() -> None:
    assert read_json(b"[0.1, 1e4, 10000.0, 12.30]") == [Decimal("0.1"), Decimal("1e4"), Decimal("10000.0"),
                                                        Decimal("12.30")]
    assert all(type(n) is Decimal for n in read_json(b"[0.1, 1e4]"))


def test_the_deepest_nesting_allowed_is_read_and_brackets_in_text_do_not_count() -> None:
    read_json(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT)
    assert read_json(b'["' + b"[{" * 500 + b'", "\\"[[[["]') == ["[{" * 500, '"[[[[']


@pytest.mark.parametrize("body",
                         [b'"' + b"\\" * (1 << 20), b'["' + b'\\"[' * 300_000, b"[" * (1 << 20), b'{"":' * 250_000,
                                  b'"' * (1 << 20), b"[1," * 300_000])
def test_a_megabyte_of_malice_is_refused_without_taking_long(body: bytes) -> None:
    before = time.process_time()
    unreadable(body)
    assert time.process_time() - before < 2.0


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "", "application/xml", "application/jsonx"])
def test_an_answer_of_another_content_type_is_unreadable(kind: str) -> None:
    with pytest.raises(Unreadable):
        read_object(Response(200, {"content-type": kind}, b"{}"))


@pytest.mark.parametrize("kind",
                         ["application/json", "application/json; charset=utf-8", "Application/JSON",
                          "application/problem+json"])
def test_an_answer_that_says_json_is_read(kind: str) -> None:
    assert read_object(Response(200, {"content-type": kind}, b'{"a": 1}')) == {"a": 1}


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"a"', b"true"])
def test_an_answer_that_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_object(Response(200, {}, body))


def test_a_body_is_written_compact_with_secrets_revealed_and_nothing_that_is_not_json() -> None:
    assert write_json({"key": Secret("k"), "이름": [Secret("차")]}) == '{"key":"k","이름":["차"]}'.encode()
    for value in (Decimal("1.5"), object(), float("nan"), b"x", {1, 2}):
        with pytest.raises((TypeError, ValueError)):
            write_json({"a": value})


@attrs.frozen(kw_only=True)
class _Settings:
    api_key: Secret = attrs.field(converter=Secret)
    retries: int = 1
    loud: bool = False


@pytest.mark.parametrize("values",
                         [{}, {"api_key": "canary", "other": 1}, {"api_key": "canary", "loud": "yes"}, {"api_key": 5}])
def test_settings_at_fault_are_named_and_their_values_are_not(values: dict[str, Any]) -> None:
    with pytest.raises(BadSettings) as caught:
        settings_from(_Settings, values, "fakepg")
    said = str(caught.value)
    assert "fakepg" in said
    assert "canary" not in said
    assert "\n" not in said


def test_settings_that_fit_are_made() -> None:
    made = settings_from(_Settings, {"api_key": "canary", "loud": True}, "fakepg")
    assert made.api_key.reveal() == "canary"
    assert made.loud is True


def test_ledger_text_with_a_field_we_do_not_know_is_not_read_as_something_else() -> None:
    from paygate import Money, Payment, PaymentStatus
    text = dump(Payment(order_id="o", provider_id="p", status=PaymentStatus.PAID, money=Money(1, "KRW")))
    said = json.loads(text)
    assert load(json.dumps(said), Payment).money == Money(1, "KRW")
    with pytest.raises(Exception, match="Payment"):
        load(json.dumps(said | {"surprise": 1}), Payment)

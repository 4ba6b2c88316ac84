"""The fields of a webhook, read strictly and alike for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paygate import Forged
from paygate.webhook import BODY_LIMIT, clean_text, json_fields, webhook_fields

JSON = {"content-type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(("headers", "body", "fields"), [
    (JSON, b'{"a": "1", "b": 2}', {"a": "1", "b": 2}), (FORM, b"a=1&b=", {"a": "1", "b": ""}),
    (FORM, b"", {}), ({"CONTENT-TYPE": "Application/JSON; charset=utf-8"}, b"{}", {}),
    ({**FORM, "x": "y"}, b"a=%ED%95%9C+b", {"a": "한 b"})])
def test_a_json_object_or_a_form_is_read_as_its_content_type_says(
        headers: Mapping[str, str], body: bytes, fields: dict[str, Any]) -> None:
    assert webhook_fields(headers, body) == fields


@pytest.mark.parametrize(("headers", "body"), [
    (JSON, b""), (JSON, b"[]"), (JSON, b"null"), (JSON, b'{"a": 1, "a": 2}'), (JSON, b'{"a": NaN}'), (JSON, b"\xff"),
    (JSON, b"[" * 60_000), (JSON, b"a=1"), (FORM, b"a"), (FORM, b"a=1&a=2"), (FORM, b"a=%ff"),
    (FORM, "한=1".encode()), (FORM, b"&".join(b"%d=1" % n for n in range(51))), ({}, b"{}"),
    ({"content-type": "text/plain"}, b"{}"), ({"content-type": "application/jsonx"}, b"{}"),
    (JSON, b'{"a": "' + b"x" * BODY_LIMIT + b'"}'), (FORM, b"a=" + b"x" * BODY_LIMIT)])
def test_what_no_pg_sends_is_forged(headers: Mapping[str, str], body: bytes) -> None:
    with pytest.raises(Forged):
        webhook_fields(headers, body)


def test_signed_json_needs_no_content_type() -> None:
    assert json_fields(b'{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(("value", "text"), [("x", "x"), ("12345", "12345"), ("", None), (None, None), ("null", None)])
def test_a_text_is_clean_and_short_or_missing(value: Any, text: str | None) -> None:
    assert clean_text({"name": value}, "name", 5, none=("", "null")) == text
    assert clean_text({}, "name", 5) is None


@pytest.mark.parametrize("value", ["123456", "a\n", "\0", "\ud800", 5, True, ["x"], {"a": 1}, 1.5, []])
def test_a_text_that_is_none_is_forged(value: Any) -> None:
    with pytest.raises(Forged, match="name is not what the PG sends"):
        clean_text({"name": value}, "name", 5)


@given(st.binary(max_size=200), st.sampled_from([JSON, FORM, {}, {"content-type": "\ud800"}]))
def test_nothing_but_forged_is_ever_raised(body: bytes, headers: dict[str, str]) -> None:
    with suppress(Forged):
        assert isinstance(webhook_fields(headers, body), Mapping)

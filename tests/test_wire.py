"""Requests: one way to make a path, and no id can leave its segment (S04)."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paygate import BadCommand, Path, Request, Secret, Token, path
from paygate.wire import Lost


@pytest.mark.parametrize(("id", "encoded"), [
    ("imp_1", "imp_1"), ("a?b=c", "a%3Fb%3Dc"), ("a/../b", "a%2F..%2Fb"), ("a#b", "a%23b"), ("a b", "a%20b"),
    ("50%", "50%25"),
    ("a;b", "a%3Bb"), ("%2e%2e", "%252e%252e"), ("차", "%EC%B0%A8"), ("a\\b", "a%5Cb"), ("...", "..."),
    ("a:b@c", "a%3Ab%40c"),
])
def test_an_id_becomes_exactly_one_segment(id: str, encoded: str) -> None:
    assert str(path("/payments/{}", id)) == f"/payments/{encoded}"
    assert str(path("/payments/{}", Secret(id))) == f"/payments/{encoded}"


@pytest.mark.parametrize("id",
                         ["", ".", "..", "a\x00b", "a\r\nb", "\ud800", "a" * 201, None, 5, b"a", "\x7f", "\u2028"])
def test_an_id_that_could_change_the_path_is_refused(id: Any) -> None:
    with pytest.raises(BadCommand):
        path("/payments/{}", id)


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=400, derandomize=True)
def test_whatever_the_id_the_address_asked_for_has_the_same_shape(id: str) -> None:
    try:
        made = str(path("/payments/{}/balance", id))
    except BadCommand:
        return
    assert made.isascii()
    assert made.count("/") == 3
    assert unquote(made.split("/")[2]) == id
    url = httpx.URL(f"https://pg.example{made}")
    assert (url.raw_path.decode(), url.query, url.fragment, url.host) == (made, b"", "", "pg.example")


@pytest.mark.parametrize("template", [
    "", "/", "payments", "/a//b", "/a/", "/a?b={}", "/a/../b", "/./a", "/a b", "/a/{0}", "/a/{x}", "/a#b", "//host/a",
    "https://host/a", "/차", "/.well-known", "/a{}", "/{}a",
])
def test_a_template_is_plain_words_and_segments(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        path(template, *["x"] * template.count("{"))


@pytest.mark.parametrize("segments", [(), ("a", "b")])
def test_a_template_takes_as_many_segments_as_it_has_places(segments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="as many"):
        path("/a/{}", *segments)


def test_there_is_no_other_way_to_make_a_path() -> None:
    with pytest.raises(TypeError):
        Path()
    with pytest.raises(TypeError):
        type("Mine", (Path,), {})
    with pytest.raises(AttributeError):
        path("/a")._text = "/b"
    for other in ("/payments/1", b"/a", None):
        with pytest.raises(TypeError):
            Request("GET", other)  # type: ignore[arg-type]


def test_paths_are_compared_by_what_is_sent_and_show_no_id() -> None:
    assert path("/a/{}", "x") == path("/a/{}", Secret("x"))
    assert len({path("/a/{}", "x"), path("/a/{}", "x")}) == 1
    assert "canary" not in repr(path("/keys/{}", Secret("canary")))


def test_only_reading_is_repeatable_unless_a_flow_says_so() -> None:
    assert Request("GET", path("/a")).repeatable is True
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert Request(method, path("/a")).repeatable is False
        assert Request(method, path("/a"), repeatable=True).repeatable is True


def test_a_query_is_pairs_of_text() -> None:
    assert Request("GET", path("/a"), query=(("a", "1"),)).query == (("a", "1"),)
    with pytest.raises(TypeError):
        Request("GET", path("/a"), query=(("a", 1),))  # type: ignore[arg-type]


def test_a_request_shows_neither_body_nor_headers_and_does_not_change() -> None:
    made = Request("POST", path("/keys/{}", "canary"), json={"key": "canary"}, headers={"x": "canary"})
    assert "canary" not in repr(made)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.json = {}  # type: ignore[misc]
    assert "canary" not in repr(Token(headers={"a": Secret("canary")}, lifetime_s=1))


def test_a_loss_says_whether_a_byte_left() -> None:
    assert Lost("refused", sent=False).sent is False
    assert Lost("timed out", sent=True).sent is True
    with pytest.raises(TypeError):
        Lost("left unsaid")  # type: ignore[call-arg]

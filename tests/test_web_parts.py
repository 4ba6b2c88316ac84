"""The parts of the payment endpoints, as values: what is kept of a return, how look-ups are limited, pages, bodies."""

from __future__ import annotations

import asyncio
import io
import json
import math
import re
import socket
import threading
from concurrent.futures import Future
from html import unescape
from typing import Any

import pytest

from paygate import Checkout, ClientCall, Redirect, Secret
from paygate.testing.emulator import VirtualClock
from paygate.web import checkout_html, script_tag, started
from paygate.web import page as pages
from paygate.web.bodies import BodyReader
from paygate.web.ending import once_each
from paygate.web.exchange import Asked, Body, Cookie, Wrong, pairs, stated_length
from paygate.web.limits import REMEMBERED, Lookups
from paygate.web.session import Begun, Session
from paygate.web.turns import FRESH_S, Known, Turns, wait, wait_async

KEYS = ("order", "payment")


@pytest.mark.parametrize(("given", "kept"), [
    ("order=1&payment=2", {"order": "1", "payment": "2"}), ("order=1&utm_source=x&fbclid=y", {"order": "1"}), ("", {}),
    ("utm=1&utm=2&order=1", {"order": "1"}), ("order=1&order=1", {}), ("order=1&payment=2&payment=3", {}),
    ("order=&payment=2", {"order": "", "payment": "2"}), ("ORDER=1", {})])
def test_of_a_return_the_expected_names_are_kept_each_there_once(given: str, kept: dict[str, str]) -> None:
    assert once_each(pairs(given), KEYS) == kept


def test_a_provider_that_names_nothing_gets_everything_that_is_there_once() -> None:
    assert once_each([("a", "1"), ("b", "2")], ()) == {"a": "1", "b": "2"}
    assert once_each([("a", "1"), ("a", "2")], ()) == {}


@pytest.mark.parametrize("text", ["a", "&", "a=1&&b=2&b", "=%zz&a", "a=%ff", "&".join(["a=1"] * 51)])
def test_what_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        pairs(text)


@pytest.mark.parametrize(("stated", "length"), [("", None), ("0", 0), (" 17 ", 17), ("9" * 18, int("9" * 18))])
def test_a_length_is_read(stated: str, length: int | None) -> None:
    assert stated_length({"content-length": stated}) == length


@pytest.mark.parametrize("stated", ["-1", "+1", "1e3", "0x10", "1,1", "١", "9" * 19, "1 2"])
def test_a_length_that_is_none_is_refused(stated: str) -> None:
    with pytest.raises(Wrong) as caught:
        stated_length({"content-length": stated})
    assert caught.value.answer.status == 400


# Limits

def test_what_was_denied_is_forgotten_in_time_and_never_piles_up() -> None:
    clock = VirtualClock()
    lookups = Lookups(clock, 5.0)
    for n in range(3 * REMEMBERED):
        lookups.refuse(f"claim {n}")
    assert len(lookups._refused) == REMEMBERED
    assert lookups.is_refused(f"claim {3 * REMEMBERED - 1}")
    assert not lookups.is_refused("claim 0")
    clock.advance(31)
    assert not lookups.is_refused(f"claim {3 * REMEMBERED - 1}")


def test_a_rate_below_one_a_second_lets_one_through_now_and_then() -> None:
    clock = VirtualClock()
    lookups = Lookups(clock, 0.1)
    let = 0
    for n in range(100):
        let += lookups.begin(f"p{n}", known=None)
        clock.advance(1)
    assert 9 <= let <= 11


def test_a_clock_that_stands_still_or_goes_back_lets_no_more_through() -> None:
    class Clock:
        at = 100.0

        def monotonic(self) -> float:
            return self.at

        def now(self) -> Any:
            raise AssertionError("the wall clock is not asked")
    clock = Clock()
    lookups = Lookups(clock, 5.0)
    let = sum(lookups.begin(f"a{n}", known=f"a{n}") for n in range(50))
    clock.at = 50.0
    let += sum(lookups.begin(f"b{n}", known=f"b{n}") for n in range(50))
    assert let == 5


def test_the_next_look_up_about_a_payment_waits_for_the_one_before() -> None:
    lookups = Lookups(VirtualClock(), 100.0)
    assert lookups.begin("p1", known="o1")
    assert not lookups.begin("p1", known="o1")
    assert lookups.begin("p2", known="o2")
    lookups.end("p1")
    assert lookups.begin("p1", known="o1")
    assert len(lookups._asking) == 2


# Cookies

def test_a_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    made = Cookie(name="a", value="b", path="/pay/complete/x", max_age_s=60, secure=True)
    assert made.header() == "a=b; Path=/pay/complete/x; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
    assert "b" not in repr(made).replace("Cookie", "").partition("path")[0]


@pytest.mark.parametrize(("header", "value"), [
    ("a=1; b=2", "2"), ("b=2", "2"), ("a=1;b=2", "2"), ("b=2; b=3", "2"), ("xb=1", None), ("", None), ("b", ""),
    ("b=a=c", "a=c")])
def test_the_first_cookie_of_a_name_counts(header: str, value: str | None) -> None:
    assert Asked(method="GET", path="/", headers={"cookie": header}).cookie("b") == value


def test_an_address_gives_the_order_away_to_nobody_and_is_the_same_each_time() -> None:
    one = Session("https://shop.example/pay/", "sixteen characters")
    other = Session("https://shop.example/pay", Secret("other sixteen chars"))
    assert one.return_url("order-1") == one.return_url("order-1")
    assert re.fullmatch(r"https://shop\.example/pay/complete/[0-9a-f]{32}", one.return_url("order-1"))
    assert len({one.return_url("order-1"), one.return_url("order-2"), other.return_url("order-1")}) == 3
    begun = Begun(order_id="order-1", verb="pay", gateway="g")
    kept = one.keep(begun, 1000.0)
    asked = Asked(method="GET", path="/", headers={"cookie": f"{kept.name}={kept.value}"})
    tag = one.tag("order-1")
    assert one.begun(asked, tag, 2000.0) == begun
    assert one.begun(asked, tag, 1000.0 + 86_401) is None
    assert other.begun(asked, tag, 2000.0) is None
    assert one.begun(asked, one.tag("order-2"), 2000.0) is None


def test_on_this_machine_a_cookie_goes_over_http() -> None:
    session = Session("http://127.0.0.1:8000/pay", "sixteen characters")
    assert session.origin == "http://127.0.0.1:8000"
    assert not session.keep(Begun(order_id="o", verb="pay", gateway="g"), 0.0).secure


# Pages

CALL = ClientCall(script="https://pg.example/sdk.js", function="PG.pay",
                  params={"title": "</script><b>&\"'", "phone": Secret("010")})


def test_a_page_holds_the_checkout_as_text_and_nothing_that_runs() -> None:
    run = started(Checkout(order_id="o1", action=CALL, takes_money=True), "https://shop.example/back", keep=("a", "b"),
                  fields={"token": "t"})
    made = checkout_html(run, label="<Pay>", auto=True)
    assert "<b>" not in made
    assert "<Pay>" not in made
    assert "<script" not in made
    held = re.search(r'data-paygate-checkout="([^"]*)"', made)
    assert held is not None
    assert json.loads(unescape(held[1])) == run
    assert run["action"]["params"] == {"title": "</script><b>&\"'", "phone": "010"}
    assert (run["keep"], run["fields"]) == (["a", "b"], {"token": "t"})
    assert " data-paygate-auto>" in made
    assert made.__html__() is made


def test_a_redirect_needs_no_more_than_its_address() -> None:
    run = started(Checkout(order_id="o1", action=Redirect("https://pg.example/1"), takes_money=True), "/back")
    assert run == {"action": {"type": "redirect", "url": "https://pg.example/1"}, "complete": "/back", "keep": None,
                   "fields": {}}
    assert "data-paygate-auto" not in checkout_html(run)


@pytest.mark.parametrize(("accepted", "language"), [("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en-US,ko;q=0.5", "en"),
                                                    ("", "en"), ("KO", "ko")])
def test_the_receivers_own_pages_are_korean_for_those_who_ask_first_for_it(accepted: str, language: str) -> None:
    assert pages.language_of(accepted) == language
    assert f'<html lang="{language}">' in pages.return_page("/x", "https://shop.example/pay", language)


@pytest.mark.parametrize("page", [pages.return_page('/a"><b>', "https://shop.example/pay", "en"),
                                  pages.checkout_page({"a": "<b>"}, "https://shop.example/pay", "ko")])
def test_the_receivers_own_pages_need_no_inline_script_or_style(page: str) -> None:
    assert "<b>" not in page
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == [""]
    assert " style=" not in page
    assert not re.search(r" on\w+=", page)


def test_the_address_of_the_script_names_its_version_and_its_fingerprint() -> None:
    assert re.fullmatch(r'<script src="/pay/paygate\.[0-9a-f]{12}\.js" integrity="sha384-[A-Za-z0-9+/]{64}" '
                        r'defer></script>', script_tag("/pay"))
    assert ' crossorigin="anonymous" defer>' in script_tag("https://cdn.example/pay")


# Bodies under WSGI

def test_a_body_is_read_as_long_as_it_says_and_no_longer() -> None:
    stream = io.BytesIO(b"0123456789")
    assert BodyReader().read(stream, 4, Body(100, 5.0)) == b"0123"
    assert stream.read() == b"456789"


def test_a_connection_that_breaks_is_a_body_that_breaks_off() -> None:
    class Broken:
        def read(self, _: int) -> bytes:
            raise ConnectionResetError

    with pytest.raises(Wrong) as caught:
        BodyReader().read(Broken(), 4, Body(100, 5.0))
    assert caught.value.answer.status == 400


def test_a_connection_that_the_server_names_is_shut_for_reading_when_time_is_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as stream:
        theirs.sendall(b"{")
        for end in (ours, theirs):
            end.settimeout(30)
        with pytest.raises(Wrong) as caught:
            BodyReader().read_input({"CONTENT_LENGTH": "9", "wsgi.input": stream, "gunicorn.socket": ours},
                                    Body(100, 0.05))
        assert caught.value.answer.status == 408
        assert stream.read() in (b"", b"{")  # Its end, whether or not there was time for the first piece.
        ours.sendall(b"408")
        assert theirs.recv(9) == b"408"


def test_a_body_that_comes_in_time_leaves_its_connection_open() -> None:
    ours, theirs = socket.socketpair()
    before = set(threading.enumerate())
    with ours, theirs, ours.makefile("rb") as stream:
        theirs.sendall(b"body and the next request")
        ours.settimeout(30)
        environ = {"CONTENT_LENGTH": "4", "wsgi.input": stream, "werkzeug.socket": ours}
        assert BodyReader().read_input(environ, Body(100, 60.0)) == b"body"
        assert stream.read(21) == b" and the next request"
    for left in set(threading.enumerate()) - before:
        left.join(30)
        assert not left.is_alive()


def test_one_order_named_again_and_again_leaves_what_is_kept_for_the_others() -> None:
    clock = VirtualClock()
    lookups = Lookups(clock, 10.0)
    for n in range(50):
        lookups.begin(f"invented-{n}", known="begun-and-never-paid")
    assert lookups.begin("true", known="another")
    clock.advance(6)
    for n in range(50, 100):
        lookups.begin(f"invented-{n}", known="begun-and-never-paid")
    lookups.end("true")
    assert lookups.begin("true", known="another")


# Turns

def test_whoever_comes_while_another_asks_waits_for_that_answer() -> None:
    turns = Turns[str](VirtualClock())
    assert turns.take("o1", "q", 1) == "ask"
    flight = turns.take("o1", "q", 1)
    assert isinstance(flight, Future)
    assert not flight.done()
    assert turns.take("o2", "q", 1) == "ask"
    turns.keep("o1", "q", 2, "paid")
    turns.end("o1")
    wait(flight)
    assert flight.done()
    assert turns.take("o1", "q", 2) == Known("paid")


def test_only_few_wait() -> None:
    turns = Turns[str](VirtualClock())
    assert turns.take("o1", "q", 1) == "ask"
    came = [turns.take("o1", "q", 1) for _ in range(10)]
    assert [isinstance(turn, Future) for turn in came] == [True] * 4 + [False] * 6
    assert set(came[4:]) == {"later"}


def test_an_answer_holds_for_its_time_and_while_the_ledger_says_the_same() -> None:
    clock = VirtualClock()
    turns = Turns[str](clock)
    turns.take("o1", "q", 1)
    turns.keep("o1", "q", 1, "pending")
    turns.end("o1")
    assert turns.take("o1", "q", 1) == Known("pending")
    assert turns.take("o1", "q", 2) == "ask"
    turns.end("o1")
    clock.advance(FRESH_S)
    assert turns.take("o1", "q", 1) == "ask"
    turns.keep("o1", "q", 1, "paid", math.inf)
    turns.end("o1")
    clock.advance(1e6)
    assert turns.take("o1", "q", 1) == turns.take("o1", "", 1) == Known("paid")
    assert turns.take("o1", "another", 1) == "ask"


def test_one_that_asked_and_failed_lets_the_next_one_ask() -> None:
    turns = Turns[str](VirtualClock())
    assert turns.take("o1", "q", 1) == "ask"
    flight = turns.take("o1", "q", 1)
    turns.end("o1")
    assert isinstance(flight, Future)
    assert flight.done()
    assert turns.take("o1", "q", 1) == "ask"


def test_turns_of_too_many_orders_are_forgotten_and_nobody_waits_for_them_any_more() -> None:
    turns = Turns[str](VirtualClock())
    turns.take("first", "q", 1)
    flight = turns.take("first", "q", 1)
    for n in range(REMEMBERED):
        turns.take(f"o{n}", "q", 1)
    assert isinstance(flight, Future)
    assert flight.done()
    assert len(turns._orders) == REMEMBERED
    turns.end("first")


def test_a_browser_that_goes_away_ends_its_own_waiting_alone() -> None:
    flight: Future[None] = Future()

    async def two() -> bool:
        gone, stays = asyncio.create_task(wait_async(flight)), asyncio.create_task(wait_async(flight))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        flight.set_result(None)
        await asyncio.wait_for(stays, 30)
        return gone.cancelled()

    assert asyncio.run(two())
    assert not flight.cancelled()

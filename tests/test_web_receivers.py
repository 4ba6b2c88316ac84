"""One table of requests for the three frameworks: whatever the adapter, the same answer and the same effect.

Rows F33-F36, F60-F62 and S01, S15, S19, S20, S25, S27 of the failure table, at the merchant's own endpoints.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from site_of_frameworks import FRAMEWORKS, URL, Got, Site, Slow, over_wsgi

from paygate import BadSettings, CancelWhole, Conflict, EventKind, Money, Pay, Register, State
from paygate.ledger.row import Book
from paygate.testing.emulator import FaultKind
from paygate.web import Receiver, Status
from paygate.web import page as pages
from paygate.web.turns import FRESH_S


@pytest.fixture(params=FRAMEWORKS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with Site(request.param) as made:
        yield made


# What is answered before anything is read, looked up or changed: request → status, and nothing else happens.

LONG = b"x" * (64 * 1024 + 1)
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
HOOK = "/pay/webhooks/fakepg"
TRUE = json.dumps({"order_id": "o1", "payment_id": "p1"}).encode()
REFUSED: dict[str, tuple[str, str, dict[str, str], bytes, int, str]] = {
    "a page that there is none": ("GET", "/pay/nothing", {}, b"", 404, "not_found"),
    "the mount itself": ("POST", "/pay/", {}, b"", 404, "not_found"),
    "a webhook of a gateway that there is none": ("POST", "/pay/webhooks/other", {"content-type": JSON}, TRUE, 404,
                                                  "not_found"),
    "a webhook below one": ("POST", f"{HOOK}/x", {"content-type": JSON}, TRUE, 404, "not_found"),
    "a webhook with GET": ("GET", HOOK, {}, b"", 405, "method"),
    "a webhook with HEAD": ("HEAD", HOOK, {}, b"", 405, "method"),
    "a webhook with OPTIONS": ("OPTIONS", HOOK, {}, b"", 405, "method"),
    "a webhook with PUT": ("PUT", HOOK, {"content-type": JSON}, TRUE, 405, "method"),
    "a webhook with DELETE": ("DELETE", HOOK, {}, b"", 405, "method"),
    "a webhook without a type": ("POST", HOOK, {}, TRUE, 415, "bad_type"),
    "a webhook in text": ("POST", HOOK, {"content-type": "text/plain"}, TRUE, 415, "bad_type"),
    "a webhook in XML": ("POST", HOOK, {"content-type": "application/xml"}, TRUE, 415, "bad_type"),
    "a webhook in parts": ("POST", HOOK, {"content-type": "multipart/form-data; boundary=x"}, TRUE, 415, "bad_type"),
    "a packed webhook": ("POST", HOOK, {"content-type": JSON, "content-encoding": "gzip"}, TRUE, 415, "bad_type"),
    "a webhook that says it is long": ("POST", HOOK, {"content-type": JSON}, LONG, 413, "too_long"),
    "a webhook that says it is very long": ("POST", HOOK, {"content-type": JSON, "content-length": "9" * 18}, TRUE, 413,
                                            "too_long"),
    "a webhook that is no JSON": ("POST", HOOK, {"content-type": JSON}, b"{", 400, "unreadable"),
    "a webhook that names a key twice": ("POST", HOOK, {"content-type": JSON}, b'{"order_id":"a","order_id":"b"}', 400,
                                         "unreadable"),
    "a webhook that is nested": ("POST", HOOK, {"content-type": JSON}, b"[" * 5000, 400, "unreadable"),
    "a webhook with NaN": ("POST", HOOK, {"content-type": JSON}, b'{"payment_id": NaN}', 400, "unreadable"),
    "an empty webhook": ("POST", HOOK, {"content-type": JSON}, b"", 400, "unreadable"),
    "a start with GET": ("GET", "/pay/start", {}, b"", 405, "method"),
    "a return with PUT": ("PUT", "/pay/complete/x", {}, b"", 405, "method"),
    "an old script": ("GET", "/pay/paygate.000000000000.js", {}, b"", 404, "not_found"),
    "the script with POST": ("POST", f"/pay/{pages.script_name()}", {"content-type": FORM}, b"", 405, "method"),
}
CSRF_ONLY = ("a start with", "a return with", "the script with", "the mount itself", "a page that")


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_request_of_ours_is_refused_alike_and_changes_nothing(site: Site, what: str) -> None:
    method, path, headers, body, status, word = REFUSED[what]
    site.start()
    before = site.row(), len(site.pg.calls)
    sent: bytes = body
    if method not in ("GET", "HEAD", "OPTIONS") and "webhooks" not in path and site.framework == "django":
        # Django looks for its own token first, except at webhooks.
        headers = {**headers, "x-csrftoken": site.token()["csrfmiddlewaretoken"],
                   "referer": "https://shop.example/", "origin": "https://shop.example"}

    got = site.call(method, path, body=sent, headers=headers)

    assert got.status == status
    if method != "HEAD":
        assert got.json == {"error": word}
    assert got.header("cache-control") == "no-store"
    assert (site.row(), len(site.pg.calls)) == before
    assert site.heard == []


def test_what_may_be_asked_is_told_with_the_refusal(site: Site) -> None:
    assert site.call("GET", HOOK).header("allow") == "POST"
    assert site.call("PUT", HOOK).header("allow") == "POST"


def test_a_body_that_says_it_is_long_is_not_read(site: Site) -> None:
    body = Slow([b"x" * 70_000])

    got = site.hook(body=body, content_length="70000")

    assert (got.status, body.was_read) == (413, 0)


def test_a_body_without_a_length_is_read_up_to_the_limit_and_no_further(site: Site) -> None:
    body = Slow([b"x" * 1024] * 10_000)

    got = site.hook(body=body, transfer_encoding="chunked")

    assert (got.status, got.json) == (413, {"error": "too_long"})
    assert body.was_read <= 66 * 1024
    assert site.lookups() == 0


def test_a_body_in_pieces_without_a_length_is_a_body(site: Site) -> None:
    site.start()
    site.pg.payer("o1")

    got = site.hook(body=Slow([TRUE[:10], TRUE[10:]]), transfer_encoding="chunked")

    assert (got.status, site.row().state) == (200, State.ANSWERED)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_body_that_does_not_come_is_given_up(framework: str) -> None:
    held = threading.Event()
    with Site(framework, body_timeout_s=0.05) as site:
        try:
            got = site.hook(body=Slow([TRUE], wait=lambda: held.wait(20) and None), content_length=str(len(TRUE)))
        finally:
            held.set()

    assert (got.status, got.json) == (408, {"error": "too_slow"})


def test_a_body_shorter_than_it_says_is_no_webhook(site: Site) -> None:
    got = site.hook(body=Slow([TRUE[:10]], breaks_off=True), content_length=str(len(TRUE)))

    assert (got.status, got.json) == (400, {"error": "broken_off"})


def test_a_wsgi_server_that_cannot_tell_the_end_of_a_body_is_asked_for_its_length() -> None:
    from paygate.web.bodies import BodyReader
    from paygate.web.exchange import Body, Wrong

    with pytest.raises(Wrong) as caught:
        BodyReader().read_input({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": Slow([b"x"])}, Body(10, 1.0))
    assert caught.value.answer.status == 411
    assert BodyReader().read_input({"wsgi.input": Slow([b"x"])}, Body(10, 1.0)) == b""


@pytest.mark.parametrize("framework", ["django", "flask"])
def test_many_slow_bodies_keep_no_true_webhook_waiting(framework: str) -> None:
    many, go_on, reading = 40, threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        reading.release()
        go_on.wait(60)

    with Site(framework, body_timeout_s=60.0) as site:
        site.start()
        site.pg.payer("o1")
        statuses: list[int] = []

        def post(body: bytes | Slow) -> int:
            return over_wsgi(site.wsgi, "POST", HOOK, {"host": "shop.example", "content-type": JSON,
                                                       "content-length": str(len(TRUE))}, body).status

        def slow() -> None:
            statuses.append(post(Slow([TRUE], wait)))

        clients = [threading.Thread(target=slow, daemon=True) for _ in range(many)]
        try:
            for client in clients:
                client.start()
            for _ in clients:
                assert reading.acquire(timeout=60), "a slow client's body is not read while others are read"

            assert (post(TRUE), statuses, site.row().state) == (200, [], State.ANSWERED)
        finally:
            go_on.set()
            for client in clients:
                client.join(60)
        assert len(statuses) == many


# A payment from start to end

def test_a_payer_starts_pays_and_comes_back(site: Site) -> None:
    started = site.start()
    assert started.status == 200
    assert started.json["action"] == {"type": "redirect", "url": site.pg.windows and started.json["action"]["url"]}
    assert started.json["complete"] == site.receiver.return_url("o1")
    assert started.json["keep"] == ["order_id", "payment_id", "message"]

    back = site.redirected(site.pg.payer("o1"))

    assert (back.status, back.header("location")) == (303, "/thanks")
    outcome, = site.outcomes
    assert (outcome.status, outcome.order_id) == (Status.PAID, "o1")
    assert outcome.payment is not None
    assert outcome.payment.money == Money(14_000, "KRW")
    assert [e.kind for e in site.heard] == [EventKind.PAYMENT_PAID]
    assert site.visits[-1].request is not None


def test_a_script_that_tells_the_page_ends_in_the_same_place(site: Site) -> None:
    started = site.start().json
    assert set(started["fields"]) == ({"csrfmiddlewaretoken"} if site.framework == "django" else set())

    back = site.posted(site.pg.payer("o1"))

    assert (back.status, back.header("location")) == (303, "/thanks")
    assert [o.status for o in site.outcomes] == [Status.PAID]


def test_the_amount_is_the_shops_whatever_the_form_says(site: Site) -> None:
    site.start(amount="1", money="1", price="1", order_id="o2")

    assert site.pg.windows["o1"]["amount"] == 14_000
    assert site.row().money == Money(14_000, "KRW")
    assert site.row("o2") is None


def test_a_form_may_be_json(site: Site) -> None:
    token = site.token().get("csrfmiddlewaretoken")
    headers = {"content-type": JSON, "accept": JSON, "sec-fetch-site": "same-origin",
               "referer": "https://shop.example/", **({"x-csrftoken": token} if token else {})}
    assert site.call("POST", "/pay/start", body=b'{"product": "book"}', headers=headers).status == 200
    for body in (b"{", b"[]", b'{"product": 5}', b'{"product": {}}'):
        assert site.call("POST", "/pay/start", body=body, headers=headers).json == {"error": "bad_json"}


def test_a_form_posted_without_the_script_goes_straight_to_the_pg(site: Site) -> None:
    got = site.start(accept="text/html")

    assert (got.status, got.header("location")) == (303, f"https://fakepg.example/{'o1'}")
    site.redirected(site.pg.payer("o1"))
    assert [o.status for o in site.outcomes] == [Status.PAID]


def test_the_shop_may_send_the_payer_elsewhere_instead(site: Site) -> None:
    got = site.start(product="none")
    assert (got.status, got.json) == (200, {"go": "/books"})
    plain = site.start(product="none", accept="text/html")
    assert (plain.status, plain.header("location")) == (303, "/books")
    assert site.row() is None


def test_a_key_is_registered_like_a_payment_is_made(site: Site) -> None:
    site.wants = Register
    site.start()
    site.redirected(site.pg.payer("o1"))

    outcome, = site.outcomes
    assert outcome.status is Status.REGISTERED
    assert outcome.billing_key is not None
    assert outcome.billing_key.gateway == "fakepg"
    assert [e.kind for e in site.heard] == [EventKind.KEY_REGISTERED]


def test_the_same_cart_gets_the_same_window_again(site: Site) -> None:
    first, second = site.start().json, site.start().json

    assert first["action"] == second["action"]
    assert first["complete"] == second["complete"]
    assert len(site.pg.windows) == 1


def test_a_cart_that_is_paid_shows_what_became_of_it_instead_of_a_window(site: Site) -> None:
    site.start()
    site.pg.payer("o1")
    site.redirected({})

    again = site.start()

    assert again.json == {"go": site.receiver.return_url("o1")}
    assert site.call("GET", site.complete_path()).status == 303
    assert [o.status for o in site.outcomes] == [Status.PAID, Status.PAID]
    assert site.pg.journal.charges("o1") == 1


@pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.HANG_BEFORE, FaultKind.ERROR_500_BEFORE,
                                  FaultKind.UNAUTHORIZED])
def test_a_pg_that_does_not_answer_starts_nothing_and_the_payer_may_try_again(site: Site, kind: FaultKind) -> None:
    site.pg.fault(kind, "windows$", times=9)
    got = site.start()
    assert (got.status, got.json) == (503, {"error": "later"})

    site.pg.faults.clear()
    assert site.start().status == 200


def test_an_address_that_is_not_the_receivers_own_is_the_shops_mistake(site: Site) -> None:
    site.wants = lambda **said: Pay(**{**said, "return_url": "https://evil.example/"})
    with pytest.raises(Exception, match="return_url"):
        site.start()
    assert site.row() is None


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)",
                                  "https://shop.example.evil.example/", "/a\r\nset-cookie: a=b", "", "thanks",
                                  "https://shop.example@evil.example/", "http://shop.example/"])
def test_no_page_of_the_shop_leads_out_of_it(site: Site, page: str) -> None:
    site.start()
    site.pg.payer("o1")
    site.next_page = page
    with pytest.raises(Exception, match="path of the shop"):
        site.redirected({})


def test_a_page_of_the_shop_may_be_a_full_address(site: Site) -> None:
    site.start()
    site.next_page = "https://shop.example/orders/1?new=1#top"
    assert site.redirected({}).header("location") == site.next_page


# Returns are hints

def test_a_closed_window_is_not_finished(site: Site) -> None:
    site.start()
    site.redirected(site.pg.payer("o1", "close"))
    assert [o.status for o in site.outcomes] == [Status.PENDING]
    site.posted({})
    assert [o.status for o in site.outcomes] == [Status.PENDING] * 2
    assert site.heard == []


def test_a_decline_is_told_with_the_pgs_words(site: Site) -> None:
    site.start()
    site.redirected(site.pg.payer("o1", "decline"))
    outcome, = site.outcomes
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert [e.kind for e in site.heard] == [EventKind.PAYMENT_FAILED]


@pytest.mark.parametrize("query", [
    "status=success", "order_id=o1&status=success&paid=true", "order_id=o1&payment_id=p999", "payment_id=",
    "order_id=o1&order_id=o1", "payment_id=p1&payment_id=p1", "a=1&" * 40 + "a=1", "order_id=o1&payment_id=../x",
])
def test_nothing_a_browser_says_makes_an_unpaid_order_paid(site: Site, query: str) -> None:
    site.start()
    site.call("GET", f"{site.complete_path()}?{query}")
    assert all(o.status in (Status.PENDING, Status.FORGED, Status.UNKNOWN) for o in site.outcomes)
    assert site.row().state is State.SENT
    assert site.heard == []


@pytest.mark.parametrize("query", ["order_id=o1&order_id=o1", "payment_id=x&payment_id=p1", "fbclid=x&utm_source=y",
                                   "order_id=o1&extra=1"])
def test_nothing_a_browser_says_makes_a_paid_order_unpaid(site: Site, query: str) -> None:
    site.start()
    site.pg.payer("o1")
    site.call("GET", f"{site.complete_path()}?{query}")
    assert [o.status for o in site.outcomes] == [Status.PAID]


@pytest.mark.parametrize("query", ["a", "=&", "%zz=%", "a=1&" * 60 + "a=1", "a=%ff", "order_id=o1&",
                                   "a=" + "x" * 20_000])
def test_a_query_that_cannot_be_read_is_no_hint_and_the_pg_is_asked_all_the_same(site: Site, query: str) -> None:
    site.start()
    assert site.call("GET", f"{site.complete_path()}?{query}").status == 303
    site.clock.advance(FRESH_S)
    site.pg.payer("o1")
    assert site.call("GET", f"{site.complete_path()}?{query}").status == 303
    assert [o.status for o in site.outcomes] == [Status.PENDING, Status.PAID]


def test_a_return_that_is_loaded_again_and_again_costs_one_look_up_for_each_answer(site: Site) -> None:
    site.start()
    asked = site.lookups()
    for _ in range(50):
        site.redirected({})
    assert site.lookups() - asked == 1
    assert {o.status for o in site.outcomes} == {Status.PENDING}

    site.clock.advance(FRESH_S)
    query = site.pg.payer("o1")
    site.redirected(query)
    asked = site.lookups()
    for n in range(50):
        site.clock.advance(60)
        site.redirected(query if n % 2 else {})
    assert site.lookups() == asked
    assert {o.status for o in site.outcomes[51:]} == {Status.PAID}
    assert [e.kind for e in site.heard] == [EventKind.PAYMENT_PAID]


def test_ever_new_hints_about_one_order_are_few_look_ups_and_a_true_one_comes_through_later(site: Site) -> None:
    site.start()
    query = site.pg.payer("o1")
    asked = site.lookups()
    for n in range(50):
        site.redirected({"order_id": "o1", "payment_id": f"p{n + 100}"})
    assert site.lookups() - asked <= 8
    site.redirected(query)
    assert site.outcomes[-1].status is Status.UNKNOWN
    site.clock.advance(3)
    site.redirected(query)
    assert site.outcomes[-1].status is Status.PAID


def test_what_the_ledger_learns_meanwhile_is_shown_to_whoever_loads_a_return_again(site: Site) -> None:
    site.start()
    query = site.pg.payer("o1")
    site.redirected(query)
    back = site.gate.cancel_whole(CancelWhole(cancel_id="c1", order_id="o1", reason="damaged"))
    if site.framework == "asgi":
        site.run(back)
    site.clock.advance(60)
    site.redirected(query)
    assert [o.status for o in site.outcomes] == [Status.PAID, Status.CANCELLED]


def test_a_button_pressed_again_and_again_has_the_pg_asked_a_few_times(site: Site) -> None:
    first = site.start().json["action"]
    asked = len(site.pg.calls)
    again = [site.start() for _ in range(50)]
    assert [(got.status, got.json["action"]) for got in again] == [(200, first)] * 50
    assert len(site.pg.calls) == asked

    site.clock.advance(60)
    site.start()
    each = len(site.pg.calls) - asked
    asked = len(site.pg.calls)
    for _ in range(60):
        site.clock.advance(0.5)
        assert site.start().status in (200, 503)
    assert 0 < len(site.pg.calls) - asked <= (30 * 0.5 + 4) * each


def test_the_order_is_the_sessions_own_not_the_querys(site: Site) -> None:
    """Pay the cheap order, then come back with it to the dear one."""
    site.start()
    cheap = site.pg.payer("o1")
    site.cart = "o2"
    site.start()
    site.redirected(cheap)

    assert [(o.status, o.order_id) for o in site.outcomes] == [(Status.FORGED, "o2")]
    assert site.row("o2").state is State.SENT
    assert site.heard == []


def test_two_windows_of_one_browser_do_not_meet(site: Site) -> None:
    site.start()
    site.cart = "o2"
    site.start()
    site.cart = "o1"
    site.redirected(site.pg.payer("o1"))
    site.cart = "o2"
    site.redirected(site.pg.payer("o2"))
    assert [(o.status, o.order_id) for o in site.outcomes] == [(Status.PAID, "o1"), (Status.PAID, "o2")]


def _tampered(value: str) -> Iterator[str]:
    text, _, mac = value.partition(".")
    yield from ("", ".", "x", text, f"{text}.", f"{text}.{mac[:-1]}0", f"{text[:-2]}AA.{mac}", f".{mac}", "é.é")


def test_only_the_browser_that_began_an_order_is_told_of_it(site: Site) -> None:
    site.start()
    site.pg.payer("o1")
    (name, (path, value)), *_ = [(n, c) for n, c in site.cookies.items() if n.startswith("paygate-")]
    for other in [*_tampered(value), None]:
        site.cookies = {} if other is None else {name: (path, other)}
        site.call("GET", path)
    assert {o.status for o in site.outcomes} == {Status.LOST}
    assert {o.order_id for o in site.outcomes} == {None}
    assert site.lookups() == 0


def test_a_cookie_of_one_order_opens_no_other(site: Site) -> None:
    site.start()
    (name, (_, value)), *_ = [(n, c) for n, c in site.cookies.items() if n.startswith("paygate-")]
    other = site.receiver.return_url("o2").rpartition("/")[2]
    site.cookies = {f"paygate-{other}": ("/", value)}
    site.call("GET", f"/pay/complete/{other}")
    assert name != f"paygate-{other}"
    assert [o.status for o in site.outcomes] == [Status.LOST]


def test_a_session_ends_after_a_day(site: Site) -> None:
    site.start()
    site.pg.payer("o1")
    site.clock.advance(86_401)
    site.redirected({})
    assert [o.status for o in site.outcomes] == [Status.LOST]


def test_a_pg_that_cannot_be_asked_leaves_the_outcome_unknown(site: Site) -> None:
    site.start()
    query = site.pg.payer("o1")
    site.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=9)
    site.redirected(query)
    assert [o.status for o in site.outcomes] == [Status.UNKNOWN]

    site.pg.faults.clear()
    site.redirected(query)
    assert [o.status for o in site.outcomes] == [Status.UNKNOWN, Status.PAID]


def test_another_amount_at_the_pg_is_never_paid(site: Site) -> None:
    site.start()
    site.pg.windows["o1"]["amount"] = 100
    site.redirected(site.pg.payer("o1"))
    assert [o.status for o in site.outcomes] == [Status.FORGED]
    assert site.row().attention is not None
    assert site.heard == []


def test_a_return_in_another_window_tells_the_page_that_waits(site: Site) -> None:
    site.start()
    site.cookies["paygate-window"] = (site.complete_path(), "1")
    got = site.redirected(site.pg.payer("o1"))

    assert got.status == 200
    assert '<a data-paygate-go href="/thanks">' in got.text
    assert pages.script_name() in got.text
    assert "script-src 'self'" in (got.header("content-security-policy") or "")
    assert got.header("x-frame-options") == "SAMEORIGIN"
    assert "paygate-window" not in site.cookies


# Another site's page

@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
                                     {"origin": "https://evil.example"}, {"origin": "null"},
                                     {"origin": "https://shop.example:444"}])
@pytest.mark.parametrize("path", ["start", "complete"])
def test_another_sites_page_can_post_nothing_here(site: Site, headers: dict[str, str], path: str) -> None:
    site.start()
    before = len(site.visits)
    token = {"x-csrftoken": site.token()["csrfmiddlewaretoken"], "referer": "https://shop.example/"} \
        if site.framework == "django" else {}
    target = "/pay/start" if path == "start" else site.complete_path()
    got = site.call("POST", target, body=b"product=book", headers={"content-type": FORM, **token, **headers})
    assert got.status == 403
    assert len(site.visits) == before


def test_django_keeps_its_own_protection_everywhere_but_at_webhooks() -> None:
    with Site("django") as site:
        headers = {"content-type": FORM, "sec-fetch-site": "same-origin", "referer": "https://shop.example/"}
        assert site.call("POST", "/pay/start", body=b"product=book", headers=headers).status == 403
        assert site.call("POST", "/pay/complete/x", body=b"", headers=headers).status == 403
        assert site.visits == []
        assert site.hook().status == 200


# Webhooks

def test_a_true_webhook_settles_the_order_and_is_told_once(site: Site) -> None:
    site.start()
    site.pg.payer("o1")
    answers = [site.hook() for _ in range(3)]
    assert {(a.status, a.body) for a in answers} == {(200, b'{"ok":true}')}
    assert site.row().state is State.ANSWERED
    assert [(e.kind, e.order_id) for e in site.heard] == [(EventKind.PAYMENT_PAID, "o1")]


def test_a_webhook_in_a_form_is_read_as_the_provider_reads_it(site: Site) -> None:
    assert site.hook(body=b"order_id=o1&payment_id=p1", content_type=FORM).status == 400


def _forgeries(site: Site) -> Iterator[tuple[str, str]]:
    site.start()
    site.pg.payer("o1")
    site.cart = "o2"
    site.start()
    yield from [("o2", "p1"), ("o1", "p999"), ("nothing", "p1"), ("nothing", "p999"), ("o2", "p999"), ("o1", ".."),
                ("o1", "p1?x=1"), ("o1", "p1/../p1")]


def test_a_forged_webhook_is_answered_like_a_true_one_and_changes_nothing(site: Site) -> None:
    for order_id, payment_id in _forgeries(site):
        site.clock.advance(60)
        got = site.hook(order_id, payment_id)
        assert (got.status, got.body) == (200, b'{"ok":true}')
    assert site.row("o1").state is State.SENT
    assert site.row("o2").state is State.SENT
    assert site.heard == []
    site.clock.advance(60)
    true = site.hook("o1", "p1")
    assert (true.status, true.body) == (200, b'{"ok":true}')
    assert site.row("o1").state is State.ANSWERED


def test_a_webhook_that_cannot_be_looked_up_now_is_asked_for_again(site: Site) -> None:
    site.start()
    site.pg.payer("o1")
    site.pg.fault(FaultKind.DROP_BEFORE, "^GET ", times=9)
    assert site.hook().status == 503
    site.pg.faults.clear()
    assert site.hook().status == 200
    assert [e.kind for e in site.heard] == [EventKind.PAYMENT_PAID]


def test_look_ups_for_unsigned_webhooks_have_a_rate(site: Site) -> None:
    def flood(mark: str, order_id: str, seconds: float) -> list[int]:
        answers = []
        for n in range(300):
            answers.append(site.hook(order_id, f"{mark}{n}").status)
            site.clock.advance(seconds / 300)
        return answers

    assert flood("a", "nobody", 0.0).count(503) >= 295
    assert site.lookups() <= 5
    for mark, order_id in (("b", "nobody"), ("c", "o1")):
        site.start()
        asked = site.lookups()
        answers = flood(mark, order_id, 20.0)
        assert set(answers) == {200, 503}
        assert 90 <= site.lookups() - asked <= 105
        assert site.lookups() - asked == answers.count(200)


def test_a_flood_of_invented_webhooks_does_not_keep_a_true_one_waiting(site: Site) -> None:
    site.start()
    site.pg.payer("o1")
    for n in range(50):
        site.hook("nobody", f"p{n + 100}")
    assert site.hook().status == 200
    assert site.row().state is State.ANSWERED


def test_what_the_pg_has_just_denied_is_not_asked_again(site: Site) -> None:
    answers = [site.hook("nobody", "p999") for _ in range(20)]
    assert {a.status for a in answers} == {200}
    assert site.lookups() == 1
    site.clock.advance(31)
    site.hook("nobody", "p999")
    assert site.lookups() == 2


def test_a_forgery_about_a_payment_does_not_silence_the_truth_about_it(site: Site) -> None:
    site.start()
    site.pg.payer("o1")
    site.hook("o2", "p1")
    assert site.hook("o1", "p1").status == 200
    assert site.row().state is State.ANSWERED


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_look_up_at_a_time_for_each_payment(framework: str) -> None:
    with Site(framework) as site:
        site.start()
        site.pg.payer("o1")
        really, nested = site.pg.answer, []

        def while_asking(call: Any) -> Any:
            if call.path == "/payments/p1":
                again = site.inbox._lookups["fakepg"].begin("payment p1", known="o1")
                nested.append(again)
            return really(call)
        site.pg.answer = while_asking  # type: ignore[method-assign]
        assert site.hook().status == 200
        assert nested == [False]


def test_hundreds_of_hostile_requests_change_nothing_and_cost_few_look_ups(site: Site) -> None:
    site.start()
    site.pg.payer("o1")
    site.cart = "o2"
    site.start()
    before = _ledger(site)

    def hostile(n: int) -> Got:
        match n % 8:
            case 0:
                return site.hook("nobody", f"p9{n}")
            case 1:
                return site.hook("o1", f"p9{n}")
            case 2:
                return site.hook("o2", "p1")
            case 3:
                return site.hook(body=b'{"order_id": %d' % n)
            case 4:
                return site.hook(body=Slow([b"x" * 8192] * 9), transfer_encoding="chunked")
            case 5:
                return site.hook(body=b"x", content_length=str(70_000 + n))
            case 6:
                return site.call("HEAD", HOOK)
        return site.hook(content_type="text/xml")

    statuses = set()
    for n in range(400):
        statuses.add(hostile(n).status)
        site.clock.advance(0.02)
    assert statuses == {200, 400, 405, 413, 415, 503}
    assert site.lookups() <= 5 + 5 * 8
    assert _ledger(site) == before
    assert site.heard == []
    lookups = site.inbox._lookups["fakepg"]
    assert (lookups._asking, len(lookups._refused) <= site.lookups()) == (set(), True)
    site.clock.advance(1)
    assert site.hook("o1", "p1").status == 200
    assert site.row("o1").state is State.ANSWERED
    assert len(site.heard) == 1


def _ledger(site: Site) -> list[Any]:
    scope, ledger = site.gate._account.scope, site.ledger
    return [*(ledger.get(scope, book, id) for book in Book for id in ("o1", "o2", "nobody", "p1")),
            *ledger.due(scope, 1e12, 99), *ledger.flagged(scope, 99), *ledger.unresolved(scope, 99),
            *(row for row in ledger.due(f"{scope}/events", 1e12, 99))]


# Handlers

def test_a_handler_that_fails_makes_the_pg_send_again_and_the_event_is_not_lost(site: Site) -> None:
    fails = [ValueError(), ValueError()]

    def failing(event: Any) -> None:
        if fails:
            raise fails.pop()
    site.inbox.on("payment_paid")(failing)
    site.start()
    site.pg.payer("o1")

    assert site.hook().status == 503
    assert site.row().state is State.ANSWERED
    site.clock.advance(10)
    assert len(site.work().failed) == 1
    site.clock.advance(60)
    assert len(site.work().told) == 1
    site.clock.advance(86_400)
    done = site.work()
    assert (done.told, done.failed) == ([], {})
    assert len({e.id for e in site.heard}) == 1
    assert len(site.heard) == 3
    assert site.hook().status == 200
    assert len(site.heard) == 3


def test_a_handler_that_fails_does_not_hide_the_outcome_from_the_payer(site: Site) -> None:
    def failing(_: Any) -> None:
        raise ValueError("a bug of the shop")
    site.inbox.on("payment_paid")(failing)
    site.start()
    back = site.redirected(site.pg.payer("o1"))
    assert (back.status, [o.status for o in site.outcomes]) == (303, [Status.PAID])


def test_handlers_may_be_async(site: Site) -> None:
    seen: list[Any] = []

    async def later(event: Any) -> None:
        seen.append(event.id)
    site.inbox.on("payment_paid")(later)
    site.start()
    site.pg.payer("o1")
    assert site.hook().status == 200
    assert seen == [site.heard[0].id]


def test_the_shops_own_functions_may_be_async() -> None:
    for framework in FRAMEWORKS:
        with Site(framework) as site:
            order, done = site.order, site.done

            async def later_order(visit: Any, order: Callable[..., Any] = order) -> Any:
                return order(visit)

            async def later_done(*given: Any, done: Callable[..., Any] = done) -> Any:
                return done(*given)
            site.receiver._order, site.receiver._done = later_order, later_done
            site.start()
            assert site.redirected(site.pg.payer("o1")).status == 303
            assert [o.status for o in site.outcomes] == [Status.PAID]


# The script and the pages

def test_the_script_is_served_under_its_version_and_may_be_kept(site: Site) -> None:
    got = site.call("GET", f"/pay/{pages.script_name()}")
    assert (got.status, got.body) == (200, pages.script())
    assert got.header("content-type") == "text/javascript; charset=utf-8"
    assert got.header("cache-control") == "public, max-age=31536000, immutable"
    assert got.header("x-content-type-options") == "nosniff"
    assert f'src="/pay/{pages.script_name()}"' in site.receiver.script
    assert f'integrity="{pages.integrity()}"' in site.receiver.script


def test_an_adapter_for_threads_refuses_gateways_of_an_event_loop() -> None:
    from paygate.web.django import urls
    from paygate.web.flask import blueprint

    with Site("asgi") as site:
        for adapter in (urls, blueprint):
            with pytest.raises(BadSettings, match="threads"):
                adapter(site.receiver)


@pytest.mark.parametrize(("change", "words"), [
    ({"url": "http://shop.example/pay"}, "https"), ({"url": "/pay"}, "https"),
    ({"url": "https://u:p@shop.example/pay"}, "https"), ({"url": "https://shop.example/pay#x"}, "https"),
    ({"url": "https://shop.example/pay?x=1"}, "query"), ({"secret": "short"}, "16 characters"),
    ({"secret": ""}, "16 characters"), ({"secret": None}, "16 characters")])
def test_a_receiver_that_could_not_work_is_not_made(change: dict[str, Any], words: str) -> None:
    with Site("flask") as site:
        given = {"url": URL, "secret": "s" * 16, "order": site.order, "done": site.done, **change}
        with pytest.raises(BadSettings, match=words):
            Receiver(site.inbox, **given)


def test_the_frameworks_do_not_differ() -> None:
    """The same walk through each framework, answer by answer, byte by byte."""
    walks: dict[str, list[tuple[int, bytes, str | None, str | None]]] = {}
    for framework in FRAMEWORKS:
        with Site(framework) as site:
            said: list[Got] = [site.start(), site.hook("o1", "p999"), site.hook("o1", "p1")]
            query = site.pg.payer("o1")
            said += [site.hook("o1", "p1"), site.redirected(query), site.posted(query), site.hook(body=b"{"),
                     site.hook(body=LONG), site.start(product="none"), site.start(accept="*/*"),
                     site.call("GET", HOOK), site.call("GET", f"/pay/{pages.script_name()}")]
            walks[framework] = [(g.status, b"" if n == 0 else g.body, g.header("content-type") if g.body else None,
                                 g.header("location")) for n, g in enumerate(said)]
    assert walks["django"] == walks["asgi"]
    assert walks["flask"] == walks["asgi"]


def test_a_conflict_is_told_to_the_shops_log_not_to_the_payer(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.start()
    site.wants = lambda **said: Pay(**{**said, "money": Money(100, "KRW")})
    got = site.start()
    assert got.json == {"go": site.receiver.return_url("o1")}
    assert "not begun again" in caplog.text
    assert isinstance(Conflict("x"), Exception)

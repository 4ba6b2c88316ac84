"""The control API: what it shows, what it does, whom it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from paygate.money import Money
from paygate.sandbox import Sandbox
from paygate.sandbox.openapi import SCHEMAS
from paygate.sandbox.routes import ROUTES
from paygate.secret import Secret
from paygate.testing.emulator import Call, Emulator, FaultKind, VirtualClock, json_response
from paygate.wire import Response

START = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)


class Toy(Emulator):
    """POST /keys/<key>/charge moves money; a control hands out keys, another dates a charge."""

    name = "toy"
    endpoints = ("POST /keys/{}/charge",)

    def answer(self, call: Call) -> Response:
        if call.path.endswith("/charge"):
            self._take("order-1")
        return json_response(200, b"{}")

    def _take(self, order_id: str) -> None:
        self.move("charge", order_id, "their-1", Money(14_000, "KRW"))

    def settings(self) -> dict[str, Any]:
        return {"key": "test-key", "mode": "test"}

    def controls(self) -> dict[str, Callable[..., Any]]:
        return {"issue_key": self.issue_key, "date": self.date, "broken": self.broken}

    def issue_key(self, *, owner: str, days: int = 30) -> dict[str, Any]:
        """Issue a billing key.

        To anybody.
        """
        if not owner:
            raise ValueError("an owner has a name")
        until = START + timedelta(days=days)
        return {"key": Secret("bk-1"), "owner": owner, "until": until, "least": Money(100, "KRW")}

    def date(self, seconds: int) -> None:
        self.clock.at(self.clock.now() + timedelta(seconds=seconds), lambda: self._take("dated"))

    def broken(self, what: Any = None) -> Any:
        return {}[what]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox([Toy(VirtualClock(START))]) as running:
        yield running


@pytest.fixture
def client(box: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=box.control_url, trust_env=False, timeout=10) as made:
        yield made


def _pg(box: Sandbox, method: str, path: str, **arguments: Any) -> httpx.Response:
    return httpx.request(method, box.url("toy") + path, trust_env=False, timeout=10, **arguments)


# Looking

def test_the_index_says_that_no_money_is_real_and_lists_everything(box: Sandbox, client: httpx.Client) -> None:
    shown = client.get("/").json()

    assert shown["banner"] == "sandbox: no real money"
    assert shown["gateways"] == {"toy": box.url("toy")}
    assert len(shown["endpoints"]) == len(ROUTES)


def test_a_terminal_that_asks_for_text_gets_the_index_as_text(client: httpx.Client) -> None:
    answer = client.get("/", headers={"accept": "text/plain"})

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "POST /clock/advance" in answer.text


def test_gateways_are_shown_with_what_it_takes_to_connect(box: Sandbox, client: httpx.Client) -> None:
    shown, = client.get("/gateways").json()["gateways"]

    assert (shown["name"], shown["url"], shown["settings"]) == (
        "toy", box.url("toy"), {"key": "test-key", "mode": "test"})
    assert "gate = connect('toy', {\n    'key': 'test-key',\n    'mode': 'test'},\n" in shown["connect"]
    assert f"base_url='{box.url('toy')}'" in shown["connect"]
    assert shown["endpoints"] == [{"name": "POST /keys/{}/charge", "on": "^POST /keys/[^/]+/charge$"}]


def test_the_journal_shows_the_money_that_moved(box: Sandbox, client: httpx.Client) -> None:
    _pg(box, "POST", "/keys/bk-1/charge")

    assert client.get("/gateways/toy/journal").json() == {"journal": [
        {"at": START.isoformat(), "order_id": "order-1", "provider_id": "their-1", "amount": 14_000, "currency": "KRW",
         "kind": "charge"}]}


def test_calls_are_shown_without_anything_that_may_be_secret(box: Sandbox, client: httpx.Client) -> None:
    _pg(box, "POST", "/v2/keys/bk-CANARY-1/charge?token=CANARY-2&CANARY-3", content=b"CANARY-4",
        headers={"authorization": "Bearer CANARY-5"})

    answer = client.get("/gateways/toy/calls")
    shown = answer.json()["calls"][0]

    assert "CANARY" not in answer.text
    assert (shown["method"], shown["path"], shown["status"], shown["broken"]) == (
        "POST", "/v2/keys/{}/charge", 200, None)
    assert shown["query"] == ["token", "{}"]
    assert "authorization" in shown["headers"]


def test_calls_show_ids_that_the_journal_shows_too(box: Sandbox, client: httpx.Client) -> None:
    _pg(box, "POST", "/keys/bk-1/charge")
    _pg(box, "GET", "/find/order-1")
    _pg(box, "GET", "/find/order-2")

    paths = [call["path"] for call in client.get("/gateways/toy/calls").json()["calls"]]
    assert paths == ["/keys/{}/charge", "/find/order-1", "/find/{}"]


def test_a_broken_call_is_shown_as_broken(box: Sandbox, client: httpx.Client) -> None:
    client.post("/gateways/toy/faults", json={"kind": "drop_before"})
    with pytest.raises(httpx.TransportError):
        _pg(box, "GET", "/x")

    shown = client.get("/gateways/toy/calls").json()["calls"][0]
    assert (shown["status"], shown["broken"]) == (None, "drop")


# Doing

def test_a_fault_is_dialled_applied_as_often_as_said_and_gone(box: Sandbox, client: httpx.Client) -> None:
    answer = client.post("/gateways/toy/faults", json={"kind": "error_500_before", "on": "GET /x", "times": 2})

    fault, = answer.json()["faults"]
    assert (answer.status_code, fault["kind"], fault["on"], fault["times"]) == (201, "error_500_before", "GET /x", 2)
    assert client.get("/gateways/toy/faults").json() == {"faults": [fault]}
    assert [_pg(box, "GET", path).status_code for path in ("/y", "/x", "/x", "/x")] == [200, 500, 500, 200]
    assert client.get("/gateways/toy/faults").json() == {"faults": []}


def test_faults_are_taken_back(box: Sandbox, client: httpx.Client) -> None:
    client.post("/gateways/toy/faults", json={"kind": "error_500_before"})

    assert client.delete("/gateways/toy/faults").json() == {"cleared": 1}
    assert _pg(box, "GET", "/x").status_code == 200


def test_one_fault_is_taken_back_by_its_number(box: Sandbox, client: httpx.Client) -> None:
    for kind in ("error_500_before", "bad_gateway_before"):
        client.post("/gateways/toy/faults", json={"kind": kind, "on": "GET /x"})
    first, second = client.get("/gateways/toy/faults").json()["faults"]

    assert client.delete(f"/gateways/toy/faults/{first['number']}").json() == {"faults": [second]}
    assert _pg(box, "GET", "/x").status_code == 502
    assert client.delete(f"/gateways/toy/faults/{second['number']}").status_code == 404


def test_a_fault_dialled_at_an_endpoint_of_the_list_hits_that_endpoint_alone(
        box: Sandbox, client: httpx.Client) -> None:
    endpoint, = client.get("/gateways").json()["gateways"][0]["endpoints"]
    client.post("/gateways/toy/faults", json={"kind": "error_500_before", "on": endpoint["on"]})

    assert [_pg(box, *call).status_code for call in (
        ("GET", "/keys/k/charge"), ("POST", "/keys/k/x/charge"), ("POST", "/keys/k/charge"))] == [200, 200, 500]


def test_every_kind_of_fault_is_told_in_words(client: httpx.Client) -> None:
    told = client.get("/faults/kinds").json()

    assert sorted(told["about"]) == sorted(told["kinds"])
    done = {kind for kind, text in told["about"].items() if text.startswith("everything is done")}
    assert done == {kind for kind in told["kinds"] if kind.endswith("_after") or kind.startswith(("lie", "wrong"))}


def test_every_kind_of_fault_can_be_dialled(client: httpx.Client) -> None:
    kinds = client.get("/faults/kinds").json()["kinds"]

    assert kinds == list(FaultKind)
    assert {client.post("/gateways/toy/faults", json={"kind": kind}).status_code for kind in kinds} == {201}


def test_controls_are_listed_with_their_signatures(client: httpx.Client) -> None:
    shown = {c["name"]: c for c in client.get("/gateways/toy/controls").json()["controls"]}

    assert sorted(shown) == ["broken", "date", "issue_key"]
    assert shown["issue_key"]["signature"].startswith("(*, owner: 'str', days: 'int' = 30)")
    assert "->" not in shown["issue_key"]["signature"]
    assert shown["issue_key"]["about"] == "Issue a billing key.\n\nTo anybody."


def test_a_control_takes_keyword_arguments_and_returns_its_result(client: httpx.Client) -> None:
    answer = client.post("/gateways/toy/controls/issue_key", json={"owner": "kim", "days": 1})

    assert answer.json() == {"result": {"key": "bk-1", "owner": "kim", "until": "2026-01-06T03:00:00+00:00",
                                        "least": {"amount": 100, "currency": "KRW"}}}


def test_turning_the_clock_makes_what_is_due_happen(client: httpx.Client) -> None:
    client.post("/gateways/toy/controls/date", json={"seconds": 3600})
    client.post("/clock/advance", json={"seconds": 3599.5})
    assert client.get("/gateways/toy/journal").json() == {"journal": []}

    answer = client.post("/clock/advance", json={"to": "2026-01-05T13:00:00+09:00"})

    assert answer.json() == {"now": "2026-01-05T04:00:00+00:00"} == client.get("/clock").json()
    assert [m["order_id"] for m in client.get("/gateways/toy/journal").json()["journal"]] == ["dated"]


def test_on_a_ticking_clock_what_is_due_happens_without_anybody_asking() -> None:
    with Sandbox([Toy(VirtualClock(ticking=True))]) as box:
        fell_due = Event()
        with box.lock:
            box.emulator("toy").controls()["date"](0)
            box.clock.at(box.clock.now(), fell_due.set)

        assert fell_due.wait(30)
        assert box.emulator("toy").journal.taken("dated") == 14_000


# Refusing

@pytest.mark.parametrize(("method", "path", "body", "status"), [
    ("GET", "/nowhere", None, 404),
    ("GET", "/gateways/other/journal", None, 404),
    ("GET", "/gateways/toy/journal/", None, 404),
    ("POST", "/gateways/toy/controls/other", {}, 404),
    ("POST", "/gateways/toy/hooks/0/redeliver", {}, 404),
    ("POST", "/gateways/toy/hooks/x/redeliver", {}, 404),
    ("POST", "/gateways/toy/hooks/%D9%A1/redeliver", {}, 404),
    ("PUT", "/clock", {}, 405),
    ("OPTIONS", "/clock/advance", None, 405),
    ("POST", "/gateways/toy/faults", {}, 400),
    ("POST", "/gateways/toy/faults", [], 400),
    ("POST", "/gateways/toy/faults", {"kind": "other"}, 400),
    ("POST", "/gateways/toy/faults", {"kind": ["drop_after"]}, 400),
    ("POST", "/gateways/toy/faults", {"kind": "drop_after", "on": "("}, 400),
    ("POST", "/gateways/toy/faults", {"kind": "drop_after", "on": "a{99999999999}"}, 400),
    ("POST", "/gateways/toy/faults", {"kind": "drop_after", "on": "x" * 201}, 400),
    ("POST", "/gateways/toy/faults", {"kind": "drop_after", "times": 0}, 400),
    ("POST", "/gateways/toy/faults", {"kind": "drop_after", "times": True}, 400),
    ("POST", "/gateways/toy/faults", {"kind": "drop_after", "often": 1}, 400),
    ("POST", "/gateways/toy/controls/issue_key", {}, 400),
    ("POST", "/gateways/toy/controls/issue_key", {"owner": "kim", "self": 1}, 400),
    ("POST", "/gateways/toy/controls/issue_key", {"owner": ""}, 409),
    ("POST", "/gateways/toy/controls/broken", {}, 409),
    ("POST", "/gateways/toy/controls/broken", {"what": []}, 409),
    ("POST", "/clock/advance", {}, 400),
    ("POST", "/clock/advance", {"seconds": 1, "to": "2026-02-01T00:00:00Z"}, 400),
    ("POST", "/clock/advance", {"seconds": -1}, 400),
    ("POST", "/clock/advance", {"seconds": True}, 400),
    ("POST", "/clock/advance", {"seconds": 10**12}, 400),
    ("POST", "/clock/advance", {"to": "2026-02-01T00:00:00"}, 400),
    ("POST", "/clock/advance", {"to": "0001-01-01T00:00:00+14:00"}, 409),
    ("POST", "/clock/advance", {"to": "2026-01-01T00:00:00Z"}, 409),
    ("POST", "/clock/advance", {"to": "9999-12-31T00:00:00Z"}, 409),
])
def test_bad_input_is_refused_with_a_reason_and_changes_nothing(
        client: httpx.Client, method: str, path: str, body: Any, status: int) -> None:
    answer = client.request(method, path, json=body)

    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert client.get("/clock").json() == {"now": START.isoformat()}
    assert client.get("/gateways/toy/faults").json() == {"faults": []}


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 100_000, b'{"seconds": NaN}'])
def test_a_body_that_is_not_strict_json_is_refused(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/clock/advance", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400


def test_time_ends_before_sums_with_dates_do(client: httpx.Client) -> None:
    year = {"seconds": 366 * 86_400}
    answers = [client.post("/clock/advance", json=year).status_code for _ in range(75)]

    assert answers[:70] == [200] * 70
    assert answers[-1] == 409


def test_a_method_that_is_not_offered_is_told_which_are(client: httpx.Client) -> None:
    assert client.put("/gateways/toy/faults", json={}).headers["allow"] == "GET, POST, DELETE"


def test_head_is_get_without_the_body(client: httpx.Client) -> None:
    answer = client.head("/clock")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example",
                                  "127.0.0.1, evil.example", "127.0.0.1@evil.example", "0.0.0.0", "10.0.0.1", "[::2]",
                                  ""])
def test_a_name_that_was_rebound_to_this_machine_is_refused(client: httpx.Client, host: str) -> None:
    for answer in (client.get("/gateways", headers={"host": host}),
                   client.post("/clock/advance", json={"seconds": 1}, headers={"host": host})):
        assert answer.status_code == 421
        assert "test-key" not in answer.text
    assert client.get("/clock").json() == {"now": START.isoformat()}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]:80", "127.9.9.9"])
def test_a_host_that_is_this_machine_is_served(client: httpx.Client, host: str) -> None:
    assert client.get("/clock", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "http://localhost",
                                    "https://127.0.0.1"])
def test_another_sites_page_is_refused(client: httpx.Client, origin: str) -> None:
    for answer in (client.get("/gateways", headers={"origin": origin}),
                   client.delete("/gateways/toy/faults", headers={"origin": origin}),
                   client.post("/clock/advance", json={"seconds": 1}, headers={"origin": origin})):
        assert answer.status_code == 403
        assert "test-key" not in answer.text
    assert client.get("/clock").json() == {"now": START.isoformat()}


def test_its_own_page_is_served(box: Sandbox, client: httpx.Client) -> None:
    port = httpx.URL(box.control_url).port

    assert client.get("/clock", headers={"origin": box.control_url}).status_code == 200
    assert client.get("/clock", headers={"host": f"localhost:{port}", "origin": f"http://localhost:{port}"}).is_success


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "",
                                  "text/plain, application/json", "application/json, text/plain"])
def test_what_a_form_can_send_is_refused(client: httpx.Client, kind: str) -> None:
    answer = client.post("/clock/advance", content=b'{"seconds": 1}', headers={"content-type": kind})

    assert answer.status_code == 415
    assert client.get("/clock").json() == {"now": START.isoformat()}


def test_no_answer_lets_another_site_read_it(client: httpx.Client) -> None:
    headers = client.get("/gateways").headers

    assert not [name for name in headers if name.startswith("access-control-")]
    assert headers["cross-origin-resource-policy"] == "same-origin"


# The document

def test_the_openapi_document_describes_every_route(box: Sandbox, client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()

    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": box.control_url}]
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(route.method, route.template) for route in ROUTES}


def test_every_reference_of_the_document_leads_somewhere_and_every_schema_is_used(client: httpx.Client) -> None:
    text = client.get("/openapi.json").text

    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) == set(SCHEMAS)


def test_every_answer_has_the_fields_that_the_document_promises(box: Sandbox, client: httpx.Client) -> None:
    _pg(box, "POST", "/keys/bk-1/charge")
    client.post("/gateways/toy/faults", json={"kind": "drop_after"})
    with box.lock:
        box.emulator("toy").send_hook("", {"x": "1"}, b"{}")
    for route in ROUTES:
        if route.method != "GET":
            continue
        answer = client.get(route.template.replace("{name}", "toy").replace("{n}", "0")).json()
        _has(answer, SCHEMAS[route.answer])


def _has(value: Any, schema: dict[str, Any]) -> None:
    if schema.get("type") == "object":
        assert set(schema.get("required", ())) <= set(value), json.dumps(value)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                _has(value[name], inner)
    elif schema.get("type") == "array":
        for item in value:
            _has(item, schema["items"])


def test_every_post_has_a_body_so_that_none_can_be_sent_by_a_form() -> None:
    assert [route for route in ROUTES if (route.method == "POST") != (route.body is not None)] == []


@pytest.mark.checkout
def test_the_documentation_names_every_route_and_its_example_runs() -> None:
    text = (Path(__file__).parents[1] / "docs" / "sandbox.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `([A-Z]+) (/\S*)` \|", text, re.MULTILINE) == [(r.method, r.template) for r in ROUTES]
    for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(example, "docs/sandbox.md", "exec"), {})

"""What a merchant reads when something goes wrong: the right noun, the reason, one advice, no PG's words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, KEY, Shop, cancel, charge, won

from paygate import (
    BadCommand,
    BadSettings,
    Charge,
    Conflict,
    Kind,
    MemoryLedger,
    Money,
    NotSent,
    OutcomeUnknown,
    Pay,
    Refused,
    Row,
    SetupError,
    State,
    Unauthorized,
    UnknownProvider,
    connect,
)
from paygate.codec import settings_from
from paygate.errors import without_advice
from paygate.ledger.sqlite import SqliteLedger
from paygate.procedures.outcome import named, noted, reason, unknown
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FAKEPG


def a_row(kind: Kind, id: str = "o1", **said: Any) -> Row:
    return Row(**{"gateway": "g", "kind": kind, "id": id, "order_id": "o1", "digest": "d", "state": State.UNKNOWN,
                  "opened_at": 0.0, **said})


@pytest.mark.parametrize(("text", "kept"), [
    ("it failed; look it up; never resend", "it failed"),
    ("the balance could not be read (not understood (HTTP 500); look it up) at all", "the balance could not be read "
     "(not understood (HTTP 500)) at all"),
    ("no advice", "no advice"), ("", ""),
])
def test_what_happened_is_told_without_its_advice(text: str, kept: str) -> None:
    assert without_advice(text) == kept


@pytest.mark.parametrize(("kind", "name"), [
    (Kind.CHARGE, "the charge of order o1"), (Kind.PAY, "the payment of order o1"),
    (Kind.REGISTER, "the registration of order o1"), (Kind.SCHEDULE, "the dated charge of order o1"),
    (Kind.SUBSCRIBE, "the subscription of order o1"),
])
def test_a_doubt_names_what_is_in_doubt_once(kind: Kind, name: str) -> None:
    assert named(a_row(kind)) == name
    assert str(unknown(a_row(kind))).startswith(f"it is not known whether {name} happened; ")


def test_a_refund_is_named_by_its_own_id_and_its_order() -> None:
    assert named(a_row(Kind.CANCEL, "c1")) == "the refund c1 of order o1"


def test_a_doubt_says_why_and_keeps_the_pgs_words_out_of_its_text() -> None:
    error = unknown(a_row(Kind.CHARGE), Refused("x", code="1", pg_message="Kim Minsu has no money"))
    assert "happened: the PG refused (code 1); " in str(error)
    assert "Kim" not in str(error)
    assert (error.code, error.message) == ("1", "Kim Minsu has no money")
    assert "Kim" not in reason(Refused("x", code="Kim Minsu"))


def test_the_trail_says_what_the_pg_said_shortened_and_on_one_line() -> None:
    assert noted(Refused("x", code="1", pg_message="no\nmoney\x1b ")) == "the PG said 1: no money"
    assert noted(Refused("x", pg_message="no")) == "the PG said no"
    assert len(noted(Refused("x", code="1", pg_message="a" * 900))) <= 120
    assert noted(ValueError("4111 1111")) == "the provider failed with ValueError"


@pytest.mark.parametrize("face", FACES)
def test_a_charge_in_doubt_tells_its_reason_and_so_does_its_trail(face: str) -> None:
    with Shop(face) as shop:
        shop.pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
        shop.pg.fault(FaultKind.ERROR_500_BEFORE, "^GET ", times=99)
        with pytest.raises(OutcomeUnknown, match="the charge of order o1 happened: the PG gave no complete answer"):
            shop.charge(charge())
        assert any(line.note.startswith("outcome unknown: the PG gave no complete answer") for line in shop.trail("o1"))
        with pytest.raises(OutcomeUnknown, match=r"about order o1 \(.*\); asking changed nothing; ask again") as caught:
            shop.find("o1")
        assert "ask again later" in caught.value.next_step


@pytest.mark.parametrize("face", FACES)
def test_a_refund_whose_balance_cannot_be_read_gives_one_advice(face: str) -> None:
    with Shop(face) as shop:
        shop.charge(charge())
        shop.pg.fault(FaultKind.ERROR_500_BEFORE, "^GET ", times=99)
        with pytest.raises(NotSent) as caught:
            shop.cancel(cancel())
        assert str(caught.value).startswith("the refund c1 of order o1 was not sent: the balance could not be read (")
        assert str(caught.value).count(";") == 1


@pytest.mark.parametrize("face", FACES)
def test_wrong_credentials_are_told_and_a_doubt_stays_a_doubt(face: str) -> None:
    with Shop(face, settings={"api_key": "wrong", "mode": "test"}) as shop:
        ask: Any
        for ask in (lambda: shop.find("o1"), lambda: shop.lookup("p1"), lambda: shop.lookup_key(KEY),
                    lambda: shop.find_schedule("s1")):
            with pytest.raises(OutcomeUnknown, match="the PG does not accept the credentials") as caught:
                ask()
            assert isinstance(caught.value.__cause__, Unauthorized)
            assert caught.value.moved is None


def test_a_report_and_the_trail_say_why_a_row_could_not_be_asked_about() -> None:
    with Shop() as shop:
        shop.pg.fault(FaultKind.DROP_AFTER, "^POST /charges$")
        shop.pg.fault(FaultKind.ERROR_500_BEFORE, "^GET ", times=99)
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge())
        shop.clock.advance(3600)
        failed = shop.reconcile().failed
        assert list(failed) == ["o1"]
        assert "(the PG" in failed["o1"]
        assert ";" not in failed["o1"]
        assert shop.trail("o1")[-1].note == f"could not be looked up: {failed['o1']}"


@pytest.mark.parametrize("face", FACES)
def test_a_closed_gateway_says_so_and_sends_nothing(face: str) -> None:
    shop = Shop(face)
    with shop:
        shop.gate.supports("charge")
        if face == "sync":
            shop.gate.close()
        else:
            shop.close()
        (shop.close)()
        ask: Any
        for ask in (lambda: shop.charge(charge()), lambda: shop.find("o1"), lambda: shop.pending(),
                    lambda: shop.reconcile(), lambda: shop.receive({}, b"{}")):
            with pytest.raises(SetupError, match="closed; nothing was sent"):
                ask()
        assert shop.pg.calls == []


def test_only_a_ledger_that_connect_opened_is_closed(tmp_path: Path) -> None:
    mine = SqliteLedger(tmp_path / "mine.db")
    connect(FAKEPG, {"api_key": "k", "mode": "test"}, ledger=mine).close()
    assert mine.unresolved("g", 1) == []
    mine.close()
    gate = connect(FAKEPG, {"api_key": "k", "mode": "test"}, ledger=tmp_path / "ours.db")
    gate.close()
    with pytest.raises(Exception, match="closed"):
        gate._driver.ledger.unresolved("g", 1)


@pytest.mark.parametrize("face", FACES)
def test_what_is_no_raw_request_is_refused_before_anything_is_read(face: str) -> None:
    with Shop(face) as shop:
        shop.pay(Pay(order_id="w1", money=won(5_000), title="Tea", return_url="https://shop.example/back"))
        for body in ({"a": 1}, "text", None):
            with pytest.raises(BadCommand, match="body is the raw bytes of the request"):
                shop.receive({}, body)
        with pytest.raises(BadCommand, match="headers is a mapping"):
            shop.receive([("a", "b")], b"{}")
        for confirm in (shop.confirm, shop.confirm_key, shop.confirm_subscription):
            with pytest.raises(BadCommand, match="query is a mapping"):
                confirm("w1", "order_id=w1")


def test_an_unknown_capability_is_answered_with_the_known_ones() -> None:
    with Shop() as shop:
        for ask in (shop.gate.require, shop.gate.supports):
            with pytest.raises(BadCommand, match=r"'refund' is no capability.*cancel_partly"):
                ask("refund")


@pytest.mark.parametrize("limit", [0, -1, True, "9", None])
def test_a_walk_over_no_rows_is_refused(limit: Any) -> None:
    with Shop() as shop, pytest.raises(BadCommand, match="limit"):
        shop.reconcile(limit)


@pytest.mark.parametrize("name", ["shop/test", "", "a b", "x" * 81, "가게", 5, "a\n"])
def test_a_gateways_name_cannot_be_taken_for_anothers_scope(name: Any) -> None:
    with pytest.raises(BadSettings, match="name is 1 to 80"):
        connect(FAKEPG, {"api_key": "k", "mode": "test"}, ledger=MemoryLedger(), name=name)


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    for ledger in (None, object(), MemoryLedger, 5):
        with pytest.raises(BadSettings, match="a ledger is the path of a file"):
            connect(FAKEPG, {"api_key": "k", "mode": "test"}, ledger=ledger)  # type: ignore[arg-type]
    with pytest.raises(BadSettings, match="is a directory"):
        connect(FAKEPG, {"api_key": "k", "mode": "test"}, ledger=tmp_path)


def test_settings_at_fault_say_what_they_must_be() -> None:
    with pytest.raises(BadSettings, match="mode must be 'test' or 'live'"):
        settings_from(FAKEPG.settings, {"api_key": "k", "mode": "prod"}, "fakepg")
    with pytest.raises(BadSettings, match=r"no setting api_kye \(it has api_key, "):
        settings_from(FAKEPG.settings, {"api_kye": "k", "mode": "test"}, "fakepg")
    with pytest.raises(BadSettings, match="mapping"):
        settings_from(FAKEPG.settings, "api_key", "fakepg")  # type: ignore[arg-type]


def test_values_of_the_wrong_kind_say_what_to_write() -> None:
    with pytest.raises(BadCommand, match=r'write Money\(14000, "KRW"\)'):
        Charge(order_id="o1", billing_key=KEY, money=14_000, title="Tea")  # type: ignore[arg-type]
    with pytest.raises(BadCommand, match='write "KRW"'):
        Money(1, "krw")


def test_a_reused_id_says_where_its_first_use_stands() -> None:
    with Shop() as shop:
        shop.charge(charge())
        with pytest.raises(Conflict, match=r"that charge is answered; nothing was sent; look with find\('o1'\)"):
            shop.charge(charge(amount=99))


def test_an_unknown_provider_is_never_advised_to_be_installed_by_a_guessed_name() -> None:
    with pytest.raises(UnknownProvider) as caught:
        connect("portnoe", {}, ledger=MemoryLedger())
    assert "pip install" not in str(caught.value)


def test_rows_and_payments_print_as_one_short_line() -> None:
    row = a_row(Kind.CANCEL, "c1", money=won(5_000), check_at=60.0, attention="look")
    assert str(row) == ("cancel c1 of order o1: 5,000 KRW, unknown, since 1970-01-01T00:00:00+00:00, "
                        "next look 1970-01-01T00:01:00+00:00, attention: look")
    with Shop() as shop:
        assert str(shop.charge(charge())) == "payment of order o1: 14,000 KRW, paid"

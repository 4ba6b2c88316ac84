"""What may be configured is checked at construction: addresses, times, settings, the environment (F02, S07, S21)."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

from paygate import BadSettings, LedgerError, MemoryLedger, UnknownProvider, connect, connect_async, from_environment
from paygate.config import check_base_url, check_times
from paygate.testing.fakepg import FAKEPG

SETTINGS = {"api_key": "any", "mode": "test"}
LIVE = {"api_key": "any", "mode": "live"}


@pytest.mark.parametrize("url", [
    "http://fakepg.example", "https://evil.example", "https://fakepg.example.evil.example",
    "https://fakepg.example@evil.example",
    "https://user@fakepg.example", "https://fakepg.example?x=1", "https://fakepg.example#x", " https://fakepg.example",
    "https://fakepg.example\n", "ftp://127.0.0.1", "https://127.0.0.2", "http://10.0.0.1", "http://169.254.169.254",
    "https://[::1",
    "http://127.0.0.1.evil.example", "https://fakepg.example:99999", "fakepg.example", "", "https://",
    "https://fаkepg.example",
    "http://0.0.0.0", "http://localhost.evil.example", "https://evil.example\\@fakepg.example", "file:///etc/passwd",
])
@pytest.mark.parametrize("is_test", [True, False])
def test_credentials_go_nowhere_but_to_the_provider(url: str, is_test: bool) -> None:
    with pytest.raises(BadSettings) as caught:
        check_base_url(FAKEPG, url, is_test=is_test)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://fakepg.example", "https://FAKEPG.example/v1", "https://fakepg.example:8443/"])
@pytest.mark.parametrize("is_test", [True, False])
def test_the_providers_own_hosts_are_reached_over_https(url: str, is_test: bool) -> None:
    assert check_base_url(FAKEPG, url, is_test=is_test) == url.rstrip("/")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:9", "https://127.0.0.1"])
def test_this_machine_is_spoken_to_in_test_mode_only(url: str) -> None:
    assert check_base_url(FAKEPG, url, is_test=True) == url
    with pytest.raises(BadSettings, match="live mode"):
        check_base_url(FAKEPG, url, is_test=False)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "60", None])
def test_a_time_is_a_positive_number_of_seconds(value: Any) -> None:
    with pytest.raises(BadSettings, match="timeout_s"):
        check_times(timeout_s=value)


@pytest.mark.parametrize("make", [connect, connect_async], ids=["sync", "async"])
@pytest.mark.parametrize(("wrong", "error"), [
    ({"provider": "no-such-pg"}, UnknownProvider),
    ({"settings": {}}, BadSettings),
    ({"settings": {"api_key": "canary", "surprise": 1}}, BadSettings),
    ({"settings": {"api_key": "canary", "mode": "real"}}, BadSettings),
    ({"settings": {"api_key": 5}}, BadSettings),
    ({"base_url": "https://evil.example"}, BadSettings),
    ({"settings": LIVE, "base_url": "http://127.0.0.1:1"}, BadSettings),
    ({"timeout_s": 0}, BadSettings), ({"deadline_s": float("inf")}, BadSettings), ({"settle_s": -1}, BadSettings),
    ({"http": object()}, BadSettings),
    ({"ledger": "/no/such/folder/ledger.db"}, BadSettings),
])
def test_what_is_wrong_is_found_at_construction_not_at_the_first_charge(make: Any, wrong: dict[str, Any],
                                                                        error: type[Exception]) -> None:
    said = {"provider": FAKEPG, "settings": SETTINGS, "ledger": MemoryLedger(), **wrong}
    with pytest.raises(error) as caught:
        make(said.pop("provider"), said.pop("settings"), **said)
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gateway_is_named_after_its_provider_unless_it_is_given_a_name() -> None:
    with connect(FAKEPG, SETTINGS, ledger=MemoryLedger()) as gate:
        assert (gate.name, gate.provider, gate.is_test) == ("fakepg", "fakepg", True)
    with connect(FAKEPG, LIVE, ledger=MemoryLedger(), name="shop-2") as gate:
        assert (gate.name, gate.provider, gate.is_test) == ("shop-2", "fakepg", False)
        assert repr(gate) == "<Gateway shop-2 (live)>"


def test_the_environment_gives_the_arguments_of_connect(tmp_path: Path) -> None:
    arguments = from_environment({"PAYGATE_PROVIDER": "fakepg", "PAYGATE_SETTINGS": json.dumps(SETTINGS),
                                  "PAYGATE_LEDGER": str(tmp_path / "l.db"),
                                  "PAYGATE_BASE_URL": "https://fakepg.example", "PAYGATE_NAME": "books"})
    assert arguments == {"provider": "fakepg", "settings": SETTINGS, "ledger": str(tmp_path / "l.db"),
                         "base_url": "https://fakepg.example", "name": "books"}
    connect(**{**arguments, "provider": FAKEPG}).close()


@pytest.mark.parametrize("missing", ["PAYGATE_PROVIDER", "PAYGATE_SETTINGS", "PAYGATE_LEDGER"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_variable_that_is_missing_is_named(missing: str, empty: bool) -> None:
    environ = {"PAYGATE_PROVIDER": "fakepg", "PAYGATE_SETTINGS": "{}", "PAYGATE_LEDGER": "l.db"}
    environ.pop(missing)
    with pytest.raises(BadSettings, match=missing):
        from_environment(environ | ({missing: ""} if empty else {}))


@pytest.mark.parametrize("settings", ["canary", "[]", "1", '"canary"', '{"api_key": "canary"', "null"])
def test_settings_in_the_environment_are_a_json_object_and_never_shown(settings: str) -> None:
    with pytest.raises(BadSettings, match="PAYGATE_SETTINGS") as caught:
        from_environment({"PAYGATE_PROVIDER": "fakepg", "PAYGATE_SETTINGS": settings, "PAYGATE_LEDGER": "l.db"})
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_database_or_a_disk_that_fails_at_start_up_is_the_ledgers_trouble_and_no_setting(
        make: Any, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    (tmp_path / "broken.db").write_bytes(b"not what was written" * 100)
    for place in ("postgresql://kim:canary@127.0.0.1:1/books?connect_timeout=2", tmp_path / "broken.db"):
        with pytest.raises(LedgerError, match="the ledger cannot be used") as caught:
            make(FAKEPG, SETTINGS, ledger=place)
        assert "canary" not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__context__ is None  # Nor in the frames of an error that it came from.


@pytest.mark.parametrize("place", ["no/such/folder/ledger.db", "."])
def test_a_place_where_no_ledger_can_be_is_a_wrong_setting(place: str, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSettings, match="the ledger cannot be used"):
        connect(FAKEPG, SETTINGS, ledger=place)

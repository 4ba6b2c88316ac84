"""The emulator's ids: the same in every run, and in a salted one others."""

from __future__ import annotations

from paygate_portone.emulator import PortOneEmulator


def _given(salt: str) -> list[str]:
    pg = PortOneEmulator()
    pg.salt = salt
    return [pg.shop.digits("imp_", 12) for _ in range(3)]


def test_ids_are_the_same_in_every_run() -> None:
    assert _given("") == _given("")


def test_two_salted_runs_have_no_id_in_common() -> None:
    assert not set(_given("one")) & set(_given("two"))
    assert not set(_given("one")) & set(_given(""))

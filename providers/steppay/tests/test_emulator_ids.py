"""The emulators' ids: the same in every run, and in a salted one shared with no other."""

from __future__ import annotations

from datetime import UTC, datetime

from paygate_steppay.emulator import ManagedEmulator
from paygate_steppay.emulator.ids import Ids

NOW = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)


def _given(salt: str) -> set[object]:
    ids = Ids("acme", lambda: salt)
    return {ids.number("order"), ids.number("payment"), ids.code("order", 1), ids.id_key(NOW), ids.uuid("customer", 1)}


def test_ids_are_the_same_in_every_run() -> None:
    assert _given("") == _given("")


def test_two_salted_runs_have_no_id_in_common() -> None:
    assert not _given("one") & _given("two")
    assert not _given("one") & _given("")


def test_salted_numbers_are_numbers_to_every_json_reader() -> None:
    assert all(Ids("acme", lambda salt=salt: salt).number("order") < 2**53 for salt in map(str, range(100)))


def test_a_salt_given_later_leaves_the_settings_as_they_were() -> None:
    pg = ManagedEmulator()
    before = pg.settings()

    pg.salt = "one"

    assert pg.settings() == before
    assert pg.pg.ids.number("order") != ManagedEmulator().pg.ids.number("order")

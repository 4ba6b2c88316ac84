"""What is sealed opens with its own key and its own name, and in no other way."""

from __future__ import annotations

import pickle

import pytest

from paygate import BadSettings, Secret
from paygate.keyvault import KeyVault, new_vault_key
from paygate.vault import VaultError

TEXT = Secret('{"key": "card-4242", "name": "김민지"}')


def test_what_is_sealed_opens_and_shows_nothing_of_itself() -> None:
    vault = KeyVault(new_vault_key())
    sealed = vault.seal(TEXT, "shop sub-1")
    assert vault.open(sealed, "shop sub-1") == TEXT
    assert "4242" not in sealed
    assert sealed.isascii()
    assert vault.seal(TEXT, "shop sub-1") != sealed


def test_it_does_not_open_as_somebody_elses() -> None:
    vault = KeyVault(new_vault_key())
    with pytest.raises(VaultError, match="about something else"):
        vault.open(vault.seal(TEXT, "shop sub-1"), "shop sub-2")


@pytest.mark.parametrize("place", [13, 20, -3])
def test_it_does_not_open_once_it_was_changed(place: int) -> None:
    vault = KeyVault(new_vault_key())
    sealed = vault.seal(TEXT, "a")
    other = "A" if sealed[place] != "A" else "B"
    changed = sealed[:place] + other + sealed[place + 1 or len(sealed):]
    assert changed != sealed
    with pytest.raises(VaultError):
        vault.open(changed, "a")


@pytest.mark.parametrize("junk", ["", "v1", "v1.", "v2.aa.bb", "v1.00000000.AAAA", "é" * 9])
def test_what_was_never_sealed_is_refused(junk: str) -> None:
    with pytest.raises(VaultError):
        KeyVault(new_vault_key()).open(junk, "a")


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    old, new = new_vault_key(), new_vault_key()
    sealed = KeyVault(old).seal(TEXT, "a")
    both = KeyVault([new, old])
    assert both.open(sealed, "a") == TEXT
    assert KeyVault(new).open(both.seal(TEXT, "a"), "a") == TEXT
    with pytest.raises(VaultError, match="does not have"):
        KeyVault(new).open(sealed, "a")


@pytest.mark.parametrize("keys", [[], "", "short", "é", "A" * 43, [new_vault_key().reveal(), "x"], [None]])
def test_what_is_no_key_is_refused_without_being_told(keys: object) -> None:
    with pytest.raises(BadSettings) as caught:
        KeyVault(keys)  # type: ignore[arg-type]
    assert "short" not in str(caught.value)


def test_keys_do_not_print_and_are_not_pickled() -> None:
    key = new_vault_key()
    vault = KeyVault(key)
    assert key.reveal() not in repr(vault) + repr(key)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(vault)

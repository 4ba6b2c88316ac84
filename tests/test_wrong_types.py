"""A command of a wrong type is told as such, before anything is looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, KEY, Shop, cancel, charge

from paygate import BadCommand

VERBS = ("pay", "register", "charge", "cancel", "cancel_whole", "schedule", "unschedule", "schedules", "subscribe",
         "subscribe_key", "unsubscribe", "move_next", "change_interval", "change_money", "change_method", "renew",
         "keys", "delete_key", "lookup_key")


@pytest.mark.parametrize("face", FACES)
def test_a_command_of_a_wrong_type_is_a_bad_command_and_nothing_is_asked(face: str) -> None:
    with Shop(face) as shop:
        wrong: list[Any] = ["x", None, b"x", {"order_id": "o1"}, 7, shop]
        for verb in VERBS:
            others = [charge() if verb != "charge" else cancel(), *([] if verb == "lookup_key" else [KEY])]
            for given in (*wrong, *others):
                with pytest.raises(BadCommand, match="is asked for, not"):
                    getattr(shop, verb)(given)
        assert shop.pg.calls == []
        assert shop.pending() == []

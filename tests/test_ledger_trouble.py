"""What a merchant is told where the ledger itself fails: never a raw error of the store, never a false "not sent"."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import FACES, KEY, Shop, charge, won

from paygate import (
    ChangeMethod,
    DeleteKey,
    LedgerError,
    MemoryLedger,
    MoveNext,
    NotSent,
    OutcomeUnknown,
    Renew,
    Unsubscribe,
)


class Down:
    """A ledger whose every call fails, from the moment it is told to."""

    blocking = False

    def __init__(self) -> None:
        self.inner, self.is_down = MemoryLedger(), False

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self.inner, verb)

        def call(*args: Any) -> Any:
            if self.is_down and verb != "close":
                raise LedgerError("shop.db: disk I/O error")
            return method(*args)
        return call


QUESTIONS: dict[str, Callable[[Shop], Any]] = {
    "find": lambda s: s.find("o1"), "lookup": lambda s: s.lookup("p1"), "find_schedule": lambda s: s.find_schedule("s"),
    "confirm": lambda s: s.confirm("o1", {}), "confirm_key": lambda s: s.confirm_key("o1", {}),
    "confirm_subscription": lambda s: s.confirm_subscription("o1", {}), "subscription": lambda s: s.subscription("o1"),
    "receive": lambda s: s.receive({}, b'{"order_id": "o1", "payment_id": "p1"}'),
    "reconcile": lambda s: s.reconcile(), "pending": lambda s: s.pending(), "attention": lambda s: s.attention(),
    "trail": lambda s: s.trail("o1"), "resolve": lambda s: s.resolve("o1", "paid", by="kim", why="seen"),
    "acknowledge": lambda s: s.acknowledge("o1", by="kim", why="seen"),
}
COMMANDS: dict[str, Callable[[Shop], Any]] = {
    "delete_key": lambda s: s.delete_key(DeleteKey(billing_key=KEY, reason="left")),
    "renew": lambda s: s.renew(Renew(order_id="r1", subscription="o1", money=won(100))),
    "unsubscribe": lambda s: s.unsubscribe(Unsubscribe(order_id="o1", reason="left")),
    "move_schedule": lambda s: s.move_schedule("s1", s.clock.now() + timedelta(days=1)),
    "pause": lambda s: s.pause("o1"), "resume": lambda s: s.resume("o1"),
    "move_next": lambda s: s.move_next(MoveNext(order_id="o1", due_at=s.clock.now() + timedelta(days=1))),
    "change_method": lambda s: s.change_method(ChangeMethod(order_id="o1", return_url="https://shop.example/back")),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("verb", QUESTIONS)
def test_a_question_that_the_ledger_cannot_answer_is_a_doubt_and_no_not_sent(face: str, verb: str) -> None:
    ledger = Down()
    with Shop(face, ledger) as shop:  # type: ignore[arg-type]
        shop.charge(charge())
        ledger.is_down = True
        with pytest.raises(OutcomeUnknown, match="the ledger cannot be used") as caught:
            QUESTIONS[verb](shop)
        assert caught.value.moved is None
        assert isinstance(caught.value.__cause__, LedgerError)
        assert "\n" not in str(caught.value)
        ledger.is_down = False
        assert shop.find("o1").status == "paid"


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("verb", COMMANDS)
def test_a_command_that_the_ledger_stops_is_not_sent(face: str, verb: str) -> None:
    from attrs import evolve

    from paygate import Capability
    from paygate.testing.fakepg import FAKEPG

    ledger = Down()
    with Shop(face, ledger) as shop:  # type: ignore[arg-type]
        shop.gate._account.spec = evolve(FAKEPG, capabilities=frozenset(Capability))
        ledger.is_down, heard = True, len(shop.pg.calls)
        with pytest.raises(NotSent, match="the ledger cannot be used") as caught:
            COMMANDS[verb](shop)
        assert caught.value.moved is False
        assert len(shop.pg.calls) == heard

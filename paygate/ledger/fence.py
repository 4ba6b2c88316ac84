"""A ledger that is closed: its own database refuses what is written, whichever process or version of paygate asks.

It is closed in two steps. First nothing begins: no new row, and none becomes sent; what was sent is still answered.
Then nothing is written at all. The rules are triggers, so they hold for every connection from one commit on.
"""

from __future__ import annotations

import re

from .migrate import Session
from .row import CLOSED

_BEGINS = ("paygate_closed_begin BEFORE INSERT ON paygate_row", "")
_SENDS = ("paygate_closed_send BEFORE UPDATE ON paygate_row", "WHEN (NEW.state = 'sent' AND OLD.state <> 'sent')")
_CHANGES = ("paygate_closed_row BEFORE UPDATE ON paygate_row", "")
_TELLS = ("paygate_closed_line BEFORE INSERT ON paygate_line", "")
_ALL = (_BEGINS, _SENDS, _CHANGES, _TELLS)


def close_to_new(session: Session, why: str) -> None:
    """From the commit on nothing begins and nothing is sent; what was sent before is still answered."""
    _close(session, why, (_BEGINS, _SENDS))


def close(session: Session, why: str) -> None:
    """From the commit on nothing is written."""
    _close(session, why, _ALL)


def reopen(session: Session) -> None:
    """End what `close` and `close_to_new` began."""
    for named, _ in _ALL:
        name, _, table = named.split(" ")[0], *named.rpartition(" ON ")[1:]
        session.script(f"DROP TRIGGER IF EXISTS {name}{f' ON {table}' if session.dialect == 'postgres' else ''};\n")
    session.run("DELETE FROM paygate_meta WHERE name = ?", ("closed",))


def _close(session: Session, why: str, rules: tuple[tuple[str, str], ...]) -> None:
    reopen(session)
    said = re.sub(r"[^\w .,:;`/-]", "_", why)
    message = f"{CLOSED}: {said}"
    if session.dialect == "postgres":
        session.script("CREATE OR REPLACE FUNCTION paygate_closed() RETURNS trigger LANGUAGE plpgsql AS $$\n"
                       f"BEGIN RAISE EXCEPTION USING MESSAGE = '{message}'; END $$;")
    for named, when in rules:
        session.script(f"CREATE TRIGGER {named} FOR EACH ROW {when} EXECUTE FUNCTION paygate_closed();"
                       if session.dialect == "postgres" else
                       f"CREATE TRIGGER {named} {when} BEGIN SELECT RAISE(ABORT, '{message}'); END;\n")
    session.run("INSERT INTO paygate_meta (name, value) VALUES (?, ?)", ("closed", said))

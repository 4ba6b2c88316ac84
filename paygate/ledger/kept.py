"""Whether a database keeps the rules that paygate's migrations gave it: that they are there, and are what they were.

A rule that was dropped and made again under its name, as one that forbids nothing, is no rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import migrate

Asks = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
_TABLES = ("paygate_row", "paygate_line", "paygate_meta", "paygate_migration")
_MADE = "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
_KEY = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"


def in_sqlite(ask: Asks, new: Asks) -> Iterator[str]:
    """What is wrong with a file's rules, compared with those of a new ledger."""
    made, there = ({name: _plain(text) for name, text in one(_MADE, ())} for one in (new, ask))
    yield from _compared(made, there)
    for table in _TABLES:
        if new(_KEY, (table,)) != ask(_KEY, (table,)):
            yield f"the table {table} is another than paygate makes"


_UNRESOLVED = "(state = ANY (ARRAY['opened'::text, 'sent'::text, 'unknown'::text]))"
_INDEXES = {
    # Name: whether it is unique, its columns, of which rows.
    "paygate_row_provider": (True, "gateway, provider_id", "((book = 'payment'::text) AND (provider_id IS NOT NULL))"),
    "paygate_row_one_cancel": (True, "gateway, order_id", f"((book = 'cancel'::text) AND {_UNRESOLVED})"),
}
_KEYS = {"paygate_row": "gateway, book, id", "paygate_line": "gateway, book, id, fence", "paygate_meta": "name"}
_BEFORE, _DELETE, _UPDATE, _TRUNCATE = 2, 8, 16, 32
"""Bits of pg_trigger.tgtype."""
_TRIGGERS = {"paygate_line_kept": ("paygate_line", _BEFORE | _DELETE | _UPDATE | _TRUNCATE),
             "paygate_row_held": ("paygate_row", _BEFORE | _DELETE | _TRUNCATE)}
_ASK_INDEXES = """
    SELECT i.relname, t.relname, x.indisunique AND x.indisvalid AND x.indisready, x.indisprimary,
        (SELECT string_agg(pg_get_indexdef(x.indexrelid, n, true), ', ' ORDER BY n)
            FROM generate_series(1, x.indnkeyatts::int) AS n),
        pg_get_expr(x.indpred, x.indrelid)
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    WHERE left(t.relname, 8) = 'paygate_' AND pg_table_is_visible(t.oid)"""
_ASK_TRIGGERS = """
    SELECT g.tgname, t.relname, g.tgtype::int, g.tgqual IS NULL AND g.tgattr::text = '', p.prosrc
    FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_proc p ON p.oid = g.tgfoid
    WHERE left(g.tgname, 8) = 'paygate_' AND g.tgenabled IN ('O', 'A') AND pg_table_is_visible(t.oid)"""


def in_postgres(ask: Asks) -> Iterator[str]:
    """What is wrong with a database's rules."""
    indexes = ask(_ASK_INDEXES, ())
    yield from _compared(_INDEXES, {name: (is_unique, columns, where)
                                    for name, _, is_unique, _, columns, where in indexes})
    keys = {table: columns for _, table, is_unique, is_key, columns, _ in indexes if is_unique and is_key}
    for table, columns in _KEYS.items():
        if keys.get(table) != columns:
            yield f"the table {table} is another than paygate makes"
    says = _plain(next(text for m in migrate.migrations() if "paygate_refuse" in m.text
                       for text in re.findall(r"AS \$\$(.*?)\$\$", m.for_("postgres"), re.DOTALL)))
    yield from _compared({name: (*of, True, says) for name, of in _TRIGGERS.items()}, {
        name: (table, type, is_always, _plain(text)) for name, table, type, is_always, text in ask(_ASK_TRIGGERS, ())})


def _compared(wanted: dict[str, Any], there: dict[str, Any]) -> Iterator[str]:
    for name, rule in wanted.items():
        if name not in there:
            yield f"the rule {name} is gone"
        elif there[name] != rule:
            yield f"the rule {name} is another than paygate makes"


def _plain(text: str) -> str:
    return " ".join(text.split())

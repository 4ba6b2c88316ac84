"""Joining a transaction on a connection of sqlite3."""

from __future__ import annotations

import sqlite3

from .joined import no_transaction
from .row import trouble
from .sql import Clash


class Sqlite:
    """See `joined.Dialect`."""

    def begin(self, connection: sqlite3.Connection) -> str | None:
        if connection.in_transaction:
            return None
        # Python opens a transaction by itself, but only before INSERT and its like: a savepoint would come too early.
        if connection.isolation_level is None or getattr(connection, "autocommit", -1) is True:
            raise no_transaction()
        return f"BEGIN {connection.isolation_level}"

    def cursor(self, connection: sqlite3.Connection) -> sqlite3.Cursor:
        cursor = connection.cursor(sqlite3.Cursor)
        cursor.row_factory = None
        return cursor

    def text(self, text: str) -> str:
        return text

    def fault(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.IntegrityError) and "UNIQUE constraint failed" in str(error):
            return Clash(str(error))
        if isinstance(error, (sqlite3.Error, UnicodeEncodeError, OverflowError)):
            return trouble(str(error))
        return error

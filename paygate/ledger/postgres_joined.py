"""Joining a transaction on a connection of psycopg, awaited or not."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from ..errors import SetupError
from .joined import no_transaction
from .row import trouble
from .sql import Clash


class Postgres:
    """See `joined.Dialect`."""

    def begin(self, connection: Any) -> str | None:
        status = connection.info.transaction_status
        if status == TransactionStatus.INERROR:
            raise SetupError("the transaction on this connection has failed already; nothing was recorded; roll it "
                             "back first")
        if connection.pgconn.pipeline_status != PipelineStatus.OFF:
            raise SetupError("this connection is in pipeline mode; nothing was recorded; leave it first")
        if status == TransactionStatus.IDLE and connection.autocommit:
            raise no_transaction()
        return None  # Where it is idle, psycopg begins by itself.

    def cursor(self, connection: Any) -> Any:
        return connection.cursor(row_factory=tuple_row)

    def text(self, text: str) -> str:
        return text.replace("?", "%s")

    def fault(self, error: Exception) -> Exception:
        if isinstance(error, psycopg.errors.UniqueViolation):
            return Clash(error.diag.constraint_name or "")
        if isinstance(error, (psycopg.Error, UnicodeEncodeError, OverflowError, ValueError)):
            return trouble(" ".join(str(error).split()))
        return error

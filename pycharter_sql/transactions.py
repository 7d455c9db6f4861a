"""What is written whole or not at all, in whatever transaction the caller is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, TransactionStatus


@contextmanager
def atomic(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """A block that is written whole or not at all, and leaves committing to the caller."""
    if conn.autocommit or conn.info.transaction_status != TransactionStatus.IDLE:
        with conn.transaction():
            yield
        return
    try:
        yield
    except BaseException:
        # The block has begun the caller's transaction, and a savepoint would cost two round trips more.
        if conn.info.status == ConnStatus.OK:
            conn.rollback()
        raise


def settle(conn: psycopg.Connection[Any]) -> None:
    """Waits, in pipeline mode, for what the caller has sent: errors in it are theirs to see."""
    if conn.info.pipeline_status:
        with conn.pipeline():
            pass

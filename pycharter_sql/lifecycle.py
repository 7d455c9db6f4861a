"""The life of a contract version: proposed or draft, then active, deprecated, retired.

Each function works inside the caller's transaction, never commits, and where it raises has changed nothing
and leaves the transaction usable. With ``revision`` it acts only where the contract version is in that
revision, as ``Contract.revision`` tells it: of two writers who have read the same one, the second gets
RevisionConflict.

They raise ContractNotFound, StatusOrderBroken where no such step leads from the status that the version has,
RevisionConflict, CatalogueMissing, and psycopg.Error where the database itself fails.

Source: section "Versioning" of the design's "Benefits of This Design"; the statuses are those of the Open
Data Contract Standard.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from pycharter_sql.errors import ContractNotFound, expecting_catalogue, explaining
from pycharter_sql.rows import Outcome
from pycharter_sql.transactions import atomic, settle


def activate(
    conn: psycopg.Connection[Any],
    name: str,
    version: str,
    *,
    revision: int | None = None,
    schema: str = "pycharter",
) -> Outcome:
    """Publish a proposed or draft version, or take a deprecation back; UNCHANGED where it is active already.

    From the commit on the version does not change any more. Other active versions stay active.
    """
    return _change(conn, "activate_contract", name, version, revision, schema)


def deprecate(
    conn: psycopg.Connection[Any],
    name: str,
    version: str,
    *,
    revision: int | None = None,
    schema: str = "pycharter",
) -> Outcome:
    """Say of an active version that consumers are to leave it; UNCHANGED where it is deprecated already."""
    return _change(conn, "deprecate_contract", name, version, revision, schema)


def retire(
    conn: psycopg.Connection[Any],
    name: str,
    version: str,
    *,
    revision: int | None = None,
    schema: str = "pycharter",
) -> Outcome:
    """End the life of an active or deprecated version, for good; UNCHANGED where it is retired already."""
    return _change(conn, "retire_contract", name, version, revision, schema)


def _change(
    conn: psycopg.Connection[Any],
    function: LiteralString,
    name: str,
    version: str,
    revision: int | None,
    schema: str,
) -> Outcome:
    query = sql.SQL("SELECT {}(%s::text, %s::text, %s::bigint)").format(sql.Identifier(schema, function))
    settle(conn)
    try:
        contract = f"{name}@{version}"
        with expecting_catalogue(schema), explaining(contract, schema=schema), atomic(conn):
            cursor = psycopg.Cursor(conn, row_factory=scalar_row)
            changed = cursor.execute(query, [name, version, revision]).fetchone()
    except psycopg.errors.NoDataFound as error:
        reason = error.diag.message_primary or str(error)
        raise ContractNotFound(reason, remedy=error.diag.message_hint or "") from error
    return Outcome.UPDATED if changed else Outcome.UNCHANGED

"""Renaming and merging entities: what legacy names left behind ("Data Team", "data-team")."""

from __future__ import annotations

from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from pycharter_sql.errors import CatalogueError, expecting_catalogue, explanation
from pycharter_sql.transactions import atomic

Kind = Literal["system", "data_feed", "business_owner", "domain", "team"]


def rename(
    conn: psycopg.Connection[Any], kind: Kind, old: str, new: str, *, schema: str = "pycharter"
) -> None:
    """Give an entity another name; contracts that name it, published ones too, name it so from now on.

    Never commits. Raises EntityNotFound, NameTaken where another has the new name, ValueRefused where it is
    no name.
    """
    _call(conn, schema, f"rename_{kind}", old, new)


def merge(
    conn: psycopg.Connection[Any], kind: Kind, from_: str, into: str, *, schema: str = "pycharter"
) -> int:
    """Make two entities one and return the number of links that moved; ``into`` is what remains.

    Links of published versions move too. Attributes that ``into`` lacks are taken from the other. Never
    commits. Raises EntityNotFound, DependsOnItself where a contract would then depend on the feed that it
    serves, CatalogueError where the two are the same.
    """
    moved: int = _call(conn, schema, f"merge_{kind}", from_, into)
    return moved


def _call(conn: psycopg.Connection[Any], schema: str, function: str, *names: str) -> Any:
    call = sql.SQL("SELECT {}(%s, %s)").format(sql.Identifier(schema, function))
    try:
        with (
            expecting_catalogue(schema),
            atomic(conn),
            psycopg.Cursor(conn, row_factory=scalar_row) as cursor,
        ):
            return cursor.execute(call, names).fetchone()
    except (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.NoDataFound) as error:
        said = error.diag
        raise explanation(error) or CatalogueError(
            said.message_primary or str(error), remedy=said.message_hint or ""
        ) from error

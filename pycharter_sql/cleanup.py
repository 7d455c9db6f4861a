"""Renaming and merging entities: what legacy names left behind ("Data Team", "data-team")."""

from __future__ import annotations

from typing import Any, Literal, get_args

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from pycharter_sql.errors import CatalogueError, EntityNotFound, expecting_catalogue, explanation
from pycharter_sql.transactions import atomic, settle

Kind = Literal["system", "data_feed", "business_owner", "domain", "team"]


def rename(
    conn: psycopg.Connection[Any], kind: Kind, old: str, new: str, *, schema: str = "pycharter"
) -> None:
    """Give an entity another name; contracts that name it, published ones too, name it so from now on.

    Never commits. Raises EntityNotFound, NameTaken where another has the new name, ValueRefused where it is
    no name.
    """
    _call(conn, schema, "rename", kind, old, new)


def merge(
    conn: psycopg.Connection[Any], kind: Kind, from_: str, into: str, *, schema: str = "pycharter"
) -> int:
    """Make two entities one and return the number of links that moved; ``into`` is what remains.

    Links of published versions move too. Attributes that ``into`` lacks are taken from the other. Never
    commits. Raises EntityNotFound, DependsOnItself where a contract would then depend on the feed that it
    serves, CatalogueError where the two are the same.
    """
    moved: int = _call(conn, schema, "merge", kind, from_, into)
    return moved


def _call(conn: psycopg.Connection[Any], schema: str, action: str, kind: Kind, *names: str) -> Any:
    if kind not in get_args(Kind):
        raise ValueError(f"no kind of entity: {kind!r}; use one of {', '.join(get_args(Kind))}")
    call = sql.SQL("SELECT {}(%s::text, %s::text)").format(sql.Identifier(schema, f"{action}_{kind}"))
    settle(conn)
    try:
        with (
            expecting_catalogue(schema),
            atomic(conn),
            psycopg.Cursor(conn, row_factory=scalar_row) as cursor,
        ):
            return cursor.execute(call, names).fetchone()
    except (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.NoDataFound) as error:
        said = error.diag
        reason, remedy = said.message_primary or str(error), said.message_hint or ""
        if isinstance(error, psycopg.errors.NoDataFound):
            raise EntityNotFound(reason, remedy=remedy) from error
        raise explanation(error, schema=schema) or CatalogueError(reason, remedy=remedy) from error

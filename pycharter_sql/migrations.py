"""Installs, upgrades and rolls back the catalogue in one schema of a database.

The migrations are the SQL files of ``pycharter_sql.sql``; yoyo (https://ollycope.com/software/yoyo) orders
and splits them, and its tables, in the catalogue's own schema, hold their history. ``yoyo apply`` and this
module may take turns on one catalogue.
"""

from __future__ import annotations

import io
import logging
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow, tuple_row
from yoyo import default_migration_table, read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri

from pycharter_sql.errors import CatalogueError, CatalogueMissing

SOURCE = "package:pycharter_sql.sql:migrations"  # as yoyo names a directory within a package
SECONDS_BETWEEN_ATTEMPTS = 0.1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """``id`` is the file's name without ``.sql``; ``applied_at`` is in UTC, None while it is pending."""

    id: str
    applied_at: datetime | None


def apply(dsn: str, *, schema: str = "pycharter") -> list[str]:
    """Apply all pending migrations, each in a transaction of its own, and return their ids in order.

    ``dsn`` is a ``postgresql://`` URL, key=value pairs, or "" for libpq's PG* variables. The schema is
    created if it is missing. Of two runs at once the second waits, and finds nothing to do.

    Raises CatalogueError that names the migration and says what PostgreSQL said; the migrations before that
    one stay applied, and nothing of it is left.
    """
    with _locked(dsn, schema) as backend:
        # Not IF NOT EXISTS: that takes the right to create schemas even where there is nothing to create.
        query = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s"
        if not backend.connection.execute(query, [schema]).rowcount:
            backend.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        return _run(backend.apply_one, backend.to_apply(_packaged()), ".sql")


def rollback(
    dsn: str, *, schema: str = "pycharter", count: int | None = 1, drop_data: bool = False
) -> list[str]:
    """Roll back the last ``count`` migrations, None for all, and return their ids, the last one first.

    In one transaction: where one of them cannot be rolled back, all stay applied. One that would destroy rows
    is refused unless ``drop_data``. The schema itself stays. ``dsn`` and errors are those of ``apply``; a
    negative ``count`` is a ValueError.
    """
    with _locked(dsn, schema) as backend:
        if not any(migration.applied_at for migration in _history(backend.connection, schema)):
            return []
        if drop_data:
            backend.connection.execute("SET pycharter_sql.drop_data = 'yes'")
        last = islice(backend.to_rollback(_packaged()), count)
        with backend.transaction():
            return _run(backend.rollback_one, last, ".rollback.sql")


def status(dsn: str, *, schema: str = "pycharter") -> list[Migration]:
    """All migrations in order. Creates nothing: where the schema does not exist, all are pending."""
    check_name(schema)
    with connect(dsn) as connection, _explained(f'cannot read the migrations of schema "{schema}"'):
        return _history(connection, schema)


def check(connection: psycopg.Connection[Any], *, schema: str = "pycharter") -> None:
    """Raise CatalogueMissing, naming the command to run, where the schema holds no catalogue or an older one.

    Passes where the user of the connection may not read the history of migrations: readers need not.
    """
    check_name(schema)
    try:
        with connection.transaction():
            history = _history(connection, schema)
    except psycopg.errors.InsufficientPrivilege:
        return
    pending = [migration.id for migration in history if not migration.applied_at]
    if pending:
        problem = "there is no catalogue" if len(pending) == len(history) else f"{pending[0]} is missing"
        option = "" if schema == "pycharter" else f" --schema {schema}"
        raise CatalogueMissing(
            f'{problem} in schema "{schema}"', remedy=f"Run: pycharter-sql migrate{option}"
        )


def connect(dsn: str, *, autocommit: bool = False) -> psycopg.Connection[TupleRow]:
    """Connect to the database that ``dsn`` names as for ``apply``.

    Raises CatalogueError, which holds no password: libpq's own message may repeat what it cannot read.
    """
    unreadable = CatalogueError(
        "the connection string cannot be read",
        remedy="Write postgresql://user@host:5432/database or 'host=... dbname=...'. In a URL, special "
        "characters of a password are %-encoded (@ is %40, / is %2F); PGPASSWORD and ~/.pgpass take it raw.",
    )
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise unreadable from None
    # What libpq makes of a password with a bare @ or / in it.
    misread = "@" in str(parts.get("host", ""))[1:] or "@" in str(parts.get("dbname", ""))
    if misread or not re.fullmatch(r"[\d, ]*", str(parts.get("port", ""))):
        raise unreadable
    with _explained("cannot connect"):
        # Documents are UTF-8, whatever PGCLIENTENCODING says.
        return psycopg.connect(dsn, autocommit=autocommit, client_encoding="utf8")


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo is untyped
    """yoyo on a connection of ours, so that a migration and its entry in the history are one transaction.

    yoyo itself runs a migration on a second connection and writes the history after that has committed, and
    its lock is a row, which stays behind when the process is killed.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow], schema: str) -> None:
        self._given = connection
        self.schema = schema
        super().__init__(parse_uri("postgresql+psycopg://"), default_migration_table)

    def connect(self, dburi: object) -> psycopg.Connection[TupleRow]:
        return self._given

    def init_connection(self, connection: psycopg.Connection[TupleRow]) -> None:
        # As in yoyo.ini; 0001-prepare-schema says why pg_temp.
        path = sql.SQL("SET search_path TO {}, pg_temp").format(sql.Identifier(self.schema))
        connection.execute(path)

    def copy(self) -> _Backend:
        return self

    def __exit__(self, *exception: object) -> None:
        """The connection stays open: the caller of _Backend closes it."""

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        with self.transaction():
            super().apply_one(migration, force, mark)

    def rollback_one(self, migration: Any, force: bool = False) -> None:
        with self.transaction():
            super().rollback_one(migration, force)

    @contextmanager
    def lock(self, timeout: float | None = None) -> Iterator[None]:
        """Waits for other runs on this schema; the lock ends with the connection, however that ends."""
        # Asked for again and again, since a statement that waits holds up CREATE INDEX CONCURRENTLY.
        query = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
        key = [f"pycharter_sql.migrations {self.schema}"]
        waiting = False
        while self.connection.execute(query, key).fetchone() != (True,):
            if not waiting:
                logger.warning('waiting for another run on schema "%s"', self.schema)
            waiting = True
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        yield

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, object]:
        # yoyo's own fails where the operating system has no name for the user, as in many containers.
        return {
            "id": str(uuid.uuid1()),
            "migration_id": migration and migration.id,
            "migration_hash": migration and migration.hash,
            "username": self.connection.info.user,
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


@contextmanager
def _locked(dsn: str, schema: str) -> Iterator[_Backend]:
    check_name(schema)
    with connect(dsn, autocommit=True) as connection, _explained(f'cannot migrate schema "{schema}"'):
        backend = _Backend(connection, schema)
        with backend.lock():
            yield backend


def _packaged() -> Any:
    migrations = read_migrations(SOURCE)
    if not migrations:
        raise CatalogueError(
            "this installation of pycharter-sql holds no migrations",
            remedy="Install it anew, from a wheel or editable, not zipped.",
        )
    return migrations


def _history(connection: psycopg.Connection[Any], schema: str) -> list[Migration]:
    applied: dict[str, datetime] = {}
    with connection.cursor(row_factory=tuple_row) as cursor:
        query = "SELECT FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = %s"
        if cursor.execute(query, [schema, default_migration_table]).rowcount:
            table = sql.Identifier(schema, default_migration_table)
            cursor.execute(sql.SQL("SELECT migration_id, applied_at_utc FROM {}").format(table))
            applied = {id: at.replace(tzinfo=UTC) for id, at in cursor}
    return [Migration(migration.id, applied.get(migration.id)) for migration in _packaged()]


def _run(run: Callable[[Any], None], migrations: Iterable[Any], suffix: str) -> list[str]:
    done = []
    for migration in migrations:
        # yoyo prints the rows of a SELECT, such as that of a function which returns nothing.
        with _explained(f"{migration.id}{suffix} failed"), redirect_stdout(io.StringIO()):
            run(migration)
        done.append(migration.id)
    return done


def check_name(schema: str) -> None:
    """Raise CatalogueError where ``schema`` is no name for a catalogue's schema."""
    if not re.fullmatch("[a-z_][a-z0-9_]{0,62}", schema):
        raise CatalogueError(
            f"{schema!r} is no name for a schema here",
            remedy="Use small letters, digits and _, up to 63, not a digit first.",
        )


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """What PostgreSQL says becomes a CatalogueError that begins with ``what``, its HINT the remedy."""
    try:
        yield
    except psycopg.Error as error:
        said = error.diag
        lines = filter(None, (f"{what}: {said.message_primary or error}", said.message_detail))
        raise CatalogueError("\n  ".join(lines), remedy=said.message_hint or "") from error

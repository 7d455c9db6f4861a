"""Installs, upgrades and rolls back the catalogue in one schema of a database.

The migrations are the SQL files of ``pycharter_sql.sql``; yoyo (https://ollycope.com/software/yoyo) orders
and splits them, and its tables, in the catalogue's own schema, hold their history. ``yoyo apply`` and this
module may take turns on one catalogue.
"""

from __future__ import annotations

import hashlib
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
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow, tuple_row
from yoyo import default_migration_table, read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import read_sql_migration

from pycharter_sql.errors import CatalogueError, CatalogueMissing

SOURCE = "package:pycharter_sql.sql:migrations"  # as yoyo names a directory within a package
SECONDS_BETWEEN_ATTEMPTS = 0.1
TO_WRITE = "Connect to the primary: target_session_attrs=read-write finds it among several hosts."

logger: logging.Logger = logging.getLogger(__name__)


State = Literal["applied", "pending", "changed", "missing"]


@dataclass(frozen=True, slots=True)
class Migration:
    """``id`` is the file's name without ``.sql``; ``applied_at`` is in UTC, None while it is pending.

    ``changed``: its file is no longer what was applied. ``missing``: it was applied, and its file is not
    here; most often the catalogue is newer than this package.
    """

    id: str
    applied_at: datetime | None
    state: State


@dataclass(frozen=True, slots=True)
class Difference:
    """``object`` ("view contract_full") is not as ``apply`` made it."""

    object: str
    change: Literal["added", "changed", "missing"]


LOCK_TIMEOUT = "10s"
Notice = Callable[[str], object]


def apply(
    dsn: str,
    *,
    schema: str = "pycharter",
    lock_timeout: str = LOCK_TIMEOUT,
    notice: Notice | None = None,
) -> list[str]:
    """Apply all pending migrations, each in a transaction of its own, and return their ids in order.

    ``dsn`` is a ``postgresql://`` URL, key=value pairs, or "" for libpq's PG* variables. The schema is
    created if it is missing. Of two runs at once the second waits, and finds nothing to do.
    ``lock_timeout`` is PostgreSQL's: how long a statement may wait for a table that others use. ``notice``
    is called with what PostgreSQL remarks meanwhile ("NOTICE: ...").

    Raises CatalogueError that names the migration's file and line and says what PostgreSQL said; the
    migrations before that one stay applied, and nothing of it is left. Where somebody's own view stands in
    the way of one of them, none is applied.
    """
    with _locked(dsn, schema, lock_timeout, notice) as backend:
        # Not IF NOT EXISTS: that takes the right to create schemas even where there is nothing to create.
        query = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s"
        if not backend.connection.execute(query, [schema]).rowcount:
            backend.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        pending = list(backend.to_apply(_packaged()))
        backend.refuse_dependents(pending)
        return _run(backend.apply_one, pending, ".sql")


def rollback(
    dsn: str,
    *,
    schema: str = "pycharter",
    count: int | None = 1,
    drop_data: bool = False,
    lock_timeout: str = LOCK_TIMEOUT,
    notice: Notice | None = None,
) -> list[str]:
    """Roll back the last ``count`` migrations, None for all, and return their ids, the last one first.

    In one transaction: where one of them cannot be rolled back, all stay applied. One that would destroy rows
    is refused unless ``drop_data``. The schema itself stays. The other arguments and errors are those of
    ``apply``; a negative ``count`` is a ValueError.
    """
    with _locked(dsn, schema, lock_timeout, notice) as backend:
        if not _applied(backend.connection, schema):
            return []
        if drop_data:
            backend.connection.execute("SET pycharter_sql.drop_data = 'yes'")
        last = islice(backend.to_rollback(_packaged()), count)
        with backend.transaction():
            return _run(backend.rollback_one, last, ".rollback.sql")


def status(dsn: str, *, schema: str = "pycharter") -> list[Migration]:
    """All migrations in order. Creates nothing: where the schema does not exist, all are pending.

    That a file has changed is known of those that ``apply`` has applied, not of those of stock yoyo.
    """
    check_name(schema)
    with connect(dsn) as connection, _explained(f'cannot read the migrations of schema "{schema}"'):
        return _history(connection, schema)


def drift(dsn: str, *, schema: str = "pycharter") -> list[Difference] | None:
    """The objects of the schema that are not as ``apply`` made them; None where that is unknown.

    It is unknown where stock yoyo has applied or rolled back a migration, and after an upgrade of PostgreSQL
    to another major version. ``accept`` makes it known again.
    """
    check_name(schema)
    with connect(dsn) as connection, _explained(f'cannot read the objects of schema "{schema}"'):
        _enter(connection, schema)
        if not _keeps_record(connection):
            return None
        history = _applied(connection, schema)
        files = connection.execute("SELECT migration_id FROM migration_files").fetchall()
        made = _made(connection)
        found = _fingerprints(connection)
        if history.keys() != {id for (id,) in files} or made["PostgreSQL"] != found["PostgreSQL"]:
            return None
        return [
            Difference(
                name,
                "missing" if name not in found else "added" if name not in made else "changed",
            )
            for name in sorted(made.keys() | found.keys())
            if made.get(name) != found.get(name)
        ]


def accept(dsn: str, *, schema: str = "pycharter") -> None:
    """Take what is there, files and objects, as what ``apply`` made: ``drift`` starts from it.

    For a catalogue that stock yoyo has made, and after an upgrade of PostgreSQL. Raises CatalogueError.
    """
    with _locked(dsn, schema, LOCK_TIMEOUT, None) as backend:
        connection = backend.connection
        check(connection, schema=schema)
        with connection.transaction():
            connection.execute("DELETE FROM migration_files")
            connection.execute("DELETE FROM migration_objects")
            _record(connection, {}, _fingerprints(connection))
            for migration in _packaged():
                _record_file(connection, migration)


def check(connection: psycopg.Connection[Any], *, schema: str = "pycharter") -> None:
    """Raise CatalogueMissing, saying what to run, where the schema holds no catalogue, or an older or a
    newer one than this package knows.

    Passes where the user of the connection may not read the history of migrations.
    """
    check_name(schema)
    try:
        with connection.transaction():
            applied = _applied(connection, schema)
    except psycopg.errors.InsufficientPrivilege:
        return
    _refuse_newer(applied, schema)
    pending = [migration.id for migration in _packaged() if migration.id not in applied]
    if pending:
        problem = f"{pending[0]} is missing" if applied else "there is no catalogue"
        option = "" if schema == "pycharter" else f" --schema {schema}"
        raise CatalogueMissing(
            f'{problem} in schema "{schema}"', remedy=f"Run: pycharter-sql migrate{option}"
        )


def _refuse_newer(applied: Iterable[str], schema: str) -> None:
    unknown = set(applied) - {migration.id for migration in _packaged()}
    if unknown:
        raise CatalogueMissing(
            f'the catalogue in schema "{schema}" is newer than this pycharter-sql: it has {max(unknown)}',
            remedy="Run: pip install --upgrade pycharter-sql",
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


class _Cursor(psycopg.Cursor[TupleRow]):
    """Leaves the statement with its error, whose position then can be given as a line of the file."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Self:
        try:
            return super().execute(query, *arguments, **options)
        except psycopg.Error as error:
            vars(error)["statement"] = query
            raise


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo is untyped
    """yoyo on a connection of ours, so that a migration and its entry in the history are one transaction.

    yoyo itself runs a migration on a second connection and writes the history after that has committed, and
    its lock is a row, which stays behind when the process is killed.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow], schema: str) -> None:
        self._given = connection
        self.schema = schema
        self._last_seen: dict[str, str] | None = None  # the fingerprints after the migration before
        super().__init__(parse_uri("postgresql+psycopg://"), default_migration_table)

    def connect(self, dburi: object) -> psycopg.Connection[TupleRow]:
        return self._given

    def init_connection(self, connection: psycopg.Connection[TupleRow]) -> None:
        _enter(connection, self.schema)

    def cursor(self) -> _Cursor:
        return _Cursor(self.connection)

    def copy(self) -> _Backend:
        return self

    def __exit__(self, *exception: object) -> None:
        """The connection stays open: the caller of _Backend closes it."""

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        with self.transaction(), self._recorded():
            super().apply_one(migration, force, mark)
            _record_file(self.connection, migration)

    def rollback_one(self, migration: Any, force: bool = False) -> None:
        with self.transaction(), self._recorded():
            super().rollback_one(migration, force)
            if _keeps_record(self.connection):
                self.connection.execute("DELETE FROM migration_files WHERE migration_id = %s", [migration.id])

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """A block whose changes to the schema are no drift; those made before it remain what they were."""
        before = self._last_seen
        if before is None:
            before = _fingerprints(self.connection) if _keeps_record(self.connection) else {}
        made = _made(self.connection) if before else {}
        yield
        self._last_seen = {}
        if _keeps_record(self.connection):
            self._last_seen = after = _fingerprints(self.connection)
            # A migration restates all of a view or function, but only a part of a table.
            drifted = {
                name for name in before if name.startswith("table ") and before[name] != made.get(name)
            }
            _record(
                self.connection,
                before,
                {name: before[name] if name in drifted else digest for name, digest in after.items()},
            )

    def refuse_dependents(self, pending: Iterable[Any]) -> None:
        """Asks what migrations ask first, of all of them before one changes anything."""
        if self.connection.execute("SELECT to_regproc('refuse_dependents')").fetchone() == (None,):
            return
        for migration in pending:
            if "refuse_dependents" not in Path(migration.path).read_text():
                continue  # to be split into statements only once
            _, _, statements = read_sql_migration(migration.path)
            for statement in statements:
                if re.match(r"(?i)SELECT\s+refuse_dependents\s*\(", statement):
                    with _explained(f"{migration.id}.sql cannot be applied"):
                        self.connection.execute(statement)

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
def _locked(dsn: str, schema: str, lock_timeout: str, notice: Notice | None) -> Iterator[_Backend]:
    check_name(schema)
    with connect(dsn, autocommit=True) as connection, _explained(f'cannot migrate schema "{schema}"'):
        standby, read_only = connection.execute(
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')"
        ).fetchone() or ("", "")
        if standby or read_only == "on":
            raise CatalogueError(
                f"the {'server is a standby' if standby else 'session is read-only'}: not writable",
                remedy=TO_WRITE,
            )
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [lock_timeout])
        if notice:
            connection.add_notice_handler(lambda said: _pass_on(said, notice))
        _become_owner(connection, schema)
        backend = _Backend(connection, schema)
        with backend.lock():
            _refuse_yoyo(connection, schema)
            _refuse_newer(_applied(connection, schema), schema)
            yield backend


def _become_owner(connection: psycopg.Connection[Any], schema: str) -> None:
    """What a superuser, or a member of the schema's owner, makes shall belong to the owner like the rest."""
    query = """
        SELECT rolname FROM pg_catalog.pg_namespace JOIN pg_catalog.pg_roles ON pg_roles.oid = nspowner
        WHERE nspname = %s AND rolname <> current_user AND pg_has_role(nspowner, 'MEMBER')
        """
    for (owner,) in connection.execute(query, [schema]):
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(owner)))


def _refuse_yoyo(connection: psycopg.Connection[Any], schema: str) -> None:
    if not _exists(connection, schema, "yoyo_lock"):
        return
    query = sql.SQL("SELECT pid FROM {}").format(sql.Identifier(schema, "yoyo_lock"))
    for (pid,) in connection.execute(query):
        raise CatalogueError(
            f"yoyo is at work on this schema (process {pid}), or was killed while it was",
            remedy="Wait for it. Where there is no such process any more: yoyo break-lock",
        )


def _pass_on(said: psycopg.errors.Diagnostic, notice: Notice) -> None:
    notice(f"{said.severity}: {said.message_primary}")


def _enter(connection: psycopg.Connection[Any], schema: str) -> None:
    """The search path as in yoyo.ini (0001-prepare-schema says why pg_temp), and what else bears on how
    PostgreSQL reads and writes definitions."""
    connection.execute("SET quote_all_identifiers = off")
    connection.execute("SET standard_conforming_strings = on")
    connection.execute("SET extra_float_digits = 1")
    path = sql.SQL("SET search_path TO {}, pg_temp").format(sql.Identifier(schema))
    connection.execute(path)
    # What may not be used is left out of the search path without a word.
    query = "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = %s"
    if connection.execute(query, [schema]).fetchone() == (False,):
        raise CatalogueError(
            f"permission denied for schema {schema}",
            remedy="Connect as the role that owns it, or as one that has been granted access to it.",
        )


def _keeps_record(connection: psycopg.Connection[Any]) -> bool:
    return connection.execute("SELECT to_regclass('migration_objects')").fetchone() != (None,)


def _fingerprints(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Object -> digest of its definition, of the schema at the head of the search path."""
    query = resources.files("pycharter_sql.sql").joinpath("object_definitions.sql").read_bytes()
    return dict(connection.execute(query).fetchall())


def _made(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """As ``_fingerprints``, of what the migrations made."""
    return dict(connection.execute("SELECT object, digest FROM migration_objects").fetchall())


def _record(connection: psycopg.Connection[Any], before: dict[str, str], after: dict[str, str]) -> None:
    """Takes down the objects that differ between before and after."""
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    connection.execute("DELETE FROM migration_objects WHERE object = ANY (%s)", [changed])
    connection.execute(
        "INSERT INTO migration_objects (object, digest) SELECT * FROM unnest(%s::text[], %s::text[])",
        [there := [name for name in changed if name in after], [after[name] for name in there]],
    )


def _record_file(connection: psycopg.Connection[Any], migration: Any) -> None:
    connection.execute(
        """
        INSERT INTO migration_files (migration_id, digest) VALUES (%s, %s)
        ON CONFLICT ON CONSTRAINT migration_files_pkey DO UPDATE SET digest = excluded.digest
        """,
        [migration.id, _digest(migration)],
    )


def _digest(migration: Any) -> str:
    return hashlib.sha256(Path(migration.path).read_bytes()).hexdigest()


def _packaged() -> Any:
    migrations = read_migrations(SOURCE)
    if not migrations:
        raise CatalogueError(
            "this installation of pycharter-sql holds no migrations",
            remedy="Install it anew, from a wheel or editable, not zipped.",
        )
    return migrations


def _history(connection: psycopg.Connection[Any], schema: str) -> list[Migration]:
    applied = _applied(connection, schema)
    digests: dict[str, str] = {}
    if applied and _exists(connection, schema, "migration_files"):
        table = sql.Identifier(schema, "migration_files")
        query = sql.SQL("SELECT migration_id, digest FROM {}").format(table)
        with connection.cursor(row_factory=tuple_row) as cursor:
            digests = dict(cursor.execute(query))
    packaged = {migration.id: migration for migration in _packaged()}

    def state(id: str) -> State:
        if id not in applied:
            return "pending"
        if id not in packaged:
            return "missing"
        return "applied" if digests.get(id) in (None, _digest(packaged[id])) else "changed"

    ids = [*packaged, *sorted(applied.keys() - packaged.keys())]
    return [Migration(id, applied.get(id), state(id)) for id in ids]


def _applied(connection: psycopg.Connection[Any], schema: str) -> dict[str, datetime]:
    """Migration -> when it was applied."""
    if not _exists(connection, schema, default_migration_table):
        return {}
    table = sql.Identifier(schema, default_migration_table)
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(sql.SQL("SELECT migration_id, applied_at_utc FROM {}").format(table))
        return {id: at.replace(tzinfo=UTC) for id, at in cursor}


def _exists(connection: psycopg.Connection[Any], schema: str, table: str) -> bool:
    query = "SELECT FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = %s"
    return bool(connection.execute(query, [schema, table]).rowcount)


def _run(run: Callable[[Any], None], migrations: Iterable[Any], suffix: str) -> list[str]:
    done = []
    for migration in migrations:
        try:
            # yoyo prints the rows of a SELECT, such as that of a function which returns nothing.
            with redirect_stdout(io.StringIO()):
                run(migration)
        except psycopg.Error as error:
            file = Path(migration.path).with_suffix("").with_suffix(suffix)
            with _explained(f"{file.name}{_line(file, error)} failed"):
                raise
        done.append(migration.id)
    return done


def _line(file: Path, error: psycopg.Error) -> str:
    """ ", line 12": where in the file the statement stands that failed, or the very place in it."""
    text = file.read_text()
    start = text.find(vars(error).get("statement", text + "?"))
    if start < 0:  # the entry in the history
        return ""
    at = start + max(int(error.diag.statement_position or 1) - 1, 0)
    return f", line {text.count(chr(10), 0, at) + 1},"


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
        remedy = said.message_hint or ""
        if "CASCADE" in remedy:  # PostgreSQL's advice would destroy what is somebody else's
            remedy = "Drop what depends on it first, and create it again afterwards."
        if isinstance(error, psycopg.errors.LockNotAvailable):
            remedy = "Others use it (see pg_stat_activity): run it again, or wait longer, --lock-timeout 60s."
        raise CatalogueError("\n  ".join(lines), remedy=remedy) from error

"""The migrations, forward and back, through our own door and through stock yoyo."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from snapshot import MAJOR, SNAPSHOT, dump, snapshot

from pycharter_sql import errors, migrations
from pycharter_sql.embedded import Server
from pycharter_sql.errors import CatalogueError

ROOT = Path(__file__).parents[1]
FILES = sorted(path for path in ROOT.glob("sql/migrations/*.sql") if not path.stem.endswith(".rollback"))
IDS = [path.stem for path in FILES]


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def applied(dsn: str, schema: str = "pycharter") -> list[str]:
    return [migration.id for migration in migrations.status(dsn, schema=schema) if migration.applied_at]


def yoyo(dsn: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    server = conninfo_to_dict(dsn)
    return subprocess.run(
        [sys.executable, "-m", "yoyo", *arguments],
        cwd=ROOT,  # where yoyo.ini is
        env={
            **os.environ,
            "PGHOST": str(server["host"]),
            "PGPORT": str(server["port"]),
            "PGUSER": str(server["user"]),
            "PGDATABASE": str(server["dbname"]),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# ---------------------------------------------------------------------------------------------------------
# The files


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_file(path: Path) -> None:
    assert re.fullmatch(r"\d{4}(-[a-z]+)+", path.stem)
    assert path.with_suffix(".rollback.sql").exists()


def test_each_depends_on_the_one_before_it() -> None:
    first_lines = [path.read_text().split("\n", 1)[0] for path in FILES]
    assert first_lines[1:] == [f"-- depends: {id}" for id in IDS[:-1]]
    assert "depends" not in first_lines[0]


def test_snapshot_is_current(conn: psycopg.Connection, server: Server) -> None:
    if conn.info.server_version // 10000 != MAJOR:
        pytest.skip(f"schema.sql is written as PostgreSQL {MAJOR} writes it")
    assert SNAPSHOT.read_text() == snapshot(server, conn.info.dbname), "run: make snapshot"


def test_an_installation_without_migrations_says_so(tmp_path: Path, server: Server) -> None:
    package = shutil.copytree(ROOT / "pycharter_sql", tmp_path / "pycharter_sql")
    (package / "sql" / "migrations").mkdir(parents=True)
    (package / "sql" / "__init__.py").touch()
    code = "import sys; from pycharter_sql.migrations import status; status(sys.argv[1])"
    ran = subprocess.run(
        [sys.executable, "-c", code, server.dsn],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "CatalogueError: this installation of pycharter-sql holds no migrations" in ran.stderr


# ---------------------------------------------------------------------------------------------------------
# Forward and back


def test_each_rollback_restores_exactly_what_was_before(empty_database: str, server: Server) -> None:
    def state() -> str:
        return dump(server, "empty")

    execute(empty_database, "CREATE SCHEMA pycharter")
    before = [state()]
    for id in IDS:
        assert yoyo(empty_database, "apply", "--revision", id).returncode == 0
        assert applied(empty_database) == IDS[: len(before)]
        before.append(state())
    assert len(set(before)) == len(before), "every migration does something"

    full = before.pop()
    for id in reversed(IDS):
        assert migrations.rollback(empty_database) == [id]
        assert state() == before.pop()
    assert migrations.apply(empty_database) == IDS
    assert state() == full


def test_a_rollback_refuses_to_destroy_rows(empty_database: str, server: Server) -> None:
    migrations.apply(empty_database)
    execute(empty_database, "INSERT INTO pycharter.teams (name) VALUES ('t')")
    with pytest.raises(CatalogueError) as caught:
        migrations.rollback(empty_database, count=None)
    assert (
        caught.value.reason == "0002-create-entity-tables.rollback.sql, line 1, failed: "
        "this rollback would destroy the rows of teams"
    )
    assert "pycharter_sql.drop_data=yes" in caught.value.remedy
    assert applied(empty_database) == IDS, "nothing is rolled back, the ones before it neither"

    assert migrations.rollback(empty_database, count=len(IDS) - 1, drop_data=True) == IDS[:0:-1]
    assert applied(empty_database) == IDS[:1]


def test_drop_data_is_said_anew_each_time(empty_database: str) -> None:
    migrations.apply(empty_database)
    migrations.rollback(empty_database, drop_data=True)
    execute(empty_database, "INSERT INTO pycharter.teams (name) VALUES ('t')")
    with pytest.raises(CatalogueError, match="destroy the rows of teams"):
        migrations.rollback(empty_database, count=None)


def test_a_negative_count_rolls_nothing_back(empty_database: str) -> None:
    migrations.apply(empty_database)
    with pytest.raises(ValueError):
        migrations.rollback(empty_database, count=-1)
    assert applied(empty_database) == IDS


def test_rolling_back_writes_nothing_to_stdout(
    empty_database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    migrations.apply(empty_database)
    migrations.rollback(empty_database, count=None)
    assert capfd.readouterr().out == ""


# ---------------------------------------------------------------------------------------------------------
# Stock yoyo


def test_stock_yoyo(empty_database: str, server: Server) -> None:
    execute(empty_database, "CREATE SCHEMA pycharter")
    empty = dump(server, "empty")
    ran = yoyo(empty_database, "apply")
    assert ran.returncode == 0, ran.stdout
    full = dump(server, "empty")
    with psycopg.connect(empty_database) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE tablename ~ 'yoyo' ORDER BY 2"
        ).fetchall()
    assert [schema for schema, _ in tables] == ["pycharter"] * 4

    # Our own door sees what yoyo did, and leaves the same schema.
    assert applied(empty_database) == IDS
    assert migrations.apply(empty_database) == []
    assert migrations.rollback(empty_database, count=None) == IDS[::-1]
    assert dump(server, "empty") == empty
    assert migrations.apply(empty_database) == IDS
    assert dump(server, "empty") == full

    # And yoyo sees what we did.
    listed = re.findall(r"(?m)^([AU]) +(\S+)", yoyo(empty_database, "list").stdout)
    assert listed == [("A", id) for id in IDS]
    execute(empty_database, "INSERT INTO pycharter.teams (name) VALUES ('t')")
    ran = yoyo(empty_database, "rollback", "--all")
    assert ran.returncode != 0
    assert "this rollback would destroy the rows of teams" in ran.stdout
    assert "PGOPTIONS" in ran.stdout
    assert applied(empty_database) == IDS[:2]
    ran = yoyo(empty_database, "rollback", "--all", PGOPTIONS="-c pycharter_sql.drop_data=yes")
    assert ran.returncode == 0, ran.stdout
    assert dump(server, "empty") == empty
    assert yoyo(empty_database, "apply").returncode == 0
    assert dump(server, "empty") == full


# ---------------------------------------------------------------------------------------------------------
# Where the catalogue may live


def test_refuses_public(empty_database: str) -> None:
    with pytest.raises(CatalogueError, match=r"^0001-prepare-schema\.sql, line 3, failed") as caught:
        migrations.apply(empty_database, schema="public")
    assert "the catalogue needs a schema of its own, not public" in caught.value.reason
    assert "CREATE SCHEMA pycharter" in caught.value.remedy
    assert applied(empty_database, "public") == []


@pytest.mark.parametrize(
    "table", ["data_contracts", "metadata_record", "metadata_records", "alembic_version"]
)
def test_refuses_the_schema_of_an_older_pycharter(empty_database: str, table: str) -> None:
    execute(empty_database, "CREATE SCHEMA pycharter", f"CREATE TABLE pycharter.{table} ()")
    with pytest.raises(CatalogueError) as caught:
        migrations.apply(empty_database)
    assert "already holds tables of an older PyCharter" in caught.value.reason
    assert "ALTER SCHEMA pycharter RENAME TO" in caught.value.remedy
    assert applied(empty_database) == []


@pytest.mark.parametrize("path", ["pycharter", "pycharter, public", "pg_temp, pycharter", ""])
def test_refuses_a_search_path_that_does_not_end_in_pg_temp(empty_database: str, path: str) -> None:
    execute(empty_database, "CREATE SCHEMA pycharter")
    with psycopg.connect(empty_database) as connection:
        connection.execute("SELECT set_config('search_path', %s, true)", [path])
        with pytest.raises(psycopg.errors.RaiseException) as caught:
            connection.execute(FILES[0].read_bytes())
    assert caught.value.diag.message_hint and "pg_temp" in caught.value.diag.message_hint


def test_several_catalogues_in_one_database(empty_database: str, server: Server) -> None:
    # `order` is a reserved word.
    for schema in ("pycharter", "catalogue_2", "order"):
        assert migrations.apply(empty_database, schema=schema) == IDS
        with psycopg.connect(empty_database) as connection:
            table = sql.Identifier(schema, "teams")
            connection.execute(sql.SQL("INSERT INTO {} (name) VALUES ('t')").format(table))
    first, second = (
        re.sub(rf"\b{schema}\b(?![-_]sql)", "the_schema", dump(server, "empty", schema))
        for schema in ("pycharter", "catalogue_2")
    )
    assert first == second

    migrations.rollback(empty_database, schema="order", count=None, drop_data=True)
    assert applied(empty_database, "order") == []
    assert applied(empty_database, "catalogue_2") == IDS


@pytest.mark.parametrize("schema", ["", "Pycharter", "a b", 'a"b', "1st", "a.b", "ä", "a" * 64, "a\n"])
@pytest.mark.parametrize("function", [migrations.apply, migrations.rollback, migrations.status])
def test_refuses_other_names(server: Server, function: Callable[..., object], schema: str) -> None:
    with pytest.raises(CatalogueError, match="is no name for a schema here"):
        function(server.dsn, schema=schema)


def test_migrates_an_existing_schema_without_the_right_to_create_one(
    empty_database: str, server: Server
) -> None:
    execute(empty_database, "CREATE ROLE migrator LOGIN", "CREATE SCHEMA pycharter AUTHORIZATION migrator")
    as_migrator = empty_database.replace("//postgres@", "//migrator@")
    try:
        assert migrations.apply(as_migrator) == IDS
        with pytest.raises(CatalogueError, match='cannot migrate schema "other": permission denied'):
            migrations.apply(as_migrator, schema="other")
    finally:
        execute(empty_database, "DROP SCHEMA pycharter CASCADE", "DROP ROLE migrator")


# ---------------------------------------------------------------------------------------------------------
# History, faults, other runs


def test_status_only_reads(empty_database: str) -> None:
    execute(empty_database, "ALTER DATABASE empty SET default_transaction_read_only = on")
    pending = [migrations.Migration(id, None, "pending") for id in IDS]
    assert migrations.status(empty_database) == pending


def test_status_says_when(empty_database: str) -> None:
    migrations.apply(empty_database)
    with psycopg.connect(empty_database) as connection:
        now = connection.execute("SELECT now()").fetchone()
    times = [migration.applied_at for migration in migrations.status(empty_database)]
    assert now
    for applied_at in times:
        assert applied_at and 0 <= (now[0] - applied_at).total_seconds() < 60
    assert times == sorted(times, key=str)


def test_a_failing_migration_leaves_nothing_and_is_named(empty_database: str, server: Server) -> None:
    execute(empty_database, "CREATE SCHEMA pycharter", "CREATE VIEW pycharter.ownership AS SELECT 1")
    with pytest.raises(CatalogueError) as caught:
        migrations.apply(empty_database)
    assert (
        caught.value.reason
        == '0003-create-component-tables.sql, line 160, failed: relation "ownership" already exists'
    )
    assert isinstance(caught.value.__cause__, psycopg.errors.DuplicateTable)
    assert applied(empty_database) == IDS[:2]
    execute(empty_database, "DROP VIEW pycharter.ownership")
    assert migrations.apply(empty_database) == IDS[2:]


def test_a_failing_rollback_says_what_stands_in_its_way(empty_database: str) -> None:
    migrations.apply(empty_database)
    execute(empty_database, "CREATE VIEW public.mine AS SELECT * FROM pycharter.contract_latest")
    with pytest.raises(CatalogueError) as caught:
        migrations.rollback(empty_database, count=None)
    assert "0019-add-revisions.rollback.sql, line 1, failed" in caught.value.reason
    assert "view public.mine stands on view contract_latest" in caught.value.reason
    assert applied(empty_database) == IDS


def test_history_and_steps_commit_together(empty_database: str) -> None:
    """The last statement of a run, the entry in the history, fails: so does the migration."""
    migrations.apply(empty_database)
    migrations.rollback(empty_database, count=len(IDS) - 7)
    execute(
        empty_database, "ALTER TABLE pycharter._yoyo_migration ADD CHECK (migration_id !~ '^0008') NOT VALID"
    )
    with pytest.raises(CatalogueError, match=r"^0008-create-load-functions\.sql failed"):
        migrations.apply(empty_database)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regproc('pycharter.load_documents')").fetchone() == (None,)


def test_the_history_names_the_database_user(empty_database: str) -> None:
    migrations.apply(empty_database)
    with psycopg.connect(empty_database) as connection:
        rows = connection.execute("SELECT DISTINCT operation, username FROM pycharter._yoyo_log")
        assert rows.fetchall() == [("apply", "postgres")]


def test_of_two_runs_at_once_one_waits(empty_database: str, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor() as pool, psycopg.connect(empty_database) as blocker:
        # Holds up, in the middle of its work, whoever comes first.
        blocker.execute("CREATE SCHEMA pycharter")
        runs = [pool.submit(migrations.apply, empty_database) for _ in range(2)]
        deadline = time.monotonic() + 60
        while "waiting for another run" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(run.done() for run in runs)
        blocker.rollback()
        assert sorted(run.result() for run in runs) == [[], IDS]
    assert caplog.text.count("waiting for another run") == 1


def test_a_run_holds_up_only_those_on_its_own_schema(empty_database: str) -> None:
    with ThreadPoolExecutor() as pool, psycopg.connect(empty_database) as blocker:
        blocker.execute("CREATE SCHEMA other")
        held_up = pool.submit(migrations.apply, empty_database, schema="other")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        deadline = time.monotonic() + 60
        while blocker.execute(waiting).fetchone() == (0,) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert migrations.apply(empty_database) == IDS
        assert not held_up.done()
        blocker.rollback()
        assert held_up.result() == IDS


# ---------------------------------------------------------------------------------------------------------
# Connections, and the check that commands make first


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:s3cret@/nowhere?host=/nonexistent",
        "host=/nonexistent user=me password=s3cret",
        "postgresql://me:s3cret@127.0.0.1:1/x?connect_timeout=3",
        "postgresql://me:12@s3cret@127.0.0.1/x",
        "postgresql://me:12/s3cret@127.0.0.1/x",
        "postgresql://me:12@s3cret/34@127.0.0.1/x",
        "postgresql://me:s3cret/12@127.0.0.1/x",
        "postgresql://me:s3cret?x@127.0.0.1/x",
        "postgresql://me:x?s3cret@127.0.0.1/x",
        "postgresql://me:s3cret%zz@127.0.0.1/x",
        "postgres://me:s3cret@127.0.0.1/x?bogus=1",
        "me:s3cret@127.0.0.1",
        "host=127.0.0.1 password=s3cret bogus=1",
        "host=127.0.0.1 password='s3cret",
        "password s3cret",
    ],
)
@pytest.mark.parametrize("function", [migrations.apply, migrations.rollback, migrations.status])
def test_a_wrong_connection_string(function: Callable[..., object], dsn: str) -> None:
    with pytest.raises(CatalogueError, match=r"cannot connect|cannot be read") as caught:
        function(dsn)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_every_form_of_connection_string(
    empty_database: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.apply(empty_database)
    host = str(server.socket_directory)
    assert applied(f"host={host} port=5432 user=postgres dbname=empty password='a b@/'") == IDS
    assert applied(f"{empty_database}&password=p%40ss%2Fw%23rd") == IDS
    assert applied(f"postgresql://postgres@/empty?host=/nonexistent,{host}&port=5432,5432") == IDS
    assert applied(f"{empty_database}&options=-c%20search_path%3Dpublic") == IDS
    monkeypatch.setenv("PGHOST", host)
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGDATABASE", "empty")
    assert applied("") == IDS
    assert applied("dbname=empty") == IDS


def test_check(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        with pytest.raises(errors.CatalogueMissing) as caught:
            migrations.check(connection)
        assert caught.value.reason == 'there is no catalogue in schema "pycharter"'
        assert caught.value.remedy == "Run: pycharter-sql migrate"

        migrations.apply(empty_database, schema="other")
        migrations.check(connection, schema="other")
        migrations.rollback(empty_database, schema="other", count=2)
        with pytest.raises(errors.CatalogueMissing) as caught:
            migrations.check(connection, schema="other")
        assert caught.value.reason == f'{IDS[-2]} is missing in schema "other"'
        assert caught.value.remedy == "Run: pycharter-sql migrate --schema other"


def test_check_lets_readers_of_the_views_pass(conn: psycopg.Connection) -> None:
    conn.execute("CREATE ROLE reader")
    conn.execute("GRANT USAGE ON SCHEMA pycharter TO reader")
    conn.execute("SET LOCAL ROLE reader")
    migrations.check(conn)
    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    conn.rollback()

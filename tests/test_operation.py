"""What a DBA meets: kills, several runs at once, drift, newer and older code, standbys, views of others."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from snapshot import dump
from test_migrations import IDS, ROOT, execute, yoyo

from pycharter_sql import migrations
from pycharter_sql.cli import main
from pycharter_sql.embedded import Server, temporary_server
from pycharter_sql.errors import CatalogueError, CatalogueMissing
from pycharter_sql.migrations import Difference

REPEATS = 10


@pytest.fixture
def database(empty_database: str) -> str:
    """URL of a database with the catalogue."""
    migrations.apply(empty_database)
    return empty_database


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the migrations, to be changed as one likes."""
    directory = shutil.copytree(ROOT / "sql" / "migrations", tmp_path / "migrations")
    monkeypatch.setattr(migrations, "SOURCE", str(directory))
    return directory


def add(files: Path, statements: str, rollback: str = "SELECT 1;") -> str:
    id = "9999-change-something"
    (files / f"{id}.sql").write_text(f"-- depends: {IDS[-1]}\n{statements}")
    (files / f"{id}.rollback.sql").write_text(rollback)
    return id


def states(dsn: str) -> dict[str, str]:
    return {migration.id: migration.state for migration in migrations.status(dsn)}


# ---------------------------------------------------------------------------------------------------------
# Kills, several runs at once


def killed(function: object, dsn: str, after: float, **arguments: object) -> None:
    """Runs it in a process of its own and kills that after so many seconds."""
    process = multiprocessing.get_context("fork").Process(
        target=function,  # type: ignore[arg-type]
        args=(dsn,),
        kwargs=arguments,
    )
    process.start()
    time.sleep(after)
    process.kill()
    process.join()


# Several tests, so that several processes share them.
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")  # so is one of several that test
def test_killed_at_any_moment(empty_database: str, server: Server, seed: int) -> None:
    """The next run ends well, with the same dump as an undisturbed one; forward and back."""
    start = time.monotonic()
    migrations.apply(empty_database)
    forward, full = time.monotonic() - start, dump(server, "empty")
    start = time.monotonic()
    migrations.rollback(empty_database, count=None)
    back = time.monotonic() - start
    assert left(empty_database) == 0
    chance = random.Random(seed)
    for _ in range(REPEATS):
        killed(migrations.apply, empty_database, chance.uniform(0, forward))
        migrations.apply(empty_database)
        assert dump(server, "empty") == full
        assert migrations.drift(empty_database) == []
        killed(migrations.rollback, empty_database, chance.uniform(0, back), count=None)
        migrations.rollback(empty_database, count=None)
        assert left(empty_database) == 0


def left(dsn: str) -> int:
    """How many tables, views and functions there are but yoyo's own."""
    query = """
        SELECT count(*) FROM (
            SELECT relname AS name, relnamespace AS schema FROM pg_class
            UNION ALL
            SELECT proname, pronamespace FROM pg_proc
        ) AS o
        WHERE schema = 'pycharter'::regnamespace AND name !~ '^_?yoyo_'
        """
    with psycopg.connect(dsn) as connection:
        ((count,),) = connection.execute(query).fetchall()
    return int(count)


def test_of_six_runs_at_once_one_applies_and_none_fails(empty_database: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        runs = [pool.submit(migrations.apply, empty_database) for _ in range(6)]
        assert sorted(run.result() for run in runs) == [[]] * 5 + [IDS]
    assert migrations.drift(empty_database) == []


def test_the_lock_goes_with_the_process(empty_database: str, caplog: pytest.LogCaptureFixture) -> None:
    migrations.apply(empty_database)
    with psycopg.connect(empty_database) as holder:
        holder.execute("SELECT pg_advisory_lock(hashtextextended('pycharter_sql.migrations pycharter', 0))")
        with ThreadPoolExecutor() as pool, caplog.at_level(logging.WARNING):
            run = pool.submit(migrations.apply, empty_database)
            while "waiting for another run" not in caplog.text:
                time.sleep(0.01)
            holder.close()
            assert run.result() == []


# ---------------------------------------------------------------------------------------------------------
# What PostgreSQL says


def test_a_failure_names_file_and_line(database: str, files: Path) -> None:
    id = add(files, "SELECT 1;\n\nCREATE TABLE t (\n    a integer,\n    b nonsense\n);\n")
    with pytest.raises(CatalogueError) as caught:
        migrations.apply(database)
    assert caught.value.reason == f'{id}.sql, line 6, failed: type "nonsense" does not exist'
    assert states(database)[id] == "pending"

    add(files, "SELECT 1;\nDO $$ BEGIN RAISE EXCEPTION 'no' USING DETAIL = 'why', HINT = 'else'; END $$;")
    with pytest.raises(CatalogueError) as caught:
        migrations.apply(database)
    assert caught.value.reason == f"{id}.sql, line 3, failed: no\n  why"
    assert caught.value.remedy == "else"


def test_notices_pass_through(database: str, files: Path) -> None:
    raise_both = "DO $$ BEGIN RAISE NOTICE 'slow'; RAISE WARNING 'hot'; END $$;"
    id = add(files, raise_both, raise_both)
    for command, said in (("migrate", "applied"), ("rollback", "rolled back")):
        ran = CliRunner().invoke(main, ["--dsn", database, command])
        assert (ran.exit_code, ran.stdout) == (0, f"{said} {id}\n")
        assert ran.stderr == "NOTICE: slow\nWARNING: hot\n"


def test_lock_timeout(database: str, files: Path) -> None:
    id = add(files, "ALTER TABLE teams ADD COLUMN a integer;", "ALTER TABLE teams DROP COLUMN a;")
    with psycopg.connect(database) as reader:
        reader.execute("SELECT FROM pycharter.teams")
        ran = CliRunner().invoke(main, ["--dsn", database, "migrate", "--lock-timeout", "100ms"])
        assert ran.exit_code == 1
        assert f"{id}.sql, line 2, failed: canceling statement due to lock timeout" in ran.output
        assert "--lock-timeout" in ran.output
    migrations.apply(database)
    with psycopg.connect(database) as reader:
        reader.execute("SELECT FROM pycharter.teams")
        with pytest.raises(CatalogueError, match="lock timeout"):
            migrations.rollback(database, lock_timeout="100ms")
    ran = CliRunner().invoke(main, ["--dsn", database, "migrate", "--lock-timeout", "soon"])
    assert (ran.exit_code, "lock_timeout" in ran.output) == (1, True)


def test_a_role_without_the_privilege_gets_the_reason_at_once(database: str, files: Path) -> None:
    execute(database, "CREATE ROLE nobody_special LOGIN")
    as_role = database.replace("//postgres@", "//nobody_special@")
    try:
        start = time.monotonic()
        with pytest.raises(CatalogueError, match="permission denied for schema pycharter"):
            migrations.apply(as_role)
        execute(database, "GRANT USAGE ON SCHEMA pycharter TO nobody_special")
        execute(database, "GRANT SELECT ON ALL TABLES IN SCHEMA pycharter TO nobody_special")
        add(files, "CREATE TABLE t ();")
        with pytest.raises(CatalogueError, match="failed: permission denied for schema pycharter"):
            migrations.apply(as_role)
        assert time.monotonic() - start < 5
    finally:
        execute(database, "DROP OWNED BY nobody_special", "DROP ROLE nobody_special")


def test_a_standby_and_a_read_only_session(database: str) -> None:
    with temporary_server() as standby:
        migrations.apply(standby.dsn)
        standby.stop()
        (standby.data / "standby.signal").touch()
        standby.start()
        assert {migration.state for migration in migrations.status(standby.dsn)} == {"applied"}
        assert migrations.drift(standby.dsn) == []
        ran = CliRunner().invoke(main, ["--dsn", standby.dsn, "load", str(ROOT / "examples" / "legacy")])
        assert (ran.exit_code, "target_session_attrs=read-write" in ran.output) == (1, True)
        for function in (migrations.apply, migrations.rollback):
            start = time.monotonic()
            with pytest.raises(CatalogueError, match="the server is a standby: not writable") as caught:
                function(standby.dsn)
            assert time.monotonic() - start < 5
            assert "target_session_attrs=read-write" in caught.value.remedy
    with pytest.raises(CatalogueError, match="the session is read-only: not writable"):
        migrations.apply(database + "&options=-c%20default_transaction_read_only%3Don")


# ---------------------------------------------------------------------------------------------------------
# Drift


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE VIEW x AS SELECT 1 AS a", ("view x", "added")),
        ("CREATE TABLE x ()", ("table x", "added")),
        ("DROP VIEW system_flow", ("view system_flow", "missing")),
        ("ALTER VIEW domain_tree SET (security_invoker = true)", ("view domain_tree", "changed")),
        ("COMMENT ON TABLE teams IS 'x'", ("table teams", "changed")),
        ("COMMENT ON COLUMN teams.name IS 'x'", ("table teams", "changed")),
        ("ALTER TABLE teams ADD x integer", ("table teams", "changed")),
        ("ALTER TABLE teams ALTER is_active SET DEFAULT false", ("table teams", "changed")),
        ("ALTER TABLE teams ENABLE ROW LEVEL SECURITY", ("table teams", "changed")),
        ("ALTER FUNCTION uuid_v7() STABLE", ("uuid_v7()", "changed")),
        ("ALTER FUNCTION wait_for_turn() SET search_path TO public", ("wait_for_turn()", "changed")),
        ("ALTER FUNCTION wait_for_turn() SECURITY DEFINER", ("wait_for_turn()", "changed")),
        (
            "CREATE OR REPLACE FUNCTION item_name(item jsonb) RETURNS text LANGUAGE sql RETURN 'x'",
            ("item_name(jsonb)", "changed"),
        ),
        ("CREATE INDEX x ON teams (team_type)", ("index x", "added")),
        ("DROP INDEX data_contracts_domain_id_idx", ("index data_contracts_domain_id_idx", "missing")),
        (
            "ALTER TABLE teams DROP CONSTRAINT teams_name_check",
            ("constraint teams_name_check on teams", "missing"),
        ),
        (
            "ALTER TABLE teams DISABLE TRIGGER teams_set_updated",
            ("trigger teams_set_updated on teams", "changed"),
        ),
        ("DROP TRIGGER teams_set_updated ON teams", ("trigger teams_set_updated on teams", "missing")),
        ("CREATE RULE r AS ON INSERT TO teams DO INSTEAD NOTHING", ("rule r on teams", "added")),
        ("CREATE POLICY p ON teams USING (true)", ("policy p on teams", "added")),
        ("ALTER TABLE teams FORCE ROW LEVEL SECURITY", ("table teams", "changed")),
        ("ALTER TABLE teams REPLICA IDENTITY NOTHING", ("table teams", "changed")),
        ("CREATE TABLE public.child () INHERITS (teams)", ("table teams", "changed")),
        ("CREATE TABLE yoyo_notes ()", ("table yoyo_notes", "added")),
        ("CREATE TYPE colour AS ENUM ('red')", ("type colour", "added")),
        ("ALTER VIEW contract_full OWNER TO pg_monitor", ("view contract_full", "changed")),
        ("ALTER FUNCTION uuid_v7() LEAKPROOF", ("uuid_v7()", "changed")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_drift(conn: psycopg.Connection, statement: str, expected: tuple[str, str]) -> None:
    dsn = conn.info.dsn
    assert migrations.drift(dsn) == []
    execute(dsn, "SET search_path TO pycharter", statement)
    assert [(found.object, found.change) for found in migrations.drift(dsn) or ()] == [expected]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO teams (name) VALUES ('t')",
        "ANALYZE",
        "GRANT SELECT ON teams TO PUBLIC",
        "REINDEX TABLE teams",
        "CLUSTER teams USING teams_pkey",
        "ALTER TABLE teams SET (autovacuum_vacuum_scale_factor = 0.01, fillfactor = 90)",
        "ALTER TABLE teams ALTER name SET STATISTICS 500",
        "CREATE TABLE public.teams ()",
        "ALTER DATABASE {} SET quote_all_identifiers = on",
        "ALTER DATABASE {} SET standard_conforming_strings = off",
        "ALTER DATABASE {} SET extra_float_digits = -5",
    ],
)
def test_no_drift(conn: psycopg.Connection, statement: str) -> None:
    execute(conn.info.dsn, "SET search_path TO pycharter", statement.format(conn.info.dbname))
    assert migrations.drift(conn.info.dsn) == []


@pytest.mark.parametrize("setting", ["quote_all_identifiers = on", "standard_conforming_strings = off"])
def test_settings_of_the_database_do_not_matter(empty_database: str, setting: str) -> None:
    execute(empty_database, f"ALTER DATABASE empty SET {setting}")
    assert migrations.apply(empty_database) == IDS
    assert migrations.drift(empty_database) == []


@pytest.mark.parametrize("schema", ["path", "temp", "pg", "search", "c", "select"])
def test_no_drift_under_any_name(empty_database: str, schema: str) -> None:
    migrations.apply(empty_database)
    execute(
        empty_database,
        f'ALTER SCHEMA pycharter RENAME TO "{schema}"',
        f"SELECT \"{schema}\".bind_functions('{schema}')",
    )
    assert migrations.drift(empty_database, schema=schema) == []
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="holds no catalogue"):
        execute(empty_database, f"SELECT \"{schema}\".bind_functions('public')")


def test_drift_is_not_forgotten_by_later_migrations(database: str, files: Path) -> None:
    execute(database, "COMMENT ON TABLE pycharter.teams IS 'x'", "CREATE VIEW pycharter.x AS SELECT 1 AS a")
    # Of the same table too.
    id = add(
        files,
        "CREATE VIEW y AS SELECT 1 AS a; ALTER TABLE teams ADD a integer;",
        "DROP VIEW y; ALTER TABLE teams DROP a;",
    )
    drift = [Difference("table teams", "changed"), Difference("view x", "added")]
    assert migrations.apply(database) == [id]
    assert migrations.drift(database) == drift
    assert migrations.rollback(database) == [id]
    assert migrations.drift(database) == drift


def test_unknown_after_stock_yoyo(empty_database: str) -> None:
    execute(empty_database, "CREATE SCHEMA pycharter")
    assert migrations.drift(empty_database) is None
    assert yoyo(empty_database, "apply").returncode == 0
    assert migrations.drift(empty_database) is None
    assert set(states(empty_database).values()) == {"applied"}
    ran = CliRunner().invoke(main, ["--dsn", empty_database, "status"])
    assert "objects: unknown" in ran.output
    assert CliRunner().invoke(main, ["--dsn", empty_database, "migrate", "--accept"]).exit_code == 0
    assert migrations.drift(empty_database) == []
    assert yoyo(empty_database, "rollback").returncode == 0
    assert migrations.drift(empty_database) is None
    assert migrations.apply(empty_database) == IDS[-1:]
    assert migrations.drift(empty_database) == []


def test_unknown_after_an_upgrade_of_postgresql(database: str) -> None:
    execute(database, "UPDATE pycharter.migration_objects SET digest = '14' WHERE object = 'PostgreSQL'")
    assert migrations.drift(database) is None
    migrations.accept(database)
    assert migrations.drift(database) == []


def test_a_changed_file(database: str, files: Path) -> None:
    with (files / f"{IDS[3]}.sql").open("a") as file:
        file.write("-- a remark\n")
    assert [id for id, state in states(database).items() if state == "changed"] == [IDS[3]]
    ran = CliRunner().invoke(main, ["--dsn", database, "status", "--format", "json"])
    assert f'"id": "{IDS[3]}",\n' in ran.output and '"state": "changed"' in ran.output
    migrations.accept(database)
    assert set(states(database).values()) == {"applied"}


def test_newer_than_this_code(database: str, files: Path) -> None:
    id = add(files, "CREATE VIEW y AS SELECT 1 AS a;")
    migrations.apply(database)
    (files / f"{id}.sql").unlink()
    (files / f"{id}.rollback.sql").unlink()
    assert states(database)[id] == "missing"
    reason = f'the catalogue in schema "pycharter" is newer than this pycharter-sql: it has {id}'
    with psycopg.connect(database) as connection, pytest.raises(CatalogueMissing) as caught:
        migrations.check(connection)
    assert caught.value.reason == reason
    assert "pip install --upgrade pycharter-sql" in caught.value.remedy
    for arguments in (
        ["migrate"],
        ["rollback"],
        ["list"],
        ["show", "A"],
        ["export"],
        ["load", str(ROOT / "examples")],
        ["rename", "team", "a", "b"],
        ["merge", "team", "a", "b"],
    ):
        ran = CliRunner().invoke(main, ["--dsn", database, *arguments])
        assert (ran.exit_code, reason in ran.output) == (1, True), (arguments, ran.output)


def test_older_than_this_code(database: str, files: Path) -> None:
    id = add(files, "CREATE VIEW y AS SELECT 1 AS a;")
    for arguments in (["list"], ["show", "A"], ["export"], ["load", str(ROOT / "examples")]):
        ran = CliRunner().invoke(main, ["--dsn", database, *arguments])
        assert ran.exit_code == 1
        assert f'{id} is missing in schema "pycharter"\n  Run: pycharter-sql migrate' in ran.output


# ---------------------------------------------------------------------------------------------------------
# Somebody's own objects on top of ours


@pytest.mark.parametrize(
    ("create", "name"),
    [
        ("CREATE VIEW public.mine AS SELECT name FROM pycharter.contract_full", "view public.mine"),
        (
            "CREATE MATERIALIZED VIEW public.mine AS SELECT name FROM pycharter.contract_full",
            "materialized view public.mine",
        ),
        (
            "CREATE FUNCTION public.mine() RETURNS bigint LANGUAGE sql "
            "BEGIN ATOMIC SELECT count(*) FROM pycharter.contract_full; END",
            "function public.mine()",
        ),
    ],
    ids=["view", "materialized view", "function"],
)
def test_what_stands_on_a_view_stops_an_upgrade_before_anything_changes(
    database: str, files: Path, create: str, name: str
) -> None:
    # Two migrations, of which only the second restates the view.
    (files / "9998-create-first.sql").write_text(f"-- depends: {IDS[-1]}\nCREATE TABLE first ();")
    add(
        files,
        "-- A view with another order of columns.\n"
        "SELECT refuse_dependents('contract_full', 'contract_latest', 'contract_current');\n"
        "DROP VIEW contract_current, contract_latest, contract_full;\n"
        "CREATE VIEW contract_full AS SELECT 1 AS a;\n",
    )
    execute(database, create)
    ran = CliRunner().invoke(main, ["--dsn", database, "migrate"])
    assert ran.exit_code == 1
    assert f"{name} stands on view contract_full, which would have to be dropped" in ran.output
    assert f"Drop {name} first, and create it again afterwards." in ran.output
    assert states(database)["9998-create-first"] == "pending"
    execute(database, f"DROP {name}")
    assert migrations.apply(database) == ["9998-create-first", "9999-change-something"]


@pytest.mark.parametrize(
    ("create", "name", "stands_on"),
    [
        ("CREATE VIEW mine AS SELECT * FROM pycharter.domain_tree", "view mine", "view domain_tree"),
        (
            "CREATE VIEW mine AS SELECT pycharter.contract_document(id) AS d FROM pycharter.data_contracts",
            "view mine",
            "function contract_document(uuid)",
        ),
        (
            "CREATE TABLE mine (team_id uuid REFERENCES pycharter.teams (id))",
            "table mine",
            "table teams",
        ),
        ("CREATE VIEW mine AS SELECT name FROM pycharter.teams", "view mine", "table teams"),
    ],
)
def test_what_stands_on_something_stops_a_rollback(
    database: str, create: str, name: str, stands_on: str
) -> None:
    execute(database, create)
    with pytest.raises(CatalogueError) as caught:
        migrations.rollback(database, count=None, drop_data=True)
    kind, _, bare = name.partition(" ")
    assert (
        f"{kind} public.{bare} stands on {stands_on}, which would have to be dropped" in caught.value.reason
    )
    assert f"Drop {kind} public.{bare} first" in caught.value.remedy
    assert set(states(database).values()) == {"applied"}


def test_advice_that_would_destroy_is_not_passed_on(database: str) -> None:
    execute(database, "CREATE TABLE mine (id uuid DEFAULT pycharter.uuid_v7())")
    with pytest.raises(CatalogueError) as caught:
        migrations.rollback(database, count=None, drop_data=True)
    assert "default value for column id of table public.mine depends on" in caught.value.reason
    assert caught.value.remedy == "Drop what depends on it first, and create it again afterwards."


def test_stock_yoyo_at_work(database: str) -> None:
    assert yoyo(database, "list").returncode == 0  # makes its table
    execute(database, "INSERT INTO pycharter.yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4711)")
    for function in (migrations.apply, migrations.rollback):
        with pytest.raises(CatalogueError, match="process 4711") as caught:
            function(database)
        assert "yoyo break-lock" in caught.value.remedy


def test_what_a_superuser_migrates_belongs_to_the_owner_of_the_schema(empty_database: str) -> None:
    execute(empty_database, "CREATE ROLE keeper", "CREATE SCHEMA pycharter AUTHORIZATION keeper")
    try:
        migrations.apply(empty_database)
        with psycopg.connect(empty_database) as connection:
            owners = connection.execute(
                "SELECT DISTINCT relowner::regrole::text FROM pg_class"
                " WHERE relnamespace = 'pycharter'::regnamespace"
            ).fetchall()
        assert owners == [("keeper",)]
        assert migrations.drift(empty_database) == []
        assert migrations.rollback(empty_database) == IDS[-1:]
    finally:
        execute(empty_database, "DROP OWNED BY keeper", "DROP ROLE keeper")


# ---------------------------------------------------------------------------------------------------------
# Released migrations


def test_released_migrations_are_frozen() -> None:
    released = (ROOT / "tests" / "migrations.sha256").read_text().splitlines()
    assert released
    for line in released:
        digest, name = line.split("  ")
        found = hashlib.sha256((ROOT / "sql" / "migrations" / name).read_bytes()).hexdigest()
        assert found == digest, f"{name} is released: what it should say goes into a further migration"

"""The rows of a catalogue: through upgrades, through dumps and restores, under another name too."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pytest_postgresql.janitor import DatabaseJanitor
from snapshot import NOISE, dump

from pycharter_sql import loader, migrations, queries, sources
from pycharter_sql.embedded import PORT, USER, Server

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "legacy"

# The last migration of each release; and one before the first, so that there is a step up from somewhere.
HEADS = {
    "before": "0010-create-cleanup-functions",
    "0.1.0.dev1": "0011-create-administration-functions",
    "0.1.0.dev2": "0018-create-health-view",
    "0.1.0, at first": "0023-speed-up-single-loads",
    "0.1.0": "0026-look-up-names",
}


@pytest.fixture
def catalogue(empty_database: str) -> str:
    """URL of a database whose catalogue has rows in every table."""
    migrations.apply(empty_database)
    with psycopg.connect(empty_database) as connection:
        loader.load(connection, sources.read_files([EXAMPLES]))
        connection.execute("CREATE ROLE backup_reader")
        connection.execute("SELECT pycharter.grant_access(reader => 'backup_reader')")
        connection.execute(
            "INSERT INTO pycharter.systems (name, connection_info) VALUES ('x', '{\"host\": \"x\"}')"
        )
    return empty_database


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_an_upgrade_with_data_inside(
    empty_database: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    """Up to today and back down; what was there before is there afterwards, and today's schema is today's."""
    migrations.apply(empty_database, schema="today")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "SOURCE", str(tmp_path))
        for file in (ROOT / "sql" / "migrations").iterdir():
            if file.name <= f"{head}.sql":
                shutil.copy(file, tmp_path)
        assert migrations.apply(empty_database)[-1] == head
    with psycopg.connect(empty_database) as connection:
        loader.load(connection, sources.read_files([EXAMPLES]))
    before = contents(server, "empty")
    done = migrations.apply(empty_database)
    assert migrations.drift(empty_database) == []
    assert dump(server, "empty") == re.sub(r"\btoday\b", "pycharter", dump(server, "empty", "today"))
    with psycopg.connect(empty_database) as connection:
        assert loader.load(connection, sources.read_files([EXAMPLES])).updated == 0
        connection.rollback()
    if done:
        assert migrations.rollback(empty_database, count=len(done)) == done[::-1]
    assert history_apart(contents(server, "empty")) == history_apart(before)


def history_apart(text: str) -> str:
    """Without what says when which migration was applied, or in which order what it made was noted."""
    text = re.sub(r"(?m)^INSERT INTO pycharter\._yoyo_log .*\n", "", text)
    noted = r"(?m)^INSERT INTO pycharter\.migration_objects .*\n"
    return "".join([re.sub(noted, "", text), *sorted(re.findall(noted, text))])


@pytest.fixture
def elsewhere(server: Server, catalogue: str) -> Iterator[str]:
    """URL of another database, with nothing in it; the role goes with it."""
    with DatabaseJanitor(user=USER, host=str(server.socket_directory), port=PORT, dbname="elsewhere"):
        yield server.url_of("elsewhere")
    with psycopg.connect(catalogue) as connection:
        connection.execute("DROP OWNED BY backup_reader; DROP ROLE backup_reader")


def contents(server: Server, database: str, schema: str = "pycharter") -> str:
    """Everything in the schema, rows too, as if its name were pycharter."""
    command = [str(server.binaries / "pg_dump"), "--no-owner", f"--schema={schema}", "--inserts", "--dbname"]
    text = subprocess.run(
        [*command, server.url_of(database)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    text = re.sub(rf"\b{schema}\b(?![-_]sql)", "pycharter", NOISE.sub("", text))
    # A restore may write the same expression with other parentheses, and name constants that have no name.
    return re.sub(r"[()]| AS text\b", "", text)


def copy(server: Server, source: str, target: str, schema: str, file: Path) -> None:
    dump = [str(server.binaries / "pg_dump"), "--format=custom", f"--schema={schema}", f"--file={file}"]
    subprocess.run([*dump, f"--dbname={server.url_of(source)}"], check=True)
    restore = [str(server.binaries / "pg_restore"), "--exit-on-error", "--single-transaction", str(file)]
    subprocess.run([*restore, f"--dbname={server.url_of(target)}"], check=True)


def test_every_table_has_rows(catalogue: str, elsewhere: str) -> None:
    """So that what follows compares something."""
    with psycopg.connect(catalogue) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'pycharter'::regnamespace AND relkind = 'r'"
            " AND relname !~ '^_?yoyo_'"
        ).fetchall()
        for (table,) in tables:
            query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier("pycharter", table))
            assert connection.execute(query).fetchone() == (True,), table


def test_under_the_same_name(catalogue: str, elsewhere: str, server: Server, tmp_path: Path) -> None:
    copy(server, "empty", "elsewhere", "pycharter", tmp_path / "catalogue.dump")
    assert contents(server, "elsewhere") == contents(server, "empty")
    assert migrations.drift(elsewhere) == []
    assert migrations.apply(elsewhere) == []
    with psycopg.connect(catalogue) as one, psycopg.connect(elsewhere) as other:
        assert queries.list_contracts(one) == queries.list_contracts(other)


def test_under_another_name_beside_the_original(
    catalogue: str, elsewhere: str, server: Server, tmp_path: Path
) -> None:
    original = contents(server, "empty")
    copy(server, "empty", "elsewhere", "pycharter", tmp_path / "catalogue.dump")
    with psycopg.connect(elsewhere) as connection:
        connection.execute("ALTER SCHEMA pycharter RENAME TO catalogue_2")
        connection.execute("SELECT catalogue_2.bind_functions('catalogue_2')")
    assert contents(server, "elsewhere", "catalogue_2") == original
    copy(server, "elsewhere", "empty", "catalogue_2", tmp_path / "catalogue_2.dump")
    assert contents(server, "empty", "catalogue_2") == original
    assert migrations.drift(catalogue, schema="catalogue_2") == []
    assert migrations.apply(catalogue, schema="catalogue_2") == []

    # Whatever is done to one of them leaves the other alone.
    with psycopg.connect(catalogue) as connection:
        change(connection, "catalogue_2")
    assert contents(server, "empty") == original
    changed = contents(server, "empty", "catalogue_2")
    with psycopg.connect(catalogue) as connection:
        change(connection, "pycharter")
    assert contents(server, "empty", "catalogue_2") == changed
    changed = contents(server, "empty")
    migrations.rollback(catalogue, schema="catalogue_2", count=None, drop_data=True)
    assert contents(server, "empty") == changed


def change(connection: psycopg.Connection, schema: str) -> None:
    """By every kind of function: loads, cleaning up, triggers that seal, delete and count."""
    document = {"name": "New", "version": "1", "schema": {}, "pulls_from": ["x"], "status": "active"}
    contracts = queries.list_contracts(connection, schema=schema)
    assert loader.load(connection, [document], schema=schema).inserted == 1
    assert loader.register_contract(connection, {**document, "version": "2", "domain": "d"}, schema=schema)
    connection.commit()
    named = sql.Identifier(schema)
    for statement in (
        "SELECT {}.rename_system('x', 'y')",
        "UPDATE {}.teams SET description = 'changed'",
        "UPDATE {}.data_contracts SET status = 'retired' WHERE name = 'New'",
        "UPDATE {0}.domains SET parent_domain_id = (SELECT id FROM {0}.domains WHERE name = 'd')"
        " WHERE name <> 'd'",
    ):
        assert connection.execute(sql.SQL(statement).format(named)).rowcount
    with pytest.raises(psycopg.errors.RestrictViolation), connection.transaction():
        connection.execute(sql.SQL("DELETE FROM {}.data_contracts").format(named))
    connection.execute("SET LOCAL pycharter_sql.overwrite = 'yes'")
    deleted = connection.execute(sql.SQL("DELETE FROM {}.data_contracts").format(named)).rowcount
    assert deleted == len(contracts) + 2
    connection.execute(sql.SQL("SELECT {}.revoke_access('backup_reader')").format(named))

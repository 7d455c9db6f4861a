"""Who may do what: grant_access and revoke_access, tried as each role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pycharter_sql import loader, migrations, queries
from pycharter_sql.errors import CatalogueError

Conn = psycopg.Connection[Any]
DOCUMENT = {
    "name": "Order",
    "version": "1.0.0",
    "status": "draft",
    "schema": {"type": "object"},
    "pulls_from": [{"name": "Shop", "connection_info": {"host": "shop.example"}}],
    "team_access": {"read": ["Finance", "Sales"]},
}
LATER = DOCUMENT | {"description": "Orders of the shop.", "pushes_to": ["Ledger"], "dependencies": ["Basket"]}


@pytest.fixture
def catalogue(conn: Conn) -> Iterator[Conn]:
    """A catalogue with a contract and a reader, a writer and a stranger; roles go with the test."""
    loader.load(conn, [DOCUMENT])
    conn.execute("CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE stranger")
    conn.execute("SELECT pycharter.grant_access(reader => 'reader', writer => 'writer')")
    conn.commit()
    try:
        yield conn
    finally:
        conn.rollback()
        conn.execute("RESET ROLE; DROP OWNED BY reader, writer, stranger; DROP ROLE reader, writer, stranger")
        conn.commit()


def views(conn: Conn) -> list[str]:
    return relations(conn, "v")


def relations(conn: Conn, kinds: str) -> list[str]:
    query = """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'pycharter'::regnamespace AND relkind::text = ANY (%s) ORDER BY 1
        """
    return [name for (name,) in conn.execute(query, [list(kinds)]).fetchall()]


def refused(conn: Conn, statement: str) -> bool:
    try:
        with conn.transaction():
            conn.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def test_a_reader_reads_everything_but_connection_info(catalogue: Conn) -> None:
    catalogue.execute("SET ROLE reader")
    for relation in relations(catalogue, "rv"):
        if relation == "systems":
            assert refused(catalogue, "SELECT * FROM pycharter.systems")
            assert refused(catalogue, "SELECT connection_info FROM pycharter.systems")
            assert catalogue.execute("SELECT name FROM pycharter.systems").fetchall() == [("Shop",)]
        else:
            catalogue.execute(f'SELECT * FROM pycharter."{relation}"'.encode())
    assert len(views(catalogue)) >= 9
    row = catalogue.execute("SELECT document -> 'pulls_from' FROM pycharter.contract_documents").fetchone()
    assert row == (["Shop"],)
    # What Python offers to read with.
    migrations.check(catalogue)
    assert queries.get_contract(catalogue, "Order", "1.0.0").name == "Order"
    assert len(queries.list_contracts(catalogue)) == 1
    catalogue.execute("RESET ROLE")
    row = catalogue.execute("SELECT document -> 'pulls_from' FROM pycharter.contract_documents").fetchone()
    assert row == ([{"name": "Shop", "connection_info": {"host": "shop.example"}}],)


@pytest.mark.parametrize("role", ["reader", "stranger"])
def test_others_write_nothing(catalogue: Conn, role: str) -> None:
    tables, all_relations = relations(catalogue, "r"), relations(catalogue, "rv")
    functions = [
        'register_contract(\'{"name": "X", "version": "1", "schema": {}}\')',
        "rename_team('Finance', 'x')",
        "merge_team('Finance', 'Sales')",
        "grant_access(reader => 'stranger')",
        "revoke_access('writer')",
    ]
    catalogue.execute(f"SET ROLE {role}".encode())
    for table in tables:
        assert refused(catalogue, f'DELETE FROM pycharter."{table}"')
        assert refused(catalogue, f'INSERT INTO pycharter."{table}" DEFAULT VALUES')
        assert refused(catalogue, f'TRUNCATE pycharter."{table}"')
    for function in functions:
        assert refused(catalogue, f"SELECT pycharter.{function}"), function
    assert refused(catalogue, "CREATE TABLE pycharter.x ()")
    if role == "stranger":
        for relation in all_relations:
            assert refused(catalogue, f'SELECT * FROM pycharter."{relation}"')
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            queries.get_contract(catalogue, "Order", "1.0.0")


def test_a_writer_loads_and_changes_rows_and_nothing_else(catalogue: Conn) -> None:
    catalogue.execute("SET ROLE writer")
    assert loader.load(catalogue, [LATER]).updated == 1
    assert not loader.plan(catalogue, [LATER]).changes_something
    assert loader.register_contract(catalogue, {**LATER, "version": "2.0.0"})
    catalogue.execute("SELECT pycharter.rename_team('Finance', 'Treasury')")
    catalogue.execute("SELECT pycharter.merge_system('Ledger', 'Shop')")
    catalogue.execute("INSERT INTO pycharter.domains (name) VALUES ('Sales')")
    catalogue.execute("UPDATE pycharter.domains SET description = 'x'")
    catalogue.execute("UPDATE pycharter.data_contracts SET status = 'active' WHERE version = '2.0.0'")
    assert catalogue.execute("DELETE FROM pycharter.data_contracts WHERE version = '1.0.0'").rowcount == 1
    assert catalogue.execute("SELECT connection_info FROM pycharter.systems").fetchall()
    catalogue.execute("SAVEPOINT before")
    for statement in (
        "CREATE TABLE pycharter.x ()",
        "DROP VIEW pycharter.contract_full",
        "ALTER TABLE pycharter.teams ADD x integer",
        "CREATE OR REPLACE FUNCTION pycharter.uuid_v7() RETURNS uuid LANGUAGE sql RETURN gen_random_uuid()",
        "DROP TRIGGER data_contracts_seal_delete ON pycharter.data_contracts",
        "TRUNCATE pycharter.teams",
        "DELETE FROM pycharter._yoyo_migration",
        "DELETE FROM pycharter.migration_objects",
        "UPDATE pycharter.granted_access SET access = 'writer'",
        "SELECT pycharter.grant_access(writer => 'stranger')",
    ):
        assert refused(catalogue, statement), statement


def test_revoke_access(catalogue: Conn) -> None:
    catalogue.execute("SELECT pycharter.revoke_access('reader'), pycharter.revoke_access('writer')")
    catalogue.execute("SELECT pycharter.revoke_access('never there')")
    assert catalogue.execute("SELECT * FROM pycharter.granted_access").fetchall() == []
    catalogue.commit()
    for role in ("reader", "writer"):
        catalogue.execute(f"SET ROLE {role}".encode())
        assert refused(catalogue, "SELECT * FROM pycharter.contract_full")
        catalogue.execute("RESET ROLE")
        # Nothing is left that would keep the role from being dropped.
        with catalogue.transaction(force_rollback=True):
            catalogue.execute(f"DROP ROLE {role}".encode())


def test_a_writer_that_becomes_a_reader_writes_no_longer(catalogue: Conn) -> None:
    catalogue.execute("SELECT pycharter.grant_access(reader => 'writer')")
    catalogue.execute("SET ROLE writer")
    assert refused(catalogue, "DELETE FROM pycharter.teams")
    assert refused(catalogue, "SELECT connection_info FROM pycharter.systems")
    assert not refused(catalogue, "SELECT * FROM pycharter.contract_full")


def test_what_is_made_anew_is_granted_anew(catalogue: Conn) -> None:
    """As a migration that restates a view does it."""
    catalogue.execute("SET search_path TO pycharter, pg_temp")
    catalogue.execute("DROP VIEW domain_tree; CREATE VIEW domain_tree AS SELECT 1 AS a; CREATE TABLE t ()")
    catalogue.execute("SET ROLE reader")
    assert refused(catalogue, "SELECT * FROM domain_tree")
    catalogue.execute("RESET ROLE; SELECT apply_access(); SET ROLE reader")
    assert not refused(catalogue, "SELECT * FROM domain_tree")
    assert not refused(catalogue, "SELECT * FROM t")
    assert refused(catalogue, "SELECT * FROM systems")


def test_a_role_that_is_gone_is_passed_over(catalogue: Conn) -> None:
    catalogue.execute("INSERT INTO pycharter.granted_access VALUES ('gone', 'reader')")
    catalogue.execute("SELECT pycharter.apply_access()")
    catalogue.execute("SELECT pycharter.revoke_access('gone')")


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ("", psycopg.errors.InvalidParameterValue, "SELECT grant_access("),
        ("'reader', 'reader'", psycopg.errors.InvalidParameterValue, "SELECT grant_access("),
        ("'No Such'", psycopg.errors.UndefinedObject, 'CREATE ROLE "No Such"'),
    ],
)
def test_wrong_calls(catalogue: Conn, arguments: str, error: type[psycopg.Error], hint: str) -> None:
    with pytest.raises(error) as caught:
        catalogue.execute(f"SELECT pycharter.grant_access({arguments})".encode())
    assert hint in (caught.value.diag.message_hint or "")


def test_only_the_owner_grants(catalogue: Conn) -> None:
    catalogue.execute("SET ROLE writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
        catalogue.execute("SELECT pycharter.grant_access(reader => 'stranger')")
    assert caught.value.diag.message_primary == 'only the owner of schema "pycharter" may grant access to it'


def test_nothing_goes_to_public(catalogue: Conn) -> None:
    query = """
        SELECT count(*) FROM pg_namespace, aclexplode(nspacl) AS a
        WHERE nspname = 'pycharter' AND a.grantee = 0
        UNION ALL
        SELECT count(*) FROM pg_class, aclexplode(relacl) AS a
        WHERE relnamespace = 'pycharter'::regnamespace AND a.grantee = 0
        """
    assert catalogue.execute(query).fetchall() == [(0,), (0,)]


DEFINER = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'pycharter'::regnamespace AND prosecdef ORDER BY 1
    """


def test_a_function_with_its_owners_rights_serves_no_other_table(catalogue: Conn) -> None:
    """Or whoever attaches it to a table of their own would have what they like run with these rights."""
    functions = [name for (name,) in catalogue.execute(DEFINER).fetchall()]
    assert len(functions) > 5
    catalogue.execute("GRANT CREATE ON SCHEMA public TO reader; SET ROLE reader")
    catalogue.execute("CREATE TEMP TABLE mine (id uuid)")
    for function in functions:
        catalogue.execute(f"CREATE TRIGGER t BEFORE INSERT ON mine EXECUTE FUNCTION {function}".encode())
        assert refused(catalogue, "INSERT INTO mine VALUES (gen_random_uuid())"), function
        catalogue.execute("DROP TRIGGER t ON mine")


def test_a_cast_of_ones_own_is_not_run_as_the_owner(catalogue: Conn) -> None:
    catalogue.execute("SET ROLE reader")
    catalogue.execute(
        """
        CREATE TYPE pg_temp.mine AS (a text);
        CREATE FUNCTION pg_temp.run(m pg_temp.mine) RETURNS uuid LANGUAGE plpgsql AS $$
            BEGIN
                GRANT SELECT ON pycharter.systems TO reader;
                RETURN gen_random_uuid();
            END $$;
        CREATE CAST (pg_temp.mine AS uuid) WITH FUNCTION pg_temp.run(pg_temp.mine) AS IMPLICIT;
        CREATE TEMP TABLE t (
            schema_id pg_temp.mine, governance_rules_id uuid, metadata_id uuid, ownership_id text);
        INSERT INTO t VALUES (ROW('x'));
        CREATE TRIGGER y AFTER DELETE ON t REFERENCING OLD TABLE AS deleted
            FOR EACH STATEMENT EXECUTE FUNCTION pycharter.delete_components();
        """
    )
    assert refused(catalogue, "DELETE FROM t")
    assert refused(catalogue, "SELECT connection_info FROM pycharter.systems")


@pytest.mark.parametrize(
    "function", ["grant_access(reader => %s)", "grant_access(writer => %s)", "revoke_access(%s)"]
)
def test_the_owner_is_neither_granted_nor_revoked_anything(catalogue: Conn, function: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="has all rights of the owner"):
        catalogue.execute(f"SELECT pycharter.{function}".encode(), ["postgres"])


@pytest.mark.parametrize("function", ["apply_access()", "revoke_access('reader')"])
def test_others_change_no_grants(catalogue: Conn, function: str) -> None:
    catalogue.execute("SET ROLE writer")
    assert refused(catalogue, f"SELECT pycharter.{function}")


def test_where_public_may_call_nothing(catalogue: Conn) -> None:
    """A server whose default privileges deny it."""
    catalogue.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA pycharter FROM PUBLIC")
    catalogue.execute("SET ROLE reader")
    assert catalogue.execute(
        "SELECT pycharter.contract_document(id) FROM pycharter.data_contracts"
    ).fetchone()
    catalogue.execute("SET ROLE writer")
    assert loader.load(catalogue, [LATER]).updated == 1
    catalogue.execute("RESET ROLE")
    catalogue.execute("SELECT pycharter.revoke_access('reader')")
    with catalogue.transaction(force_rollback=True):
        catalogue.execute("DROP ROLE reader")


def test_somebody_elses_table_in_the_schema(catalogue: Conn) -> None:
    catalogue.execute("GRANT CREATE ON SCHEMA pycharter TO stranger; SET ROLE stranger")
    catalogue.execute("CREATE TABLE pycharter.notes (a integer)")
    catalogue.execute("RESET ROLE; SELECT pycharter.apply_access(); SET ROLE writer")
    assert refused(catalogue, "SELECT * FROM pycharter.notes")
    assert refused(catalogue, "INSERT INTO pycharter.notes VALUES (1)")
    catalogue.execute("RESET ROLE; SELECT pycharter.revoke_access('writer'); DROP TABLE pycharter.notes")


def test_a_rollback_takes_back_what_was_granted(catalogue: Conn) -> None:
    dsn = catalogue.info.dsn
    applied = [migration.id for migration in migrations.status(dsn)]
    last = len(applied) - applied.index("0011-create-administration-functions")
    with pytest.raises(CatalogueError, match="destroy the rows of granted_access"):
        migrations.rollback(dsn, count=last)
    migrations.rollback(dsn, count=last, drop_data=True)
    catalogue.execute("DROP ROLE reader")
    catalogue.rollback()

"""A published version does not change, whoever asks: the triggers of 0009, statement by statement."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pycharter_sql import loader
from pycharter_sql.errors import DocumentRefused

Conn = psycopg.Connection[Any]

COMPONENTS = {
    "schemas": "schema_data = '{}'",
    "coercion_rules": "rules = '{}'",
    "validation_rules": "version = '2'",
    "governance_rules": "rule_definition = '{}'",
    "metadata_record": "metadata_data = '{}'",
    "ownership": "owner = 'somebody else'",
}
LINKS = {
    "data_contract_system_pulls": ("system_id", "systems"),
    "data_contract_system_pushes": ("system_id", "systems"),
    "data_contract_system_sources": ("system_id", "systems"),
    "data_contract_business_owners": ("business_owner_id", "business_owners"),
    "data_contract_team_access": ("team_id", "teams"),
    "data_feed_dependencies": ("dependency_feed_id", "data_feeds"),
}


def document(name: str, status: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1.0.0",
        "status": status,
        "schema": {"type": "object", "version": "1.0.0"},
        "coercion_rules": {"rules": {"id": "coerce_to_string"}},
        "validation_rules": {"version": "1", "rules": {"id": {"is_required": None}}},
        "governance_rules": {"sensitivity": "internal"},
        "metadata": {"title": name},
        "ownership": {"owner": "Ann"},
        "domain": "Fleet",
        "pulls_from": ["S"],
        "pushes_to": ["S"],
        "system_sources": ["S"],
        "business_owners": ["Ann"],
        "team_access": {"read": ["T"]},
        "dependencies": ["F"],
    }


@pytest.fixture
def catalogue(conn: Conn) -> Conn:
    """A published and a draft contract, committed, and of every entity one more that neither names."""
    conn.execute("SET search_path = pycharter")
    for name, status in (("sealed", "active"), ("open", "draft")):
        conn.execute("SELECT register_contract(%s)", [Jsonb(document(name, status))])
    for _, table in LINKS.values():
        conn.execute(f"INSERT INTO {table} (name) VALUES ('other') ON CONFLICT DO NOTHING".encode())
    conn.execute("INSERT INTO domains (name) VALUES ('other')")
    conn.commit()
    return conn


def forbidden() -> Iterator[str]:
    """Statements on the contract ?."""
    of_contract = "(SELECT id FROM data_contracts WHERE name = ?)"
    for table, change in COMPONENTS.items():
        key = {"metadata_record": "metadata_id", "ownership": "ownership_id", "schemas": "schema_id"}
        column = key.get(table, f"{table}_id")
        component = f"(SELECT {column} FROM data_contracts WHERE name = ?)"
        id = "resource_id" if table == "ownership" else "id"
        yield f"UPDATE {table} SET {change} WHERE {id} = {component}"
    for table, (column, entities) in LINKS.items():
        more = ", permission" if table == "data_contract_team_access" else ""
        value = ", 'read'" if more else ""
        other = f"(SELECT id FROM {entities} WHERE name = 'other')"
        yield f"INSERT INTO {table} (data_contract_id, {column}{more}) SELECT {of_contract}, {other}{value}"
        yield f"UPDATE {table} SET {column} = {other} WHERE data_contract_id = {of_contract}"
        yield f"DELETE FROM {table} WHERE data_contract_id = {of_contract}"
    for change in (
        "description = 'x'",
        "name = name || '2'",
        "version = '2'",
        "is_data_feed = true",
        "status = 'draft'",
        "created_at = now()",
        "created_by = 'x'",
        "domain_id = NULL",
        "domain_id = (SELECT id FROM domains WHERE name = 'other')",
        "data_feed_id = (SELECT id FROM data_feeds WHERE name = 'other')",
        "coercion_rules_id = NULL",
        "metadata_id = NULL",
    ):
        yield f"UPDATE data_contracts SET {change} WHERE name = ?"
    yield "DELETE FROM data_contracts WHERE name = ?"


FORBIDDEN = list(forbidden())


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_published_version_does_not_change(catalogue: Conn, statement: str) -> None:
    sealed = statement.replace("?", "'sealed'").encode()
    with pytest.raises(psycopg.errors.RestrictViolation) as caught, catalogue.transaction():
        catalogue.execute(sealed)
    assert caught.value.diag.constraint_name == "data_contracts_seal"
    assert (
        caught.value.diag.message_primary
        == 'version 1.0.0 of contract "sealed" is published: it does not change'
    )
    assert "overwrite" in str(caught.value.diag.message_hint)
    assert catalogue.execute(statement.replace("?", "'open'").encode()).rowcount == 1
    with catalogue.transaction():
        catalogue.execute("SET LOCAL pycharter_sql.overwrite = 'yes'")
        assert catalogue.execute(sealed).rowcount == 1


@pytest.mark.parametrize("table", [*LINKS, *COMPONENTS, "data_contracts", "systems", "domains"])
def test_truncate(catalogue: Conn, table: str) -> None:
    truncate = f"TRUNCATE {table} CASCADE".encode()
    with pytest.raises(psycopg.errors.RestrictViolation), catalogue.transaction():
        catalogue.execute(truncate)
    catalogue.execute("SET LOCAL pycharter_sql.overwrite = 'yes'")
    catalogue.execute(truncate)


def test_truncate_forgets_what_is_known(catalogue: Conn) -> None:
    loader.load(catalogue, [document("open", "draft")])
    catalogue.execute("SET LOCAL pycharter_sql.overwrite = 'yes'")
    catalogue.execute("TRUNCATE data_contract_system_pulls")
    assert loader.load(catalogue, [document("open", "draft")]).updated == 1


def test_a_link_cannot_move_to_or_from_a_published_version(catalogue: Conn) -> None:
    for origin, target in (("open", "sealed"), ("sealed", "open")):
        with pytest.raises(psycopg.errors.RestrictViolation), catalogue.transaction():
            catalogue.execute(
                """
                UPDATE data_contract_system_pulls
                SET data_contract_id = (SELECT id FROM data_contracts WHERE name = %s),
                    system_id = (SELECT id FROM systems WHERE name = 'other')
                WHERE data_contract_id = (SELECT id FROM data_contracts WHERE name = %s)
                """,
                [target, origin],
            )


def test_the_status_moves_on(catalogue: Conn) -> None:
    published_at = "SELECT published_at FROM data_contracts WHERE name = 'sealed'"
    before = catalogue.execute(published_at).fetchone()
    for status in ("deprecated", "retired", "active"):
        catalogue.execute(
            "UPDATE data_contracts SET status = %s, published_at = NULL WHERE name = 'sealed'", [status]
        )
        catalogue.commit()
    assert catalogue.execute(published_at).fetchone() == before


def test_entities_of_a_published_version_change(catalogue: Conn) -> None:
    for table in ("systems", "data_feeds", "business_owners", "domains", "teams"):
        assert catalogue.execute(f"UPDATE {table} SET description = 'changed'".encode()).rowcount


def test_published_at_is_when_the_status_first_says_so(catalogue: Conn) -> None:
    published_at = "SELECT published_at = now() FROM data_contracts WHERE name = 'open'"
    assert catalogue.execute(published_at).fetchone() == (None,)
    catalogue.execute("UPDATE data_contracts SET published_at = now() WHERE name = 'open'")
    assert catalogue.execute(published_at).fetchone() == (None,)
    catalogue.execute("UPDATE data_contracts SET status = 'active' WHERE name = 'open'")
    assert catalogue.execute(published_at).fetchone() == (True,)


def test_the_transaction_that_publishes_may_still_link(catalogue: Conn) -> None:
    catalogue.execute("UPDATE data_contracts SET status = 'active' WHERE name = 'open'")
    with catalogue.transaction():
        for statement in FORBIDDEN[:-1]:
            with catalogue.transaction(force_rollback=True):
                assert catalogue.execute(statement.replace("?", "'open'").encode()).rowcount == 1
    catalogue.commit()
    for statement in FORBIDDEN:
        with pytest.raises(psycopg.errors.RestrictViolation), catalogue.transaction():
            catalogue.execute(statement.replace("?", "'open'").encode())


def test_the_loader_overwrites_when_told_to(catalogue: Conn) -> None:
    changed = document("sealed", "deprecated") | {"pulls_from": ["other"], "metadata": None, "schema": {}}
    with pytest.raises(DocumentRefused, match="is active, and its"):
        loader.load(catalogue, [changed])
    assert loader.load(catalogue, [changed], overwrite=True).updated == 1
    assert loader.load(catalogue, [changed]).unchanged == 1
    catalogue.commit()
    with pytest.raises(psycopg.errors.RestrictViolation):
        catalogue.execute("DELETE FROM data_contract_system_pulls")


# Of each kind of change one that leaves the contract in place.
@pytest.mark.parametrize("same_transaction", [False, True])
@pytest.mark.parametrize(
    "statement",
    [
        *FORBIDDEN[:-1],
        "UPDATE data_contracts SET status = 'retired' WHERE name = ?",
        *(
            f"UPDATE {table} SET name = name || '2' WHERE name = '{name}'"
            for table, name in (
                ("systems", "S"),
                ("data_feeds", "F"),
                ("data_feeds", "open"),
                ("business_owners", "Ann"),
                ("domains", "Fleet"),
                ("teams", "T"),
            )
        ),
    ],
)
def test_whatever_changes_a_version_makes_it_unknown_to_the_loader(
    catalogue: Conn, statement: str, same_transaction: bool
) -> None:
    catalogue.execute("DELETE FROM data_contracts WHERE name = 'open'")
    said = document("open", "draft")
    assert loader.load(catalogue, [said, document("sealed", "active")]).unchanged == 1
    if not same_transaction:
        catalogue.commit()
    digests = """
        SELECT count(*) FROM document_digests JOIN data_contracts AS c ON c.id = data_contract_id
        WHERE c.name <> 'sealed'
        """
    assert catalogue.execute(digests).fetchone() == (1,)
    assert catalogue.execute(statement.replace("?", "'open'").encode()).rowcount == 1
    assert catalogue.execute(digests).fetchone() == (0,)


def test_an_attribute_of_an_entity_leaves_it_known(catalogue: Conn) -> None:
    loader.load(catalogue, [document("open", "draft")])
    catalogue.execute("UPDATE systems SET description = 'x', name = name")
    assert catalogue.execute("SELECT count(*) FROM document_digests").fetchone() == (1,)


def test_publishing_waits_for_a_change_that_is_under_way(catalogue: Conn) -> None:
    """And the other way round: the change sees that the contract has been published meanwhile."""
    change = b"""
        UPDATE pycharter.data_contract_system_pulls SET created_by = 'x'
        WHERE data_contract_id = (SELECT id FROM pycharter.data_contracts WHERE name = 'open')
        """
    publish = b"UPDATE pycharter.data_contracts SET status = 'active' WHERE name = 'open'"
    for first, second in ((change, publish), (publish, change)):
        with psycopg.connect(catalogue.info.dsn) as one, psycopg.connect(catalogue.info.dsn) as two:
            one.execute(first)
            errors: list[BaseException | None] = []

            def run(statement: bytes = second, two: Conn = two, errors: Any = errors) -> None:
                try:
                    two.execute(statement)
                    errors.append(None)
                except psycopg.Error as error:
                    errors.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            thread.join(0.3)
            assert thread.is_alive(), errors
            one.commit()
            thread.join(10)
            assert len(errors) == 1
            assert isinstance(errors[0], psycopg.errors.RestrictViolation) == (second is change)
            two.rollback()


@pytest.mark.parametrize(
    "publish",
    [
        """
        UPDATE data_contracts SET status = 'active', metadata_id = (
            SELECT id FROM metadata_record WHERE resource_id = 'loose')
        WHERE name = 'open'
        """,
        """
        INSERT INTO data_contracts (name, version, status, schema_id, data_feed_id, metadata_id)
        SELECT 'new', '1', 'active', s.id, c.data_feed_id, m.id
        FROM data_contracts AS c, schemas AS s, metadata_record AS m
        WHERE c.name = 'open' AND s.name = 'loose' AND m.resource_id = 'loose'
        """,
    ],
)
def test_publishing_waits_for_a_component_that_is_being_changed(catalogue: Conn, publish: str) -> None:
    """Also where the component belongs to no contract yet."""
    catalogue.execute("INSERT INTO metadata_record (resource_id, metadata_data) VALUES ('loose', '{}')")
    catalogue.execute("INSERT INTO schemas (name, schema_data) VALUES ('loose', '{}')")
    catalogue.commit()
    with psycopg.connect(catalogue.info.dsn) as one:
        one.execute(
            "UPDATE pycharter.metadata_record SET metadata_data = '{\"a\": 1}' WHERE resource_id = 'loose'"
        )
        catalogue.execute("SET LOCAL lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            catalogue.execute(publish.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pycharter.data_contracts SET status = 'proposed' WHERE name = 'open'",
        "UPDATE pycharter.metadata_record SET metadata_data = '{}' WHERE metadata_data ->> 'title' = 'open'",
        "SELECT pycharter.rename_system('S', 'T')",
        "UPDATE pycharter.systems SET name = 'T' WHERE name = 'S'",
    ],
)
def test_a_load_waits_for_a_change_that_is_under_way(catalogue: Conn, statement: str) -> None:
    """And then knows the version as it is, not as it was."""
    with psycopg.connect(catalogue.info.dsn) as one:
        one.execute(statement.encode())
        catalogue.execute("SET LOCAL lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            loader.load(catalogue, [document("open", "draft")])
        catalogue.rollback()
        one.commit()
    assert loader.load(catalogue, [document("open", "draft")]).updated == 1


def test_a_writer_needs_no_rights_on_what_the_triggers_keep(catalogue: Conn) -> None:
    catalogue.execute("CREATE ROLE linker")
    try:
        catalogue.execute("GRANT USAGE ON SCHEMA pycharter TO linker")
        catalogue.execute("GRANT SELECT ON data_contracts, systems TO linker")
        catalogue.execute("GRANT SELECT, INSERT, DELETE ON data_contract_system_pulls TO linker")
        catalogue.execute("GRANT UPDATE (name) ON systems TO linker")
        catalogue.execute("GRANT UPDATE (status) ON data_contracts TO linker")
        catalogue.execute("SET LOCAL ROLE linker")
        ids = "(SELECT id FROM data_contracts WHERE name = 'open')"
        assert catalogue.execute(
            f"DELETE FROM data_contract_system_pulls WHERE data_contract_id = {ids}".encode()
        ).rowcount
        assert catalogue.execute("UPDATE systems SET name = 'T' WHERE name = 'S'").rowcount
        assert catalogue.execute("UPDATE data_contracts SET status = 'active' WHERE name = 'open'").rowcount
        with pytest.raises(psycopg.errors.RestrictViolation), catalogue.transaction():
            catalogue.execute("DELETE FROM data_contract_system_pulls")
    finally:
        catalogue.rollback()

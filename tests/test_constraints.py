"""What the database refuses, whoever writes: a rejected row for each constraint, and the triggers' rules."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pycharter_sql import (
    AlreadyLinked,
    ComponentTaken,
    ConstraintBroken,
    DependsOnItself,
    NameTaken,
    ReferenceBroken,
    ResourceTaken,
    ValueRefused,
    VersionExists,
    explaining,
)

# #1 stands for an id that ends in 1; ? is the number of a version of contract c. Schema #3 is free.
SAMPLE = """
    INSERT INTO systems (id, name) VALUES (#1, 'system');
    INSERT INTO data_feeds (id, name) VALUES (#1, 'feed'), (#2, 'needed'), (#3, 'third');
    INSERT INTO business_owners (id, name) VALUES (#1, 'owner');
    INSERT INTO domains (id, name) VALUES (#1, 'domain');
    INSERT INTO teams (id, name) VALUES (#1, 'team');
    INSERT INTO schemas (id, name, schema_data) VALUES (#3, 'free', '{}');
    """
CONTRACT = """
    INSERT INTO schemas (id, name, schema_data) VALUES (#?, 'c', '{}');
    INSERT INTO coercion_rules (id, schema_id, rules) VALUES (#?, #?, '{}');
    INSERT INTO validation_rules (id, schema_id, rules) VALUES (#?, #?, '{}');
    INSERT INTO governance_rules (id, name, rule_definition) VALUES (#?, 'g', '{}');
    INSERT INTO metadata_record (id, resource_id, metadata_data) VALUES (#?, 'c@?', '{}');
    INSERT INTO ownership (resource_id) VALUES ('c@?');
    INSERT INTO data_contracts (id, name, version, data_feed_id, domain_id, schema_id, coercion_rules_id,
            validation_rules_id, governance_rules_id, metadata_id, ownership_id)
        VALUES (#?, 'c', '?', #1, #1, #?, #?, #?, #?, #?, 'c@?');
    INSERT INTO data_contract_system_pulls (data_contract_id, system_id) VALUES (#?, #1);
    INSERT INTO data_contract_system_pushes (data_contract_id, system_id) VALUES (#?, #1);
    INSERT INTO data_contract_system_sources (data_contract_id, system_id) VALUES (#?, #1);
    INSERT INTO data_contract_business_owners (data_contract_id, business_owner_id) VALUES (#?, #1);
    INSERT INTO data_contract_team_access (data_contract_id, team_id, permission) VALUES (#?, #1, 'read');
    INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id) VALUES (#?, #2);
    """

ENTITIES = {
    "systems": "system_id",
    "data_feeds": "data_feed_id",
    "business_owners": "business_owner_id",
    "domains": "domain_id",
    "teams": "team_id",
}
LINKS = {
    "data_contract_system_pulls": "system_id",
    "data_contract_system_pushes": "system_id",
    "data_contract_system_sources": "system_id",
    "data_contract_business_owners": "business_owner_id",
    "data_contract_team_access": "team_id",
}
COMPONENTS = {
    "schemas": "schema_id",
    "coercion_rules": "coercion_rules_id",
    "validation_rules": "validation_rules_id",
    "governance_rules": "governance_rules_id",
    "metadata_record": "metadata_id",
    "ownership": "ownership_id",
}


class Catalogue:
    """A connection to a catalogue that holds SAMPLE and both versions of the contract, uncommitted."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self("SET search_path TO pycharter", SAMPLE, *(CONTRACT.replace("?", number) for number in "12"))

    def __call__(self, *statements: str) -> list[Any]:
        """Rows of the last of ``statements``."""
        for statement in statements:
            cursor = self.connection.execute(with_ids(statement).encode())
        return cursor.fetchall() if cursor.description else []

    def contents(self) -> dict[str, list[Any]]:
        """All rows of all tables."""
        tables = self("SELECT tablename FROM pg_tables WHERE schemaname = 'pycharter' ORDER BY 1")
        return {table: self(f"SELECT row::text FROM {table} AS row ORDER BY 1") for (table,) in tables}


def with_ids(statement: str) -> str:
    return re.sub(r"#(\d)", r"'00000000-0000-7000-8000-00000000000\1'", statement)


@pytest.fixture
def catalogue(conn: psycopg.Connection) -> Iterator[Catalogue]:
    yield Catalogue(conn)


# ---------------------------------------------------------------------------------------------------------
# One rejected row for each constraint


def rejected() -> Iterator[tuple[str, str]]:
    """Names of constraints with statements that they refuse."""
    for table in [*ENTITIES, "schemas", "governance_rules", "data_contracts"]:
        for name in ("''", "' x'", "E'x\\n'", "E'\\t'", "repeat('x', 256)"):
            yield f"{table}_name_check", f"UPDATE {table} SET name = {name} WHERE id = #1"
    for table in ENTITIES:
        yield f"{table}_pkey", f"INSERT INTO {table} (id, name) VALUES (#1, 'another')"
        yield f"{table}_name_key", f"INSERT INTO {table} (name) SELECT name FROM {table}"
    digests = "INSERT INTO document_digests (data_contract_id, digest) VALUES"
    yield "document_digests_pkey", f"{digests} (#1, ''), (#1, '')"
    yield "document_digests_data_contract_id_fkey", f"{digests} (#9, '')"
    for table, column in LINKS.items():
        keys = f"data_contract_id, {column}" + (", permission" if "access" in table else "")
        rest = ", 'read'" if "access" in table else ""
        yield f"{table}_pkey", f"INSERT INTO {table} ({keys}) SELECT {keys} FROM {table}"
        yield f"{table}_data_contract_id_fkey", f"INSERT INTO {table} ({keys}) VALUES (#9, #1{rest})"
        yield f"{table}_{column}_fkey", f"INSERT INTO {table} ({keys}) VALUES (#1, #9{rest})"
    for role in ("''", "' x'", "repeat('x', 256)"):
        update = f"UPDATE data_contract_business_owners SET role = {role}"
        yield "data_contract_business_owners_role_check", update
    for permission in ("'admin'", "'READ'", "''"):
        update = f"UPDATE data_contract_team_access SET permission = {permission}"
        yield "data_contract_team_access_permission_check", update

    yield "systems_connection_info_check", "UPDATE systems SET connection_info = '[1]'"
    yield "systems_connection_info_check", "UPDATE systems SET connection_info = 'null'"
    yield "domains_parent_domain_id_fkey", "UPDATE domains SET parent_domain_id = #9"

    for table, column in {
        "schemas": "schema_data",
        "coercion_rules": "rules",
        "validation_rules": "rules",
        "governance_rules": "rule_definition",
        "metadata_record": "metadata_data",
        "ownership": "additional_info",
    }.items():
        for value in ("[]", "null", '"x"', "true"):
            yield f"{table}_{column}_check", f"UPDATE {table} SET {column} = '{value}'"
    for table in ("schemas", "coercion_rules", "validation_rules"):
        for version in ("''", "repeat('1', 129)"):
            yield f"{table}_version_check", f"UPDATE {table} SET version = {version}"
    for table in ("coercion_rules", "validation_rules"):
        again = f"INSERT INTO {table} (id, schema_id, rules) VALUES (#1, #1, '{{}}')"
        yield f"{table}_pkey", again
        # The other key is there to be referred to; the primary key answers first.
        yield f"{table}_schema_id_id_key", f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey; {again}"
        yield f"{table}_schema_id_fkey", f"INSERT INTO {table} (schema_id, rules) VALUES (#9, '{{}}')"
    yield "schemas_pkey", "INSERT INTO schemas (id, name, schema_data) VALUES (#1, 'x', '{}')"
    yield (
        "governance_rules_pkey",
        "INSERT INTO governance_rules (id, name, rule_definition) VALUES (#1, 'x', '{}')",
    )
    yield (
        "metadata_record_pkey",
        "INSERT INTO metadata_record (id, resource_id, metadata_data) VALUES (#1, 'x', '{}')",
    )
    for value in ("''", "repeat('x', 513)"):
        yield "metadata_record_resource_id_check", f"UPDATE metadata_record SET resource_id = {value}"
        yield "metadata_record_resource_type_check", f"UPDATE metadata_record SET resource_type = {value}"
        yield "ownership_resource_id_check", f"INSERT INTO ownership (resource_id) VALUES ({value})"
    yield "ownership_pkey", "INSERT INTO ownership (resource_id) VALUES ('c@1')"

    contract = "INSERT INTO data_contracts (id, name, version, schema_id, data_feed_id) VALUES"
    yield "data_contracts_pkey", f"{contract} (#1, 'd', '1', #3, #1)"
    yield (
        "data_contracts_data_feed_id_id_key",
        f"ALTER TABLE data_contracts DROP CONSTRAINT data_contracts_pkey CASCADE; "
        f"{contract} (#1, 'd', '1', #3, #1)",
    )
    yield "data_contracts_name_version_key", f"{contract} (#3, 'c', '1', #3, #1)"
    yield "data_contracts_schema_id_key", f"{contract} (#3, 'd', '1', #1, #1)"
    yield "data_contracts_schema_id_fkey", f"{contract} (#3, 'd', '1', #9, #1)"
    yield "data_contracts_data_feed_id_fkey", f"{contract} (#3, 'd', '1', #3, #9)"
    yield "data_contracts_domain_id_fkey", "UPDATE data_contracts SET domain_id = #9"
    for version in ("''", "' 1'", "E'1\\n'", "repeat('1', 129)"):
        yield "data_contracts_version_check", f"UPDATE data_contracts SET version = {version} WHERE id = #1"
    for status in ("'published'", "'Active'", "''"):
        yield "data_contracts_status_check", f"UPDATE data_contracts SET status = {status}"
    # An UPDATE counts for itself, whatever it says.
    revision = "INSERT INTO data_contracts (id, name, version, schema_id, data_feed_id, revision) VALUES"
    yield "data_contracts_revision_check", f"{revision} (#3, 'd', '1', #3, #1, 0)"
    for table in ("governance_rules", "metadata", "ownership"):
        taken, unknown = ("'c@1'", "'x'") if table == "ownership" else ("#1", "#9")
        update = f"UPDATE data_contracts SET {table}_id = %s WHERE id = #2"
        yield f"data_contracts_{table}_id_key", update % taken
        yield f"data_contracts_{table}_id_fkey", update % unknown
    for rules in ("coercion_rules", "validation_rules"):
        for id in ("#1", "#9"):  # another version's, and nobody's
            update = f"UPDATE data_contracts SET {rules}_id = {id} WHERE id = #2"
            yield f"data_contracts_schema_id_{rules}_id_fkey", update

    dependency = "INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id) VALUES"
    yield "data_feed_dependencies_pkey", f"{dependency} (#1, #2)"
    yield "data_feed_dependencies_dependency_feed_id_fkey", f"{dependency} (#1, #9)"
    yield (
        "data_feed_dependencies_data_feed_id_data_contract_id_fkey",
        "UPDATE data_feed_dependencies SET data_feed_id = #3",
    )
    yield "data_feed_dependencies_data_feed_id_dependency_feed_id_check", f"{dependency} (#1, #1)"
    for kind in ("'strong'", "''"):
        update = f"UPDATE data_feed_dependencies SET dependency_type = {kind}"
        yield "data_feed_dependencies_dependency_type_check", update

    current = "INSERT INTO current_contracts (name, data_contract_id) VALUES"
    yield "current_contracts_pkey", f"{current} ('c', NULL), ('c', NULL)"
    yield "current_contracts_data_contract_id_fkey", f"{current} ('c', #9)"
    numbers = "INSERT INTO data_feeds (name, number) OVERRIDING SYSTEM VALUE"
    yield "data_feeds_number_key", f"{numbers} SELECT 'another', number FROM data_feeds"
    yield "data_feeds_number_check", f"{numbers} VALUES ('another', 0)"
    number = "(SELECT number FROM data_feeds WHERE name = 'feed')"
    edge = "INSERT INTO lineage_edges VALUES"
    yield "lineage_edges_pkey", f"{edge} {', '.join(2 * [f'(#1, #2, {number}, {number}, true)'])}"
    dependency = "lineage_edges_data_contract_id_dependency_feed_id_fkey"
    yield dependency, f"{edge} (#1, #9, {number}, {number}, true)"
    yield "lineage_edges_feed_number_fkey", f"{edge} (#1, #2, 0, {number}, true)"
    yield "lineage_edges_dependency_number_fkey", f"{edge} (#1, #2, {number}, 0, true)"

    granted = "INSERT INTO granted_access (role_name, access) VALUES"
    yield "granted_access_pkey", f"{granted} ('r', 'reader'), ('r', 'writer')"
    yield "granted_access_access_check", f"{granted} ('r', 'owner')"
    for table in ("migration_files", "migration_objects"):
        yield f"{table}_pkey", f"INSERT INTO {table} SELECT * FROM {table}"


REJECTED = list(rejected())


@pytest.mark.parametrize(("constraint", "statement"), REJECTED)
def test_rejected(catalogue: Catalogue, constraint: str, statement: str) -> None:
    with pytest.raises(psycopg.IntegrityError) as caught:
        catalogue(statement)
    assert (caught.value.diag.schema_name, caught.value.diag.constraint_name) == ("pycharter", constraint)


KINDS = {
    "_name_check": ValueRefused,
    "_status_check": ValueRefused,
    "_permission_check": ValueRefused,
    "_rules_check": ValueRefused,
    "_fkey": ReferenceBroken,
    "data_contracts_name_version_key": VersionExists,
    "data_contracts_ownership_id_key": ResourceTaken,
    "data_contracts_schema_id_key": ComponentTaken,
    "data_contract_system_pulls_pkey": AlreadyLinked,
    "data_feed_dependencies_pkey": AlreadyLinked,
    "data_feed_dependencies_data_feed_id_dependency_feed_id_check": DependsOnItself,
    "systems_name_key": NameTaken,
    "ownership_pkey": ResourceTaken,
}


@pytest.mark.parametrize(("constraint", "statement"), REJECTED)
def test_rejected_is_explained(catalogue: Catalogue, constraint: str, statement: str) -> None:
    with pytest.raises(ConstraintBroken) as caught, explaining("c@1"):
        catalogue(statement)
    error = caught.value
    assert (error.constraint, error.contract) == (constraint, "c@1")
    assert error.reason and error.remedy and type(error) is not ConstraintBroken
    for end, kind in KINDS.items():
        assert not constraint.endswith(end) or type(error) is kind


def test_every_constraint_has_rejected_a_row(catalogue: Catalogue) -> None:
    constraints = catalogue(
        """
        SELECT conname FROM pg_constraint JOIN pg_class AS r ON r.oid = conrelid
        WHERE connamespace = 'pycharter'::regnamespace AND contype <> 'n' AND relname !~ '^_?yoyo'
        """
    )
    assert {name for (name,) in constraints} == {name for name, _ in REJECTED}


def test_the_longest_names_and_versions_fit(catalogue: Catalogue) -> None:
    for table in [*ENTITIES, "schemas", "governance_rules", "data_contracts"]:
        catalogue(f"UPDATE {table} SET name = repeat('\u00e4', 255) WHERE id = #1")
    for table in ("schemas", "coercion_rules", "validation_rules", "data_contracts"):
        catalogue(f"UPDATE {table} SET version = repeat('9', 128) WHERE id = #1")


def test_what_must_be_said(catalogue: Catalogue) -> None:
    """The columns without which there is no row; all others are optional or filled by the database."""
    demanded = catalogue(
        """
        SELECT relname || '.' || attname FROM pg_attribute AS a JOIN pg_class AS r ON r.oid = attrelid
        WHERE relnamespace = 'pycharter'::regnamespace AND relkind = 'r' AND relname !~ '^_?yoyo'
            AND attnum > 0 AND attnotnull AND NOT atthasdef
            AND NOT EXISTS (
                SELECT FROM pg_constraint WHERE conrelid = r.oid AND contype = 'p' AND attnum = ANY (conkey))
        """
    )
    assert {column for (column,) in demanded} == {
        *(f"{table}.name" for table in ENTITIES),
        *("schemas.name", "schemas.schema_data", "document_digests.digest"),
        *("granted_access.access", "migration_files.digest", "migration_objects.digest"),
        *("coercion_rules.schema_id", "coercion_rules.rules"),
        *("validation_rules.schema_id", "validation_rules.rules"),
        *("governance_rules.name", "governance_rules.rule_definition"),
        *("metadata_record.resource_id", "metadata_record.metadata_data"),
        *(f"data_contracts.{column}" for column in ("name", "version", "schema_id", "data_feed_id")),
        "data_feed_dependencies.data_feed_id",  # by the trigger
        "data_feeds.number",  # by its identity
        *(f"lineage_edges.{column}" for column in ("feed_number", "dependency_number", "is_required")),
    }


# ---------------------------------------------------------------------------------------------------------
# Domains: none is its own ancestor

CYCLES = {
    "itself": ["UPDATE domains SET parent_domain_id = id WHERE id = #1"],
    "its child": [
        "INSERT INTO domains (id, name, parent_domain_id) VALUES (#2, 'b', #1)",
        "UPDATE domains SET parent_domain_id = #2 WHERE id = #1",
    ],
    "through three": [
        "INSERT INTO domains (id, name, parent_domain_id) VALUES (#2, 'b', #1), (#3, 'c', #2), (#4, 'd', #3)",
        "UPDATE domains SET parent_domain_id = #4 WHERE id = #1",
    ],
    "born its own parent": ["INSERT INTO domains (id, name, parent_domain_id) VALUES (#2, 'b', #2)"],
    "born together": ["INSERT INTO domains (id, name, parent_domain_id) VALUES (#2, 'b', #3), (#3, 'c', #2)"],
    "moved together": [
        "INSERT INTO domains (id, name) VALUES (#2, 'b')",
        "UPDATE domains SET parent_domain_id = CASE id WHEN #1 THEN #2 ELSE #1 END::uuid",
    ],
}


@pytest.mark.parametrize("statements", CYCLES.values(), ids=CYCLES)
def test_a_domain_is_never_its_own_ancestor(catalogue: Catalogue, statements: list[str]) -> None:
    catalogue("SELECT 1", *statements[:-1])
    with pytest.raises(psycopg.errors.CheckViolation, match="would be its own ancestor") as caught:
        catalogue(statements[-1])
    assert caught.value.diag.constraint_name == "domains_parent_domain_id_check"
    assert "Choose a parent domain that does not lie within" in (caught.value.diag.message_hint or "")


def test_domains_move_freely_otherwise(catalogue: Catalogue) -> None:
    catalogue(
        "INSERT INTO domains (id, name, parent_domain_id) VALUES (#4, 'd', #3), (#3, 'c', #2), (#2, 'b', #1)",
        "UPDATE domains SET parent_domain_id = #1 WHERE id = #4",
        "UPDATE domains SET parent_domain_id = #4 WHERE id = #3",
        "UPDATE domains SET parent_domain_id = NULL WHERE id = #1",
        # Turned around in one statement: 1 over 2 becomes 2 over 1.
        "UPDATE domains SET parent_domain_id = CASE id WHEN #1 THEN #2 END::uuid WHERE id IN (#1, #2)",
    )


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_of_two_moves_at_once_that_would_close_a_cycle_one_succeeds(
    catalogue: Catalogue, isolation: str
) -> None:
    catalogue("INSERT INTO domains (id, name) VALUES (#2, 'b')", "COMMIT")
    move = "UPDATE pycharter.domains SET parent_domain_id = {} WHERE id = {}"
    with ThreadPoolExecutor() as pool, psycopg.connect(catalogue.connection.info.dsn) as other:
        for connection in (catalogue.connection, other):
            connection.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
            connection.execute("SELECT FROM pycharter.domains")  # takes the snapshot, if there is to be one
        catalogue(move.format("#2", "#1"))
        second = pool.submit(other.execute, with_ids(move.format("#1", "#2")).encode())
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        deadline = time.monotonic() + 20
        while catalogue(waits) == [(0,)] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not second.done()
        catalogue("COMMIT")
        with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.SerializationFailure)):
            second.result(20)
    parents = catalogue("SELECT count(*) FROM pycharter.domains WHERE parent_domain_id IS NOT NULL")
    assert parents == [(1,)]


# ---------------------------------------------------------------------------------------------------------
# Systems: no credential (test_credentials.py has all the forms)

SECRET = "hunter2"


@pytest.mark.parametrize(
    "info",
    [
        {"password": SECRET},
        {"connections": [{"db": {"API_KEY": SECRET}}]},
        f"postgresql://me:{SECRET}@host/db",
    ],
    ids=str,
)
def test_a_credential_is_refused_whatever_writes_it(catalogue: Catalogue, info: Any) -> None:
    for statement in (
        "INSERT INTO systems (name, connection_info) VALUES ('s', %s)",
        "UPDATE systems SET connection_info = %s",
        "INSERT INTO systems (name, connection_info) VALUES ('system', %s) "
        "ON CONFLICT (name) DO UPDATE SET connection_info = excluded.connection_info",
    ):
        with (
            pytest.raises(psycopg.errors.CheckViolation) as caught,
            catalogue.connection.transaction(),
        ):
            catalogue.connection.execute(statement.encode(), [Jsonb(info)])
        said = caught.value.diag
        assert said.constraint_name == "systems_connection_info_credential_check"
        assert "env:REPLICA_PASSWORD" in (said.message_hint or "")
        everything = [getattr(said, name) for name in dir(said) if name.startswith(("message", "context"))]
        assert SECRET not in str([*everything, caught.value])


# ---------------------------------------------------------------------------------------------------------
# Contracts and what belongs to them

OWN_FEED = "data_feed_dependencies_data_feed_id_dependency_feed_id_check"


def test_a_contract_never_depends_on_the_feed_that_it_serves(catalogue: Catalogue) -> None:
    for statement in (
        "INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id) VALUES (#1, #1)",
        "UPDATE data_feed_dependencies SET dependency_feed_id = #1 WHERE data_contract_id = #1",
        "UPDATE data_contracts SET data_feed_id = #2 WHERE id = #1",
    ):
        with pytest.raises(psycopg.errors.CheckViolation) as caught, catalogue.connection.transaction():
            catalogue(statement)
        assert caught.value.diag.constraint_name == OWN_FEED


def test_a_writer_cannot_name_another_feed_as_the_contracts_own(catalogue: Catalogue) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        catalogue(
            "INSERT INTO data_feed_dependencies (data_contract_id, data_feed_id, dependency_feed_id) "
            "VALUES (#1, #3, #1)"
        )


def test_dependencies_follow_a_contract_to_another_feed(catalogue: Catalogue) -> None:
    catalogue("UPDATE data_contracts SET data_feed_id = #3 WHERE id = #1")
    feeds = catalogue("SELECT data_feed_id = #3 FROM data_feed_dependencies WHERE data_contract_id = #1")
    assert feeds == [(True,)]


def test_a_deleted_contract_takes_what_is_its_own_and_nothing_else(catalogue: Catalogue) -> None:
    before = catalogue.contents()
    assert all(before[table] for table in (*ENTITIES, *LINKS, *COMPONENTS, "data_feed_dependencies"))
    catalogue(*(CONTRACT.replace("?", number) for number in "45"))
    for table in (*LINKS, *COMPONENTS, "data_feed_dependencies"):
        assert len(catalogue.contents()[table]) == len(before[table]) + 2
    catalogue("DELETE FROM data_contracts WHERE id IN (#4, #5)")
    assert catalogue.contents() == before


def test_a_contract_without_components_can_be_deleted(catalogue: Catalogue) -> None:
    before = catalogue.contents()
    catalogue(
        "INSERT INTO schemas (id, name, schema_data) VALUES (#4, 's', '{}')",
        "INSERT INTO data_contracts (name, version, schema_id, data_feed_id) VALUES ('d', '1', #4, #1)",
        "DELETE FROM data_contracts WHERE name = 'd'",
    )
    assert catalogue.contents() == before


def versions_with(catalogue: Catalogue, table: str) -> list[Any]:
    """Which of the contract's versions still have their row in a component table."""
    id = (
        "substring(resource_id FROM 3)" if table in ("ownership", "metadata_record") else "right(id::text, 1)"
    )
    return [number for (number,) in catalogue(f"SELECT {id} FROM {table} ORDER BY 1")]


@pytest.mark.parametrize(("table", "column"), [item for item in COMPONENTS.items() if item[0] != "schemas"])
def test_a_component_that_is_dropped_goes(catalogue: Catalogue, table: str, column: str) -> None:
    before = catalogue.contents()
    catalogue(f"UPDATE data_contracts SET {column} = NULL WHERE id = #1")
    assert versions_with(catalogue, table) == ["2"]
    after = catalogue.contents()
    assert {name for name in before if before[name] != after[name]} == {table, "data_contracts"}


def test_a_schema_that_is_replaced_goes_with_its_rules(catalogue: Catalogue) -> None:
    catalogue(
        "UPDATE data_contracts SET schema_id = #3, coercion_rules_id = NULL, validation_rules_id = NULL "
        "WHERE id = #1"
    )
    assert versions_with(catalogue, "schemas") == ["2", "3"]
    assert versions_with(catalogue, "coercion_rules") == versions_with(catalogue, "validation_rules") == ["2"]


def test_rules_that_are_replaced_go(catalogue: Catalogue) -> None:
    for table in ("coercion_rules", "validation_rules"):
        catalogue(
            f"INSERT INTO {table} (id, schema_id, rules) VALUES (#4, #1, '{{}}')",
            f"UPDATE data_contracts SET {table}_id = #4 WHERE id = #1",
        )
        assert versions_with(catalogue, table) == ["2", "4"]


def test_a_renamed_ownership_stays(catalogue: Catalogue) -> None:
    catalogue("UPDATE ownership SET resource_id = 'renamed' WHERE resource_id = 'c@1'")
    assert catalogue("SELECT ownership_id FROM data_contracts ORDER BY version") == [("renamed",), ("c@2",)]
    assert catalogue("SELECT resource_id FROM ownership ORDER BY 1") == [("c@2",), ("renamed",)]


def test_other_changes_of_a_contract_leave_its_components_alone(catalogue: Catalogue) -> None:
    before = catalogue.contents()
    catalogue("UPDATE data_contracts SET status = 'active', version = version || '.0', domain_id = NULL")
    after = catalogue.contents()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"data_contracts", "current_contracts", "lineage_edges"}


IN_USE = [
    *((table, id) for table in ENTITIES for id in ("#1",)),
    ("data_feeds", "#2"),  # which a contract depends on
    *((table, "#1") for table in COMPONENTS if table != "ownership"),
    ("ownership", "'c@1'"),
]


@pytest.mark.parametrize(("table", "id"), IN_USE)
def test_what_is_in_use_cannot_be_deleted(catalogue: Catalogue, table: str, id: str) -> None:
    key = "resource_id" if table == "ownership" else "id"
    with pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg.errors.RestrictViolation)):
        catalogue(f"DELETE FROM {table} WHERE {key} = {id}")


def test_what_is_not_in_use_can(catalogue: Catalogue) -> None:
    catalogue("DELETE FROM data_contracts", *(f"DELETE FROM {table}" for table in ENTITIES))
    catalogue("DELETE FROM schemas WHERE id = #3")
    filled = {table for table, rows in catalogue.contents().items() if rows and "yoyo" not in table}
    assert filled == {"migration_files", "migration_objects"}

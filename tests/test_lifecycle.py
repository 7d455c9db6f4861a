"""From draft to retired, and of two writers who have read the same revision the second is told."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import TransactionStatus

from pycharter_sql import (
    ContractNotFound,
    Outcome,
    RevisionConflict,
    Status,
    StatusOrderBroken,
    VersionPublished,
    activate,
    deprecate,
    get_contract,
    load,
    register_contract,
    retire,
    versions_of,
)

Conn = psycopg.Connection[Any]

STEPS: dict[Status, Callable[..., Outcome]] = {
    Status.ACTIVE: activate,
    Status.DEPRECATED: deprecate,
    Status.RETIRED: retire,
}
ALLOWED = {
    (Status.PROPOSED, Status.ACTIVE),
    (Status.DRAFT, Status.ACTIVE),
    (Status.ACTIVE, Status.DEPRECATED),
    (Status.ACTIVE, Status.RETIRED),
    (Status.DEPRECATED, Status.ACTIVE),
    (Status.DEPRECATED, Status.RETIRED),
}


def contract(status: str = "draft", **content: Any) -> dict[str, Any]:
    return {"name": "A", "version": "1.0.0", "status": status, "schema": {"type": "object"}} | content


def revision(conn: Conn) -> int:
    return get_contract(conn, "A", "1.0.0").revision


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", STEPS)
def test_every_step(conn: Conn, before: Status, after: Status) -> None:
    register_contract(conn, contract(before))
    conn.commit()
    read = revision(conn)
    if before == after:
        assert STEPS[after](conn, "A", "1.0.0") is Outcome.UNCHANGED
        assert revision(conn) == read
    elif (before, after) in ALLOWED:
        assert STEPS[after](conn, "A", "1.0.0") is Outcome.UPDATED
        assert get_contract(conn, "A", "1.0.0").status is after
        assert revision(conn) != read
    else:
        with pytest.raises(
            StatusOrderBroken, match=f"is {before}: it cannot become {after}\n  \\w+"
        ) as caught:
            STEPS[after](conn, "A", "1.0.0")
        assert caught.value.contract == "A@1.0.0"
        # Nothing has changed, and the transaction goes on.
        assert get_contract(conn, "A", "1.0.0").status is before


def test_published_is_sealed_at_the_commit(conn: Conn) -> None:
    register_contract(conn, contract())
    activate(conn, "A", "1.0.0")
    conn.commit()
    with pytest.raises(VersionPublished):
        register_contract(conn, contract("active", description="new"))


@pytest.mark.parametrize("step", STEPS.values())
@pytest.mark.parametrize("key", [("A", "2.0.0"), ("B", "1.0.0")])
def test_no_such_version(conn: Conn, step: Callable[..., Outcome], key: tuple[str, str]) -> None:
    register_contract(conn, contract())
    with pytest.raises(ContractNotFound, match=f'version {key[1]} of contract "{key[0]}"'):
        step(conn, *key)
    assert [row.version for row in versions_of(conn, "A")] == ["1.0.0"]


# ------------------------------------------------------------------------------------------------- revisions

SYSTEM = "(data_contract_id, system_id) SELECT c.id, s.id FROM contract AS c, systems AS s"
LINKS = {
    "data_contract_system_pulls": SYSTEM,
    "data_contract_system_pushes": SYSTEM,
    "data_contract_system_sources": SYSTEM,
    "data_contract_business_owners": "(data_contract_id, business_owner_id)"
    " SELECT c.id, b.id FROM contract AS c, business_owners AS b",
    "data_contract_team_access": "(data_contract_id, team_id, permission)"
    " SELECT c.id, t.id, 'read' FROM contract AS c, teams AS t",
    "data_feed_dependencies": "(data_contract_id, dependency_feed_id)"
    " SELECT c.id, f.id FROM contract AS c, data_feeds AS f WHERE f.name = 'other'",
}
TRUNCATE = "SET pycharter_sql.overwrite = yes; TRUNCATE"
UPDATES = {
    "data_contracts": "description = 'new'",
    "schemas": """schema_data = '{"type": "array"}'""",
    "coercion_rules": "rules = '{}'",
    "validation_rules": "rules = '{}'",
    "governance_rules": "rule_definition = '{}'",
    "metadata_record": "metadata_data = '{}'",
    "ownership": "owner = 'new'",
}
WHOLE = contract(
    coercion_rules={"rules": {"f": "coerce_to_string"}},
    validation_rules={"rules": {"f": {"min_length": {"threshold": 1}}}},
    governance_rules={"monitored": True},
    metadata={"title": "A"},
    ownership={"owner": "Ann"},
)


@pytest.fixture
def whole(conn: Conn) -> Conn:
    """A contract with every component and no link, and an entity of each kind that it could be linked to."""
    register_contract(conn, WHOLE)
    register_contract(conn, {"name": "other", "version": "1", "schema": {"type": "object"}})
    conn.execute("SET search_path = pycharter, pg_temp")
    for entities in ("systems", "business_owners", "teams"):
        conn.execute(f"INSERT INTO {entities} (name) VALUES ('X')".encode())
    conn.commit()
    return conn


def test_whatever_changes_counts(whole: Conn) -> None:
    said = [f"UPDATE {table} SET {change}" for table, change in UPDATES.items()]
    for table, rows in LINKS.items():
        contract = "WITH contract AS (SELECT id FROM data_contracts WHERE name = 'A')"
        said += [f"{contract} INSERT INTO {table} {rows}", f"DELETE FROM {table}"]
        said += [f"{contract} INSERT INTO {table} {rows}", f"{TRUNCATE} {table} CASCADE"]
    said += ["UPDATE ownership SET resource_id = 'another'", "SELECT merge_data_feed('A', 'B')"]
    whole.execute("INSERT INTO data_feeds (name) VALUES ('B')")
    seen = set()
    for statement in said:
        before = get_contract(whole, "A", "1.0.0")
        seen.add(before.revision)
        whole.commit()
        whole.execute(statement.encode())
        whole.commit()
        assert revision(whole) not in seen, statement
        assert get_contract(whole, "A", "1.0.0").updated_at > before.updated_at, statement
    before = get_contract(whole, "A", "1.0.0")
    whole.commit()
    whole.execute("UPDATE data_contracts SET description = description")
    whole.execute("UPDATE systems SET name = 'Y'")
    assert revision(whole) == before.revision


def test_a_load_that_changes_nothing_counts_nothing(whole: Conn) -> None:
    read = revision(whole)
    assert register_contract(whole, WHOLE) is Outcome.UNCHANGED
    assert revision(whole) == read
    assert register_contract(whole, {**WHOLE, "pulls_from": ["X"]}) is Outcome.UPDATED
    assert revision(whole) != read


def test_nobody_chooses_a_revision(whole: Conn) -> None:
    read = revision(whole)
    whole.execute("UPDATE data_contracts SET revision = 77 WHERE name = 'A'")
    assert revision(whole) not in (read, 77)


def test_a_revision_never_comes_back(whole: Conn) -> None:
    """Neither by deleting and registering anew, nor in what was rolled back."""
    read = revision(whole)
    whole.execute("DELETE FROM data_contracts WHERE name = 'A'")
    register_contract(whole, WHOLE)
    undone = revision(whole)
    whole.rollback()
    register_contract(whole, {**WHOLE, "description": "other"})
    assert revision(whole) not in (read, undone)


def test_the_second_writer_is_told(whole: Conn) -> None:
    read = revision(whole)
    assert register_contract(whole, contract(description="first"), revision=read) is Outcome.UPDATED
    whole.commit()
    writes: list[Callable[[], Outcome]] = [
        lambda: register_contract(whole, contract(description="second"), revision=read),
        lambda: activate(whole, "A", "1.0.0", revision=read),
    ]
    for write in writes:
        with pytest.raises(RevisionConflict, match=rf"revision \d+, not {read}\n  Somebody else") as caught:
            write()
        assert (caught.value.contract, caught.value.constraint) == ("A@1.0.0", "data_contracts_revision")
        found = get_contract(whole, "A", "1.0.0")
        assert (found.description, found.status) == ("first", Status.DRAFT)
    assert activate(whole, "A", "1.0.0", revision=revision(whole)) is Outcome.UPDATED


def test_only_where_it_is_not_there_yet(conn: Conn) -> None:
    assert register_contract(conn, contract(), revision=0) is Outcome.INSERTED
    with pytest.raises(RevisionConflict, match=r"is there already, in revision \d+"):
        register_contract(conn, contract(description="second"), revision=0)
    with pytest.raises(RevisionConflict, match='no version 9 of contract "A", not even revision 3'):
        register_contract(conn, contract(version="9"), revision=3)
    assert [row.version for row in versions_of(conn, "A")] == ["1.0.0"]


def test_the_second_waits_for_the_first(whole: Conn) -> None:
    """Read side by side, written one after the other: the second sees what the first has committed."""
    read = revision(whole)
    whole.commit()
    register_contract(whole, contract(description="first"), revision=read)
    with psycopg.connect(whole.info.dsn) as other:
        other.execute("SET lock_timeout = '200ms'")
        other.commit()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            activate(other, "A", "1.0.0", revision=read)
        assert other.info.transaction_status == TransactionStatus.IDLE
        whole.commit()
        with pytest.raises(RevisionConflict):
            activate(other, "A", "1.0.0", revision=read)


CHANGES = st.lists(
    st.sampled_from(
        [
            {"description": "one"},
            {"description": "two"},
            {"pulls_from": ["X"]},
            {"pulls_from": []},
            {"status": "proposed"},
        ]
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_a_revision_grows_where_the_document_changes(conn: Conn, changes: list[dict[str, Any]]) -> None:
    register_contract(conn, contract(pulls_from=[], description="zero"))
    conn.commit()
    known = revision(conn)
    for change in changes:
        outcome = register_contract(conn, {"name": "A", "version": "1.0.0"} | change, revision=known)
        found = revision(conn)
        assert (found != known) is (outcome is Outcome.UPDATED)
        known = found
        conn.commit()
    conn.execute("DELETE FROM pycharter.data_contracts")


# ----------------------------------------------------------------------------------- SQL of one's own, beside


def test_nothing_is_overwritten_unseen(conn: Conn) -> None:
    """A version that somebody inserts by hand meanwhile is there when the turn comes."""
    with psycopg.connect(conn.info.dsn) as other, ThreadPoolExecutor(1) as thread:
        other.execute("SET search_path = pycharter, pg_temp")
        other.execute("INSERT INTO data_feeds (name) VALUES ('A')")
        registered = thread.submit(register_contract, conn, contract(description="mine"), revision=0)
        other.execute(
            """
            WITH new AS (INSERT INTO schemas (name, schema_data) VALUES ('A', '{}') RETURNING id)
            INSERT INTO data_contracts (name, version, description, schema_id, data_feed_id)
            SELECT 'A', '1.0.0', 'theirs', new.id, f.id FROM new, data_feeds AS f WHERE f.name = 'A'
            """
        )
        other.commit()
        with pytest.raises(RevisionConflict, match="is there already"):
            registered.result(10)
    assert get_contract(conn, "A", "1.0.0").description == "theirs"


BY_HAND = [
    "UPDATE governance_rules SET rule_definition = jsonb_build_object('n', random())",
    "UPDATE schemas SET schema_data = jsonb_build_object('n', random()) WHERE name = 'A'",
    "DELETE FROM data_contract_system_pulls",
    "INSERT INTO data_contract_system_pulls (data_contract_id, system_id)"
    " SELECT c.id, s.id FROM data_contracts AS c, systems AS s WHERE c.name = 'A' ON CONFLICT DO NOTHING",
    "UPDATE data_contracts SET description = random()::text; DELETE FROM data_contract_team_access",
    "UPDATE teams SET description = random()::text; UPDATE systems SET description = random()::text",
]


def test_no_deadlock_with_sql_of_ones_own(whole: Conn) -> None:
    until = time.time() + 5

    def by_hand(seed: int) -> int:
        chosen, done = random.Random(seed), 0
        with psycopg.connect(whole.info.dsn) as own:
            own.execute("SET search_path = pycharter, pg_temp")
            own.commit()
            while time.time() < until:
                for statement in chosen.sample(BY_HAND, 2):
                    own.execute(statement.encode())
                if chosen.random() < 0.3:
                    register_contract(own, {**WHOLE, "pulls_from": ["X"]})
                own.commit()
                done += 1
        return done

    def by_function(seed: int) -> int:
        chosen, done = random.Random(seed), 0
        with psycopg.connect(whole.info.dsn) as own:
            while time.time() < until:
                change = {
                    "governance_rules": {"n": chosen.random()},
                    "pulls_from": chosen.choice([["X"], []]),
                }
                register_contract(own, {**WHOLE, **change, "team_access": {"read": ["X"]}})
                own.commit()
                done += 1
        return done

    with ThreadPoolExecutor(4) as threads:
        tasks = [threads.submit(work, seed) for seed in (1, 2) for work in (by_hand, by_function)]
        assert all(task.result() > 3 for task in tasks)


def test_writes_leave_no_bloat_in_the_system_catalogues(conn: Conn) -> None:
    """No table, type or column is made, not even for a moment, whatever is written."""
    conn.autocommit = True
    written = """
        SELECT c.relname, pg_relation_size(c.oid), pg_stat_get_tuples_inserted(c.oid)
        FROM pg_class AS c WHERE c.relname IN ('pg_attribute', 'pg_class', 'pg_type', 'pg_depend')
        ORDER BY c.relname"""
    register_contract(conn, contract())
    conn.execute("SELECT pg_stat_force_next_flush()")
    before = conn.execute(written).fetchall()
    for number in range(200):
        change = contract(description=str(number)) if number % 2 else contract(version=f"9.{number}.0")
        register_contract(conn, change)
    activate(conn, "A", "9.0.0")
    load(conn, [contract(version="10.0.0"), contract(version="11.0.0")])
    conn.execute("SELECT pg_stat_force_next_flush()")
    assert conn.execute(written).fetchall() == before

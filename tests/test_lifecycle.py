"""From draft to retired, and of two writers who have read the same revision the second is told."""

from __future__ import annotations

from collections.abc import Callable
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
    if before == after:
        assert STEPS[after](conn, "A", "1.0.0") is Outcome.UNCHANGED
        assert revision(conn) == 1
    elif (before, after) in ALLOWED:
        assert STEPS[after](conn, "A", "1.0.0") is Outcome.UPDATED
        assert get_contract(conn, "A", "1.0.0").status is after
        assert revision(conn) == 2
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
    for number, statement in enumerate(said, 1):
        assert revision(whole) == number, statement
        before = get_contract(whole, "A", "1.0.0").updated_at
        whole.commit()
        whole.execute(statement.encode())
        whole.commit()
        assert revision(whole) == number + 1, statement
        assert get_contract(whole, "A", "1.0.0").updated_at > before, statement
    whole.execute("UPDATE data_contracts SET description = description")
    whole.execute("UPDATE systems SET name = 'Y'")
    assert revision(whole) == len(said) + 1


def test_a_load_that_changes_nothing_counts_nothing(whole: Conn) -> None:
    assert register_contract(whole, WHOLE) is Outcome.UNCHANGED
    assert revision(whole) == 1
    assert register_contract(whole, {**WHOLE, "pulls_from": ["X"]}) is Outcome.UPDATED
    assert revision(whole) > 1


def test_nobody_chooses_a_revision(whole: Conn) -> None:
    whole.execute("UPDATE data_contracts SET revision = 77 WHERE name = 'A'")
    assert revision(whole) == 2


def test_the_second_writer_is_told(whole: Conn) -> None:
    read = revision(whole)
    assert register_contract(whole, contract(description="first"), revision=read) is Outcome.UPDATED
    whole.commit()
    writes: list[Callable[[], Outcome]] = [
        lambda: register_contract(whole, contract(description="second"), revision=read),
        lambda: activate(whole, "A", "1.0.0", revision=read),
    ]
    for write in writes:
        with pytest.raises(RevisionConflict, match=r"revision \d+, not 1\n  Somebody else") as caught:
            write()
        assert (caught.value.contract, caught.value.constraint) == ("A@1.0.0", "data_contracts_revision")
        found = get_contract(whole, "A", "1.0.0")
        assert (found.description, found.status) == ("first", Status.DRAFT)
    assert activate(whole, "A", "1.0.0", revision=revision(whole)) is Outcome.UPDATED


def test_only_where_it_is_not_there_yet(conn: Conn) -> None:
    assert register_contract(conn, contract(), revision=0) is Outcome.INSERTED
    with pytest.raises(RevisionConflict, match="is there already, in revision 1"):
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
        assert (found > known) is (outcome is Outcome.UPDATED)
        assert found >= known
        known = found
    conn.rollback()

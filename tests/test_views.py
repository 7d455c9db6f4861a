"""What the views answer, row for row, and that they look one contract up by its index."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from pycharter_sql import rows

Conn = psycopg.Connection[Any]

AIRCRAFT: dict[str, Any] = {
    "name": "Aircraft",
    "version": "1.0.0",
    "status": "active",
    "description": "Every aircraft of the fleet",
    "is_data_feed": True,
    "data_feed": {"name": "aircraft", "feed_type": "Operational"},
    "domain": {"name": "Fleet", "parent_domain": {"name": "Operations", "parent_domain": "Airline"}},
    "schema": {"type": "object", "version": "0.9"},
    "coercion_rules": {"version": "1", "rules": {"REGISTRATION": "coerce_to_string"}},
    "validation_rules": {"rules": {"REGISTRATION": {"max_length": {"threshold": 10}}}},
    "governance_rules": {"data_retention": {"days": 30}},
    "metadata": {"title": "Aircraft"},
    "ownership": {"owner": "IOC", "team": "data-engineering"},
    # Not in their order under COLLATE "C": capitals come first.
    "pulls_from": ["fleetwise", "SCR", "Netline"],
    "pushes_to": ["warehouse", "SCR"],
    "system_sources": ["Netline"],
    "business_owners": ["ops", "IOC", {"name": "Ann", "role": "data_steward"}],
    "team_access": {"read": ["analysts", "Ops", "both"], "write": ["loaders", "both"]},
    "dependencies": ["operator", {"name": "Airport", "dependency_type": "optional"}],
    "created_by": "ann",
    "updated_by": "bob",
}


def contract(name: str, version: str = "1.0.0", **content: Any) -> dict[str, Any]:
    return {"name": name, "version": version, "schema": {"type": "object"}} | content


def load(conn: Conn, *documents: dict[str, Any]) -> None:
    row = conn.execute("SELECT pycharter.load_documents(%s)", [list(map(Jsonb, documents))]).fetchone()
    assert row and row[0]["refusals"] == []


def select(conn: Conn, query: LiteralString, *parameters: object) -> list[Any]:
    conn.execute("SET search_path = pycharter")
    return conn.execute(query, parameters).fetchall()


# --------------------------------------------------------------------------------------------- golden answers


@pytest.mark.parametrize(
    ("view", "row"),
    [
        ("contract_full", rows.Contract),
        ("contract_latest", rows.Contract),
        ("contract_current", rows.Contract),
        ("contract_systems", rows.ContractSystem),
        ("contract_owners", rows.ContractOwner),
        ("contract_access", rows.ContractAccess),
        ("contract_dependencies", rows.ContractDependency),
        ("feed_lineage", rows.FeedDependency),
        ("system_flow", rows.SystemFlow),
        ("dependency_cycles", rows.DependencyCycle),
        ("catalogue_issues", rows.CatalogueIssue),
        ("domain_tree", rows.Domain),
        ("contract_fields", rows.ContractField),
    ],
)
def test_dataclasses_have_the_columns_of_their_views(conn: Conn, view: str, row: Any) -> None:
    columns = conn.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        ["pycharter." + view],
    )
    assert [field.name for field in fields(row)] == [name for (name,) in columns]


def test_contract_full(conn: Conn) -> None:
    load(conn, AIRCRAFT)
    (row,) = conn.cursor(row_factory=dict_row).execute("SELECT * FROM pycharter.contract_full").fetchall()
    (transaction,) = conn.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or (0,)
    assert isinstance(row.pop("contract_id"), UUID)
    assert isinstance(row["created_at"], datetime) and row.pop("created_at") == row.pop("updated_at")
    assert row == {
        "name": "Aircraft",
        "version": "1.0.0",
        "status": "active",
        "description": "Every aircraft of the fleet",
        "is_data_feed": True,
        "data_feed": "aircraft",
        "feed_type": "Operational",
        "domain": "Fleet",
        "schema": {"type": "object", "version": "0.9"},
        "coercion_rules": {"REGISTRATION": "coerce_to_string"},
        "validation_rules": {"REGISTRATION": {"max_length": {"threshold": 10}}},
        "governance_rules": {"data_retention": {"days": 30}},
        "metadata": {"title": "Aircraft"},
        "ownership": {
            "resource_id": "Aircraft@1.0.0",
            "owner": "IOC",
            "team": "data-engineering",
            "additional_info": None,
        },
        "pulls_from": ["Netline", "SCR", "fleetwise"],
        "pushes_to": ["SCR", "warehouse"],
        "system_sources": ["Netline"],
        "business_owners": ["IOC", "ops"],
        "read_teams": ["Ops", "analysts", "both", "loaders"],
        "write_teams": ["both", "loaders"],
        "dependencies": ["Airport", "operator"],
        "created_by": "ann",
        "updated_by": "bob",
        "revision": transaction,
    }


def test_contract_full_of_a_bare_contract(conn: Conn) -> None:
    load(conn, contract("Bare"))
    (row,) = conn.cursor(row_factory=dict_row).execute("SELECT * FROM pycharter.contract_full").fetchall()
    assert [key for key, value in row.items() if value == []] == [
        "pulls_from",
        "pushes_to",
        "system_sources",
        "business_owners",
        "read_teams",
        "write_teams",
        "dependencies",
    ]
    assert {key for key, value in row.items() if value is None} == {
        "description",
        "feed_type",
        "domain",
        "coercion_rules",
        "validation_rules",
        "governance_rules",
        "metadata",
        "ownership",
    }
    assert (row["status"], row["is_data_feed"], row["data_feed"]) == ("draft", False, "Bare")
    assert (row["created_by"], row["updated_by"]) == (conn.info.user, conn.info.user)


def test_one_row_a_contract_version(conn: Conn) -> None:
    load(conn, AIRCRAFT, AIRCRAFT | {"version": "1.1.0"}, contract("Bare"))
    assert select(conn, "SELECT name, version FROM contract_full ORDER BY 1, 2") == [
        ("Aircraft", "1.0.0"),
        ("Aircraft", "1.1.0"),
        ("Bare", "1.0.0"),
    ]


def test_contract_latest_and_current(conn: Conn) -> None:
    versions = {
        "numbers, not text": {"1.9.0": "active", "1.10.0": "active"},
        "a release over its pre-release": {"2.0.0-rc.1": "active", "2.0.0-beta": "active", "2.0.0": "active"},
        "an active pre-release": {"1.0.0": "active", "2.0.0-rc.1": "active", "2.0.0-rc.2": "proposed"},
        "the latest is retired": {"1.0.0": "active", "1.1.0": "deprecated", "1.2.0": "retired"},
        "none is active": {"0.9": "deprecated", "1.0.0": "draft"},
        "equal precedence": {"1.0.0+b": "active", "1.0.0+a": "active", "v1": "draft"},
        "no number": {"main": "active", "0.0.1": "draft"},
    }
    load(
        conn,
        *(
            contract(name, version, status=status)
            for name in versions
            for version, status in versions[name].items()
        ),
    )
    assert dict(select(conn, "SELECT name, version FROM contract_latest")) == {
        "numbers, not text": "1.10.0",
        "a release over its pre-release": "2.0.0",
        "an active pre-release": "2.0.0-rc.2",
        "the latest is retired": "1.2.0",
        "none is active": "1.0.0",
        "equal precedence": "v1",
        "no number": "0.0.1",
    }
    assert dict(select(conn, "SELECT name, version FROM contract_current")) == {
        "numbers, not text": "1.10.0",
        "a release over its pre-release": "2.0.0",
        "an active pre-release": "2.0.0-rc.1",
        "the latest is retired": "1.0.0",
        "equal precedence": "1.0.0+b",
        "no number": "main",
    }
    for view in ("contract_latest", "contract_current"):
        assert select(conn, "SELECT count(DISTINCT name) = count(*) FROM " + view) == [(True,)]


def test_contract_systems(conn: Conn) -> None:
    load(conn, AIRCRAFT, contract("Bare", pulls_from=["SCR"]))
    found = select(
        conn,
        "SELECT contract, version, status, system, direction FROM contract_systems ORDER BY 1, 4, 5",
    )
    assert found == [
        ("Aircraft", "1.0.0", "active", "Netline", "pulls_from"),
        ("Aircraft", "1.0.0", "active", "Netline", "system_sources"),
        ("Aircraft", "1.0.0", "active", "SCR", "pulls_from"),
        ("Aircraft", "1.0.0", "active", "SCR", "pushes_to"),
        ("Aircraft", "1.0.0", "active", "fleetwise", "pulls_from"),
        ("Aircraft", "1.0.0", "active", "warehouse", "pushes_to"),
        ("Bare", "1.0.0", "draft", "SCR", "pulls_from"),
    ]


def test_contract_owners(conn: Conn) -> None:
    load(conn, AIRCRAFT, contract("Bare", business_owners=["Ann", {"name": "Ann", "role": "support_lead"}]))
    found = select(
        conn,
        "SELECT contract, version, status, business_owner, role FROM contract_owners ORDER BY 1, 4, 5",
    )
    assert found == [
        ("Aircraft", "1.0.0", "active", "Ann", "data_steward"),
        ("Aircraft", "1.0.0", "active", "IOC", "business_owner"),
        ("Aircraft", "1.0.0", "active", "ops", "business_owner"),
        ("Bare", "1.0.0", "draft", "Ann", "business_owner"),
        ("Bare", "1.0.0", "draft", "Ann", "support_lead"),
    ]


def test_contract_access(conn: Conn) -> None:
    load(conn, AIRCRAFT, contract("Bare", team_access={"write": ["Ops"]}))
    found = select(
        conn,
        "SELECT contract, version, status, team, can_read, can_write FROM contract_access ORDER BY 1, 4",
    )
    assert found == [
        ("Aircraft", "1.0.0", "active", "Ops", True, False),
        ("Aircraft", "1.0.0", "active", "analysts", True, False),
        ("Aircraft", "1.0.0", "active", "both", True, True),
        ("Aircraft", "1.0.0", "active", "loaders", True, True),
        ("Bare", "1.0.0", "draft", "Ops", True, True),
    ]


def test_contract_dependencies(conn: Conn) -> None:
    load(conn, AIRCRAFT, contract("Bare", dependencies=["aircraft"]))
    found = select(
        conn,
        "SELECT contract, version, status, data_feed, dependency, dependency_type"
        " FROM contract_dependencies ORDER BY 1, 5",
    )
    assert found == [
        ("Aircraft", "1.0.0", "active", "aircraft", "Airport", "optional"),
        ("Aircraft", "1.0.0", "active", "aircraft", "operator", "required"),
        ("Bare", "1.0.0", "draft", "Bare", "aircraft", "required"),
    ]


def test_domain_tree(conn: Conn) -> None:
    load(
        conn,
        AIRCRAFT,
        AIRCRAFT | {"version": "2.0.0"},
        contract("Crew", domain={"name": "Crewing", "parent_domain": "Operations"}),
        contract("Flight", domain="Operations"),
        contract("Nothing"),
    )
    conn.execute("INSERT INTO pycharter.domains (name) VALUES ('Another')")
    found = select(
        conn,
        "SELECT domain, parent_domain, path, depth, direct_contracts, total_contracts"
        " FROM domain_tree ORDER BY path",
    )
    assert found == [
        ("Airline", None, ["Airline"], 1, 0, 4),
        ("Operations", "Airline", ["Airline", "Operations"], 2, 1, 4),
        ("Crewing", "Operations", ["Airline", "Operations", "Crewing"], 3, 1, 1),
        ("Fleet", "Operations", ["Airline", "Operations", "Fleet"], 3, 2, 2),
        ("Another", None, ["Another"], 1, 0, 0),
    ]
    (found_id,) = select(conn, "SELECT domain_id FROM domain_tree WHERE domain = 'Crewing'")
    assert select(conn, "SELECT id FROM domains WHERE name = 'Crewing'") == [found_id]


def test_the_questions_of_the_design(conn: Conn) -> None:
    load(
        conn,
        AIRCRAFT,
        contract("Bare", pulls_from=["SCR"], business_owners=["Ann"]),
        contract("Pushes only", pushes_to=["SCR"], business_owners=[{"name": "IOC", "role": "data_steward"}]),
    )
    assert select(
        conn,
        "SELECT contract FROM contract_systems WHERE system = 'SCR' AND direction = 'pulls_from' ORDER BY 1",
    ) == [("Aircraft",), ("Bare",)]
    assert select(
        conn,
        "SELECT contract FROM contract_owners WHERE business_owner = 'IOC' AND role = 'business_owner'",
    ) == [("Aircraft",)]

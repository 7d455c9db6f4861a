"""Old PyCharter databases, read in place: each known layout, and what stands in the way of reading one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pycharter_sql import loader, migrations
from pycharter_sql.documents import Raw, normalise
from pycharter_sql.errors import CatalogueError, DocumentRefused, Refusal
from pycharter_sql.sources import database, read_database

LAYOUTS = ("original_design", "0.0.10", "0.0.67")


@pytest.fixture
def old(empty_database: str, request: pytest.FixtureRequest) -> str:
    """URL of a database that holds one of tests/old_databases, the original design's unless told."""
    name = getattr(request, "param", "original_design")
    execute(empty_database, Path(__file__).with_name("old_databases").joinpath(f"{name}.sql").read_text())
    return empty_database


@pytest.fixture
def reader(old: str) -> Iterator[str]:
    """URL of the same database for a role that may do nothing yet."""
    execute(old, "CREATE ROLE reader LOGIN")
    yield f"{old}&user=reader"
    execute(old, "DROP OWNED BY reader; DROP ROLE reader")


layout = pytest.mark.parametrize("old", LAYOUTS, indirect=True)
of_0_0_10 = pytest.mark.parametrize("old", ["0.0.10"], indirect=True)
of_0_0_67 = pytest.mark.parametrize("old", ["0.0.67"], indirect=True)


def execute(dsn: str, statements: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statements.encode())


def contracts(dsn: str, schema: str = "pycharter") -> dict[str, dict[str, Any]]:
    """Source -> the contract document."""
    found = [raw for raw in read_database(dsn, schema=schema) if isinstance(raw, Raw) and raw.table is None]
    return {raw.place.source: normalise(raw).content for raw in found}


def entities(dsn: str) -> list[tuple[str, str, Any]]:
    """(source, table, row) of each entity that no contract names."""
    found = [raw for raw in read_database(dsn) if isinstance(raw, Raw) and raw.table is not None]
    return [(raw.place.source, raw.table or "", raw.content) for raw in found]


def refused(dsn: str) -> list[Refusal]:
    """What reading refuses, or normalising what was read."""
    refusals: list[Refusal] = []
    for found in read_database(dsn):
        if isinstance(found, Refusal):
            refusals.append(found)
        elif found.table is None:
            try:
                normalise(found)
            except DocumentRefused as error:
                refusals += error.refusals
    return refusals


# ----------------------------------------------------------------------------------------------- what is read


def test_original_design_as_the_software_of_its_day_wrote_it(old: str) -> None:
    assert contracts(old)["postgresql:pycharter.schemas id 3"] == {
        "name": "Shipment",
        "version": "1.0.0",
        "status": "active",
        "schema": {
            "version": "1.0.0",
            "type": "object",
            "properties": {"weight": {"type": ["number", "null"], "default": None}},
        },
        "coercion_rules": {"version": "1.0.0", "rules": {"weight": "coerce_to_float"}},
        "validation_rules": {"version": "1.0.0", "rules": {"weight": {"positive": None}}},
        "governance_rules": {"sensitivity": "Internal", "access_control": {"read": ["Dispatch"]}},
        "ownership": {"owner": "Logistics", "additional_info": {"contact": "dispatch@shop.example"}},
        "pulls_from": ["wms"],
        "business_owners": ["Logistics"],
        "team_access": {"read": ["Dispatch"]},
        "metadata": {
            "title": "Shipment",
            "version": "1.0.0",
            "status": "Active",
            "pulls_from": ["wms"],
            "business_owners": ["Logistics"],
            "data_quality": {"accuracy": 0.98, "sla": None},
            "old_rows": {
                "schema": {"created_at": "2024-02-01T08:00:00+00:00"},
                "coercion_rules": {"created_at": "2024-02-01T08:01:00+00:00"},
                "validation_rules": {"created_at": "2024-02-01T08:02:00+00:00"},
                "governance_rules": {"name": "shipment_policy", "created_at": "2024-02-01T08:03:00+00:00"},
                "ownership": {
                    "created_at": "2024-02-01T08:04:00+00:00",
                    "updated_at": "2024-02-01T08:05:00+00:00",
                },
                "metadata": {"resource_type": "schema", "created_at": "2024-02-01T08:06:00+00:00"},
            },
        },
    }


def test_original_design_with_a_row_and_links_which_lead(old: str) -> None:
    dispatch = {"name": "Dispatch", "team_type": "operations", "is_active": True}
    assert contracts(old)["postgresql:pycharter.data_contracts id 17"] == {
        "name": "Shipment",
        "version": "2.0.0",
        "status": "deprecated",
        "description": "Parcels",
        "is_data_feed": True,
        "created_by": "mara",
        "schema": {"type": "object", "version": "2.1.0"},
        "coercion_rules": {"version": "2.0.0", "rules": {}},
        "governance_rules": {"sensitivity": "Public"},
        "ownership": {"owner": "Logistics", "team": "dispatch"},
        "data_feed": {
            "name": "Shipments",
            "title": "All shipments",
            "feed_type": "Operational",
            "is_active": True,
        },
        # The parent's own parent is gone from the old table.
        "domain": {
            "name": "Fulfilment",
            "description": "From order to door",
            "parent_domain": "Operations",
            "is_active": True,
        },
        "pulls_from": [
            {
                "name": "wms",
                "description": "Warehouse",
                "system_type": "database",
                "connection_info": {"host": "wms.example", "password": "env:WMS"},
                "is_active": True,
            },
            {
                "name": "carrier-api",
                "system_type": "api",
                "connection_info": "https://carrier.example",
                "is_active": False,
            },
        ],
        # No link says otherwise.
        "pushes_to": ["billing"],
        "business_owners": [
            {
                "name": "Logistics",
                "contact_email": "logistics@shop.example",
                "department": "Operations",
                "is_active": True,
            }
        ],
        "team_access": {"read": [dispatch], "write": [dispatch]},
        "dependencies": [
            {
                "name": "Orders",
                "dependency_type": "optional",
                "description": "What customers want",
                "is_active": True,
            }
        ],
        "metadata": {
            "title": "Shipment",
            "pushes_to": ["billing"],
            "pulls_from": ["wms", "erp"],
            "domain": "Logistics",
            "governance_rules": {"sensitivity": "Public"},
            "old_rows": {
                "data_contracts": {
                    "created_at": "2024-05-01T10:00:00+00:00",
                    "updated_at": "2024-06-01T10:00:00+00:00",
                },
                "schema": {"name": "shipment-v2"},
                "coercion_rules_not_in_use": [
                    {"content": {"version": "1.9.0", "rules": {"weight": "coerce_to_string"}}}
                ],
                "ownership": {"resource_id": "shipment"},
                "metadata": {
                    "resource_id": "shipment",
                    "resource_type": "contract",
                    "status": "draft",
                    "is_data_feed": False,
                },
            },
        },
    }


def test_original_design_entities_that_no_contract_names(old: str) -> None:
    assert entities(old) == [
        (
            "postgresql:pycharter.systems id 3",
            "systems",
            {"name": "fax", "description": "Nobody uses it", "is_active": False},
        ),
        ("postgresql:pycharter.data_feeds id 3", "data_feeds", {"name": "Returns", "is_active": False}),
        (
            "postgresql:pycharter.business_owners id 2",
            "owners",
            {
                "id": "Legal",
                "description": "Contracts on paper",
                "email": "legal@shop.example",
                "team": "Board",
                "is_active": True,
            },
        ),
        (
            "postgresql:pycharter.domains id 2",
            "domains",
            {"name": "Operations", "description": "All that moves", "is_active": True},
        ),
        ("postgresql:pycharter.teams id 2", "teams", {"name": "Audit", "is_active": True}),
    ]


@of_0_0_10
def test_0_0_10(old: str) -> None:
    mara = {
        "name": "mara",
        "description": "Mara Lind",
        "contact_email": "mara@shop.example",
        "department": "Dispatch",
    }
    (document,) = contracts(old).values()
    assert document == {
        "name": "Shipment",
        "version": "1.0.0",
        "status": "deprecated",
        "description": "Parcels",
        "updated_by": "mara",
        "schema": {"type": "object", "version": "1.0.0"},
        "coercion_rules": {"version": "1.0.0", "rules": {"weight": "coerce_to_float"}},
        "governance_rules": {"sensitivity": "Internal", "access_control": {"read": ["Dispatch"]}},
        "domain": {"name": "Fulfilment", "description": "From order to door"},
        "pulls_from": [{"name": "wms", "description": "Warehouse"}],
        "pushes_to": ["billing"],
        "business_owners": [
            "logistics",
            mara | {"role": "business_sme"},
            {"name": "logistics", "role": "support_lead"},
            mara | {"role": "technical_owner"},
            mara | {"role": "technical_sme"},
        ],
        "team_access": {"read": ["Dispatch"]},
        "metadata": {
            "title": "shipment_metadata",
            "version": "1.0.0",
            "type": "event",
            "description": "Parcels",
            "governance_rules": {"sensitivity": "Internal", "access_control": {"read": ["Dispatch"]}},
            "old_rows": {
                "data_contracts": {
                    "schema_version": "1.0.0",
                    "coercion_rules_version": "1.0.0",
                    "metadata_version": "1.0.0",
                    "created_at": "2025-01-01T00:00:00+00:00",
                    "updated_at": "2025-01-02T00:00:00+00:00",
                },
                "schema_not_in_use": [{"content": {"type": "array"}, "version": "0.9.0"}],
                "coercion_rules": {
                    "title": "Shipment Coercion Rules",
                    "description": "Weights in kg",
                    "created_at": "2025-01-01T00:00:00+00:00",
                },
                "metadata": {"status": "active"},
                "pulls_from": {"wms": {"app_id": "APP-7"}},
                "business_owners": {"mara": {"additional_info": {"phone": "42"}}},
            },
        },
    }
    assert [(table, row) for _, table, row in entities(old)] == [
        ("systems", {"name": "fax", "app_id": "APP-1"}),
        ("domains", {"name": "Legal"}),
        (
            "owners",
            {
                "id": "legal",
                "name": "Legal Department",
                "email": "legal@shop.example",
                "additional_info": {"floor": 3},
            },
        ),
    ]


@of_0_0_67
def test_0_0_67(old: str) -> None:
    mara = {
        "name": "mara",
        "description": "Mara Lind",
        "contact_email": "mara@shop.example",
        "department": "Dispatch",
    }
    schema = {"version": "1.0.0", "type": "object", "properties": {"weight": {"type": "number"}}}
    linked, documented = contracts(old).values()
    assert documented == {
        "name": "shipment",
        "version": "1.0.0",
        "status": "retired",
        "description": "Parcels",
        "created_by": "mara",
        "schema": schema,
        "validation_rules": {"version": "1.2.0", "rules": {"weight": {"positive": None}}},
        "governance_rules": {"dependencies": ["Orders"]},
        "pulls_from": ["wms"],
        "business_owners": ["logistics", {"name": "mara", "role": "data_steward"}],
        "dependencies": ["Orders"],
        "metadata": {
            "name": "shipment",
            "namespace": "logistics",
            "version": "1.0.0",
            "type": "event",
            "description": "Parcels",
            "ownership": {"roles": {"business_owner": ["logistics"], "data_steward": ["mara"]}},
            "lineage": {"pulls_from": ["wms"]},
            "governance_rules": {"dependencies": ["Orders"]},
            "runtime": {"serve": {}},
            "data_quality": {"targets": []},
            "sla_properties": [{"property": "latency", "value": 4}],
            "field_bindings": {"weight": "mass"},
            "tags": ["parcels"],
            "data_dependencies": [
                {
                    "name": "shipment",
                    "namespace": None,
                    "version": "0.5.0",
                    "dependency_type": "required",
                    "description": None,
                    "is_critical": True,
                }
            ],
            "old_rows": {
                "data_contracts": {"revision": 4, "created_at": "2026-01-01T00:00:00+00:00"},
                "schema": {"name": "logistics_shipment"},
                "validation_rules": {
                    "name": "logistics_shipment_validation_rules",
                    "description": "Weights in kg",
                },
                "field_bindings": {"name": "shipment_bindings", "version": "1.0.0"},
                "metadata": {"status": "active"},
            },
        },
    }
    assert linked == {
        "name": "shipment",
        "version": "0.5.0",
        "status": "draft",
        "description": "Parcels, once",
        "schema": schema,
        "data_feed": {"name": "Shipments", "feed_type": "Operational", "is_active": True},
        "domain": "Fulfilment",
        "pulls_from": [{"name": "wms", "description": "Warehouse"}],
        "business_owners": [mara | {"role": "data_steward"}, mara],
        "metadata": {
            "description": "Parcels, once",
            "old_rows": {
                "data_contracts": {"revision": 1},
                "schema": {"name": "logistics_shipment"},
                "metadata": {"status": "active"},
                "data_feed": {"Shipments": {"additional_metadata": {"sla": 1}}},
                "pulls_from": {"wms": {"app_id": "APP-7"}},
                "further": {
                    "environments": ["prod"],
                    "storage_locations": [{"name": "lake", "usage_type": "archive"}],
                    "compliance_frameworks": [
                        {"name": "GDPR", "compliance_status": "compliant", "notes": None}
                    ],
                    "api_endpoints": [
                        {
                            "path": "/v1/shipment",
                            "method": "GET",
                            "rate_limit": "120/min",
                            "cache_ttl": 3600,
                            "documentation_url": None,
                            "is_active": True,
                            "additional_metadata": None,
                        }
                    ],
                },
            },
        },
    }
    assert [(table, row) for _, table, row in entities(old)] == [
        ("systems", {"name": "wms", "description": "Warehouse", "app_id": "APP-7"}),
        (
            "data_feeds",
            {
                "name": "Shipments",
                "feed_type": "Operational",
                "is_active": True,
                "additional_metadata": {"sla": 1},
            },
        ),
        ("domains", {"name": "Fulfilment"}),
        ("owners", {"id": "mara", "name": "Mara Lind", "email": "mara@shop.example", "team": "Dispatch"}),
        ("tags", {"name": "parcels", "color": "#aabbcc"}),
        ("environments", {"name": "prod", "is_production": True}),
        ("compliance_frameworks", {"name": "GDPR", "framework_type": "law", "is_active": True}),
    ]


def test_a_component_is_placed_at_its_own_row(old: str) -> None:
    raw = next(read_database(old))
    assert isinstance(raw, Raw)
    document = normalise(raw)
    assert str(document.place("/name")) == "postgresql:pycharter.schemas id 3#/name"
    assert str(document.place("/coercion_rules/rules/weight")) == (
        "postgresql:pycharter.coercion_rules id 5#/rules/weight"
    )
    assert str(document.place("/pulls_from/0")) == "postgresql:pycharter.metadata_record id 8#/pulls_from/0"


def test_components_in_use_are_those_that_the_contract_names(old: str) -> None:
    execute(old, "UPDATE pycharter.data_contracts SET coercion_rules_id = 9")
    document = contracts(old)["postgresql:pycharter.data_contracts id 17"]
    assert document["coercion_rules"]["version"] == "1.9.0"
    (unused,) = document["metadata"]["old_rows"]["coercion_rules_not_in_use"]
    assert unused["content"]["version"] == "2.0.0"


def test_one_set_of_rules_needs_no_version(old: str) -> None:
    execute(old, "UPDATE pycharter.coercion_rules SET version = NULL WHERE id = 5")
    document = contracts(old)["postgresql:pycharter.schemas id 3"]
    assert document["coercion_rules"]["rules"] == {"weight": "coerce_to_float"}


def test_the_policy_of_the_rows_tells_access_also_where_a_document_is_contradicted(old: str) -> None:
    execute(
        old,
        """
        DELETE FROM pycharter.data_contract_team_access;
        UPDATE pycharter.governance_rules SET schema_id = 4, rule_definition =
            '{"access_control": {"write": ["Audit"]}}'
        """,
    )
    document = contracts(old)["postgresql:pycharter.data_contracts id 17"]
    assert document["team_access"] == {"write": ["Audit"]}
    assert document["governance_rules"] == {"access_control": {"write": ["Audit"]}}


@of_0_0_67
def test_the_namespace_is_the_row_s(old: str) -> None:
    execute(
        old,
        """
        UPDATE pycharter.metadata_records SET payload = '{"namespace": "freight"}'
        WHERE payload IS NOT NULL
        """,
    )
    _, document = contracts(old).values()
    assert document["metadata"]["namespace"] == "logistics"
    assert document["metadata"]["old_rows"]["metadata"]["namespace"] == "freight"


# ------------------------------------------------------------------------------------------- where it is read


@layout
def test_a_renamed_schema(old: str) -> None:
    before = contracts(old)
    execute(old, 'ALTER SCHEMA pycharter RENAME TO "PyCharter before"')
    after = contracts(old, "PyCharter before")
    assert list(after.values()) == list(before.values())
    assert all(source.startswith("postgresql:PyCharter before.") for source in after)


@layout
def test_old_and_new_in_one_database(old: str) -> None:
    execute(old, "ALTER SCHEMA pycharter RENAME TO pycharter_old")
    migrations.apply(old)
    expected = contracts(old, "pycharter_old")
    with psycopg.connect(old) as connection:
        for outcome in ("inserted", "unchanged"):
            found = read_database(old, schema="pycharter_old")
            report = loader.load(
                connection, (raw for raw in found if not (isinstance(raw, Raw) and raw.table))
            )
            assert getattr(report, outcome) == report.read == len(expected)
        owners = connection.execute(
            "SELECT count(DISTINCT business_owner_id) FROM pycharter.data_contract_business_owners"
        ).fetchone()
    assert owners and owners[0] > 0


@layout
def test_select_is_all_the_right_that_it_takes(old: str, reader: str) -> None:
    with pytest.raises(CatalogueError, match="permission denied for schema pycharter") as refusal:
        list(read_database(reader))
    assert 'GRANT USAGE ON SCHEMA "pycharter" TO "reader"; GRANT SELECT' in refusal.value.remedy
    execute(old, "GRANT USAGE ON SCHEMA pycharter TO reader")
    with pytest.raises(CatalogueError, match="permission denied for table"):
        list(read_database(reader))
    execute(old, refusal.value.remedy.partition(": ")[2])
    assert list(read_database(reader)) == list(read_database(old))


@layout
def test_no_rows(old: str) -> None:
    with psycopg.connect(old) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'pycharter'"
        ).fetchall()
    execute(old, f"TRUNCATE {', '.join(table for (table,) in tables)}")
    assert list(read_database(old)) == []


def test_one_moment_is_seen_however_long_it_takes(old: str) -> None:
    count = 2 * database.ROWS_AT_A_TIME + 50
    execute(
        old,
        f"""
        INSERT INTO pycharter.schemas (id, name, version, schema_data)
        SELECT 1000 + n, 'many', n, '{{}}' FROM generate_series(1, {count}) AS n
        """,
    )
    reading = read_database(old)
    found = [next(reading)]
    execute(
        old,
        """
        UPDATE pycharter.schemas SET name = 'renamed';
        INSERT INTO pycharter.teams (id, name, is_active) VALUES (3, 'latecomers', 'true')
        """,
    )
    found += reading
    names = [raw.content["name"] for raw in found if isinstance(raw, Raw) and raw.table is None]
    assert names == ["Shipment"] * 2 + ["many"] * count
    assert not any(isinstance(raw, Raw) and raw.content.get("name") == "latecomers" for raw in found)


def test_the_reader_s_time_zone_does_not_matter(old: str) -> None:
    assert list(read_database(f"{old}&options=-c%20TimeZone%3DAsia/Tokyo")) == list(read_database(old))


def test_a_reader_that_stops_early_leaves_no_connection(old: str) -> None:
    reading = read_database(f"{old}&application_name=early")
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    with psycopg.connect(old) as connection:
        sessions = connection.execute(
            "SELECT FROM pg_stat_activity WHERE application_name = 'early' AND state <> 'idle'"
        ).rowcount
    assert sessions == 0


# ----------------------------------------------------------------------------------------- what is not read


def test_a_schema_that_is_not_there(old: str) -> None:
    with pytest.raises(CatalogueError, match='schema "elsewhere" holds no table') as refusal:
        list(read_database(old, schema="elsewhere"))
    assert "0.0.10" in refusal.value.remedy


def test_a_layout_that_is_not_known(empty_database: str) -> None:
    execute(empty_database, "CREATE SCHEMA pycharter CREATE TABLE metadata (id integer, metadata_data json)")
    with pytest.raises(CatalogueError, match='schema "pycharter" holds no layout'):
        list(read_database(empty_database))


@layout
def test_a_layout_in_between_is_not_read_in_part(old: str) -> None:
    execute(old, "CREATE TABLE pycharter.metadata_record_glossary (metadata_record_id text, term text)")
    with pytest.raises(CatalogueError, match="what is in metadata_record_glossary would be lost"):
        list(read_database(old))


def test_the_new_catalogue(conn: psycopg.Connection[Any]) -> None:
    dsn = " ".join(f"{key}={value}" for key, value in conn.info.get_parameters().items())
    with pytest.raises(CatalogueError, match="holds the new catalogue"):
        list(read_database(dsn))


def test_a_layout_of_which_a_part_is_missing(old: str) -> None:
    execute(old, "DROP TABLE pycharter.data_contract_team_access")
    with pytest.raises(CatalogueError, match=r"lacks a part .*data_contract_team_access"):
        list(read_database(old))


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        (
            "INSERT INTO governance_rules (name, rule_definition, schema_id) VALUES ('another', '{}', 3)",
            "postgresql:pycharter.schemas id 3#/governance_rules",
            "nothing says which of these is in use: governance_rules id 1, governance_rules id 7",
        ),
        (
            'UPDATE schemas SET schema_data = \'{"type": "object", "type": "object"}\' WHERE id = 3',
            "postgresql:pycharter.schemas id 3",
            "the key 'type' stands twice",
        ),
        (
            'UPDATE coercion_rules SET rules = \'{"a": "\\u0000"}\' WHERE id = 5',
            "postgresql:pycharter.coercion_rules id 5#/rules/a",
            "NUL",
        ),
        (
            "UPDATE metadata_record SET metadata_data = '[]' WHERE id = 8",
            "postgresql:pycharter.metadata_record id 8",
            "metadata is a list, not a mapping",
        ),
        (
            "UPDATE data_contracts SET status = 'Live'",
            "postgresql:pycharter.data_contracts id 17#/status",
            '"live" is not allowed',
        ),
        (
            "UPDATE data_contract_team_access SET permission = 'Admin' WHERE id = 2",
            "postgresql:pycharter.data_contracts id 17#/team_access/admin",
            "'admin' is an unknown permission",
        ),
        (
            "UPDATE data_feed_dependencies SET dependency_type = 'Soft'",
            "postgresql:pycharter.data_contracts id 17#/dependencies/0/dependency_type",
            '"soft" is not allowed',
        ),
        (
            "UPDATE systems SET is_active = 'maybe' WHERE id = 1",
            "postgresql:pycharter.data_contracts id 17#/pulls_from/0/is_active",
            "text, expected boolean",
        ),
    ],
)
def test_what_is_refused(old: str, change: str, place: str, reason: str) -> None:
    # Of the document as well as of the row, where one contradicts the other.
    execute(old, f"SET search_path TO pycharter; {change}")
    refusal = next(each for each in refused(old) if reason in each.reason)
    assert f"{refusal.source}#{refusal.pointer}".rstrip("#") == place
    assert refusal.remedy


@of_0_0_10
def test_two_domains_of_one_contract(old: str) -> None:
    execute(
        old,
        """
        INSERT INTO pycharter.metadata_record_domains
        SELECT gen_random_uuid(), m.id, d.id
        FROM pycharter.metadata_records AS m, pycharter.domains AS d WHERE d.name = 'Legal'
        """,
    )
    (refusal,) = refused(old)
    assert refusal.pointer == "/domain"
    assert "2 domains" in refusal.reason


def test_a_credential_is_the_new_catalogue_s_to_refuse(old: str, conn: psycopg.Connection[Any]) -> None:
    execute(old, """UPDATE pycharter.systems SET connection_info = '{"password": "hunter2"}' WHERE id = 1""")
    found = read_database(old)
    with pytest.raises(loader.LoadRefused) as refusal:
        loader.load(conn, (raw for raw in found if not (isinstance(raw, Raw) and raw.table)))
    (credential,) = refusal.value.refusals
    assert credential.source == "postgresql:pycharter.data_contracts id 17"
    assert credential.pointer.startswith("/pulls_from/0/connection_info")
    assert "hunter2" not in str(refusal.value)

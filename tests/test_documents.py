"""Legacy shapes -> contract documents: a golden test a shape, a refusal a rule, and the laws of merging."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycharter_sql.documents import TABLES, Document, Place, Raw, merge, normalise
from pycharter_sql.errors import DocumentRefused, Refusal

SCHEMA = {"type": "object", "title": "Order", "version": "1.0.0", "properties": {"id": {"type": "string"}}}

METADATA: dict[str, Any] = {
    "title": "Order",
    "version": "1.0.0",
    "status": "Active",
    "type": "object",
    "description": "Orders",
    "created_at": "2025-01-01T00:00:00",
    "created_by": "shop",
    "required": [],
    "properties": [],
    "is_data_feed": True,
    "data_feed_association": [{"title": "Orders", "type": "Operational"}, {"title": "More", "type": "Other"}],
    "pulls_from": [" checkout-db "],
    "lineage": {"pushes_to": "warehouse", "system_sources": [{"id": "web", "app": 7}]},
    "dependencies": None,
    "business_owners": ["Sales"],
    "bu_sme": [{"name": "Desk", "department": "Sales"}],
    "ownership": {"roles": {"data_steward": "Sam"}, "contact": "a@b.example", "team": "data"},
    "owner": "shop",
    "domains": ["Selling"],
    "governance_rules": {"sensitivity": "Internal", "access_control": {"Read": ["x"], "level": "restricted"}},
    "business_rules": {"sum": {"enforced": True}},
    "data_quality": {"total_records": 4_700_000_000},
}


def raw(content: Any, table: str | None = None) -> Raw:
    return Raw(content, Place("f.yaml", ""), table=table)


def refusals(content: Any) -> list[Refusal]:
    with pytest.raises(DocumentRefused) as refused:
        normalise(raw(content) if not isinstance(content, Raw) else content)
    return list(refused.value.refusals)


def refusal(content: Any, pointer: str) -> Refusal:
    """The only refusal, which must stand at ``pointer`` of the file."""
    (found,) = refusals(content)
    assert (found.source, found.pointer) == ("f.yaml", pointer), found
    assert found.remedy
    return found


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(nearest mapping key, value) of every leaf."""
    if isinstance(value, dict):
        for word, item in value.items():
            yield from leaves(item, word)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, key)
    else:
        yield key, value


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list) and value:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*path, key))
    else:
        yield path, value


# --------------------------------------------------------------------------------------------------- shapes


def test_contract_document_is_taken_as_it_is() -> None:
    content = {"name": "A", "version": "1", "pulls_from": ["x", {"name": "y"}], "metadata": {"title": "B"}}
    document = normalise(raw(content))
    assert document.content == content
    assert (document.name, document.version) == ("A", "1")
    assert str(document.place("/pulls_from/1")) == "f.yaml#/pulls_from/1"


def test_contract_document_is_trimmed_and_lowered() -> None:
    document = normalise(
        raw(
            {
                "name": " A",
                "version": "1 ",
                "status": "ACTIVE",
                "pulls_from": [" x ", {"name": "y\n"}],
                "domain": {"name": " d", "parent_domain": " e"},
                "team_access": {"Read": [" t"]},
                "dependencies": [{"name": "z", "dependency_type": "Optional"}],
            }
        )
    )
    assert document.content == {
        "name": "A",
        "version": "1",
        "status": "active",
        "pulls_from": ["x", {"name": "y"}],
        "domain": {"name": "d", "parent_domain": "e"},
        "team_access": {"read": ["t"]},
        "dependencies": [{"name": "z", "dependency_type": "optional"}],
    }


def test_metadata_file() -> None:
    document = normalise(raw(METADATA))
    assert document.content == {
        "name": "Order",
        "version": "1.0.0",
        "status": "active",
        "description": "Orders",
        "is_data_feed": True,
        "data_feed": {"name": "Orders", "feed_type": "Operational"},
        "domain": "Selling",
        "pulls_from": ["checkout-db"],
        "pushes_to": ["warehouse"],
        "system_sources": ["web"],
        "dependencies": [],
        "business_owners": [
            "Sales",
            {"name": "Desk", "department": "Sales", "role": "business_sme"},
            {"name": "Sam", "role": "data_steward"},
        ],
        "team_access": {"read": ["x"]},
        "governance_rules": METADATA["governance_rules"],
        "ownership": {"owner": "shop", "team": "data"},
        "created_by": "shop",
        "metadata": METADATA,
    }
    for pointer, place in {
        "/name": "/title",
        "/data_feed/feed_type": "/data_feed_association/0/type",
        "/pushes_to/0": "/lineage/pushes_to",
        "/system_sources/0": "/lineage/system_sources/0",
        "/business_owners/1/department": "/bu_sme/0/department",
        "/business_owners/2": "/ownership/roles/data_steward",
        "/domain": "/domains/0",
        "/team_access/read/0": "/governance_rules/access_control/Read/0",
        "/ownership/owner": "/owner",
        "/metadata/pulls_from/0": "/pulls_from/0",
    }.items():
        assert document.place(pointer) == Place("f.yaml", place)


def test_contract_file() -> None:
    contract = {
        "schema": {
            **SCHEMA,
            "properties": {
                "id": {"type": "string", "coercion": "to_string", "validations": {"non_empty": None}},
                "address": {"type": "object", "properties": {"city": {"coercion": "strip"}}},
                # Two properties that are themselves named like the words of inline rules.
                "coercion": {"type": "string"},
                "validations": {"type": "object", "validations": {"x": 1}},
            },
        },
        "metadata": {"title": "Order", "status": "active", "governance_rules": {"sensitivity": "Internal"}},
        "ownership": {"owner": "shop", "contact": "a@b.example"},
        "governance_rules": {"sensitivity": "Internal", "access_control": {"write": "team"}},
        "business_rules": {"sum": {"enforced": True}},
        "versions": {"schema": "1.0.0", "metadata": "1.1.0", "coercion_rules": "1.2.0"},
    }
    document = normalise(raw(contract))
    assert document.content == {
        "name": "Order",
        "version": "1.1.0",
        "status": "active",
        "schema": {
            **SCHEMA,
            "properties": {
                "id": {"type": "string"},
                "address": {"type": "object", "properties": {"city": {}}},
                "coercion": {"type": "string"},
                "validations": {"type": "object"},
            },
        },
        "coercion_rules": {"rules": {"id": "to_string", "address.city": "strip"}, "version": "1.2.0"},
        "validation_rules": {"rules": {"id": {"non_empty": None}, "validations": {"x": 1}}},
        "governance_rules": contract["governance_rules"],
        "team_access": {"write": ["team"]},
        "ownership": {"owner": "shop"},
        "metadata": {
            "title": "Order",
            "status": "active",
            "version": "1.1.0",
            "governance_rules": {"sensitivity": "Internal"},
            "ownership": {"owner": "shop", "contact": "a@b.example"},
            "business_rules": {"sum": {"enforced": True}},
        },
    }
    for pointer, place in {
        "/coercion_rules/rules/address.city": "/schema/properties/address/properties/city/coercion",
        "/coercion_rules/version": "/versions/coercion_rules",
        "/version": "/versions/metadata",
        "/metadata/business_rules/sum": "/business_rules/sum",
        "/governance_rules/access_control": "/governance_rules/access_control",
    }.items():
        assert document.place(pointer) == Place("f.yaml", place)


def test_contract_file_with_everything_in_its_metadata() -> None:
    metadata = {"title": "A", "version": "1", "ownership": {"business_owners": ["x"]}, "governance_rules": {}}
    document = normalise(raw({"metadata": metadata, "json_schema": {"type": "object"}}))
    assert document.content["business_owners"] == ["x"]
    assert document.content["governance_rules"] == {}
    assert document.content["schema"] == {"type": "object"}
    assert document.place("/schema/type") == Place("f.yaml", "/json_schema/type")
    assert document.place("/business_owners/0") == Place("f.yaml", "/metadata/ownership/business_owners/0")


def test_component_files_put_together() -> None:
    content = {
        "metadata": {"title": "A", "version": "1"},
        "schema": {"type": "object", "title": "my_schema"},
        "coercion_rules": {"title": "t", "description": "d", "version": "3", "rules": {"id": "to_string"}},
        "validation_rules": {"id": {"non_empty": None}},
        "governance_rules": {"access_control": {"read": ["t"]}},
    }
    parts = {key: Place(f"a_{key}.yaml", "") for key in content}
    document = normalise(Raw(content, parts["metadata"], parts))
    assert document.content == {
        "name": "A",
        "version": "1",
        "schema": content["schema"],
        "coercion_rules": {"version": "3", "rules": {"id": "to_string"}},
        "validation_rules": {"rules": {"id": {"non_empty": None}}},
        "governance_rules": content["governance_rules"],
        "team_access": {"read": ["t"]},
        "metadata": {"title": "A", "version": "1", "coercion_rules": {"title": "t", "description": "d"}},
    }
    assert document.place("/coercion_rules/rules/id") == Place("a_coercion_rules.yaml", "/rules/id")
    assert document.place("/validation_rules/rules/id") == Place("a_validation_rules.yaml", "/id")
    assert document.place("/team_access/read/0") == Place("a_governance_rules.yaml", "/access_control/read/0")
    assert document.place("/metadata/coercion_rules/title") == Place("a_coercion_rules.yaml", "/title")


def test_json_schema_with_contract_keys_beside() -> None:
    content = {**SCHEMA, "x-unit": "EUR", "pulls_from": "db", "dependencies": ["Customer"], "serve": {"a": 1}}
    document = normalise(raw(content))
    assert document.content == {
        "name": "Order",
        "version": "1.0.0",
        "schema": {**SCHEMA, "x-unit": "EUR"},
        "pulls_from": ["db"],
        "dependencies": ["Customer"],
        "metadata": {"serve": {"a": 1}},
    }
    assert document.place("/schema/properties/id") == Place("f.yaml", "/properties/id")
    draft7 = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "A", "version": "1"}
    both = normalise(raw({**draft7, "dependencies": {"a": ["b"]}}))
    assert both.content["schema"]["dependencies"] == {"a": ["b"]}
    assert "dependencies" not in both.content


def test_json_schema_with_parts_of_a_contract_beside() -> None:
    content = {
        **SCHEMA,
        "metadata": {"title": "Orders", "owner": "shop"},
        "coercion_rules": {"id": "to_string"},
        "governance_rules": {"sensitivity": "Internal"},
        "versions": {"schema": "1.0.0"},
    }
    assert normalise(raw(content)).content == {
        "name": "Orders",
        "version": "1.0.0",
        "schema": SCHEMA,
        "coercion_rules": {"rules": {"id": "to_string"}},
        "governance_rules": {"sensitivity": "Internal"},
        "ownership": {"owner": "shop"},
        "metadata": {"title": "Orders", "owner": "shop"},
    }
    # The $schema of a contract file is the contract file's.
    told = {"$schema": "https://shop.example/contract.json", "metadata": A}
    assert normalise(raw(told)).content["metadata"] == {**A, "$schema": told["$schema"]}


def test_manifest() -> None:
    metadata = {
        "name": "order",
        "namespace": "shop/sales",
        "version": "2.0.0",
        "status": "active",
        "ownership": {"roles": {"technical_owner": ["platform"], "data_steward": "Sam"}},
        "governance_rules": {"dependencies": ["User"], "data_feed_association": ["order-feed"]},
        "lifecycle": {"state_field": "status"},
    }
    spec = {
        "json_schema": SCHEMA,
        "coercion_rules": {"version": "2.0.0", "rules": {"id": "to_string"}},
        "data_quality": {"version": "2.0.0", "rules": []},
        "sla_properties": [{"property": "latency", "value": 3, "unit": "h"}],
    }
    envelope = {"api_version": "pycharter.io/v2", "kind": "DataContract"}
    manifest = {**envelope, "metadata": metadata, "spec": spec}
    document = normalise(raw(manifest))
    beside = {key: spec[key] for key in ("data_quality", "sla_properties")}
    expected = {
        "name": "order",
        "version": "2.0.0",
        "status": "active",
        "schema": SCHEMA,
        "coercion_rules": spec["coercion_rules"],
        "business_owners": [
            {"name": "platform", "role": "technical_owner"},
            {"name": "Sam", "role": "data_steward"},
        ],
        "dependencies": ["User"],
        "data_feed": "order-feed",
        "governance_rules": metadata["governance_rules"],
        "metadata": metadata | beside | envelope,
    }
    assert document.content == expected
    assert document.namespace == "shop/sales"
    assert document.kept == ("namespace", "lifecycle", *envelope, *beside)
    for pointer, place in {
        "/name": "/metadata/name",
        "/schema/properties/id": "/spec/json_schema/properties/id",
        "/coercion_rules/rules/id": "/spec/coercion_rules/rules/id",
        "/metadata/sla_properties/0": "/spec/sla_properties/0",
        "/metadata/kind": "/kind",
    }.items():
        assert document.place(pointer) == Place("f.yaml", place)
    prefixed = normalise(raw(manifest), prefix_namespace=True)
    assert prefixed.content == expected | {"name": "shop/sales.order"}
    assert prefixed.kept == document.kept
    # Its stores hold the same without the envelope.
    for version in ("1", 1):
        stored = normalise(raw({"format_version": version, "metadata": metadata, **spec}))
        assert stored.content == expected | {"metadata": metadata | beside | {"format_version": version}}


def test_only_a_namespace_goes_before_the_name() -> None:
    for content in (A, {**A, "namespace": None}, {**A, "namespace": ""}, DOCUMENT):
        document = normalise(raw(content), prefix_namespace=True)
        assert (document.name, document.namespace) == ("A", None)


def test_rows_of_a_seed_set() -> None:
    row = {"contract_name": "order", "contract_version": "1.0.0"}
    status = {"name": "order", "version": "1.0.0", "status": "active", "description": "Orders"}
    about = {
        "title": "order_metadata",
        "version": "1.2.0",
        "status": "Active",
        "description": "Default metadata",
        "lineage": {"pulls_from": ["db"]},
        "lifecycle": {"state_field": "status"},
    }
    concepts = {"fields": {"id": {"concept": "OrderId"}}}
    validation = {"title": "v", "version": "1.1.0", "description": None, "rules": {"id": {"non_empty": None}}}
    documents = [
        normalise(raw(content, table))
        for content, table in [
            (status, "contracts"),
            ({**row, **SCHEMA}, "schemas"),
            ({**row, **about}, "metadata"),
            ({**row, "rules": {"id": "to_string"}}, "coercion_rules"),
            ({**row, **validation}, "validation_rules"),
            ({**row, **concepts}, "ontology_mappings"),
        ]
    ]
    joined = reduce(merge, documents)
    assert joined.content == {
        **status,
        "schema": SCHEMA,
        "coercion_rules": {"rules": {"id": "to_string"}},
        "validation_rules": {"version": "1.1.0", "rules": {"id": {"non_empty": None}}},
        "pulls_from": ["db"],
        "metadata": {
            **about,
            "validation_rules": {"title": "v", "description": None},
            "ontology_mappings": concepts,
        },
    }
    assert joined.kept == (
        "title",
        "version",
        "description",
        "lifecycle",
        "validation_rules.title",
        "ontology_mappings",
    )
    assert joined.left_out == ()
    assert documents[2].place("/name") == Place("f.yaml", "/contract_name")
    assert documents[2].place("/pulls_from/0") == Place("f.yaml", "/lineage/pulls_from/0")
    assert documents[3].place("/coercion_rules/rules/id") == Place("f.yaml", "/rules/id")


@pytest.mark.parametrize(
    ("table", "row", "content", "left_out"),
    [
        (
            "owners",
            {
                "id": " data-team",
                "name": "Data Team",
                "email": "data@shop.example",
                "team": "engineering",
                "additional_info": {"floor": 2},
                "is_active": "True",
            },
            {
                "business_owners": [
                    {
                        "name": "data-team",
                        "description": "Data Team",
                        "contact_email": "data@shop.example",
                        "department": "engineering",
                        "is_active": True,
                    }
                ]
            },
            ("owners.additional_info",),
        ),
        (
            "owners",
            {"id": "x", "name": "X", "description": "d", "additional_info": {}},
            {"business_owners": [{"name": "x", "description": "d"}]},
            ("owners.name",),
        ),
        ("owners", {"name": "x", "email": None}, {"business_owners": [{"name": "x"}]}, ()),
        (
            "systems",
            {"name": "db", "app_id": "APP-1", "description": "D", "is_active": False},
            {"systems": [{"name": "db", "description": "D", "is_active": False}]},
            ("systems.app_id",),
        ),
        (
            "data_feeds",
            {"name": "f", "title": "F", "feed_type": "batch", "additional_metadata": {}, "id": 7},
            {"data_feeds": [{"name": "f", "title": "F", "feed_type": "batch"}]},
            ("data_feeds.id",),
        ),
        (
            "domains",
            {"name": "d", "description": "D", "parent_domain": " p "},
            {"domains": [{"name": "d", "description": "D", "parent_domain": "p"}]},
            (),
        ),
        ("teams", {"name": "t"}, {"teams": [{"name": "t"}]}, ()),
        ("tags", {"name": "pii", "color": "#fff"}, {}, ("tags",)),
        ("environments", {"name": "production"}, {}, ("environments",)),
        ("compliance_frameworks", {"name": "gdpr"}, {}, ("compliance_frameworks",)),
    ],
)
def test_rows_of_entities(
    table: str, row: dict[str, Any], content: dict[str, Any], left_out: tuple[str, ...]
) -> None:
    document = normalise(raw(row, table))
    assert (document.content, document.left_out) == (content, left_out)


def test_places_of_an_owner() -> None:
    document = normalise(raw({"id": "x", "name": "X", "email": "x@shop.example"}, "owners"))
    for attribute, word in {"name": "id", "description": "name", "contact_email": "email"}.items():
        assert document.place(f"/business_owners/0/{attribute}") == Place("f.yaml", f"/{word}")


def test_entity_document() -> None:
    content = {"systems": [" db ", {"name": "api", "system_type": "rest"}], "domains": None, "teams": []}
    document = normalise(raw(content))
    assert document.content == {
        "systems": ["db", {"name": "api", "system_type": "rest"}],
        "domains": [],
        "teams": [],
    }
    assert document.place("/systems/1/name") == Place("f.yaml", "/systems/1/name")


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_contract_in_a_file_named_like_a_table(table: str) -> None:
    for content in (DOCUMENT, {"metadata": A, "schema": SCHEMA}, MANIFEST):
        assert normalise(raw(content, table)).name == "A"


def test_name_and_version_of_the_contract_lead() -> None:
    content = {
        "name": "A",
        "version": "2",
        "description": "own",
        "schema": SCHEMA,
        "metadata": METADATA,
        "x": 1,
    }
    document = normalise(raw(content))
    assert (document.name, document.version, document.content["description"]) == ("A", "2", "own")
    assert normalise(raw({"schema": SCHEMA, "x": 1})).content["name"] == "Order"


@pytest.mark.parametrize(
    ("domains", "expected"),
    [([], None), (None, None), ("d", "d"), (["d"], "d"), ([{"name": "d"}], "d"), ({"id": "d"}, "d")],
)
def test_domains(domains: Any, expected: Any) -> None:
    document = normalise(raw({"title": "A", "version": "1", "domains": domains}))
    assert document.content["domain"] == expected


@pytest.mark.parametrize("access", [None, {"level": "public"}, {"level": "public", "description": "d"}])
def test_access_level_alone_names_no_team(access: Any) -> None:
    document = normalise(raw({"title": "A", "version": "1", "governance_rules": {"access_control": access}}))
    assert "team_access" not in document.content


@pytest.mark.parametrize(
    "association",
    [
        ["Orders"],
        "Orders",
        {"name": "Orders"},
        [{"title": "Orders"}],
        [{"id": "Orders", "schedule": "daily"}],
    ],
)
def test_data_feed_in_any_form(association: Any) -> None:
    document = normalise(raw({"title": "A", "version": "1", "data_feed_association": association}))
    assert document.content["data_feed"] == "Orders"


def test_unknown_versions_are_kept() -> None:
    versions = {"metadata": "1", "ontology": "7"}
    document = normalise(raw({"metadata": {"title": "A"}, "versions": versions}))
    assert document.content["metadata"] == {"title": "A", "version": "1", "versions": versions}


@pytest.mark.parametrize(
    "content",
    [
        METADATA,
        {"metadata": METADATA, "schema": SCHEMA, "serve": {"api": "q"}, "ownership": {"description": "w"}},
        {"schema": SCHEMA, "versions": {"ontology": "9"}, "pulls_from": [{"name": "s", "app_id": "APP"}]},
        {**SCHEMA, "bu_sme": ["z"], "sla_properties": [{"value": 3}], "governance_rules": {"indexes": ["i"]}},
        {"metadata": {"title": "A", "version": "1"}, "coercion_rules": {"title": "t", "rules": {"a": "b"}}},
    ],
)
def test_nothing_is_dropped(content: dict[str, Any]) -> None:
    # The key it stood under and the value: under the contract's own key or, as it was, in the metadata.
    kept = list(leaves(normalise(raw(content)).content))
    assert [leaf for leaf in leaves(content) if leaf not in kept] == []


def test_what_has_no_column_is_named() -> None:
    assert set(normalise(raw(METADATA)).kept) == {
        "type",
        "created_at",
        "data_feed_association",  # the second one
        "ownership.contact",
        "business_rules",
        "data_quality",
        "lineage.system_sources.app",
    }
    contract = {
        "schema": SCHEMA,
        "metadata": {"title": "order_metadata", "description": "about the metadata", "runtime": {"serve": 1}},
        "versions": {"metadata": "2", "ontology": "7"},
        "description": "own",
        "coercion_rules": {"rules": {}, "description": "d"},
        "team_access": {"level": "public", "read": [{"name": "x", "shift": "day"}]},
        "lineage": {},
    }
    document = normalise(raw(contract))
    assert (document.name, document.version) == ("order_metadata", "2")
    assert set(document.kept) == {
        "description",
        "runtime.serve",
        "versions.ontology",
        "coercion_rules.description",
        "team_access.level",
        "team_access.read.shift",
    }
    assert normalise(raw({**DOCUMENT, "metadata": {"data_quality": 1}})).kept == ()


def test_raw_document_is_left_alone() -> None:
    content = {"schema": {"properties": {"a": {"coercion": "x"}}, "title": "A"}, "metadata": {"version": "1"}}
    before = repr(content)
    normalise(raw(content))
    assert repr(content) == before


# ------------------------------------------------------------------------------------------------- refusals

A: dict[str, Any] = {"title": "A", "version": "1"}
ROW: dict[str, Any] = {"contract_name": "A", "contract_version": "1"}
MANIFEST: dict[str, Any] = {"api_version": "pycharter.io/v2", "kind": "DataContract", "metadata": A}
DOCUMENT: dict[str, Any] = {"name": "A", "version": "1"}


@pytest.mark.parametrize(
    ("content", "pointer", "reason", "remedy"),
    [
        ([], "", "a list", "key: value"),
        ("text", "", "text", "key: value"),
        ({"contract_name": "a"}, "", "no contract_version", "contract_version: ..."),
        (ROW, "/contract_name", "no table", "metadata, schemas, coercion_rules, validation_rules"),
        ({"api_version": "v1", "kind": "DataContract"}, "/api_version", '"v1"', "pycharter.io/v2"),
        ({**MANIFEST, "kind": "Pipeline"}, "/kind", '"Pipeline"', "kind: DataContract"),
        ({"api_version": "pycharter.io/v2"}, "", "kind null", "kind: DataContract"),
        ({**MANIFEST, "spec": []}, "/spec", "a list", "key: value"),
        ({**MANIFEST, "spec": {"name": "b"}}, "/spec/name", "'name'", "metadata"),
        ({**MANIFEST, "spec": {"metadata": {}}}, "/spec/metadata", "'metadata'", "metadata"),
        ({**MANIFEST, "metadata": {**A, "namespace": 7}}, "/metadata/namespace", "7 is no name", "text"),
        ({"format_version": "2", "json_schema": {}}, "/format_version", '"2"', 'format_version: "1"'),
        ({"format_version": True, "json_schema": {}}, "/format_version", "true", 'format_version: "1"'),
        ({"format_version": "1", "metadata": A, "steps": []}, "", "without json_schema", "leave"),
        ({"apiVersion": "v3"}, "/apiVersion", "Open Data Contract", "`name`"),
        ({"version": "1"}, "", "names no contract and has no schema", "title"),
        ({"version": "1", "schema": {"type": "object"}, "x": 1}, "", "names no contract", "title"),
        ({"title": "A", "serve": 1}, "", "has no version", "version: ..."),
        ({**A, "version": 1.1}, "/version", "1.1 is a number", 'version: "1.10"'),
        ({**DOCUMENT, "version": 2}, "/version", "2 is a number", 'version: "1.10"'),
        ({**DOCUMENT, "schema": {"version": 1.1}}, "/schema/version", "1.1", 'version: "1.10"'),
        (
            {**DOCUMENT, "coercion_rules": {"version": 1.1, "rules": {}}},
            "/coercion_rules/version",
            "1.1",
            "1.10",
        ),
        (
            {"name": "A", "version": "1", "metadata": {"version": 1.1}, "x": 1},
            "/metadata/version",
            "1.1",
            "1.10",
        ),
        ({"metadata": A, "versions": {"metadata": 1.1}}, "/versions/metadata", "1.1", "1.10"),
        ({"metadata": A, "versions": {"metadata": "2"}}, "/versions/metadata", "#/metadata/version", "agree"),
        ({"schema": SCHEMA, "versions": {"schema": "2"}}, "/versions/schema", "#/schema/version", "agree"),
        ({"metadata": A, "versions": 3}, "/versions", "a number", "key: value"),
        ({**A, "status": "live"}, "/status", '"live"', "proposed, draft, active, deprecated, retired"),
        ({**DOCUMENT, "status": "live"}, "/status", '"live"', "proposed, draft, active, deprecated, retired"),
        ({**DOCUMENT, "name": "x" * 256}, "/name", "256 characters, at most 255", "shorten"),
        ({**DOCUMENT, "name": "  "}, "/name", "empty", "fill"),
        ({**DOCUMENT, "owner": "x", "schema": {"type": "objekt"}}, "/schema/type", "objekt", "object"),
        (
            {**DOCUMENT, "schema": {"minimum": 0, "exclusiveMinimum": True}},
            "/schema/exclusiveMinimum",
            "only draft 4",
            "draft-04/schema#",
        ),
        ({**DOCUMENT, "schema": True}, "/schema", "a boolean, expected object", "type"),
        ({"metadata": A, "schema": "public"}, "/schema", "text, expected object", "type"),
        ({**DOCUMENT, "schema": {"$schema": "http://x.example/s"}}, "/schema/$schema", "dialect", "2020-12"),
        ({"schema": {}, "json_schema": SCHEMA, "metadata": A}, "/json_schema", "#/schema", "agree"),
        ({**DOCUMENT, "pulls_from": [{"name": "x", "app": 1}]}, "/pulls_from/0/app", "'app'", "metadata"),
        ({**DOCUMENT, "pulls_from": [{"description": "x"}]}, "/pulls_from/0", "no name", "name"),
        ({**DOCUMENT, "pulls_from": [7]}, "/pulls_from/0", "a number, expected string or object", "type"),
        ({**DOCUMENT, "team_access": {"admin": []}}, "/team_access/admin", "'admin'", "spelling"),
        ({**DOCUMENT, "team_access": {"Read": [], "read": []}}, "/team_access/Read", "'Read'", "spelling"),
        ({**A, "pulls_from": [7]}, "/pulls_from/0", "a number is not a name", "text"),
        ({**A, "pulls_from": 7}, "/pulls_from", "not a list", "[name"),
        ({**A, "pulls_from": "x, y"}, "/pulls_from", '"x, y" may be one name or several', "[name"),
        ({**A, "pulls_from": [{"id": "y", "title": "x"}]}, "/pulls_from/0", "the id or the title", "{name"),
        ({**A, "bu_sme": {"id": "y", "name": "Y"}}, "/bu_sme", "the name or the id", "{name"),
        ({**A, "pulls_from": [{"app": 1}]}, "/pulls_from/0", "no name", "{name"),
        ({**A, "lineage": "x"}, "/lineage", "text, not a mapping", "key: value"),
        ({**A, "domains": ["x", "y"]}, "/domains", "2 domains", "keep one"),
        ({**A, "bu_sme": [{"name": "x", "role": "y"}]}, "/bu_sme/0/role", '"y"', "move"),
        (
            {**A, "governance_rules": {"access_control": {"admin": ["x"]}}},
            "/governance_rules/access_control/admin",
            "unknown permission",
            "read and write",
        ),
        (
            {**A, "governance_rules": {"access_control": "restricted"}},
            "/governance_rules/access_control",
            "does not say who",
            "read:",
        ),
        ({**A, "governance_rules": []}, "/governance_rules", "a list", "key: value"),
        ({**A, "ownership": "ops"}, "/ownership", "text", "key: value"),
        ({**A, "owner": "x", "ownership": {"owner": "y"}}, "/ownership/owner", "f.yaml#/owner", "agree"),
        (
            {**A, "pulls_from": ["x"], "lineage": {"pulls_from": ["y"]}},
            "/pulls_from",
            "#/lineage/pulls_from",
            "",
        ),
        ({"metadata": A, "coercion_rules": []}, "/coercion_rules", "a list", "key: value"),
        ({"metadata": A, "coercion_rules": {"rules": []}}, "/coercion_rules/rules", "a list", "type"),
        ({"metadata": [], "schema": SCHEMA}, "/metadata", "a list", "key: value"),
        ({**A, "type": "a\0b"}, "/type", "NUL", "remove"),
        ({**A, "a\0b": 1}, "/a\0b", "NUL", "remove"),
        ({**A, "type": "\ud800"}, "/type", "surrogate", "whole"),
        ({**A, "type": float("nan")}, "/type", "nan", "null"),
        ({**A, "type": {1: 2}}, "/type", "the key 1", "quote"),
        ({**A, "type": b"x"}, "/type", "bytes", "text"),
    ],
)
def test_refused(content: Any, pointer: str, reason: str, remedy: str) -> None:
    found = refusal(content, pointer)
    assert reason in found.reason
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("row", "table", "pointer", "reason", "remedy"),
    [
        ({"contract_version": "1"}, "metadata", "", "no contract_name", "contract_name: ..."),
        ({**ROW, "contract_version": 1.1}, "metadata", "/contract_version", "1.1", "1.10"),
        ({**ROW, "version": "1", "id": "to_string"}, "coercion_rules", "", "no rules", "rules:"),
        ({**ROW, "steps": []}, "pipeline_configs", "/contract_name", "no table", "leave rows of other"),
        ({**ROW, "type": "objekt"}, "schemas", "/type", "objekt", "object"),
        ({"email": "a@b.example"}, "owners", "", "has no name", "name"),
        ({"id": 7}, "owners", "/id", "a number", "type"),
        ({"name": "x", "is_active": "maybe"}, "systems", "/is_active", "text, expected boolean", "type"),
        ({"title": "Tags", "version": "1"}, "tags", "/version", "or a contract", "rename"),
        ({"name": "t", "version": "1", "color": "red"}, "teams", "/version", "or a contract", "rename"),
    ],
)
def test_rows_refused(row: Any, table: str, pointer: str, reason: str, remedy: str) -> None:
    found = refusal(raw(row, table), pointer)
    assert reason in found.reason
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("content", "pointer", "reason"),
    [
        ({"systems": "x"}, "/systems", "text, expected array"),
        ({"teams": [7]}, "/teams/0", "a number, expected string or object"),
        ({"domains": [{"description": "x"}]}, "/domains/0", "has no name"),
        ({"data_feeds": [{"name": "x", "role": "y"}]}, "/data_feeds/0/role", "'role'"),
        ({"business_owners": [{"name": "x", "role": "y"}]}, "/business_owners/0/role", "no role"),
    ],
)
def test_entity_documents_refused(content: Any, pointer: str, reason: str) -> None:
    assert reason in refusal(content, pointer).reason


def test_two_namespaces() -> None:
    a, b = (
        normalise(Raw({**MANIFEST, "metadata": {**A, "namespace": name}}, Place(name, ""))) for name in "ab"
    )
    for left, right in [(a, b), (b, a)]:
        with pytest.raises(DocumentRefused, match="--prefix-namespace") as refused:
            merge(left, right)
        (found,) = refused.value.refusals
        assert (found.source, found.pointer) == (left.namespace, "/metadata/namespace")
        assert f"{right.namespace}#/metadata/namespace" in found.reason
    assert merge(a, normalise(raw(A))).namespace == "a" == merge(normalise(raw(A)), a).namespace


def test_disagreement_inside_one_contract_file() -> None:
    found = refusal(
        {"metadata": {**A, "governance_rules": {"a": 1}}, "governance_rules": {"a": 2}}, "/governance_rules/a"
    )
    assert "f.yaml#/metadata/governance_rules/a says 1" in found.reason
    kept = refusal({"metadata": {**A, "serve": 1}, "serve": 2}, "/metadata/serve")
    assert "f.yaml#/serve" in kept.reason


def test_inline_rule_must_agree_with_the_rule_set() -> None:
    schema = {"title": "A", "version": "1", "properties": {"id": {"coercion": "x"}}}
    agreed = normalise(
        raw({"schema": schema, "coercion_rules": {"rules": {"id": "x", "b": "y"}, "version": "2"}})
    )
    assert agreed.content["coercion_rules"] == {"rules": {"id": "x", "b": "y"}, "version": "2"}
    found = refusal(
        {"schema": schema, "coercion_rules": {"rules": {"id": "y"}}}, "/schema/properties/id/coercion"
    )
    assert "f.yaml#/coercion_rules/rules/id" in found.reason


def test_inline_checks_complement_those_of_the_rule_set() -> None:
    schema = {"title": "A", "version": "1", "properties": {"id": {"validations": {"a": 1, "b": None}}}}
    rules = {"id": {"b": None, "c": 3}, "x": {}}
    document = normalise(raw({"schema": schema, "validation_rules": {"rules": rules}}))
    assert document.content["validation_rules"]["rules"] == {"id": {"a": 1, "b": None, "c": 3}, "x": {}}
    for check, place in {"a": "/schema/properties/id/validations", "c": "/validation_rules/rules/id"}.items():
        pointer = f"/validation_rules/rules/id/{check}"
        assert document.place(pointer) == Place("f.yaml", f"{place}/{check}")
    rules["id"]["a"] = True
    found = refusal(
        {"schema": schema, "validation_rules": {"rules": rules}}, "/schema/properties/id/validations"
    )
    assert "f.yaml#/validation_rules/rules/id" in found.reason


def test_documents_with_very_much_wrong() -> None:
    many = refusals({**DOCUMENT, "pulls_from": [7] * 1_000})
    assert len(many) == 100
    # The validator would fill the memory with the errors of larger ones.
    (first,) = refusals({**DOCUMENT, "pulls_from": [7] * 200_000})
    assert first.pointer == "/pulls_from/0"


def test_time_grows_with_the_document() -> None:
    def seconds(count: int) -> float:
        names = [f"{number:08}" for number in range(count)]
        content = {
            "metadata": {**A, "pulls_from": names, "bu_sme": [{"name": name} for name in names]},
            "schema": {"properties": {name: {"coercion": "x"} for name in names}},
            **{f"x{name}": 1 for name in names},
        }
        started = time.process_time()
        normalise(raw(content))
        return time.process_time() - started

    assert seconds(40_000) < 40 * seconds(4_000)


def test_all_refusals_at_once_with_the_contract() -> None:
    found = refusals({**DOCUMENT, "status": "x", "domain": 3, "pulls_from": [{}], "schema": {"type": 1}})
    assert {refusal.pointer for refusal in found} == {"/status", "/domain", "/pulls_from/0", "/schema/type"}
    assert {refusal.contract for refusal in found} == {"A@1"}


def test_deep_nesting() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    (found,) = refusals({**A, "type": deep})
    assert "100 levels" in found.reason


@pytest.mark.parametrize("depth", [98, 99, 100])
def test_nesting_up_to_the_limit(depth: int) -> None:
    deep: Any = "x"
    for _ in range(depth):
        deep = [deep]
    content = {**DOCUMENT, "metadata": {"deep": deep}}
    if depth == 98:
        assert normalise(raw(content)).content == content
    else:
        assert "100 levels" in refusals(content)[0].reason


# ---------------------------------------------------------------------------------------------------- merge


def document(source: str, **content: Any) -> Document:
    return normalise(Raw({"name": "A", "version": "1", **content}, Place(source, "")))


def test_merge_complements() -> None:
    a = document(
        "a",
        schema={"title": "A"},
        pulls_from=["x", {"name": "y", "system_type": "api"}],
        metadata={"k": {"one": 1}},
        domain="d",
        team_access={"read": ["t"]},
        business_owners=["o"],
    )
    b = document(
        "b",
        schema={"title": "A", "version": "2"},
        pulls_from=["y", {"name": "x", "description": "X"}],
        metadata={"k": {"two": 2}},
        domain={"name": "d", "parent_domain": "p"},
        team_access={"write": ["u"]},
        business_owners=[{"name": "o", "role": "business_owner"}],
        status="draft",
    )
    merged = merge(a, b)
    assert merged.content == {
        "name": "A",
        "version": "1",
        "schema": {"title": "A", "version": "2"},
        "pulls_from": [{"name": "x", "description": "X"}, {"name": "y", "system_type": "api"}],
        "metadata": {"k": {"one": 1, "two": 2}},
        "domain": {"name": "d", "parent_domain": "p"},
        "team_access": {"read": ["t"], "write": ["u"]},
        "business_owners": [{"name": "o", "role": "business_owner"}],
        "status": "draft",
    }
    assert merged.place("/metadata/k/two") == Place("b", "/metadata/k/two")
    assert merged.place("/metadata/k/one") == Place("a", "/metadata/k/one")
    assert merged.place("/status") == Place("b", "/status")
    assert merged.place("/schema/version") == Place("b", "/schema/version")
    assert merged.place("/pulls_from/0/description") == Place("b", "/pulls_from/1/description")


@pytest.mark.parametrize(
    ("key", "x", "y", "pointer"),
    [
        ("version", "1", "2", "/version"),
        ("status", "active", "draft", "/status"),
        ("is_data_feed", True, False, "/is_data_feed"),
        ("schema", {"title": "A"}, {"title": "B"}, "/schema"),
        ("schema", {"version": "1"}, {"version": "2"}, "/schema/version"),
        ("coercion_rules", {"rules": {"a": "x"}}, {"rules": {"b": "x"}}, "/coercion_rules"),
        ("coercion_rules", {"rules": {}}, None, "/coercion_rules"),
        ("pulls_from", ["x"], ["x", "y"], "/pulls_from"),
        ("pulls_from", ["x"], None, "/pulls_from"),
        ("business_owners", ["x"], [{"name": "x", "role": "support_lead"}], "/business_owners"),
        (
            "pulls_from",
            [{"name": "x", "system_type": "a"}],
            [{"name": "x", "system_type": "b"}],
            "/pulls_from/0/system_type",
        ),
        ("team_access", {"read": ["x"]}, {"read": ["y"]}, "/team_access/read"),
        ("metadata", {"k": [1]}, {"k": [True]}, "/metadata/k"),
        ("metadata", {"k": {"l": 1}}, {"k": {"l": 2}}, "/metadata/k/l"),
        (
            "domain",
            {"name": "d", "parent_domain": "p"},
            {"name": "d", "parent_domain": "q"},
            "/domain/parent_domain",
        ),
        ("data_feed", "x", "y", "/data_feed"),
        ("governance_rules", None, {}, "/governance_rules"),
    ],
)
def test_merge_disagrees(key: str, x: Any, y: Any, pointer: str) -> None:
    for left, right in [(x, y), (y, x)]:
        with pytest.raises(DocumentRefused) as refused:
            merge(document("a", **{key: left}), document("b", **{key: right}))
        (found,) = refused.value.refusals
        assert (found.source, found.pointer, found.contract) == (
            "a",
            pointer,
            f"A@{left if key == 'version' else 1}",
        )
        assert f"b#{pointer}" in found.reason
        assert "agree" in found.remedy


# ----------------------------------------------------------------------------------------------- properties

NAMES = st.sampled_from(["a", "b", " c ", "", "d" * 256])
WORDS = st.sampled_from(
    [
        "name",
        "title",
        "version",
        "status",
        "description",
        "is_data_feed",
        "data_feed",
        "data_feed_association",
        "domain",
        "domains",
        "schema",
        "json_schema",
        "coercion_rules",
        "validation_rules",
        "governance_rules",
        "metadata",
        "ownership",
        "lineage",
        "roles",
        "pulls_from",
        "pushes_to",
        "system_sources",
        "business_owners",
        "bu_sme",
        "support_lead",
        "team_access",
        "access_control",
        "read",
        "write",
        "level",
        "dependencies",
        "created_by",
        "owner",
        "team",
        "versions",
        "rules",
        "properties",
        "type",
        "coercion",
        "validations",
        "$schema",
        "id",
        "role",
        "feed_type",
        "contract_name",
        "contract_version",
        "api_version",
        "format_version",
        "kind",
        "spec",
        "namespace",
        "systems",
        "data_feeds",
        "teams",
        "email",
        "is_active",
        "dependency_type",
        "parent_domain",
        "additional_info",
        "connection_info",
        "~/",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | NAMES
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=25,
)
IDENTIFIED = st.dictionaries(WORDS, JSON, max_size=8).map(
    lambda extra: {"title": "A", "version": "1", **extra}
)
IN_CONTRACT_FILE = st.builds(
    lambda metadata, beside: {"metadata": metadata, **beside},
    IDENTIFIED,
    st.dictionaries(WORDS, JSON, max_size=4),
)


IN_MANIFEST = st.builds(
    lambda metadata, spec: {**MANIFEST, "metadata": metadata, "spec": spec},
    IDENTIFIED,
    st.dictionaries(WORDS, JSON, max_size=4),
)
IN_ROW = st.dictionaries(WORDS, JSON, max_size=6).map(lambda rest: {**ROW, "rules": {}, **rest})
CONTENTS = JSON | IDENTIFIED | IN_CONTRACT_FILE | IN_MANIFEST | IN_ROW
HINTS = st.none() | st.sampled_from(sorted(TABLES)) | st.text(max_size=3)


@given(CONTENTS, HINTS, st.booleans())
def test_normalise_refuses_or_is_stable(content: Any, table: str | None, prefix: bool) -> None:
    try:
        first = normalise(raw(content, table), prefix_namespace=prefix)
    except DocumentRefused as refused:
        assert refused.refusals
        assert all(refusal.source == "f.yaml" and refusal.remedy for refusal in refused.refusals)
        return
    if first.content:
        assert normalise(raw(first.content), prefix_namespace=prefix).content == first.content
    else:
        assert first.left_out == (table,)


@given(CONTENTS)
def test_what_is_kept_is_in_the_metadata(content: Any) -> None:
    try:
        document = normalise(raw(content))
    except DocumentRefused:
        return
    assert len(set(document.kept)) == len(document.kept)
    for path in document.kept:
        assert path.partition(".")[0] in document.content["metadata"]
        assert not path.endswith(".")


PLAIN_NAMES = st.sampled_from(["a", "b"])
ITEMS = PLAIN_NAMES | st.fixed_dictionaries(
    {"name": PLAIN_NAMES}, optional={"description": st.sampled_from(["x", None]), "is_active": st.just(True)}
)
RELATIONS = st.none() | st.lists(ITEMS, max_size=3)
MAPPINGS = st.recursive(
    st.sampled_from([1, True, "x", [1]]),
    lambda inner: st.dictionaries(PLAIN_NAMES, inner, max_size=2),
    max_leaves=4,
)
DOCUMENTS = st.fixed_dictionaries(
    {"name": st.just("A"), "version": st.just("1")},
    optional={
        "status": st.sampled_from(["active", "draft"]),
        "schema": st.fixed_dictionaries({"title": PLAIN_NAMES}, optional={"version": PLAIN_NAMES}),
        "coercion_rules": st.none()
        | st.fixed_dictionaries({"rules": st.just({})}, optional={"version": st.none() | PLAIN_NAMES}),
        "metadata": st.none() | st.dictionaries(PLAIN_NAMES, MAPPINGS, max_size=2),
        "pulls_from": RELATIONS,
        "business_owners": RELATIONS,
        "dependencies": RELATIONS,
        "team_access": st.none() | st.dictionaries(st.sampled_from(["read", "write"]), RELATIONS, max_size=2),
        "domain": st.none() | ITEMS,
        "data_feed": ITEMS,
    },
).map(lambda content: normalise(raw(content)))


def merged(*documents: Document) -> dict[str, Any] | None:
    """The content of all documents merged from the left, None where they disagree."""
    try:
        result = documents[0]
        for document in documents[1:]:
            result = merge(result, document)
    except DocumentRefused:
        return None
    return result.content


def same(x: Any, y: Any) -> bool:
    """Equal as JSON: keys in any order, but True is not 1."""
    return x == y and repr(sorted(map(repr, paths(x)))) == repr(sorted(map(repr, paths(y))))


@given(DOCUMENTS, DOCUMENTS)
def test_merge_commutes(a: Document, b: Document) -> None:
    assert same(merged(a, b), merged(b, a))


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_merge_associates(a: Document, b: Document, c: Document) -> None:
    try:
        right = merged(a, merge(b, c))
    except DocumentRefused:
        right = None
    assert same(merged(a, b, c), right)


@given(DOCUMENTS)
def test_merge_is_idempotent(a: Document) -> None:
    assert same(merged(a, a), a.content)


@given(DOCUMENTS, DOCUMENTS)
def test_merge_keeps_all_of_both(a: Document, b: Document) -> None:
    content = merged(a, b)
    if content is not None:
        assert a.content.keys() | b.content.keys() == content.keys()
        assert merged(Document(content, {"": Place("c", "")}), a) == content

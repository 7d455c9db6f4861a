"""catalogue_issues: each kind of finding, and none where all is well."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

Conn = psycopg.Connection[Any]
Finding = tuple[str, str, str | None, str]
"""severity, issue, contract, what"""

HEALTHY: dict[str, Any] = {
    "name": "orders",
    "version": "1.0.0",
    "status": "active",
    "schema": {
        "type": "object",
        "properties": {
            "email": {"type": "string"},
            "lines": {
                "type": "array",
                "items": {"type": "object", "properties": {"sku": {"type": "string"}}},
            },
        },
    },
    "coercion_rules": {"rules": {"email": "coerce_to_string", "lines.sku": "coerce_to_string"}},
    "validation_rules": {"rules": {"lines[].sku": {"max_length": {"threshold": 8}}}},
    "governance_rules": {"pii_fields": {"fields": ["email", "sku"]}, "data_retention": {"days": 30}},
    "business_owners": ["Sales"],
    "team_access": {"read": ["analysts"], "write": ["shop"]},
    "domain": "Sales",
}


def contract(name: str, **content: Any) -> dict[str, Any]:
    """A healthy one, but for what is said; None leaves a key out."""
    document = HEALTHY | {"name": name} | content
    return {key: value for key, value in document.items() if value is not None}


@pytest.fixture
def catalogue(conn: Conn) -> Conn:
    conn.execute("SET search_path = pycharter, pg_temp")
    return conn


def findings(conn: Conn, *documents: dict[str, Any]) -> list[Finding]:
    row = conn.execute("SELECT load_documents(%s)", [list(map(Jsonb, documents))]).fetchone()
    assert row and row[0]["refusals"] == []
    conn.execute("SAVEPOINT loaded")
    found = conn.execute(
        "SELECT severity, issue, contract, what, remedy FROM catalogue_issues ORDER BY contract, issue, what"
    ).fetchall()
    assert all(remedy for *_, remedy in found)
    return [tuple(finding) for *finding, _ in found]


def test_all_is_well(catalogue: Conn) -> None:
    assert findings(catalogue, contract("orders"), contract("report", dependencies=["orders"])) == []


def test_empty(catalogue: Conn) -> None:
    assert findings(catalogue) == []


@pytest.mark.parametrize("status", ["draft", "proposed", "deprecated", "retired"])
def test_what_is_not_in_use_may_be_unfinished(catalogue: Conn, status: str) -> None:
    unfinished = contract(
        "orders", status=status, business_owners=None, team_access=None, governance_rules=None
    )
    assert findings(catalogue, unfinished) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"business_owners": None}, ("warning", "no_owner", "nobody owns it")),
        (
            {"team_access": {"read": ["analysts"]}},
            ("warning", "no_writer_team", "no team may write its data"),
        ),
        (
            {"team_access": {"write": ["shop"]}},
            ("info", "no_reader_team", "no team reads it, but those that may write it"),
        ),
        (
            {"governance_rules": {"pii_fields": ["email"]}},
            (
                "error",
                "pii_without_retention",
                "it has personal data, and nothing says for how long it is kept: email",
            ),
        ),
        (
            {"governance_rules": {"pii_fields": ["mail"], "data_retention": {"days": 1}}},
            (
                "error",
                "unknown_field",
                'its schema has no field "mail", which its governance rules call personal data',
            ),
        ),
        (
            {"coercion_rules": {"rules": {"mail": "coerce_to_string"}}},
            ("error", "unknown_field", 'its schema has no field "mail", which its coercion rules are for'),
        ),
        (
            {"validation_rules": {"rules": {"lines.price": {}}}},
            (
                "error",
                "unknown_field",
                'its schema has no field "lines.price", which its validation rules are for',
            ),
        ),
        (
            {"dependencies": ["prices"]},
            (
                "warning",
                "dependency_undescribed",
                'depends (required) on the feed "prices", which no contract describes',
            ),
        ),
    ],
)
def test_of_one_contract(catalogue: Conn, content: dict[str, Any], expected: tuple[str, str, str]) -> None:
    severity, issue, what = expected
    assert findings(catalogue, contract("orders", **content)) == [(severity, issue, "orders", what)]


@pytest.mark.parametrize(
    "pii_fields", [None, True, 1, [], [None, 1, ""], {}, {"fields": None}, {"email": {}}]
)
def test_pii_fields_that_name_none(catalogue: Conn, pii_fields: Any) -> None:
    assert findings(catalogue, contract("orders", governance_rules={"pii_fields": pii_fields})) == []


def test_a_reference_that_is_not_followed(catalogue: Conn) -> None:
    """What it leads to may have the field."""
    schema = {"type": "object", "properties": {"home": {"$ref": "#address"}}}
    document = contract("orders", schema=schema, coercion_rules=None, validation_rules=None)
    rules = {"pii_fields": ["home.street"], "data_retention": {"days": 1}}
    assert [found[:2] for found in findings(catalogue, document | {"governance_rules": rules})] == [
        ("warning", "unknown_field")
    ]


def test_a_rule_is_for_a_path(catalogue: Conn) -> None:
    rule = {"rules": {"sku": "coerce_to_string"}}
    assert [found[1] for found in findings(catalogue, contract("orders", coercion_rules=rule))] == [
        "unknown_field"
    ]


def test_an_owner_in_the_ownership_is_one(catalogue: Conn) -> None:
    assert findings(catalogue, contract("orders", business_owners=None, ownership={"owner": "Ann"})) == []


def test_personal_data_that_nobody_is_kept_from(catalogue: Conn) -> None:
    open_to_all = contract("orders", team_access=None)
    assert ("error", "pii_without_access_rule") in [found[:2] for found in findings(catalogue, open_to_all)]


def test_a_rule_of_access_control_is_one(catalogue: Conn) -> None:
    rules = HEALTHY["governance_rules"] | {"access_control": {"approval": "DPO"}}
    ruled = findings(catalogue, contract("orders", team_access=None, governance_rules=rules))
    assert [issue for _, issue, *_ in ruled] == ["no_reader_team", "no_writer_team"]


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        ("active", "required", []),
        ("deprecated", "required", [("warning", "dependency_deprecated")]),
        ("retired", "required", [("error", "dependency_retired")]),
        ("retired", "optional", [("warning", "dependency_retired")]),
        ("draft", "required", [("error", "dependency_unpublished")]),
        ("proposed", "optional", [("warning", "dependency_unpublished")]),
    ],
)
def test_what_it_depends_on(catalogue: Conn, status: str, kind: str, expected: list[tuple[str, str]]) -> None:
    prices = contract("prices", status=status)
    orders = contract("orders", dependencies=[{"name": "prices", "dependency_type": kind}])
    assert [found[:2] for found in findings(catalogue, prices, orders)] == expected


def test_one_active_contract_of_a_feed_is_enough(catalogue: Conn) -> None:
    assert (
        findings(
            catalogue,
            contract("prices", status="retired"),
            contract("new prices", data_feed="prices"),
            contract("orders", dependencies=["prices"]),
        )
        == []
    )


def test_versions(catalogue: Conn) -> None:
    versions = [("9.0.0", "active"), ("10.0.0", "active"), ("11.0.0", "deprecated"), ("8.0.0", "deprecated")]
    documents = [contract("orders", version=version, status=status) for version, status in versions]
    assert findings(catalogue, *documents) == [
        (
            "warning",
            "active_below_deprecated",
            "orders",
            "it is active, and the higher version 11.0.0 deprecated",
        ),
        ("warning", "several_active_versions", "orders", "2 versions are active: 9.0.0, 10.0.0"),
    ]


def test_of_no_contract(catalogue: Conn) -> None:
    catalogue.execute("INSERT INTO systems (name) VALUES ('crm'), ('C-R M'), ('pim')")
    catalogue.execute("INSERT INTO teams (name) VALUES ('it''s')")
    catalogue.execute("INSERT INTO domains (name) VALUES ('Fleet')")
    catalogue.execute(
        "INSERT INTO domains (name, parent_domain_id) SELECT 'Crew', id FROM domains WHERE name = 'Fleet'"
    )
    assert findings(
        catalogue,
        contract("orders", pulls_from=["crm"], dependencies=["report"]),
        contract("report", dependencies=["orders"]),
        contract("Re port", status="draft"),
    ) == [
        ("warning", "dependency_cycle", None, "2 feeds depend on each other: orders, report"),
        ("info", "empty_domain", None, 'the domain "Crew" has no contract'),
        ("info", "empty_domain", None, 'the domain "Fleet" has no contract'),
        (
            "warning",
            "similar_names",
            None,
            'contracts differ only by case, blanks, hyphens or underscores: "Re port", report',
        ),
        (
            "warning",
            "similar_names",
            None,
            'data feeds differ only by case, blanks, hyphens or underscores: "Re port", report',
        ),
        (
            "warning",
            "similar_names",
            None,
            'systems differ only by case, blanks, hyphens or underscores: "C-R M", crm',
        ),
        ("info", "unused_entity", None, 'no contract refers to the system "C-R M"'),
        ("info", "unused_entity", None, 'no contract refers to the system "pim"'),
        ("info", "unused_entity", None, 'no contract refers to the team "it\'s"'),
    ]


def test_remedies_that_are_statements_work(catalogue: Conn) -> None:
    """An entity that nothing refers to is deleted, two that are one are merged, as the finding says."""
    catalogue.execute("INSERT INTO systems (name) VALUES ('crm'), ('CRM')")
    catalogue.execute("INSERT INTO teams (name) VALUES ('it''s')")
    for issue in ("similar_names", "unused_entity"):
        for (remedy,) in catalogue.execute("SELECT remedy FROM catalogue_issues WHERE issue = %s", [issue]):
            statement = remedy.partition(": ")[2].rstrip(".")
            catalogue.execute(statement.encode())
    assert findings(catalogue) == []

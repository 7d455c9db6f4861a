"""contract_diff and json_diff: what they say, and that it is all there is to say."""

from __future__ import annotations

import copy
import json
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from pycharter_sql import loader, queries, rows, sources
from pycharter_sql.errors import ContractNotFound, NoActiveVersion

Conn = psycopg.Connection[Any]
Change = tuple[str, str, Any, Any]

EXAMPLES = Path(__file__).parents[1] / "examples" / "legacy"
SET_KEYS = {"enum", "examples", "required", "type"}


def json_diff(conn: Conn, before: Any, after: Any) -> list[Change]:
    query = "SELECT * FROM pycharter.json_diff(%s, %s)"
    return conn.execute(query, [Jsonb(before), Jsonb(after)]).fetchall()


def load(conn: Conn, *documents: dict[str, Any]) -> None:
    row = conn.execute("SELECT pycharter.load_documents(%s)", [list(map(Jsonb, documents))]).fetchone()
    assert row and row[0]["refusals"] == []


def contract(version: str, **content: Any) -> dict[str, Any]:
    return {"name": "A", "version": version, "schema": {"type": "object"}} | content


def diff(conn: Conn, *arguments: Any) -> list[tuple[Any, ...]]:
    return list(map(astuple, queries.contract_diff(conn, *arguments)))


# -------------------------------------------------------------------------------------------------- json_diff


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1, "b": {"c": [1]}}, {"b": {"c": [1]}, "a": 1.0}, []),
        (1, "1", [("", "changed", 1, "1")]),
        (None, False, [("", "changed", None, False)]),
        ({}, [], [("", "changed", {}, [])]),
        ({}, {"a": None}, [("/a", "added", None, None)]),
        ({"a": [1]}, {}, [("/a", "removed", [1], None)]),
        ({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}, [("/a/b", "changed", 1, 2), ("/a/c", "added", None, 3)]),
        # Escaped by RFC 6901.
        ({"a/b": {"~": {"": 1}}}, {"a/b": {"~": {"": 2}}}, [("/a~1b/~0/", "changed", 1, 2)]),
        # By position, and 10 comes after 9.
        ({"x": [1, 2, 3]}, {"x": [1, 3]}, [("/x/1", "changed", 2, 3), ("/x/2", "removed", 3, None)]),
        (
            list(range(9)),
            list(range(12)),
            [("/9", "added", None, 9), ("/10", "added", None, 10), ("/11", "added", None, 11)],
        ),
        # As sets, of any members; a key of that name that holds no array is none.
        ({"required": ["a", "b"]}, {"required": ["b", "a"]}, []),
        ({"enum": [1, 2, 2]}, {"enum": [2, 1]}, []),
        ({"properties": {"default": {"enum": [1, 2]}}}, {"properties": {"default": {"enum": [2, 1]}}}, []),
        # Data that a schema cites is no schema.
        (
            {"default": {"type": ["air", "rail"]}},
            {"default": {"type": ["rail", "air"]}},
            [
                ("/default/type/0", "changed", "air", "rail"),
                ("/default/type/1", "changed", "rail", "air"),
            ],
        ),
        (
            {"enum": ["b", None, [1]]},
            {"enum": [{"a": 1}, "b", "a"]},
            [
                ("/enum/-", "removed", None, None),
                ("/enum/-", "removed", [1], None),
                ("/enum/-", "added", None, "a"),
                ("/enum/-", "added", None, {"a": 1}),
            ],
        ),
        (
            {"type": "string"},
            {"type": ["string", "null"]},
            [("/type", "changed", "string", ["string", "null"])],
        ),
        (
            {"dependentRequired": {"a": ["b", "c"]}},
            {"dependentRequired": {"a": ["c"]}},
            [("/dependentRequired/a/-", "removed", "b", None)],
        ),
        (
            {"properties": {"type": {"a": 1}}},
            {"properties": {"type": {}}},
            [("/properties/type/a", "removed", 1, None)],
        ),
        # Sorted under COLLATE "C".
        ({}, {"b": 1, "a": 1, "B": 1}, [(f"/{key}", "added", None, 1) for key in "Bab"]),
    ],
)
def test_json_diff(conn: Conn, before: Any, after: Any, expected: list[Change]) -> None:
    assert json_diff(conn, before, after) == expected


def test_json_diff_of_what_is_not_there(conn: Conn) -> None:
    query = "SELECT * FROM pycharter.json_diff(%s, %s)"
    assert conn.execute(query, [None, None]).fetchall() == []
    assert conn.execute(query, [None, Jsonb({})]).fetchall() == [("", "added", None, {})]
    assert conn.execute(query, [Jsonb([]), None]).fetchall() == [("", "removed", [], None)]


def test_json_diff_with_sets_of_ones_own(conn: Conn) -> None:
    query = "SELECT pointer FROM pycharter.json_diff(%s, %s, '^/tags$')"
    values = [Jsonb({"tags": ["a", "b"], "enum": [1, 2]}), Jsonb({"tags": ["b", "a"], "enum": [2, 1]})]
    assert conn.execute(query, values).fetchall() == [("/enum/0",), ("/enum/1",)]


keys = st.sampled_from(["a", "b", "", "~", "/", "~1", "-", "0", "required", "enum", "type"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 10**30]) | st.sampled_from("abé"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def pairs(draw: Any) -> tuple[Any, Any]:
    """Two values that have something in common, or nothing."""
    one = draw(values)
    other = copy.deepcopy(one)
    if isinstance(other, dict):
        other.update(draw(st.dictionaries(keys, values, max_size=2)))
    elif isinstance(other, list):
        other[draw(st.integers(0, 4)) :] = draw(st.lists(values, max_size=2))
    return one, draw(st.sampled_from([other, draw(values), {"a": one, "b": [other]}]))


def canonical(value: Any, key: str = "") -> Any:
    """Equal for what json_diff takes for equal: sets in one order, each member once."""
    if isinstance(value, dict):
        return {key: canonical(inner, key) for key, inner in value.items()}
    if isinstance(value, list) and key in SET_KEYS:
        return [json.loads(text) for text in sorted({json.dumps(member, sort_keys=True) for member in value})]
    if isinstance(value, list):
        return list(map(canonical, value))
    return value


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # tells 1 from true


def apply(value: Any, changes: list[Change]) -> Any:
    """What JSON Patch would make of ``value``."""
    top = {"": copy.deepcopy(value)}
    # The last first, so that what is removed from an array does not move what is still to be looked up.
    removed = [change for change in changes if change[1] == "removed"]
    others = [change for change in changes if change[1] != "removed"]
    for pointer, kind, before, after in [*reversed(removed), *others]:
        *path, last = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")]
        parent: Any = top
        for token in path:
            parent = parent[int(token) if isinstance(parent, list) else token]
        if isinstance(parent, dict):
            assert (kind == "added") == (last not in parent)
            if kind == "removed":
                assert text(parent.pop(last)) == text(before)
            else:
                parent[last] = after
        elif last == "-" and kind == "removed":
            members = list(map(text, parent))
            assert text(before) in members
            parent[:] = [member for member in parent if text(member) != text(before)]
        elif last == "-":
            assert kind == "added" and text(after) not in map(text, parent)
            parent.append(after)
        elif kind == "removed":
            assert int(last) == len(parent) - 1
            parent.pop()
        elif kind == "added":
            assert int(last) == len(parent)
            parent.append(after)
        else:
            parent[int(last)] = after
    return top[""]


per_example = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@per_example
@given(values)
def test_nothing_differs_from_itself(conn: Conn, value: Any) -> None:
    assert json_diff(conn, value, value) == []


@per_example
@given(pairs())
def test_the_changes_make_one_of_the_other(conn: Conn, pair: tuple[Any, Any]) -> None:
    before, after = pair
    changes = json_diff(conn, before, after)
    assert text(canonical(apply(before, changes))) == text(canonical(after))
    assert len({text([pointer, kind, *change]) for pointer, kind, *change in changes}) == len(changes)


@per_example
@given(pairs())
def test_the_way_back_is_the_mirror_image(conn: Conn, pair: tuple[Any, Any]) -> None:
    before, after = pair
    mirrored = {"added": "removed", "removed": "added", "changed": "changed"}
    there = [
        (pointer, mirrored[kind], new, old) for pointer, kind, old, new in json_diff(conn, before, after)
    ]
    back = json_diff(conn, after, before)
    assert sorted(map(text, there)) == sorted(map(text, back))


# ---------------------------------------------------------------------------------------------- contract_diff


def test_the_dataclass_has_the_columns_of_the_function(conn: Conn) -> None:
    cursor = conn.execute("SELECT * FROM pycharter.json_diff('1', '2')")
    assert (
        cursor.description
        and [column.name for column in cursor.description]
        == [field.name for field in fields(rows.ContractChange)][1:]
    )


def test_the_examples(conn: Conn) -> None:
    loader.load(conn, sources.read_files([EXAMPLES]))
    rules = {"rules": {"price": {"greater_than_or_equal_to": {"threshold": 0}}}, "version": "1.10.0"}
    assert diff(conn, "Product", "1.9.0", "1.10.0") == [
        ("status", "", "changed", "deprecated", "active"),
        ("schema", "/properties/tax_class", "added", None, {"type": "string"}),
        ("schema", "/version", "changed", "1.9.0", "1.10.0"),
        ("coercion_rules", "/rules/price", "added", None, "coerce_to_float"),
        ("coercion_rules", "/version", "changed", "1.9.0", "1.10.0"),
        ("validation_rules", "", "added", None, rules),
        (
            "governance_rules",
            "",
            "added",
            None,
            {"sensitivity": "Internal", "data_retention": {"days": 1825}},
        ),
        ("ownership", "", "added", None, {"team": "data-platform", "owner": "pim-team"}),
        ("pulls_from", "/-", "added", None, "price-engine"),
        ("pushes_to", "/-", "added", None, "web-shop"),
        ("system_sources", "/-", "added", None, "pim"),
        ("business_owners", "/-", "added", None, {"name": "Order Desk", "role": "business_sme"}),
        ("team_access", "/read/-", "added", None, "checkout-team"),
        ("dependencies", "/Customer", "added", None, "optional"),
        ("dependencies", "/Tax class", "added", None, "required"),
    ]


def test_every_part(conn: Conn) -> None:
    one = contract(
        "1.0.0",
        status="draft",
        description="Before",
        data_feed={"name": "a", "title": "Feeds tell of themselves"},
        domain="Fleet",
        schema={
            "type": "object",
            "version": "1",
            "properties": {"x": {"type": "string", "enum": ["a", "b"]}, "y": {"type": "integer"}},
            "required": ["x", "y"],
        },
        coercion_rules={"rules": {"x": "coerce_to_string"}},
        validation_rules={"version": "1", "rules": {"x": {"only_allow": {"allowed_values": ["a", "b"]}}}},
        governance_rules={"pii_fields": {"fields": ["x"]}, "data_retention": {"days": 30}},
        metadata={"steps": ["read", "check"]},
        ownership={"owner": "IOC", "team": "data"},
        pulls_from=["Netline", {"name": "SCR", "description": "Systems tell of themselves"}],
        pushes_to=["warehouse"],
        business_owners=["IOC", {"name": "Ann", "role": "data_steward"}],
        team_access={"read": ["analysts"], "write": ["loaders"]},
        dependencies=["Airport", {"name": "Crew", "dependency_type": "optional"}],
        created_by="ann",
    )
    two = contract(
        "1.1.0",
        status="proposed",
        is_data_feed=True,
        data_feed="b",
        domain="Crewing",
        schema={
            "type": "object",
            "version": "2",
            "properties": {"x": {"type": "string", "enum": ["c", "b"]}, "z": {"type": ["number", "null"]}},
            "required": ["z", "x"],
        },
        coercion_rules={"version": "2", "rules": {"x": "coerce_to_lowercase"}},
        validation_rules={
            "version": "1",
            "rules": {"x": {"only_allow": {"allowed_values": ["b", "a", "c"]}}},
        },
        governance_rules={"pii_fields": {"fields": ["z", "x"]}, "data_retention": {"days": 60}},
        metadata={"steps": ["check", "read"]},
        ownership={"owner": "IOC", "additional_info": {"on_call": "yes"}},
        pulls_from=["SCR"],
        system_sources=["Netline"],
        business_owners=["IOC", {"name": "Ann", "role": "support_lead"}],
        team_access={"read": ["loaders"], "write": ["loaders"]},
        dependencies=["Crew", "Gate"],
        created_by="bob",
    )
    load(conn, one, two)
    assert diff(conn, "A", "1.0.0", "1.1.0") == [
        ("status", "", "changed", "draft", "proposed"),
        ("description", "", "removed", "Before", None),
        ("is_data_feed", "", "changed", False, True),
        ("data_feed", "", "changed", "a", "b"),
        ("domain", "", "changed", "Fleet", "Crewing"),
        ("schema", "/properties/x/enum/-", "removed", "a", None),
        ("schema", "/properties/x/enum/-", "added", None, "c"),
        ("schema", "/properties/y", "removed", {"type": "integer"}, None),
        ("schema", "/properties/z", "added", None, {"type": ["number", "null"]}),
        ("schema", "/required/-", "removed", "y", None),
        ("schema", "/required/-", "added", None, "z"),
        ("schema", "/version", "changed", "1", "2"),
        ("coercion_rules", "/rules/x", "changed", "coerce_to_string", "coerce_to_lowercase"),
        ("coercion_rules", "/version", "added", None, "2"),
        ("validation_rules", "/rules/x/only_allow/allowed_values/-", "added", None, "c"),
        ("governance_rules", "/data_retention/days", "changed", 30, 60),
        ("governance_rules", "/pii_fields/fields/-", "added", None, "z"),
        ("ownership", "/additional_info", "added", None, {"on_call": "yes"}),
        ("ownership", "/team", "removed", "data", None),
        ("pulls_from", "/-", "removed", "Netline", None),
        ("pushes_to", "/-", "removed", "warehouse", None),
        ("system_sources", "/-", "added", None, "Netline"),
        ("business_owners", "/-", "removed", {"name": "Ann", "role": "data_steward"}, None),
        ("business_owners", "/-", "added", None, {"name": "Ann", "role": "support_lead"}),
        ("team_access", "/read/-", "removed", "analysts", None),
        ("team_access", "/read/-", "added", None, "loaders"),
        ("dependencies", "/Airport", "removed", "required", None),
        ("dependencies", "/Crew", "changed", "optional", "required"),
        ("dependencies", "/Gate", "added", None, "required"),
        ("metadata", "/steps/0", "changed", "read", "check"),
        ("metadata", "/steps/1", "changed", "check", "read"),
    ]
    # A whole component, or entity, that is new.
    load(conn, contract("0.1.0"))
    added = {part: kind for part, pointer, kind, *_ in diff(conn, "A", "0.1.0", "1.0.0") if not pointer}
    components = ("coercion_rules", "validation_rules", "governance_rules", "ownership", "metadata")
    assert {part: "added" for part in ("description", "domain", *components)}.items() <= added.items()


def test_versions_that_are_not_named(conn: Conn) -> None:
    load(
        conn,
        contract("1.9.0", description="nine", status="active"),
        contract("1.10.0", description="ten"),
        contract("1.11.0", description="eleven", status="active"),
        contract("2.0.0-rc.1", description="two"),
    )
    description = [("description", "", "changed", "ten", "eleven")]
    status = [("status", "", "changed", "draft", "active")]
    assert (
        diff(conn, "A")
        == diff(conn, "A", None, "1.11.0")
        == diff(conn, "A", "1.10.0")
        == status + description
    )
    assert conn.execute("SELECT * FROM pycharter.contract_diff('A')").fetchall() == status + description
    assert diff(conn, "A", "1.9.0", None) == [("description", "", "changed", "nine", "eleven")]
    assert diff(conn, "A", None, "2.0.0-rc.1")[1:] == [("description", "", "changed", "eleven", "two")]
    # Back, and on the spot.
    assert diff(conn, "A", "1.11.0", "1.10.0")[1:] == [("description", "", "changed", "eleven", "ten")]
    assert diff(conn, "A", "1.10.0", "1.10.0") == []


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        (["B"], ContractNotFound, 'there is no contract "B"'),
        (["a", "1.0.0", "1.0.0"], ContractNotFound, 'there is no contract "a"'),
        (["A"], NoActiveVersion, 'contract "A" has no active version; its latest is 1.1.0 (draft)'),
        (
            ["A", "1.0.0", None],
            NoActiveVersion,
            'contract "A" has no active version; its latest is 1.1.0 (draft)',
        ),
        (
            ["A", "1.0.0", "1.1"],
            ContractNotFound,
            'contract "A" has no version "1.1"; its latest is 1.1.0 (draft)',
        ),
        (
            ["A", "0.9", "1.0.0"],
            ContractNotFound,
            'contract "A" has no version "0.9"; its latest is 1.1.0 (draft)',
        ),
        (["A", None, "1.0.0"], ContractNotFound, 'contract "A" has no version before 1.0.0'),
    ],
)
def test_versions_that_are_not_there(
    conn: Conn, arguments: list[str | None], error: type[Exception], reason: str
) -> None:
    load(conn, contract("1.0.0"), contract("1.1.0"))
    with pytest.raises(ContractNotFound) as caught:
        queries.contract_diff(conn, *arguments)  # type: ignore[arg-type]
    assert type(caught.value) is error and caught.value.reason == reason and caught.value.remedy
    # The caller's transaction goes on, and in SQL the same is said.
    placeholders = ", ".join(["%s"] * len(arguments))
    with pytest.raises(psycopg.errors.NoDataFound) as raised:
        conn.execute(f"SELECT * FROM pycharter.contract_diff({placeholders})".encode(), arguments)
    assert raised.value.diag.message_primary == reason and raised.value.diag.message_hint

"""Contracts for PyCharter's Validator, the real one, and as JSON Schema for two validators."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import jsonschema_rs
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from pycharter.runtime_validator import Validator
from pycharter.shared.coercions import COERCION_REGISTRY
from pycharter.shared.coercions import RENAMED_COERCIONS as RENAMED
from pycharter.shared.validations import VALIDATION_REGISTRY

from pycharter_sql import loader, queries, sources
from pycharter_sql.enforcement import to_jsonschema, to_pycharter
from pycharter_sql.enforcement.places import places_of
from pycharter_sql.enforcement.rules import COERCIONS, RENAMED_COERCIONS, VALIDATIONS, Rules
from pycharter_sql.errors import NotEnforceable
from pycharter_sql.rows import Contract, Status

Row = dict[str, Any]


def contract(
    schema: dict[str, Any],
    coercion_rules: dict[str, Any] | None = None,
    validation_rules: dict[str, Any] | None = None,
) -> Contract:
    now = datetime.now(UTC)
    return Contract(
        contract_id=uuid4(),
        name="Order",
        version="2.1.0",
        status=Status.ACTIVE,
        description=None,
        is_data_feed=True,
        data_feed="Order",
        feed_type=None,
        domain=None,
        schema=schema,
        coercion_rules=coercion_rules,
        validation_rules=validation_rules,
        governance_rules=None,
        metadata=None,
        ownership=None,
        pulls_from=[],
        pushes_to=[],
        system_sources=[],
        business_owners=[],
        read_teams=[],
        write_teams=[],
        dependencies=[],
        created_at=now,
        updated_at=now,
        created_by="x",
        updated_by="x",
        revision=1,
    )


def properties(**schemas: Any) -> dict[str, Any]:
    return {"type": "object", "properties": schemas}


def field(type_: Any, **rules: Any) -> Contract:
    """A contract with one field, x."""
    return contract(properties(x={"type": type_} if type_ else {}), None, {"x": rules})


def pycharter_accepts(contract: Contract, row: Row) -> bool:
    result = Validator(to_pycharter(contract)).validate(row)
    # It catches what it trips over, which is no verdict.
    assert not any("Unexpected" in error for error in result.errors), result.errors
    return bool(result.is_valid)


def jsonschema_accepts(contract: Contract, row: Row) -> bool:
    schema = to_jsonschema(contract)
    jsonschema_rs.meta.validate(schema)
    checker = jsonschema.validators.validator_for(schema)
    checker.check_schema(schema)
    accepts = jsonschema_rs.validator_for(schema).is_valid(row)
    assert checker(schema).is_valid(row) == accepts, "jsonschema and jsonschema_rs differ"
    return accepts


def both_accept(contract: Contract, row: Row) -> bool:
    accepts = pycharter_accepts(contract, row)
    assert jsonschema_accepts(contract, row) == accepts, "PyCharter and JSON Schema differ"
    return accepts


def refusals(function: Any, contract: Contract) -> list[tuple[str, str]]:
    with pytest.raises(NotEnforceable) as caught:
        function(contract)
    assert all(refusal.source == "Order@2.1.0" and refusal.remedy for refusal in caught.value.refusals)
    return [(refusal.pointer, refusal.reason) for refusal in caught.value.refusals]


# ----------------------------------------------------------------------------------------------- single rules


def test_names() -> None:
    """What we know is what the installed PyCharter knows."""
    assert set(COERCIONS) == COERCION_REGISTRY.keys()
    assert RENAMED_COERCIONS == RENAMED
    assert VALIDATIONS.keys() == VALIDATION_REGISTRY.keys()
    for name, arguments in VALIDATIONS.items():
        if name != "only_allow_if":  # takes one mapping
            assert tuple(inspect.signature(VALIDATION_REGISTRY[name]).parameters) == arguments


RULES: list[tuple[str, Any, str, list[Any], list[Any]]] = [
    ("min_length", {"threshold": 2}, "string", ["ab", "äöü"], ["", "a"]),
    ("min_length", {"threshold": 2}, "array", [["a", "b"]], [[], ["a"]]),
    ("min_length", {"threshold": 1}, "object", [{"a": 1}], []),
    ("max_length", {"threshold": 2}, "string", ["", "ab", "😀😀"], ["abc"]),
    ("max_length", {"threshold": 1}, "array", [[], ["a"]], [["a", "b"]]),
    ("only_allow", {"allowed_values": ["R", "O"]}, "string", ["R", "O"], ["r", ""]),
    ("only_allow", {"allowed_values": [1, 2.5]}, "number", [1, 1.0, 2.5], [2, 0]),
    ("greater_than_or_equal_to", {"threshold": 0}, "number", [0, 0.5, 7], [-1, -0.001]),
    ("less_than_or_equal_to", {"threshold": 100}, "integer", [100, -5], [101]),
    ("between", {"min_value": 1, "max_value": 3}, "number", [1, 2.5, 3], [0.9, 3.1]),
    ("is_positive", None, "number", [0.1, 5], [0, -1]),
    ("is_positive", {"threshold": 5}, "integer", [6], [5, 1]),
    ("matches_regex", {"pattern": "[A-Z]{2}"}, "string", ["AB", "ABc"], ["xAB", "A", ""]),
    ("matches_regex", {"pattern": "a$|b$"}, "string", ["a", "b"], ["ab", "xb"]),
    ("no_capital_characters", None, "string", ["", "abc 1", "ß", "ª"], ["Abc", "É", "ↀⅣ", "Ω"]),
    ("no_special_characters", None, "string", ["", "ab 1\n"], ["a-b", "é"]),
    ("non_empty_string", None, "string", ["a", " a "], ["", " ", "\t\u2003\x1c"]),
    ("is_email", None, "string", ["a.b+c@shop.example"], ["a@b", "a b@c.de", "", "ä@b.de"]),
    ("is_url", None, "string", ["https://x.example/a?b", "http://ab"], ["ftp://x", "https://", "http:// x"]),
    ("is_alphanumeric", None, "string", ["abc1", "Ünï", "²"], ["", "a b", "a-b", "a_"]),
    ("is_numeric_string", None, "string", ["12", "-1.5", "٣"], ["1.", "", "1e5", "+1", "½"]),
    ("is_unique", None, "array", [[], ["a", "b"]], [["a", "a"]]),
]


@pytest.mark.parametrize(("name", "arguments", "type_", "good", "bad"), RULES)
def test_rule(name: str, arguments: Any, type_: str, good: list[Any], bad: list[Any]) -> None:
    ruled = field(type_, **{name: arguments})
    assert [value for value in good if not both_accept(ruled, {"x": value})] == []
    assert [value for value in bad if both_accept(ruled, {"x": value})] == []
    assert both_accept(ruled, {}), "a rule is of values that are there"
    # The other way round: without the rule each would do.
    assert all(both_accept(field(type_), {"x": value}) for value in bad)


def test_every_rule_is_tried() -> None:
    assert {name for name, *_ in RULES} | {"only_allow_if"} == VALIDATIONS.keys()


@pytest.mark.parametrize("value", ["stop", None])
def test_only_allow_if(value: str | None) -> None:
    rule = {"condition_field": "kind", "condition_value": value, "allowed_values": [0.5, 1]}
    kinds = {"type": ["string", "null"]}
    # PyCharter goes through fields in their order: the condition comes first, wherever it is written.
    ruled = contract(
        properties(price={"type": "number"}, kind=kinds), None, {"price": {"only_allow_if": rule}}
    )
    assert list(to_pycharter(ruled)["json_schema"]["properties"]) == ["kind", "price"]
    assert both_accept(ruled, {"kind": value, "price": 0.5})
    assert not both_accept(ruled, {"kind": value, "price": 7})
    assert both_accept(ruled, {"kind": "market", "price": 7})
    assert both_accept(ruled, {"price": 7}) == (value is not None), "what is absent is null to PyCharter"
    assert both_accept(ruled, {"kind": value})


COERCED: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("coerce_to_string", {"type": "string"}, 12, "12"),
    ("coerce_to_integer", {"type": "integer"}, "3.0", 3),
    ("coerce_to_float", {"type": "number"}, "2.50", 2.5),
    ("coerce_to_boolean", {"type": "boolean"}, "no", False),
    ("coerce_to_datetime", {"type": "string", "format": "date-time"}, "2026-01-02", datetime(2026, 1, 2)),
    ("coerce_to_datetime", {"type": "string"}, "2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5)),
    ("coerce_to_date", {"type": "string"}, "2026/01/02", date(2026, 1, 2)),
    ("coerce_to_lowercase", {"type": "string"}, "AbC", "abc"),
    ("coerce_to_uppercase", {"type": "string"}, "AbC", "ABC"),
    ("coerce_to_stripped_string", {"type": "string"}, " a ", "a"),
    ("coerce_to_list", {"type": "array"}, 5, [5]),
    ("coerce_empty_to_null", {"type": "string"}, " ", None),
    ("coerce_to_none", {"type": "number"}, float("nan"), None),
    ("coerce_to_json", {"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a": 1}', {"a": 1}),
    ("coerce_to_nullable_string", {"type": ["string", "null"]}, 5, "5"),
    ("coerce_to_nullable_integer", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "x", None),
    ("coerce_to_nullable_integer", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "4", 4),
    ("coerce_to_nullable_float", {"type": ["number", "null"]}, "x", None),
    ("coerce_to_nullable_boolean", {"type": ["boolean", "null"]}, "yes", True),
    ("coerce_to_nullable_datetime", {"type": ["string", "null"]}, "2026-01-02", datetime(2026, 1, 2)),
    ("coerce_to_nullable_json", {"type": ["string", "null"]}, {"a": 1}, '{"a": 1}'),
    ("uppercase", {"type": "string"}, "a", "A"),
    ("lowercase", {"type": "string"}, "A", "a"),
    ("strip", {"type": "string"}, " a", "a"),
    ("to_integer", {"type": "integer"}, "7", 7),
    ("to_float", {"type": "number"}, "7", 7.0),
    ("empty_to_null", {"type": ["integer", "null"]}, "", None),
    ("to_timestamp", {"type": "string", "format": "date-time"}, "2026-01-02", datetime(2026, 1, 2)),
]


@pytest.mark.parametrize(("name", "schema", "value", "coerced"), COERCED)
def test_coercion(name: str, schema: dict[str, Any], value: Any, coerced: Any) -> None:
    result = Validator(to_pycharter(contract(properties(x=schema), {"x": name}))).validate({"x": value})
    assert result.is_valid, result.errors
    assert result.data is not None
    assert result.data.model_dump()["x"] == coerced


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coerce_to_integer", "x"),
        ("coerce_to_float", "free"),
        ("coerce_to_boolean", "maybe"),
        ("coerce_to_datetime", "today?"),
        ("coerce_to_date", "2026-13-01"),
    ],
)
def test_coercion_that_fails(name: str, value: str) -> None:
    types = {"integer": "integer", "float": "number", "boolean": "boolean"}
    schema = {"type": type_} if (type_ := types.get(name.removeprefix("coerce_to_"))) else {"type": "string"}
    coerced = contract(properties(x=schema), {"x": name})
    assert not pycharter_accepts(coerced, {"x": value})


def test_every_coercion_is_tried() -> None:
    refused = {"coerce_to_uuid", "coerce_to_nullable_uuid"}
    assert {name for name, *_ in COERCED} | refused == {*COERCIONS, *RENAMED_COERCIONS}


# ------------------------------------------------------------------ what the rules accept, whatever the value

JSON_VALUES = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.text(alphabet="aA1٣ \n.-@:/htps_\u2003\x1c", max_size=12),
    st.sampled_from(["a@b.cd\n", "http://ab\n", "12\n", "-1.5", "\n", "a\n\n", "https://x\u2028y"]),
    st.integers(-9, 9),
    st.floats(-9, 9),
    st.lists(st.sampled_from(["a", "b", 1, 1.0, None]), max_size=4),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=3),
)
NUMBERS = st.one_of(st.integers(-9, 9), st.floats(-9, 9))
LENGTHS = st.integers(0, 5)
ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "min_length": st.fixed_dictionaries({"threshold": LENGTHS}),
    "max_length": st.fixed_dictionaries({"threshold": LENGTHS}),
    "only_allow": st.fixed_dictionaries({"allowed_values": st.lists(JSON_VALUES, min_size=1, max_size=4)}),
    "greater_than_or_equal_to": st.fixed_dictionaries({"threshold": NUMBERS}),
    "less_than_or_equal_to": st.fixed_dictionaries({"threshold": NUMBERS}),
    "between": st.fixed_dictionaries({"min_value": NUMBERS, "max_value": NUMBERS}),
    "is_positive": st.fixed_dictionaries({"threshold": NUMBERS}),
    "matches_regex": st.fixed_dictionaries(
        {
            "pattern": st.sampled_from(
                ["a", "^a", "a|1", "[^a]+A", "a?-", r"[\[\]a]{2,}", "(a|A)1*", "(?=a)", ""]
            )
        }
    ),
}


def is_kept(name: str, arguments: dict[str, Any], value: Any) -> bool:
    """What PyCharter's own function says of the value alone."""
    try:
        VALIDATION_REGISTRY[name](**arguments)(value, None)
    except ValueError:
        return False
    return True


@settings(deadline=None, max_examples=100)
@pytest.mark.parametrize("name", [name for name in VALIDATIONS if name != "only_allow_if"])
@given(data=st.data())
def test_jsonschema_accepts_what_the_rule_accepts(name: str, data: st.DataObject) -> None:
    arguments = data.draw(ARGUMENTS.get(name, st.just({})))
    value = data.draw(st.one_of(JSON_VALUES, st.sampled_from(arguments.get("allowed_values", [None]))))
    assert jsonschema_accepts(field(None, **{name: arguments}), {"x": value}) == is_kept(
        name, arguments, value
    )


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_rules_hold_together_with_the_schema(data: st.DataObject) -> None:
    """Any rules on any schema: what is accepted is what schema and rules accept, each by itself."""
    names = data.draw(
        st.lists(st.sampled_from([n for n in VALIDATIONS if n != "only_allow_if"]), unique=True)
    )
    rules = {name: data.draw(ARGUMENTS.get(name, st.just({}))) for name in names}
    keywords: dict[str, Any] = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["string", "number", "array", ["string", "null"]]),
                "minLength": LENGTHS,
                "maxItems": LENGTHS,
                "minimum": NUMBERS,
                "exclusiveMinimum": NUMBERS,
                "pattern": st.sampled_from(["a", "^[^a]"]),
                "enum": st.lists(st.one_of(JSON_VALUES, st.booleans()), min_size=1),
                "uniqueItems": st.booleans(),
                "allOf": st.just([{"not": {"const": "a"}}]),
                "$ref": st.just("#/$defs/short"),
            },
        )
    )
    schema = properties(x=keywords) | {"$defs": {"short": {"maxLength": 3}}}
    value = data.draw(JSON_VALUES)
    by_schema = jsonschema_rs.is_valid(schema, {"x": value})
    by_rules = all(is_kept(name, arguments, value) for name, arguments in rules.items())
    assert jsonschema_accepts(contract(schema, None, {"x": rules}), {"x": value}) == (by_schema and by_rules)


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("name", [name for name in VALIDATIONS if name != "only_allow_if"])
@given(data=st.data())
def test_pycharter_carries_out_the_rule(name: str, data: st.DataObject) -> None:
    arguments = data.draw(ARGUMENTS.get(name, st.just({})))
    type_, values = data.draw(
        st.sampled_from(
            [("string", st.text(max_size=8)), ("number", NUMBERS), ("array", st.lists(st.sampled_from("ab")))]
        )
    )
    value = data.draw(values)
    kept = is_kept(name, arguments, value)
    assert pycharter_accepts(field(type_, **{name: arguments}), {"x": value}) == kept
    nested = contract(properties(o=properties(x={"type": type_})), None, {"o.x": {name: arguments}})
    assert pycharter_accepts(nested, {"o": {"x": value}}) == kept


# ------------------------------------------------------------------------------------------- forms and places


@pytest.mark.parametrize(
    "written",
    [
        {"max_length": {"threshold": 2}, "non_empty_string": None},
        {"max_length": {"value": 2}, "non_empty_string": {}},
        {"max_length": 2, "non_empty_string": True},
        ["non_empty_string", {"max_length": {"threshold": 2, "id": "r1", "description": "short"}}],
        [
            {"id": "a", "assertion": "max_length", "parameters": {"threshold": 2}, "severity": "error"},
            {"id": "b", "assertion": "non_empty_string"},
        ],
        [{"name": "max_length", "params": {"threshold": 2}}, {"name": "non_empty_string", "pre": False}],
    ],
)
@pytest.mark.parametrize("place", ["component", "validations", "x-validators", "$x", "$.x"])
def test_forms_of_rules(written: Any, place: str) -> None:
    text: dict[str, Any] = {"type": "string"}
    if place in ("validations", "x-validators"):
        ruled = contract(properties(x=text | {place: written}))
    else:
        ruled = contract(properties(x=text), None, {"x" if place == "component" else place: written})
    assert to_pycharter(ruled)["validation_rules"] == {
        "rules": {"x": {"max_length": {"threshold": 2}, "non_empty_string": {}}}
    }
    assert [value for value in ("", "a", "ab", "abc") if both_accept(ruled, {"x": value})] == ["a", "ab"]


@pytest.mark.parametrize(
    ("name", "written", "arguments"),
    [
        ("is_positive", 5, {"threshold": 5}),
        ("is_positive", True, {"threshold": 0}),
        ("matches_regex", "^a", {"pattern": "^a"}),
        ("only_allow", ["a"], {"allowed_values": ["a"]}),
    ],
)
def test_arguments_without_their_names(name: str, written: Any, arguments: dict[str, Any]) -> None:
    assert to_pycharter(field("string", **{name: written}))["validation_rules"]["rules"] == {
        "x": {name: arguments}
    }


@pytest.mark.parametrize(
    "written",
    ["to_float", ["coerce_to_float"], {"operation": "coerce_to_float"}, [{"operation": "to_float"}]],
)
@pytest.mark.parametrize("place", ["component", "coercion", "x-validators", "$total"])
def test_forms_of_coercions(written: Any, place: str) -> None:
    number: dict[str, Any] = {"type": "number"}
    if place == "x-validators":
        coerced = contract(
            properties(total=number | {place: [{"name": "to_float", "pre": True}, "is_positive"]})
        )
        assert not pycharter_accepts(coerced, {"total": "-1"})
    elif place == "coercion":
        coerced = contract(properties(total=number | {"coercion": written}))
    else:
        coerced = contract(properties(total=number), {"total" if place == "component" else place: written})
    given = to_pycharter(coerced)
    assert given["coercion_rules"] == {"rules": {"total": "coerce_to_float"}}
    assert "coercion" not in given["json_schema"]["properties"]["total"]
    assert pycharter_accepts(coerced, {"total": "1.5"})


def test_coercion_of_a_field_with_an_odd_name() -> None:
    coerced = contract(properties(**{"unit-price": {"type": "number"}}), {"unit-price": "to_float"})
    assert not pycharter_accepts(coerced, {"unit-price": "free"})
    result = Validator(to_pycharter(coerced)).validate({"unit-price": "1.5"})
    assert result.data is not None
    assert result.data.model_dump() == {"unit-price": 1.5}


@pytest.mark.parametrize("name", ["title", "version", "rules"])
def test_field_with_a_name_of_pycharters_own(name: str) -> None:
    rules = {name: {"max_length": {"threshold": 2}}}
    ruled = contract(properties(**{name: {"type": "string"}, "y": {"type": "string"}}), None, rules)
    assert both_accept(ruled, {name: "ab"})
    assert not both_accept(ruled, {name: "abc"})
    coerced = contract(ruled.schema, {name: "strip", "y": "strip"}, rules)
    if name == "rules":
        assert refusals(to_pycharter, coerced) == [
            ("/coercion_rules/rules", "PyCharter cannot coerce a field of this name")
        ]
    else:
        assert pycharter_accepts(coerced, {name: " ab ", "y": "z"})
        assert not pycharter_accepts(coerced, {name: " abc "})


def test_no_rules() -> None:
    bare = contract(properties(x={"type": "string"}), {}, {"x": None, "gone": {}})
    assert to_pycharter(bare) == {
        "json_schema": {"version": "2.1.0"} | properties(x={"type": "string"}),
        "coercion_rules": {"rules": {}},
        "validation_rules": {"rules": {}},
    }
    assert to_jsonschema(bare) == {"$schema": "https://json-schema.org/draft/2020-12/schema", **bare.schema}


@pytest.mark.parametrize("written", [False, True])
def test_places(written: bool) -> None:
    """Rules of nested fields, of items, of what a $ref names; inline or by field name."""
    short: dict[str, Any] = {"type": "string"} | ({"validations": {"max_length": 1}} if written else {})
    schema = properties(
        address=properties(city=short),
        lines={"type": "array", "items": properties(sku=short)},
        billing={"$ref": "#/$defs/Address"},
        shipping={"$ref": "#/$defs/Address"},
        **{"unit-price": short, "a.b": short},
    ) | {"$defs": {"Address": properties(town={"type": "string"} | (short if written else {}))}}
    rule = {"max_length": {"threshold": 1}}
    rules = {"address.city": rule, "lines[].sku": rule, "billing.town": rule, "unit-price": rule, "a.b": rule}
    ruled = contract(schema, None, None if written else rules)
    cases: list[tuple[Row, Row]] = [
        ({"address": {"city": "a"}}, {"address": {"city": "ab"}}),
        ({"lines": [{"sku": "a"}]}, {"lines": [{"sku": "a"}, {"sku": "ab"}]}),
        ({"billing": {"town": "a"}}, {"billing": {"town": "ab"}}),
        ({"unit-price": "a"}, {"unit-price": "ab"}),
        ({"a.b": "a"}, {"a.b": "ab"}),
    ]
    for row, changed in cases:
        assert both_accept(ruled, row)
        assert not both_accept(ruled, changed)
    assert both_accept(ruled, {"shipping": {"town": "ab"}}) is not written
    assert both_accept(contract(schema, None, {"lines.sku": rule}), {"lines": [{"sku": "ab"}]}) is False


def test_places_that_json_schema_alone_reaches() -> None:
    schema = properties(
        tags={"type": "array", "items": {"type": "string"}},
        prices={"type": "object", "additionalProperties": properties(amount={"type": "number"})},
        point={"type": "array", "prefixItems": [{"type": "number"}]},
        **{"party": {"anyOf": [properties(vat={"type": "string"}), properties(ssn={"type": "string"})]}},
    )
    rules: dict[str, dict[str, Any]] = {
        "tags[]": {"max_length": 1},
        "prices.*.amount": {"is_positive": None},
        "point[0]": {"less_than_or_equal_to": 9},
        "party.vat": {"max_length": 2},
    }
    ruled = contract(schema, None, rules)
    cases: list[tuple[Row, Row]] = [
        ({"tags": ["a"]}, {"tags": ["a", "ab"]}),
        ({"prices": {"EUR": {"amount": 1}}}, {"prices": {"EUR": {"amount": 0}}}),
        ({"point": [9, 10]}, {"point": [10]}),
        ({"party": {"vat": "ab"}}, {"party": {"vat": "abc"}}),
    ]
    for good, bad in cases:
        assert jsonschema_accepts(ruled, good)
        assert not jsonschema_accepts(ruled, bad)
    assert refusals(to_pycharter, ruled) == [
        (f"/validation_rules/{field}/{name}", "PyCharter does not look at this part of the schema")
        for field, (name,) in rules.items()
    ]


def test_what_is_closed_stays_closed() -> None:
    """A rule beside an anyOf does not describe the field where the anyOf does not."""
    schema = {
        "type": "object",
        "anyOf": [
            properties(kind={"const": "person"}, name={"type": "string"}) | {"required": ["kind"]},
            properties(kind={"const": "firm"}) | {"required": ["kind"]},
        ],
        "unevaluatedProperties": False,
    }
    ruled = contract(schema, None, {"name": {"max_length": {"threshold": 2}}})
    assert jsonschema_accepts(ruled, {"kind": "person", "name": "ab"})
    assert not jsonschema_accepts(ruled, {"kind": "person", "name": "abc"})
    assert not jsonschema_accepts(ruled, {"kind": "firm", "name": "ab"})


def test_what_pycharter_would_read_otherwise() -> None:
    """No type would be text, $ref in a circle without end, a pattern at the beginning, anyOf nothing."""
    node = properties(value={"type": "integer"}, next={"$ref": "#/$defs/Node"})
    schema = properties(
        anything={},
        given=True,
        code={"enum": ["a", 1]},
        noise={"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "default": None},
        either={"oneOf": [{"type": "integer"}, {"type": "string"}]},
        node={"$ref": "#/$defs/Node"},
        mixed={"type": "array"},
        point={"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
        inside={"type": "string", "pattern": "b|^c"},
        all={
            "allOf": [
                properties(x={"type": "integer"}),
                properties(y={"type": "integer"}) | {"required": ["y"]},
            ]
        },
        validations={"type": "string"},
    ) | {"$defs": {"Node": node}}
    plain = contract(schema)
    good: list[Row] = [
        {"anything": [1], "given": {"a": 1}, "code": 1, "noise": None, "either": 5, "mixed": [1, "a", None]},
        {"anything": "a", "code": "a", "noise": 3, "either": "a", "node": {"next": {"next": {"value": 1}}}},
        {"point": ["a", 1, 2]},
        {"inside": "abc", "all": {"x": 1, "y": 2}, "validations": "a"},
    ]
    bad: list[Row] = [
        {"code": "b"},
        {"noise": -1},
        {"noise": "x"},
        {"either": [1]},
        {"node": {"value": "x"}},
        {"inside": "ac"},
        {"all": {"x": 1}},
        {"all": {"x": "a", "y": 1}},
        {"validations": 5},
    ]
    assert [row for row in good if not jsonschema_accepts(plain, row)] == []
    assert [row for row in bad if both_accept(plain, row)] == []
    good[0]["mixed"].pop()  # PyCharter has no null within a list
    assert [row for row in good if not pycharter_accepts(plain, row)] == []


@pytest.mark.parametrize(
    "draft",
    [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ],
)
def test_drafts(draft: str) -> None:
    condition = {"condition_field": "kind", "condition_value": "a", "allowed_values": [1, 1.0, 2]}
    schema = {"$schema": draft} | properties(
        kind={"type": "string"}, x={"$ref": "#/definitions/X"}, y={"type": "number"}, z={"type": "string"}
    )
    schema["definitions"] = {"X": {"type": "number"}}
    rules = {
        "x": {"is_positive": None, "less_than_or_equal_to": 5, "only_allow_if": condition},
        "y": {"greater_than_or_equal_to": 1, "is_positive": {"threshold": 3}},
        "z": {"is_email": None, "non_empty_string": None},
    }
    ruled = contract(schema, None, rules)
    assert to_jsonschema(ruled)["$schema"] == draft
    assert both_accept(ruled, {"kind": "a", "x": 1, "y": 4, "z": "a@b.de"})
    for wrong in ({"x": 0}, {"x": 6}, {"kind": "a", "x": 3}, {"y": 3}, {"z": "a"}, {"z": " "}):
        assert not both_accept(ruled, wrong)


def test_bounds_of_draft_4() -> None:
    schema = {"$schema": "http://json-schema.org/draft-04/schema#"} | properties(
        x={"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": False}
    )
    ruled = contract(schema, None, {"x": {"less_than_or_equal_to": 8}})
    assert [value for value in (0, 1, 8, 9) if both_accept(ruled, {"x": value})] == [1, 8]


def test_warnings() -> None:
    ruled = field("string", max_length={"threshold": 1, "severity": "warning"})
    result = Validator(to_pycharter(ruled)).validate({"x": "ab"})
    assert result.is_valid
    assert [(warning.field, warning.code) for warning in result.warnings] == [("x", "max_length")]
    assert jsonschema_accepts(ruled, {"x": "ab"})
    assert (
        to_jsonschema(ruled)["$comment"] == "Not in this schema: /validation_rules/x/max_length: only warns"
    )


def test_what_json_schema_leaves_out() -> None:
    schema = properties(total={"type": "number", "coercion": "to_float"}, name={"type": "string"})
    told = to_jsonschema(contract(schema | {"$comment": "Ours", "version": "1"}, {"name": ["a", "b"]}))
    assert told == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Ours\nNot in this schema: /schema/properties/total/coercion: coerce_to_float; "
        "/coercion_rules/name: a, b",
        **properties(total={"type": "number"}, name={"type": "string"}),
    }


def test_neither_validator_is_needed() -> None:
    code = "import sys, pycharter_sql.enforcement; print({'pycharter', 'jsonschema'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_the_contract_stays_as_it_is() -> None:
    schema = properties(x={"$ref": "#/$defs/X", "validations": {"max_length": 1}}) | {
        "$defs": {"X": {"type": "string"}}
    }
    ruled = contract(schema, {"x": ["strip"]}, {"x": {"non_empty_string": None}})
    before = deepcopy(ruled)
    to_pycharter(ruled)["json_schema"]["properties"]["x"]["type"] = "changed"
    to_jsonschema(ruled)["properties"]["x"]["allOf"].clear()
    assert ruled == before


# --------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("rules", "pointer", "reason"),
    [
        ({"x": {"greater_than": 1}}, "/x/greater_than", 'PyCharter has no rule "greater_than"'),
        ({"y": {"max_length": 1}}, "/y", 'the schema has no field "y"'),
        ({"x": {"max_length": None}}, "/x/max_length", "{} is not what max_length takes"),
        ({"x": {"max_length": {"min": 3}}}, "/x/max_length", '{"min": 3} is not what max_length takes'),
        ({"x": {"max_length": "3"}}, "/x/max_length", 'threshold of max_length cannot be "3"'),
        ({"x": {"max_length": 1.5}}, "/x/max_length", "no length is 1.5"),
        ({"x": {"min_length": -1}}, "/x/min_length", "no length is -1"),
        ({"x": {"is_email": False}}, "/x/is_email", '{"value": false} is not what is_email takes'),
        ({"x": {"only_allow": []}}, "/x/only_allow", "allowed_values of only_allow cannot be []"),
        ({"x": {"matches_regex": "("}}, "/x/matches_regex", 'pattern of matches_regex cannot be "("'),
        ({"x": {"is_url": {"severity": "loud"}}}, "/x/is_url", 'severity cannot be "loud"'),
        ({"x": 5}, "/x", "5 is no rule"),
        ({"x": [{"pre": True}]}, "/x/0/pre", 'PyCharter has no rule "pre"'),
        ({"x": [{"max_length": 1}, {"max_length": 2}]}, "/x/1/max_length", "differs from what"),
        (
            {"x": {"only_allow_if": {"condition_field": "y", "condition_value": 1, "allowed_values": [1]}}},
            "/x/only_allow_if",
            'there is no field "y" in the same object',
        ),
        ({"x": {"only_allow_if": {"condition": 5}}}, "/x/only_allow_if", "is not what only_allow_if takes"),
    ],
)
@pytest.mark.parametrize("function", [to_pycharter, to_jsonschema])
def test_refused_rules(function: Any, rules: dict[str, Any], pointer: str, reason: str) -> None:
    ((at, why),) = refusals(function, contract(properties(x={"type": "string"}), None, rules))
    assert at == f"/validation_rules{pointer}"
    assert reason in why


@pytest.mark.parametrize(
    ("schema", "coercions", "rules", "pointer", "reason"),
    [
        ({}, {"x": "to_number"}, {}, "/coercion_rules/x", 'no coercion "to_number"'),
        ({}, {"x": ["strip", "uppercase"]}, {}, "/coercion_rules/x", "PyCharter coerces once"),
        (properties(y={"type": "string"}), {"x.y": "strip"}, {}, "/coercion_rules/x.y", "none within"),
        ({"coercion": "strip"}, {"x": "uppercase"}, {}, "/coercion_rules/x", "says otherwise"),
        (
            {"format": "date-time"},
            {},
            {"x": {"max_length": 1}},
            "/validation_rules/x/max_length",
            "as a time",
        ),
        ({"format": "date-time", "maxLength": 5}, {}, {}, "/schema/properties/x", "to maxLength"),
        ({"type": ["string", "integer"], "minimum": 5}, {}, {}, "/schema/properties/x", "to minimum"),
        (
            {"type": "array", "items": {"type": "array"}},
            {},
            {"x": "is_unique"},
            "/validation_rules/x",
            "compare",
        ),
        (False, {}, {}, "/schema/properties/x", "no value is allowed"),
        ({"$ref": "https://x.example/y"}, {}, {}, "/schema/properties/x", "cannot follow"),
        ({"format": "uuid"}, {"x": "coerce_to_uuid"}, {}, "/coercion_rules/x", "takes no UUID"),
        (
            {"type": ["string", "null"]},
            {"x": "coerce_to_nullable_uuid"},
            {},
            "/coercion_rules/x",
            "takes no UUID",
        ),
    ],
)
def test_refused_by_pycharter_alone(
    schema: Any, coercions: dict[str, Any], rules: dict[str, Any], pointer: str, reason: str
) -> None:
    if schema is not False:
        schema = {"type": "string"} | schema if "$ref" not in schema else schema
    refused = contract(properties(x=schema), coercions, rules)
    ((at, why),) = refusals(to_pycharter, refused)
    assert (at, reason in why) == (pointer, True), why
    if coercions.get("x") != "uppercase":
        to_jsonschema(refused)


def test_refused_underscore_warning_and_circle() -> None:
    text = {"type": "string"}
    rules = {"_id": {"max_length": 1}, "o.x": {"is_url": {"severity": "warning"}}}
    assert [
        at
        for at, _ in refusals(to_pycharter, contract(properties(_id=text, o=properties(x=text)), None, rules))
    ] == [
        "/validation_rules/_id/max_length",
        "/validation_rules/o.x/is_url",
    ]
    rules = {
        name: {"only_allow_if": {"condition_field": other, "condition_value": "1", "allowed_values": ["2"]}}
        for name, other in ("ab", "ba")
    }
    ((at, why),) = refusals(to_pycharter, contract(properties(a=text, b=text), None, rules))
    assert at == "/schema"
    assert "depend on each other" in why


@pytest.mark.parametrize(
    "pattern", ["(?i)a", r"a\Z", r"\Aa", "(?P<x>a)", "a++", "(?>a)", "(?#a)b", "(a)(?(1)b|c)"]
)
def test_patterns_that_are_python_alone(pattern: str) -> None:
    try:
        ((at, _),) = refusals(to_jsonschema, field("string", matches_regex=pattern))
    finally:
        to_pycharter(field("string", matches_regex=pattern))
    assert at == "/validation_rules/x/matches_regex"


def test_refused_schema() -> None:
    for function in (to_pycharter, to_jsonschema):
        ((at, why),) = refusals(function, contract({"type": "objekt"}))
        assert at == "/schema/type"
        assert "not a valid JSON Schema" in why
    assert refusals(to_pycharter, contract({"type": "string"})) == [
        ("/schema/type", "PyCharter validates objects alone")
    ]


# ------------------------------------------------------------------------------------ as the catalogue has it


def test_fields_are_those_of_contract_fields(conn: psycopg.Connection[Any]) -> None:
    """A rule is for the same fields here as in the view."""
    text = {"type": "string"}
    address = properties(city=text, **{"zip": text})
    schema = properties(
        email=text,
        address=address,
        billing={"$ref": "#/$defs/Address"},
        lines={
            "type": "array",
            "items": properties(sku=text) | {"allOf": [properties(sku={"minLength": 1})]},
        },
        point={"prefixItems": [properties(x=text)]},
        prices={
            "additionalProperties": properties(amount=text),
            "patternProperties": {"^a": properties(b=text)},
        },
        party={"anyOf": [properties(vat=text), properties(ssn=text)]},
        node={"$ref": "#/$defs/Node"},
        **{"a/b~c": text},
    ) | {
        "$defs": {"Address": address, "Node": properties(value=text, next={"$ref": "#/$defs/Node"})},
        "dependentSchemas": {"email": properties(verified=text)},
        "then": properties(then=text),
    }
    pairs = conn.execute(
        "SELECT pointer, path FROM pycharter.schema_fields(%s) ORDER BY 1, 2", [Jsonb(schema)]
    ).fetchall()
    places = [(p.pointer, p.path) for p in places_of(schema) if re.search("/properties/[^/]+$", p.pointer)]
    # The same schema by two ways of applicators is one field to both, listed once a way by both.
    assert sorted(set(places)) == sorted(set(pairs))
    rule = {"max_length": {"threshold": 1}}
    keys = ["email", "address.city", "lines.sku", "lines[].sku", "point[0].x", "prices.*.amount", "party.vat"]
    keys += ["node.value", "node.next.value", "a/b~c", "verified", "then", "billing.zip"]
    loader.register_contract(
        conn,
        {
            "name": "C",
            "version": "1.0.0",
            "schema": schema,
            "validation_rules": {"rules": {key: rule for key in keys if key != "node.next.value"}},
        },
    )
    seen = {row.path for row in queries.contract_fields(conn, "C", "1.0.0") if row.validation_rules}
    rules = Rules(queries.get_contract(conn, "C", "1.0.0"))
    paths = {place.steps: place.path for place in places_of(schema)}
    assert {paths[steps] for steps in rules.validations} == seen


def test_examples(conn: psycopg.Connection[Any]) -> None:
    loader.load(conn, sources.read_files([Path(__file__).parents[1] / "examples" / "legacy"]))
    order = queries.get_contract(conn, "Order")
    row = {
        "order_id": 1001,
        "customer_id": "C-7",
        "placed_at": "2026-03-01T10:00:00Z",
        "currency": "EUR",
        "total": "19.90",
    }
    assert pycharter_accepts(order, row)
    assert not pycharter_accepts(order, row | {"total": "-1"})
    assert not jsonschema_accepts(order, row)
    coerced = row | {"order_id": "1001", "total": 19.9}
    assert jsonschema_accepts(order, coerced)
    assert not jsonschema_accepts(order, coerced | {"order_id": " "})
    customer = queries.get_contract(conn, "Customer")
    with pytest.raises(
        NotEnforceable, match=r"^Customer@1.3.0#/coercion_rules/address.country: .*\n  coerce it"
    ):
        to_pycharter(customer)
    assert jsonschema_accepts(customer, {"customer_id": "7", "email": "a@b.de", "address": {"country": "DE"}})
    assert not jsonschema_accepts(customer, {"customer_id": "7", "email": "", "address": {"country": "DEU"}})

"""What contract_fields makes of schemas: every place a property can stand in, every form of a rule on it."""

from __future__ import annotations

import re
from typing import Any, LiteralString

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

Conn = psycopg.Connection[Any]


def load(conn: Conn, schema: dict[str, Any], name: str = "C", **content: Any) -> None:
    document = {"name": name, "version": "1.0.0", "schema": schema} | content
    row = conn.execute("SELECT pycharter.load_documents(%s)", [[Jsonb(document)]]).fetchone()
    assert row and row[0]["refusals"] == []


def fields(conn: Conn, columns: LiteralString, contract: str = "C") -> list[Any]:
    query = f"SELECT {columns} FROM pycharter.contract_fields WHERE contract = %s ORDER BY path, pointer"
    return conn.execute(query, [contract]).fetchall()


def of_properties(conn: Conn, schema: dict[str, Any]) -> list[tuple[str, str]]:
    """Path and pointer of each field of a schema."""
    query = (
        'SELECT path, pointer FROM pycharter.schema_fields(%s) ORDER BY path COLLATE "C", pointer COLLATE "C"'
    )
    return conn.execute(query, [Jsonb(schema)]).fetchall()


def properties(**schemas: Any) -> dict[str, Any]:
    return {"type": "object", "properties": schemas}


# ------------------------------------------------------------------------------------------- where they stand


def test_golden(conn: Conn) -> None:
    """A schema with everything that people write in one."""
    address = properties(city={"type": "string", "description": "Town"}, zip={"type": ["string", "null"]})
    schema = {
        "type": "object",
        "required": ["id", "lines"],
        "properties": {
            "id": {"type": "integer"},
            "email": {"type": "string", "format": "email"},
            "address": address | {"required": ["city"]},
            "billing": {"$ref": "#/$defs/Address", "description": "Where the invoice goes"},
            "lines": {"type": "array", "items": properties(sku={"type": "string", "enum": ["a", "b"]})},
            "point": {"prefixItems": [properties(x={"type": "number"})]},
            "prices": {"additionalProperties": properties(amount={"type": ["number", "string"]})},
            "a/b~c": {"const": 1},
        },
        "$defs": {"Address": address | {"required": ["zip"]}, "Unused": properties(never={})},
    }
    load(
        conn,
        schema,
        status="active",
        coercion_rules={"rules": {"id": "coerce_to_integer", "address.city": "coerce_to_string"}},
        validation_rules={
            "rules": {"lines.sku": {"max_length": {"threshold": 1}}, "prices.*.amount": {"x": 1}}
        },
        governance_rules={"pii_fields": {"fields": ["email", "address"]}},
    )
    assert fields(
        conn, "path, pointer, field, type, format, is_required, is_nullable, enum, description"
    ) == [
        ("a/b~c", "/properties/a~1b~0c", "a/b~c", None, None, False, False, [1], None),
        ("address", "/properties/address", "address", "object", None, False, False, None, None),
        (
            "address.city",
            "/properties/address/properties/city",
            "city",
            "string",
            None,
            True,
            False,
            None,
            "Town",
        ),
        ("address.zip", "/properties/address/properties/zip", "zip", "string", None, False, True, None, None),
        (
            "billing",
            "/properties/billing",
            "billing",
            "object",
            *[None, False, False, None],
            "Where the invoice goes",
        ),
        (
            "billing.city",
            "/$defs/Address/properties/city",
            "city",
            "string",
            None,
            False,
            False,
            None,
            "Town",
        ),
        ("billing.zip", "/$defs/Address/properties/zip", "zip", "string", None, True, True, None, None),
        ("email", "/properties/email", "email", "string", "email", False, False, None, None),
        ("id", "/properties/id", "id", "integer", None, True, False, None, None),
        ("lines", "/properties/lines", "lines", "array", None, True, False, None, None),
        (
            "lines[].sku",
            "/properties/lines/items/properties/sku",
            "sku",
            "string",
            *[None, False, False, ["a", "b"], None],
        ),
        ("point", "/properties/point", "point", None, None, False, False, None, None),
        (
            "point[0].x",
            "/properties/point/prefixItems/0/properties/x",
            "x",
            "number",
            None,
            False,
            False,
            None,
            None,
        ),
        ("prices", "/properties/prices", "prices", None, None, False, False, None, None),
        (
            "prices.*.amount",
            "/properties/prices/additionalProperties/properties/amount",
            *("amount", "number|string", None, False, False, None, None),
        ),
    ]
    assert fields(conn, "path, is_pii, coercion_rules, validation_rules") == [
        ("a/b~c", False, None, None),
        ("address", True, None, None),
        ("address.city", True, "coerce_to_string", None),
        ("address.zip", True, None, None),
        ("billing", False, None, None),
        ("billing.city", False, None, None),
        ("billing.zip", False, None, None),
        ("email", True, None, None),
        ("id", False, "coerce_to_integer", None),
        ("lines", False, None, None),
        ("lines[].sku", False, None, {"max_length": {"threshold": 1}}),
        ("point", False, None, None),
        ("point[0].x", False, None, None),
        ("prices", False, None, None),
        ("prices.*.amount", False, None, {"x": 1}),
    ]
    assert set(fields(conn, "contract, version, status")) == {("C", "1.0.0", "active")}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, []),
        ({"properties": {}}, []),
        ({"properties": {"a": True, "b": False}}, [("a", "/properties/a"), ("b", "/properties/b")]),
        # Property names that are keywords.
        (
            properties(properties=properties(items={}), required={"type": "string"}),
            [
                ("properties", "/properties/properties"),
                ("properties.items", "/properties/properties/properties/items"),
                ("required", "/properties/required"),
            ],
        ),
        ({"type": "array", "items": properties(a={})}, [("[].a", "/items/properties/a")]),
        ({"items": [properties(a={}), properties(b={})]}, [
            ("[0].a", "/items/0/properties/a"), ("[1].b", "/items/1/properties/b")]),
        ({"patternProperties": {"^x/": properties(a={})}}, [("*.a", "/patternProperties/^x~1/properties/a")]),
        # Parts of the same object.
        *(
            ({keyword: [properties(a={}), properties(b={})]}, [
                ("a", f"/{keyword}/0/properties/a"), ("b", f"/{keyword}/1/properties/b")])
            for keyword in ("allOf", "anyOf", "oneOf")
        ),
        (
            {"if": properties(a={}), "then": properties(b={}), "else": properties(c={}), "not": {}},
            [("b", "/then/properties/b"), ("c", "/else/properties/c")],
        ),
        ({"dependentSchemas": {"x": properties(a={})}}, [("a", "/dependentSchemas/x/properties/a")]),
        # What only looks like a schema.
        ({"examples": [{"properties": {"a": {}}}], "default": {"properties": {"b": {}}}}, []),
        ({"properties": [], "items": 3, "allOf": {}, "anyOf": None, "oneOf": [1, None], "then": "x"}, []),
        # References.
        ({"$ref": "#/definitions/D", "definitions": {"D": properties(a={})}}, [
            ("a", "/definitions/D/properties/a")]),
        ({"allOf": [{"$ref": "#/$defs/D"}, properties(b={})], "$defs": {"D": properties(a={})}}, [
            ("a", "/$defs/D/properties/a"), ("b", "/allOf/1/properties/b")]),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": properties(a={})}}, [("a", "/$defs/a~1b/properties/a")]),
        ({"$ref": "#/allOf/0", "allOf": [properties(a={})]}, [("a", "/allOf/0/properties/a")] * 2),
        (properties(a={"$ref": "https://example.com/x.json"}), [("a", "/properties/a")]),
        (properties(a={"$ref": "#anchor"}), [("a", "/properties/a")]),
        (properties(a={"$ref": "#/nowhere"}), [("a", "/properties/a")]),
        (properties(a={"$ref": "#/properties/a"}), [("a", "/properties/a")]),
        (properties(a={"$ref": ""}, b={"$ref": 3}), [("a", "/properties/a"), ("b", "/properties/b")]),
        (properties(a={"$ref": None}, b={"$ref": {}}), [("a", "/properties/a"), ("b", "/properties/b")]),
        # Schemas that hold themselves.
        (properties(child={"$ref": "#"}), [("child", "/properties/child")]),
        (
            {"$ref": "#/$defs/N", "$defs": {"N": properties(next={"$ref": "#/$defs/N"}, value={})}},
            [("next", "/$defs/N/properties/next"), ("value", "/$defs/N/properties/value")],
        ),
        (
            properties(n={"$ref": "#/$defs/A"})
            | {"$defs": {"A": properties(b={"$ref": "#/$defs/B"}), "B": properties(a={"$ref": "#/$defs/A"})}},
            [("n", "/properties/n"), ("n.b", "/$defs/A/properties/b"), ("n.b.a", "/$defs/B/properties/a")],
        ),
    ],
)  # fmt: skip
def test_where_fields_are_found(conn: Conn, schema: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert of_properties(conn, schema) == expected


@pytest.mark.parametrize(
    ("prop", "type_", "is_nullable", "format_", "enum", "description"),
    [
        (True, None, False, None, None, None),
        ({}, None, False, None, None, None),
        ({"type": "null"}, "null", True, None, None, None),
        ({"type": ["null"]}, "null", True, None, None, None),
        ({"type": ["string", "null", "integer"]}, "integer|string", True, None, None, None),
        ({"type": "string", "nullable": True}, "string", True, None, None, None),
        ({"enum": ["a", None]}, None, True, None, ["a", None], None),
        ({"const": None}, None, True, None, [None], None),
        ({"type": 3, "enum": "x", "format": "date"}, None, False, "date", None, None),
        # As Pydantic writes Optional[...].
        (
            {"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}], "description": "E"},
            *("string", True, "email", None, "E"),
        ),
        ({"anyOf": [{"$ref": "#/$defs/E"}, {"type": "null"}]}, "string", True, None, ["x"], "An E"),
        ({"allOf": [{"$ref": "#/$defs/E"}], "description": "Mine"}, "string", False, None, ["x"], "Mine"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "integer|string", False, None, None, None),
        (
            {"oneOf": [{"$ref": "#/$defs/E"}, {"type": ["integer", "null"]}]},
            "integer|string",
            True,
            None,
            None,
            None,
        ),
        (
            {
                "allOf": [
                    {"$ref": "#/$defs/E"},
                    {"maxLength": 9, "format": "date"},
                    {"$ref": "#/$defs/Circle"},
                ]
            },
            *("string", False, "date", ["x"], "An E"),
        ),
        ({"allOf": [{"$ref": "#/$defs/All"}, {"type": "string"}]}, "string", False, None, None, None),
        ({"oneOf": [{"const": None}, {"type": "string"}]}, "string", True, None, None, None),
        ({"$ref": "#/$defs/Again"}, "string", False, None, ["x"], "An E"),
        ({"$ref": "#/$defs/Circle", "type": "string"}, "string", False, None, None, None),
        ({"anyOf": [], "oneOf": [{"type": "null"}], "allOf": [True]}, None, True, None, None, None),
    ],
)
def test_what_a_field_is(
    conn: Conn, prop: Any, type_: str, is_nullable: bool, format_: str, enum: Any, description: str
) -> None:
    definitions = {
        "E": {"type": "string", "enum": ["x"], "description": "An E"},
        "Again": {"$ref": "#/$defs/E"},
        "Circle": {"anyOf": [{"$ref": "#/$defs/Circle"}]},
        "All": {"allOf": [{"$ref": "#/$defs/All"}, {"$ref": "#/$defs/Circle"}]},
    }
    load(conn, properties(a=prop) | {"$defs": definitions})
    found = fields(conn, "type, is_nullable, format, enum, description")
    assert found == [(type_, is_nullable, format_, enum, description)]


@pytest.mark.parametrize(
    ("schema", "required"),
    [
        (properties(a={}) | {"required": ["a"]}, True),
        (properties(a={}) | {"required": ["b"]}, False),
        (properties(a={}) | {"required": True}, False),
        (properties(a={"required": True}), True),
        (properties(a={}) | {"allOf": [{"required": ["a"]}]}, True),
        ({"allOf": [properties(a={})], "required": ["a"]}, True),
        ({"$ref": "#/$defs/D", "required": ["a"], "$defs": {"D": properties(a={})}}, True),
        (properties(a={}) | {"anyOf": [{"required": ["a"]}]}, False),
        ({"anyOf": [properties(a={}) | {"required": ["a"]}]}, True),
        ({"items": properties(a={}), "required": ["a"]}, False),
    ],
)
def test_is_required(conn: Conn, schema: dict[str, Any], required: bool) -> None:
    load(conn, schema)
    assert fields(conn, "is_required") == [(required,)]


@pytest.mark.parametrize(
    ("pii_fields", "expected"),
    [
        ({"fields": ["a"], "description": "x"}, {"a", "o.a", "o.a.z"}),
        (["a"], {"a", "o.a", "o.a.z"}),
        ("o.a", {"o.a", "o.a.z"}),
        ([{"name": "l[].a"}, "x.y"], {"l[].a", "x.y"}),
        (["l.a"], {"l[].a"}),
        ({"fields": []}, set()),
        ({"fields": None}, set()),
        ({"a": "name"}, set()),
        ([None, 3, {}, []], set()),
    ],
)
def test_is_pii(conn: Conn, pii_fields: Any, expected: set[str]) -> None:
    schema = properties(a={}, o=properties(a=properties(z={})), **{"x.y": {}})
    if isinstance(pii_fields, list) and "l" in str(pii_fields[0]):
        schema["properties"]["l"] = {"items": properties(a={})}
    load(conn, schema, governance_rules={"pii_fields": pii_fields})
    assert {path for path, is_pii in fields(conn, "path, is_pii") if is_pii} == expected


def test_without_rules(conn: Conn) -> None:
    load(conn, properties(a={}))
    assert fields(conn, "is_pii, coercion_rules, validation_rules") == [(False, None, None)]


def test_the_issue_s_question(conn: Conn) -> None:
    load(conn, properties(mail={"type": "string", "format": "email"}), "A")
    load(
        conn,
        properties(to={"items": properties(at={"$ref": "#/$defs/M"})})
        | {"$defs": {"M": {"format": "email"}}},
        "B",
    )
    load(conn, properties(email={"type": "string"}), "C")
    query = "SELECT contract, path FROM pycharter.contract_fields WHERE format = 'email' ORDER BY contract"
    assert conn.execute(query).fetchall() == [("A", "mail"), ("B", "to[].at")]


# ------------------------------------------------------------------------------------------------- hard cases


def test_a_schema_with_too_many_ways_through_it_ends(conn: Conn) -> None:
    """2 ** 40 paths by way of $ref: those nearest to the top are listed."""
    definitions = {
        f"D{n}": properties(a={"$ref": f"#/$defs/D{n + 1}"}, b={"$ref": f"#/$defs/D{n + 1}"})
        for n in range(40)
    }
    found = of_properties(conn, {"$ref": "#/$defs/D0", "$defs": definitions})
    assert 1_000 < len(found) <= 10_000
    assert {("a", "/$defs/D0/properties/a"), ("a.b", "/$defs/D1/properties/b")} <= set(found)
    definitions = {f"D{n}": {"allOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(40)}
    assert of_properties(conn, {"$ref": "#/$defs/D0", "$defs": definitions}) == []


def test_all_fields_of_its_own_are_listed(conn: Conn) -> None:
    assert len(of_properties(conn, properties(**{f"field {n}": {} for n in range(20_000)}))) == 20_000
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = properties(a=deep)
    assert len(of_properties(conn, deep)) == 400


leaves = st.sampled_from(
    [{}, True, {"type": "string"}, {"$ref": "#"}, {"$ref": "#/$defs/x"}, {"$ref": "#/properties/a"}]
)
names = st.sampled_from(["a", "b", "x", "/", "~", "", "items"])
schemas = st.recursive(
    leaves,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(names, inner, max_size=3),
            "$defs": st.dictionaries(names, inner, max_size=2),
            "items": inner,
            "prefixItems": st.lists(inner, max_size=2),
            "anyOf": st.lists(inner, max_size=2),
            "required": st.lists(names, max_size=2),
            "additionalProperties": inner,
            "$ref": st.sampled_from(["#", "#/$defs/x", "#/$defs/a", "#/items", "nowhere"]),
        },
    ),
    max_leaves=12,
)


def at(schema: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        schema = schema[int(key)] if isinstance(schema, list) else schema[key]
    return schema


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(schema=schemas.filter(lambda schema: isinstance(schema, dict)))
def test_every_pointer_leads_to_its_property(conn: Conn, schema: dict[str, Any]) -> None:
    query = """
        SELECT f.pointer, f.path, f.field, f.property, pycharter.plain_property(%(schema)s, f.property)
        FROM pycharter.schema_fields(%(schema)s) AS f WHERE f.property <> 'true'
        """
    for pointer, path, field, prop, plain in conn.execute(query, {"schema": Jsonb(schema)}).fetchall():
        assert at(schema, pointer) == prop
        assert pointer.split("/")[-1].replace("~1", "/").replace("~0", "~") == field
        assert path.endswith(field)
        assert not {"$ref", "anyOf", "oneOf", "allOf"} & set(plain)


# ------------------------------------------------------------------------------------------------------ plans


def test_one_contract_is_a_look_up(conn: Conn) -> None:
    conn.execute("""
        SELECT pycharter.load_documents(array_agg(jsonb_build_object(
            'name', 'contract ' || n / 5, 'version', '1.' || n % 5, 'schema',
            jsonb_build_object('properties', jsonb_build_object('id', true, 'field_' || n / 5, true)))))
        FROM generate_series(0, 2999) AS n""")
    conn.execute("ANALYZE")
    one: LiteralString = (
        "SELECT * FROM pycharter.contract_fields WHERE contract = 'contract 7' AND version = '1.3'"
    )
    by_name: LiteralString = "SELECT * FROM pycharter.fields_named('field_7')"
    for query, rows in ((one, 2), (by_name, 5)):
        assert len(conn.execute(query).fetchall()) == rows
        plan = "\n".join(line for (line,) in conn.execute("EXPLAIN " + query))
        assert not re.search("Seq Scan on (data_contracts|schemas)", plan), plan
        # Else a server would compile it, which takes a hundred times as long as to run it.
        (total,) = conn.execute("EXPLAIN (FORMAT JSON) " + query).fetchone()[0]  # type: ignore[index]
        assert total["Plan"]["Total Cost"] < 100_000


def test_fields_named(conn: Conn) -> None:
    load(conn, properties(customer_id={"type": "string"}, o=properties(customer_id={"type": "integer"})), "A")
    load(conn, properties(id={}, Customer_ID={}, customerId={}), "B")
    load(conn, {"$defs": {"Unused": properties(customer_id={})}}, "C")
    query = "SELECT contract, path, type FROM pycharter.fields_named(%s) ORDER BY contract, path"
    answers = {
        "customer_id": [("A", "customer_id", "string"), ("A", "o.customer_id", "integer")],
        "Customer_ID": [("B", "Customer_ID", None)],
        "customerId": [("B", "customerId", None)],
        "id": [("B", "id", None)],
        "customer": [],
        "": [],
        None: [],
    }
    for name, expected in answers.items():
        assert conn.execute(query, [name]).fetchall() == expected
    whole = "SELECT * FROM pycharter.contract_fields WHERE field = 'customer_id' ORDER BY path"
    assert conn.execute("SELECT * FROM pycharter.fields_named('customer_id') ORDER BY path").fetchall() == (
        conn.execute(whole).fetchall()
    )


text = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
) | st.sampled_from(
    ["'", "\\", "''\\'", ":*", "a & b", "=", "\x01", "x" * 3_000, "\u00c4\u00d6 \u00fc", "\u0130", "a b"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(names=st.lists(text, min_size=1, max_size=4, unique=True), other=text)
def test_any_name_is_found_exactly(conn: Conn, names: list[str], other: str) -> None:
    conn.execute("SET enable_seqscan = off")
    with conn.transaction(force_rollback=True):
        load(conn, properties(**{name: {} for name in names}))
        query = "SELECT field FROM pycharter.fields_named(%s)"
        for name in names:
            assert conn.execute(query, [name]).fetchall() == [(name,)]
        assert conn.execute(query, [other]).fetchall() == [(other,)] * (other in names)


def test_a_schema_with_more_names_than_an_index_takes(conn: Conn) -> None:
    load(conn, properties(**{f"{n}_{'x' * 100}": {} for n in range(15_000)}), "wide")
    load(conn, properties(a={}), "narrow")
    query = "SELECT contract, field FROM pycharter.fields_named(%s)"
    last = f"14999_{'x' * 100}"
    assert conn.execute(query, [last]).fetchall() == [("wide", last)]
    assert conn.execute(query, ["a"]).fetchall() == [("narrow", "a")]

"""search_contracts: what it finds and in which order, at once and by index, whatever text it is given."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

Conn = psycopg.Connection[Any]

LEDGER: dict[str, Any] = {
    "name": "Ledger",
    "version": "1.0.0",
    "status": "active",
    "description": "Every booking of the year.",
    "data_feed": {"name": "ledger-feed", "title": "Journal"},
    "domain": {"name": "Closing", "parent_domain": {"name": "Finance", "parent_domain": "Group"}},
    "schema": {
        "title": "General ledger",
        "description": "Double entry",
        "type": "object",
        "properties": {
            "account_no": {"type": "string"},
            "postedBy": {"type": "string"},
            "lines": {"items": {"properties": {"cost-centre": {}, "VATRate": {}}}},
        },
    },
    "metadata": {"tags": ["month-end", {"kind": "audit"}], "title": "not looked at"},
    "ownership": {"owner": "controlling", "team": "book-keepers"},
    "pulls_from": ["SapHana"],
    "pushes_to": ["warehouse"],
    "system_sources": ["bank-gateway"],
    "business_owners": ["CFO", {"name": "Ann Miller", "role": "data_steward"}],
    "team_access": {"read": ["analysts"], "write": ["loaders"]},
    "dependencies": ["Invoices"],
}


def contract(name: str, version: str = "1.0.0", **content: Any) -> dict[str, Any]:
    return {"name": name, "version": version, "status": "active", "schema": {"type": "object"}} | content


def load(conn: Conn, *documents: dict[str, Any]) -> None:
    row = conn.execute("SELECT pycharter.load_documents(%s)", [list(map(Jsonb, documents))]).fetchone()
    assert row and row[0]["refusals"] == []


def found(conn: Conn, query: str | None, max_rows: int | None = 50) -> list[str]:
    rows = conn.execute("SELECT contract FROM pycharter.search_contracts(%s, %s)", [query, max_rows])
    return [name for (name,) in rows]


def places(conn: Conn, query: str) -> list[str]:
    ((matched_in,),) = conn.execute("SELECT matched_in FROM pycharter.search_contracts(%s)", [query])
    assert isinstance(matched_in, list)
    return matched_in


# ---------------------------------------------------------------------------------------------- what is found


@pytest.mark.parametrize(
    ("query", "matched_in"),
    [
        ("ledger", ["name", "title", "data_feed"]),
        ("general", ["title"]),
        ("booking", ["description"]),
        ("year", ["description"]),
        ("entry", ["description"]),
        ("account", ["field"]),
        ("no", ["field"]),
        ("account_no", ["field"]),
        ("accountNo", ["field"]),
        ("posted", ["field"]),
        ("postedby", ["field"]),
        ("posted_by", ["field"]),
        ("by", ["field"]),
        ("centre", ["field"]),
        ("cost centre", ["field"]),
        ("vat", ["field"]),
        ("rate", ["field"]),
        ("lines", ["field"]),
        ("sap", ["system"]),
        ("hana", ["system"]),
        ("SAPHANA", ["system"]),
        ("warehouse", ["system"]),
        ("gateway", ["system"]),
        ("cfo", ["owner"]),
        ("miller", ["owner"]),
        ("controlling", ["owner"]),
        ("analysts", ["team"]),
        ("loaders", ["team"]),
        ("keepers", ["team"]),
        ("journal", ["data_feed"]),
        ("invoices", ["dependency"]),
        ("closing", ["domain"]),
        ("finance", ["domain"]),
        ("group", ["domain"]),
        ("month", ["tag"]),
        ("audit", ["tag"]),
        # The beginning of a word, and words of different places in any order.
        ("led", ["name", "title", "data_feed"]),
        ("cfo ledger", ["name", "title", "owner", "data_feed"]),
        ("  Booking,  of: the (year)! ", ["description"]),
        ("b", ["description", "field", "system", "team"]),
        ("ledger !general", ["name", "title", "data_feed"]),
    ],
)
def test_where_words_are_found(conn: Conn, query: str, matched_in: list[str]) -> None:
    load(conn, contract("Other", description="Something else"), LEDGER)
    assert found(conn, query) == ["Ledger"]
    assert places(conn, query) == matched_in


@pytest.mark.parametrize(
    "query",
    [
        *(
            None,
            "",
            " ",
            "_",
            "'",
            "-- \\",
            "%",
            "*",
            "edger",
            "ledgers",
            "ledger nothing",
            "looked",
            "object",
        ),
        *("properties", "string", "1.0.0", "data_steward", "journal invoices nothing", "cfo|analysts|x"),
    ],
)
def test_what_is_not_found(conn: Conn, query: str | None) -> None:
    load(conn, LEDGER)
    assert found(conn, query) == []


def test_golden(conn: Conn) -> None:
    load(conn, LEDGER, contract("Bare", status="draft"))
    columns = "contract, version, status, title, description, matched_in"
    assert conn.execute(
        f"SELECT {columns} FROM pycharter.search_contracts('ledger')".encode()
    ).fetchall() == [
        (
            *("Ledger", "1.0.0", "active", "General ledger", "Every booking of the year."),
            ["name", "title", "data_feed"],
        )
    ]
    assert conn.execute(f"SELECT {columns} FROM pycharter.search_contracts('bare')".encode()).fetchall() == [
        ("Bare", "1.0.0", "draft", None, None, ["name", "data_feed"])
    ]
    query = """
        SELECT s.contract_id = c.id FROM pycharter.search_contracts('bare') AS s
        JOIN pycharter.data_contracts AS c ON c.name = s.contract
        """
    assert conn.execute(query).fetchall() == [(True,)]


def test_the_better_place_comes_first(conn: Conn) -> None:
    word = "quagga"
    load(
        conn,
        contract("by tag", metadata={"tags": word}, data_feed="f"),
        contract("by system", pulls_from=[word], data_feed="f"),
        contract("by field", schema={"properties": {f"{word}_id": {}}}, data_feed="f"),
        contract(
            "by all entities and fields",
            schema={"properties": {word: {}}},
            pulls_from=[word],
            business_owners=[word],
            team_access={"read": [word]},
            data_feed=word,
            domain=word,
        ),
        contract("by description", description=f"A {word}.", data_feed="f"),
        contract("by title", schema={"title": word}, data_feed="f"),
        contract(f"{word}s of the plain", data_feed="f"),
        contract(f"The {word}", data_feed="f"),
        contract("Quagga", data_feed="f"),
    )
    assert found(conn, word) == [
        *("Quagga", "The quagga", "quaggas of the plain", "by title", "by description"),
        *("by all entities and fields", "by field", "by system", "by tag"),
    ]
    # Equal ones by name, under COLLATE "C"; the first of them where not all are asked for.
    load(conn, *(contract(name, schema={"properties": {"tarpan": {}}}) for name in "bCa"))
    assert found(conn, "tarpan") == ["C", "a", "b"]
    assert found(conn, "tarpan", 2) == ["C", "a"]
    assert found(conn, "tarpan", 0) == []
    assert len(found(conn, "b", None)) > 5
    with pytest.raises(psycopg.errors.InvalidRowCountInLimitClause):
        found(conn, "tarpan", -1)


def test_the_whole_name_comes_first(conn: Conn) -> None:
    load(conn, *(contract(name) for name in ("Order", "Order lines", "Orders", "Line order", "A reorder")))
    assert found(conn, "order") == ["Order", "Line order", "Order lines", "Orders"]
    assert found(conn, "order line")[:2] == ["Line order", "Order lines"]
    assert found(conn, " ORDER LINES ")[0] == "Order lines"


def test_one_row_a_contract_of_its_current_version(conn: Conn) -> None:
    def version(number: str, status: str, field: str) -> dict[str, Any]:
        return contract("C", number, status=status, schema={"properties": {field: {}, "common": {}}})

    load(
        conn,
        version("1.9.0", "active", "alpha"),
        version("1.10.0", "active", "beta"),
        version("2.0.0", "draft", "gamma"),
        contract("D", "1.0", status="retired", description="common alpha"),
        contract("D", "1.1", status="deprecated", description="common beta"),
    )
    query = "SELECT contract, version FROM pycharter.search_contracts(%s)"
    assert conn.execute(query, ["common"]).fetchall() == [("D", "1.1"), ("C", "1.10.0")]
    # What only another version has would mislead.
    assert found(conn, "alpha") == []
    assert found(conn, "gamma") == []


def test_letters_beyond_ascii(conn: Conn) -> None:
    load(conn, contract("Z\u00fcrich \u00c4rzte\u2013Liste", description="\u6771\u4eac, \u0416\u0443\u043a"))
    for query in ("z\u00fcrich", "\u00e4rzte", "\u00c4RZTE", "liste", "\u6771", "\u0436\u0443\u043a"):
        assert len(found(conn, query)) == 1, query


def test_many_words(conn: Conn) -> None:
    """The first twenty count."""
    load(conn, contract("C", description=" ".join(f"w{n:02}" for n in range(20))))
    words = [f"w{n:02}" for n in range(20)]
    assert found(conn, " ".join(words)) == ["C"]
    assert found(conn, " ".join([*words[:19], "nothing"])) == []
    assert found(conn, " ".join([*words, "nothing"])) == ["C"]
    assert found(conn, "aB" * 5_000) == []


# ------------------------------------------------------------------------------------------ never out of step


def test_a_change_is_found_in_its_transaction(conn: Conn) -> None:
    draft = LEDGER | {"status": "draft"}
    load(conn, draft)
    conn.commit()
    load(conn, draft | {"description": "All postings", "pulls_from": ["S4"]})
    conn.execute("SELECT pycharter.rename_system('warehouse', 'lake')")
    conn.execute("UPDATE pycharter.data_feeds SET title = 'Daybook' WHERE name = 'ledger-feed'")
    for word, is_there in {
        **{"postings": True, "booking": False, "s4": True, "hana": False},
        **{"lake": True, "warehouse": False, "daybook": True, "journal": False},
    }.items():
        assert found(conn, word) == ["Ledger"] * is_there, word
    conn.rollback()
    for word in ("booking", "hana", "warehouse", "journal"):
        assert found(conn, word) == ["Ledger"], word
    for word in ("postings", "s4", "lake", "daybook"):
        assert found(conn, word) == [], word
    conn.execute("SELECT pycharter.merge_system('warehouse', 'SapHana')")
    assert found(conn, "warehouse") == []
    conn.execute("UPDATE pycharter.data_contracts SET name = 'Books'")
    assert found(conn, "books") == ["Books"]
    conn.execute("DELETE FROM pycharter.data_contracts")
    assert found(conn, "booking") == []


def test_a_new_current_version_takes_over(conn: Conn) -> None:
    load(conn, LEDGER, LEDGER | {"version": "2.0.0", "status": "draft", "description": "Postings"})
    assert (found(conn, "booking"), found(conn, "postings")) == (["Ledger"], [])
    conn.execute("UPDATE pycharter.data_contracts SET status = 'active' WHERE version = '2.0.0'")
    assert (found(conn, "booking"), found(conn, "postings")) == ([], ["Ledger"])


# --------------------------------------------------------------------------------------------------- any text

pieces = [
    "'",
    "\\",
    "''",
    ":*",
    "&",
    "|",
    "!",
    "<->",
    "(",
    ")",
    "a",
    "B",
    "aB",
    "1",
    " ",
    "_",
    "\t",
    "%",
    "--",
]
pieces += ["\x01", "\x7f", "\u00a0", "\u2028", "\u0130", "\u1e9e", "\U0001f600", "=", "f", "x" * 300]
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
text |= st.lists(st.sampled_from(pieces)).map("".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(query=text)
def test_any_text_is_a_query(conn: Conn, query: str) -> None:
    found(conn, query)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(words=st.lists(text, min_size=1, max_size=3))
def test_whatever_is_stored_is_found_by_its_own_text(conn: Conn, words: list[str]) -> None:
    with conn.transaction(force_rollback=True):
        described, field, tag = words[0], words[-1], words[len(words) // 2]
        schema = {"title": described, "properties": {field: {}}}
        load(conn, contract("C", description=described, schema=schema, metadata={"tags": [tag]}))
        for word in (described, field):
            # Nothing is found by punctuation alone.
            if re.search(r"[^\W_]", word):
                assert found(conn, word) == ["C"]


# ---------------------------------------------------------------------------------- a load never fails for it


@pytest.mark.parametrize(
    "name", ["x" * 3_000, "\u00fc" * 3_000, "\U0001f600" * 3_000, "A" * 40 + "b", "aB" * 2_000, "a_" * 5_000]
)
def test_long_names_and_texts(conn: Conn, name: str) -> None:
    schema = {
        "title": name * 10,
        "description": name * 100,
        "properties": {name: {"properties": {"inner": {}}}},
    }
    load(conn, contract("C", description=name * 100, schema=schema, metadata={"tags": [name] * 100}))
    assert found(conn, name[:30]) == ["C"]
    assert found(conn, name) == ["C"]
    assert found(conn, "inner") == ["C"]


def numbers(count: int) -> str:
    """As many different words as fit, most of them of letters of four bytes."""
    return " ".join(chr(0x10000 + n // 1_000) + chr(0x10400 + n % 1_000) for n in range(count))


def test_as_many_words_as_can_be(conn: Conn) -> None:
    """Each text of a schema, and together, more than a tsvector takes."""
    properties: dict[str, Any] = {f"{word} {word.upper()} aB": {} for word in numbers(30_000).split()}
    schema = {"title": numbers(200_000), "description": numbers(200_000) + "A", "properties": properties}
    load(
        conn, contract("C", description=numbers(200_000), schema=schema, metadata={"tags": numbers(200_000)})
    )
    load(conn, contract("D", schema={"properties": {f"{n}_last_{n}": {} for n in range(50_000)}}))
    assert found(conn, numbers(5)) == ["C"]
    # Of so many names those at their front are searched; fields_named finds every one.
    field = "49999_last_49999"
    assert conn.execute("SELECT contract FROM pycharter.fields_named(%s)", [field]).fetchall() == [("D",)]


def test_a_schema_as_deep_as_can_be(conn: Conn) -> None:
    depth = 5_900
    schema = '{"properties": {"outer": ' * depth + '{"properties": {"inner": {}}}' + "}}" * depth
    query = """
        SELECT pycharter.load_documents(ARRAY[
            jsonb_build_object('name', 'C', 'version', '1', 'schema', %s::jsonb)]) -> 'refusals'
        """
    assert conn.execute(query, [schema]).fetchone() == ([],)
    assert found(conn, "outer") == ["C"]
    named = conn.execute(
        "SELECT cardinality(string_to_array(path, '.')) FROM pycharter.fields_named('inner')"
    )
    assert named.fetchall() == [(depth + 1,)]


@pytest.mark.parametrize(
    "schema",
    [
        {"title": 3, "description": ["x"], "properties": 7},
        {"title": None, "properties": []},
        {"properties": {"properties": {"properties": {}}}},
        {"properties": {"": {}}},
        {"allOf": [{"properties": {"a": {"properties": None}}}]},
    ],
)
def test_odd_schemas(conn: Conn, schema: dict[str, Any]) -> None:
    load(conn, contract("C", schema=schema, metadata={"tags": {"x": None}}))
    assert found(conn, "c") == ["C"]


def test_the_rows_of_others(conn: Conn) -> None:
    """Written by hand, without what the loader always gives."""
    conn.execute("SET search_path = pycharter")
    conn.execute("INSERT INTO ownership (resource_id) VALUES ('x')")
    conn.execute("INSERT INTO metadata_record (resource_id, metadata_data) VALUES ('x', '{\"tags\": null}')")
    conn.execute("INSERT INTO systems (name) VALUES ('!')")
    assert found(conn, "x") == []


# ------------------------------------------------------------------------------------------------------ plans


@pytest.fixture
def full(conn: Conn) -> Conn:
    conn.execute("""
        SELECT pycharter.load_documents(array_agg(jsonb_build_object(
            'name', 'contract ' || n, 'version', '1.0', 'status', 'active',
            'description', 'number ' || n,
            'schema', jsonb_build_object(
                'title', 'title ' || n, 'properties', jsonb_build_object('field_' || n, true)),
            'metadata', jsonb_build_object('tags', 'tag' || n),
            'ownership', jsonb_build_object('owner', 'boss' || n),
            'domain', 'domain ' || n % 700, 'data_feed', 'feed ' || n % 700,
            'pulls_from', jsonb_build_array('system ' || n % 700),
            'business_owners', jsonb_build_array('owner ' || n % 700),
            'team_access', jsonb_build_object('read', jsonb_build_array('team ' || n % 700)),
            'dependencies', jsonb_build_array('other ' || n % 700))))
        FROM generate_series(1, 3000) AS n""")
    conn.commit()
    conn.autocommit = True
    conn.execute("ANALYZE")
    return conn


def test_a_rare_word_scans_no_table(full: Conn) -> None:
    tables = """
        SELECT coalesce(sum(pg_stat_get_xact_numscans(oid)), 0)::integer,
            coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)::integer
        FROM pg_class
        WHERE relnamespace = 'pycharter'::regnamespace AND relkind = 'r'
        """
    with full.transaction():
        assert found(full, "2345") == ["contract 2345"]
        assert found(full, "boss2345 field system") == ["contract 2345"]
        assert full.execute(tables).fetchone() == (0, 0)


def test_a_common_word_is_answered(full: Conn) -> None:
    full.execute("SET statement_timeout = '20s'")
    assert len(found(full, "contract", None)) == 3_000
    assert len(found(full, "contract field system owner team other")) == 50


def test_the_size_of_a_catalogue_does_not_matter(conn: Conn) -> None:
    """With a word a contract, as with few."""
    load(conn, *(contract(f"c{n}") for n in range(3)))
    assert found(conn, "c1") == ["c1"]


def test_in_a_parallel_read_only_session(full: Conn) -> None:
    """As on a standby."""
    full.execute("SET default_transaction_read_only = on")
    assert found(full, "2345") == ["contract 2345"]

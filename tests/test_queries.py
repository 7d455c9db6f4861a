"""Every query on a real catalogue, and that none of them leaves a trace on the caller's connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import ClientCursor, RawCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from pycharter_sql import migrations, queries
from pycharter_sql.errors import CatalogueError, CatalogueMissing, ContractNotFound, NoActiveVersion
from pycharter_sql.rows import ContractSummary, Status

Conn = psycopg.Connection[Any]


def contract(name: str, version: str, status: str = "draft", **content: Any) -> dict[str, Any]:
    return {"name": name, "version": version, "status": status, "schema": {"type": "object"}} | content


CONTRACTS = [
    contract("Aircraft", "1.10.0", "active", pulls_from=["Netline", "SCR"], business_owners=["IOC"]),
    contract("Aircraft", "1.9.0", "active", pulls_from=["SCR"], description="Every aircraft"),
    contract("Aircraft", "2.0.0", "proposed", pulls_from=["Netline"]),
    contract(
        "Airport",
        "1.0.0",
        "retired",
        data_feed="places",
        pushes_to=["SCR"],
        system_sources=["Netline"],
        business_owners=[{"name": "IOC", "role": "data_steward"}],
    ),
    contract(
        "Crew",
        "1.0.0",
        "active",
        domain={"name": "Crewing", "parent_domain": {"name": "Operations", "parent_domain": "Airline"}},
        dependencies=["places", {"name": "Aircraft", "dependency_type": "optional"}],
        team_access={"read": ["analysts"], "write": ["loaders"]},
    ),
    contract(
        "flight",
        "1.0.0",
        domain="Operations",
        dependencies=["Aircraft"],
        team_access={"read": ["loaders"], "write": ["analysts"]},
    ),
]


def load(conn: Conn, *documents: dict[str, Any], schema: str = "pycharter") -> None:
    query = SQL("SELECT {}.load_documents(%s)").format(Identifier(schema))
    row = conn.execute(query, [list(map(Jsonb, documents))]).fetchone()
    assert row and row[0]["refusals"] == []


@pytest.fixture
def full(conn: Conn) -> Conn:
    load(conn, *CONTRACTS)
    conn.commit()
    return conn


def found(summaries: list[ContractSummary]) -> list[str]:
    return [f"{summary.name} {summary.version}" for summary in summaries]


# ----------------------------------------------------------------------------------------------- one contract


def test_get_contract(full: Conn) -> None:
    named = queries.get_contract(full, "Aircraft", "1.9.0")
    assert (named.name, named.version, named.status) == ("Aircraft", "1.9.0", "active")
    assert (named.schema, named.pulls_from, named.description) == (
        {"type": "object"},
        ["SCR"],
        "Every aircraft",
    )
    assert queries.get_contract(full, "Aircraft").version == "1.10.0"


def test_get_document(full: Conn) -> None:
    document = queries.get_document(full, "Aircraft")
    assert document["version"] == "1.10.0" and document["pulls_from"] == ["Netline", "SCR"]
    assert queries.get_document(full, "Aircraft", "2.0.0")["status"] == "proposed"


def test_dependencies_of(full: Conn) -> None:
    assert [
        (row.contract, row.data_feed, row.dependency, row.dependency_type)
        for row in queries.dependencies_of(full, "Crew", "1.0.0")
    ] == [("Crew", "Crew", "Aircraft", "optional"), ("Crew", "Crew", "places", "required")]
    assert queries.dependencies_of(full, "Crew") == queries.dependencies_of(full, "Crew", "1.0.0")
    assert queries.dependencies_of(full, "Aircraft") == []


def test_contract_fields(full: Conn) -> None:
    properties = {"id": {"type": "string"}, "to": {"properties": {"id": {"enum": [1, None]}}}}
    load(
        full,
        contract("Letter", "1.10.0", "active", schema={"properties": properties, "required": ["to"]}),
        contract("Letter", "1.9.0", "deprecated", schema={"properties": {"id": {}}}),
    )
    fields = queries.contract_fields(full, "Letter")
    assert [(row.version, row.path, row.type, row.is_required, row.enum) for row in fields] == [
        ("1.10.0", "id", "string", False, None),
        ("1.10.0", "to", None, True, None),
        ("1.10.0", "to.id", None, False, [1, None]),
    ]
    assert [row.path for row in queries.contract_fields(full, "Letter", "1.9.0")] == ["id"]
    assert queries.contract_fields(full, "Aircraft") == []
    assert [(row.version, row.path) for row in queries.fields_named(full, "id")] == [
        ("1.9.0", "id"),
        ("1.10.0", "id"),
        ("1.10.0", "to.id"),
    ]
    assert queries.fields_named(full, "to") == [fields[1]]
    assert queries.fields_named(full, "To") == []


def test_search_contracts(full: Conn) -> None:
    (result,) = queries.search_contracts(full, "netline aircraft")
    current = queries.get_contract(full, "Aircraft")
    assert (result.contract_id, result.contract, result.version) == (
        current.contract_id,
        "Aircraft",
        "1.10.0",
    )
    assert (result.status, result.description, result.title) == ("active", current.description, None)
    assert result.matched_in == ["name", "system", "data_feed"]
    assert [row.contract for row in queries.search_contracts(full, "aircraft")] == [
        *("Aircraft", "Crew", "flight")
    ]
    assert [row.contract for row in queries.search_contracts(full, "aircraft", max_rows=1)] == ["Aircraft"]
    assert len(queries.search_contracts(full, "a", max_rows=None)) == 4
    for nothing in ("", "\0", "' OR true --"):
        assert queries.search_contracts(full, nothing) == []


@pytest.mark.parametrize(
    "query",
    [queries.get_contract, queries.get_document, queries.dependencies_of, queries.contract_fields],
    ids=lambda f: f.__name__,
)
def test_a_contract_that_is_not_there(full: Conn, query: Callable[..., object]) -> None:
    load(full, contract("Aircraft", "3.0.0", "deprecated"))
    for version in (None, "1.0.0"):
        with pytest.raises(ContractNotFound, match=r'^there is no contract "aircraft"\n.*list_contracts'):
            query(full, "aircraft", version)
    with pytest.raises(
        ContractNotFound,
        match=r'^contract "Aircraft" has no version "1.10"; its latest is 3.0.0 \(deprecated\)\n.*versions_',
    ):
        query(full, "Aircraft", "1.10")
    with pytest.raises(
        NoActiveVersion,
        match=r'^contract "flight" has no active version; its latest is 1.0.0 \(draft\)\n  \w',
    ):
        query(full, "flight")
    # None of these has broken the caller's transaction.
    assert full.info.transaction_status == TransactionStatus.INTRANS


# ------------------------------------------------------------------------------------------------------ lists

ALL = [f"{document['name']} {document['version']}" for document in CONTRACTS]
ALL[0:2] = ["Aircraft 1.9.0", "Aircraft 1.10.0"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ALL),
        (dict.fromkeys(queries._CONDITIONS), ALL),
        ({"name": "Aircraft"}, ["Aircraft 1.9.0", "Aircraft 1.10.0", "Aircraft 2.0.0"]),
        ({"status": "active"}, ["Aircraft 1.9.0", "Aircraft 1.10.0", "Crew 1.0.0"]),
        ({"domain": "Operations"}, ["Crew 1.0.0", "flight 1.0.0"]),
        ({"domain": "Airline"}, ["Crew 1.0.0", "flight 1.0.0"]),
        ({"domain": "Operations", "include_subdomains": False}, ["flight 1.0.0"]),
        ({"data_feed": "places"}, ["Airport 1.0.0"]),
        ({"pulls_from": "Netline"}, ["Aircraft 1.10.0", "Aircraft 2.0.0"]),
        ({"pushes_to": "SCR"}, ["Airport 1.0.0"]),
        ({"sourced_from": "Netline"}, ["Airport 1.0.0"]),
        ({"owner": "IOC"}, ["Aircraft 1.10.0"]),
        ({"owner": "IOC", "role": "data_steward"}, ["Airport 1.0.0"]),
        ({"owner": "IOC", "role": None}, ["Aircraft 1.10.0", "Airport 1.0.0"]),
        ({"readable_by": "analysts"}, ["Crew 1.0.0", "flight 1.0.0"]),
        ({"writable_by": "analysts"}, ["flight 1.0.0"]),
        ({"depends_on": "Aircraft"}, ["Crew 1.0.0", "flight 1.0.0"]),
        ({"versions": "latest"}, ["Aircraft 2.0.0", "Airport 1.0.0", "Crew 1.0.0", "flight 1.0.0"]),
        ({"versions": "current"}, ["Aircraft 1.10.0", "Crew 1.0.0"]),
        # All together, and the version is chosen before it is held against the others.
        ({"pulls_from": "SCR", "status": "active", "name": "Aircraft", "owner": "IOC"}, ["Aircraft 1.10.0"]),
        ({"pulls_from": "SCR", "versions": "latest"}, []),
        ({"domain": "Airline", "depends_on": "places", "versions": "current"}, ["Crew 1.0.0"]),
        ({"pulls_from": "nothing"}, []),
        ({"domain": "nothing"}, []),
        ({"data_feed": "' OR true --"}, []),
    ],
)
def test_filters(full: Conn, filters: Any, expected: list[str]) -> None:
    assert found(queries.list_contracts(full, **filters)) == expected
    streamed = queries.stream_documents(full, **filters)
    assert [f"{document['name']} {document['version']}" for document in streamed] == expected


@pytest.mark.parametrize(
    ("query", "name", "further", "expected"),
    [
        (queries.contracts_pulling_from, "SCR", {}, ["Aircraft 1.9.0", "Aircraft 1.10.0"]),
        (queries.contracts_pulling_from, "SCR", {"versions": "current"}, ["Aircraft 1.10.0"]),
        (queries.contracts_pushing_to, "SCR", {}, ["Airport 1.0.0"]),
        (queries.contracts_pushing_to, "SCR", {"versions": "current"}, []),
        (queries.contracts_sourced_from, "Netline", {}, ["Airport 1.0.0"]),
        (queries.contracts_sourced_from, "Netline", {"versions": "current"}, []),
        (queries.contracts_owned_by, "IOC", {}, ["Aircraft 1.10.0"]),
        (queries.contracts_owned_by, "IOC", {"role": "data_steward"}, ["Airport 1.0.0"]),
        (queries.contracts_owned_by, "IOC", {"role": None}, ["Aircraft 1.10.0", "Airport 1.0.0"]),
        (queries.contracts_owned_by, "IOC", {"role": None, "versions": "current"}, ["Aircraft 1.10.0"]),
        (queries.contracts_in_domain, "Operations", {}, ["Crew 1.0.0", "flight 1.0.0"]),
        (queries.contracts_in_domain, "Operations", {"include_subdomains": False}, ["flight 1.0.0"]),
        (queries.contracts_in_domain, "Operations", {"versions": "current"}, ["Crew 1.0.0"]),
        (queries.contracts_readable_by, "loaders", {}, ["Crew 1.0.0", "flight 1.0.0"]),
        (queries.contracts_readable_by, "loaders", {"versions": "current"}, ["Crew 1.0.0"]),
        (queries.contracts_writable_by, "loaders", {}, ["Crew 1.0.0"]),
        (queries.contracts_writable_by, "analysts", {"versions": "current"}, []),
        (queries.versions_of, "Aircraft", {}, ["Aircraft 1.9.0", "Aircraft 1.10.0", "Aircraft 2.0.0"]),
        (queries.versions_of, "nothing", {}, []),
    ],
)
def test_questions(
    full: Conn,
    query: Callable[..., list[ContractSummary]],
    name: str,
    further: dict[str, Any],
    expected: list[str],
) -> None:
    assert found(query(full, name, **further)) == expected


def test_contract_summary(full: Conn) -> None:
    (summary,) = queries.list_contracts(full, domain="Crewing")
    whole = queries.get_contract(full, "Crew")
    assert summary == ContractSummary(
        whole.contract_id,
        "Crew",
        "1.0.0",
        Status.ACTIVE,
        None,
        "Crew",
        "Crewing",
        whole.updated_at,
        whole.revision,
    )


def test_an_unknown_filter(conn: Conn) -> None:
    with pytest.raises(TypeError, match="no such filter: system"):
        queries.list_contracts(conn, system="SCR")  # type: ignore[call-arg]


def test_filters_find_their_contracts_by_an_index(conn: Conn) -> None:
    conn.execute("""
        SELECT pycharter.load_documents(array_agg(jsonb_build_object(
            'name', 'contract ' || n / 5, 'version', '1.' || n % 5, 'schema', '{}'::jsonb,
            'data_feed', 'feed ' || n % 500,
            'domain', 'domain ' || n % 2500,
            'pulls_from', jsonb_build_array('system ' || n % 500),
            'pushes_to', jsonb_build_array('system ' || n % 500),
            'system_sources', jsonb_build_array('system ' || n % 500),
            'business_owners', jsonb_build_array('owner ' || n % 500),
            'team_access', jsonb_build_object(
                'read', jsonb_build_array('team ' || (n + 1) % 500, 'team ' || (n + 2) % 500),
                'write', jsonb_build_array('team ' || n % 500)),
            'dependencies', jsonb_build_array('feed ' || (n + 1) % 500))))
        FROM generate_series(0, 9999) AS n""")
    conn.execute("ANALYZE")
    filters: list[queries.Filters] = [
        {"name": "contract 7"},
        {"data_feed": "feed 7"},
        {"domain": "domain 7"},
        {"pulls_from": "system 7"},
        {"pushes_to": "system 7"},
        {"sourced_from": "system 7"},
        {"owner": "owner 7"},
        {"readable_by": "team 7"},
        {"writable_by": "team 7"},
        {"depends_on": "feed 7"},
    ]
    for one in filters:
        assert 4 <= len(queries.list_contracts(conn, **one)) <= 60
        query, parameters = queries._selection(queries._columns(ContractSummary), "pycharter", one)
        plan = "\n".join(line for (line,) in conn.execute(SQL("EXPLAIN ") + query, parameters))
        assert "Seq Scan on data_contract" not in plan, plan


# ---------------------------------------------------------------------------------------- documents, streamed


def test_documents_are_those_of_the_database(full: Conn) -> None:
    assert list(queries.stream_documents(full)) == [
        queries.get_document(full, *name_and_version.split(" ")) for name_and_version in ALL
    ]


def test_documents_stream_side_by_side(full: Conn) -> None:
    first, second = queries.stream_documents(full), queries.stream_documents(full, name="Crew")
    assert next(first)["name"] == "Aircraft"
    assert next(second)["name"] == "Crew"
    assert next(first)["version"] == "1.10.0"
    open_cursors = "SELECT count(*) FROM pg_cursors WHERE name LIKE 'documents%'"
    assert full.execute(open_cursors).fetchone() == (2,)
    first.close()  # type: ignore[attr-defined]
    assert list(second) == []
    assert full.execute(open_cursors).fetchone() == (0,)


def test_documents_need_a_transaction(full: Conn) -> None:
    full.autocommit = True
    with pytest.raises(psycopg.errors.NoActiveSqlTransaction):
        list(queries.stream_documents(full))
    with full.transaction():
        assert len(list(queries.stream_documents(full))) == len(CONTRACTS)


# ------------------------------------------------------------------------------------ the caller's connection


def ask_everything(conn: Conn, schema: str = "pycharter") -> Iterator[object]:
    yield queries.get_contract(conn, "Aircraft", schema=schema)
    yield queries.get_document(conn, "Aircraft", "1.9.0", schema=schema)
    yield queries.dependencies_of(conn, "Crew", schema=schema)
    yield queries.contract_fields(conn, "Aircraft", schema=schema)
    yield queries.fields_named(conn, "id", schema=schema)
    yield queries.search_contracts(conn, "aircraft", schema=schema)
    yield queries.list_contracts(conn, schema=schema)
    yield queries.versions_of(conn, "Aircraft", schema=schema)
    yield queries.contracts_pulling_from(conn, "SCR", schema=schema)
    yield queries.contracts_pushing_to(conn, "SCR", schema=schema)
    yield queries.contracts_sourced_from(conn, "Netline", schema=schema)
    yield queries.contracts_owned_by(conn, "IOC", schema=schema)
    yield queries.contracts_in_domain(conn, "Airline", schema=schema)
    yield queries.contracts_readable_by(conn, "loaders", schema=schema)
    yield queries.contracts_writable_by(conn, "loaders", schema=schema)


def session(conn: Conn) -> Any:
    with psycopg.Cursor(conn) as cursor:
        settings = cursor.execute("SELECT name, setting FROM pg_settings").fetchall()
    return (settings, conn.autocommit, conn.row_factory, conn.cursor_factory, conn.info.transaction_status)


@pytest.mark.parametrize("search_path", ["public", "", "pycharter, pg_temp"])
@pytest.mark.parametrize("cursor_factory", [psycopg.Cursor, ClientCursor, RawCursor])
def test_whatever_the_connection_is_set_to(
    full: Conn, search_path: str, cursor_factory: type[psycopg.Cursor[Any]]
) -> None:
    expected = list(ask_everything(full))
    streamed = list(queries.stream_documents(full))
    full.execute("SELECT set_config('search_path', %s, false)", [search_path])
    full.execute("CREATE TEMP TABLE data_contracts (id uuid, name text)")
    full.commit()
    full.row_factory = dict_row
    full.cursor_factory = cursor_factory
    before = session(full)
    assert list(ask_everything(full)) == expected
    assert list(queries.stream_documents(full)) == streamed
    assert session(full) == before


def test_autocommit_leaves_no_transaction_open(full: Conn) -> None:
    full.autocommit = True
    before = session(full)
    for _ in ask_everything(full):
        assert full.info.transaction_status == TransactionStatus.IDLE
    assert session(full) == before


def test_nothing_is_committed(conn: Conn) -> None:
    load(conn, *CONTRACTS)
    with conn.transaction() as savepoint:
        load(conn, contract("Aircraft", "1.11.0", "active"))
        assert queries.get_contract(conn, "Aircraft").version == "1.11.0"
        assert len(list(queries.stream_documents(conn, name="Aircraft"))) == 4
        raise psycopg.Rollback(savepoint)
    for _ in ask_everything(conn):
        assert conn.info.transaction_status == TransactionStatus.INTRANS
    assert queries.get_contract(conn, "Aircraft").version == "1.10.0"
    conn.rollback()
    assert queries.list_contracts(conn) == []


def test_two_catalogues_in_one_database(full: Conn) -> None:
    other = "order"  # a word of SQL
    migrations.apply(full.info.dsn, schema=other)
    expected = list(ask_everything(full))
    load(full, contract("Only here", "1.0.0"), schema=other)
    assert found(queries.list_contracts(full, schema=other)) == ["Only here 1.0.0"]
    assert [document["name"] for document in queries.stream_documents(full, schema=other)] == ["Only here"]
    with pytest.raises(ContractNotFound, match="Aircraft"):
        queries.get_contract(full, "Aircraft", schema=other)
    assert list(ask_everything(full)) == expected


@pytest.mark.parametrize(
    "ask",
    [
        lambda conn, schema: queries.get_contract(conn, "Aircraft", schema=schema),
        lambda conn, schema: queries.get_document(conn, "Aircraft", schema=schema),
        lambda conn, schema: queries.dependencies_of(conn, "Aircraft", schema=schema),
        lambda conn, schema: queries.contract_fields(conn, "Aircraft", schema=schema),
        lambda conn, schema: queries.fields_named(conn, "id", schema=schema),
        lambda conn, schema: queries.search_contracts(conn, "aircraft", schema=schema),
        lambda conn, schema: queries.list_contracts(conn, schema=schema),
        lambda conn, schema: list(queries.stream_documents(conn, schema=schema)),
    ],
)
def test_no_catalogue(conn: Conn, ask: Callable[[Conn, str], object]) -> None:
    conn.autocommit = True
    conn.execute("CREATE SCHEMA hollow")
    conn.execute("CREATE SCHEMA older")
    conn.execute("CREATE TABLE older.data_contracts (id uuid)")
    conn.execute("CREATE VIEW older.contract_full AS SELECT NULL::uuid AS contract_id")
    for schema in ("nowhere", "hollow", "older"):
        with (
            pytest.raises(CatalogueMissing, match=f'schema "{schema}".*\n.*pycharter-sql migrate') as caught,
            conn.transaction(),
        ):
            ask(conn, schema)
        assert isinstance(caught.value, CatalogueError)
        assert isinstance(caught.value.__cause__, psycopg.Error)

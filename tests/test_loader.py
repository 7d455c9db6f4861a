"""The loader on a real catalogue: what it writes, merges, leaves alone, refuses and reports."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import RawCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from pytest_postgresql import factories
from pytest_postgresql.executors.noop import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from pycharter_sql import loader, migrations, queries, sources
from pycharter_sql.embedded import PORT, USER, Server
from pycharter_sql.errors import (
    CatalogueError,
    CatalogueMissing,
    DocumentRefused,
    Refusal,
    VersionPublished,
)
from pycharter_sql.loader import Counts, LoadRefused, Report, intake, sending

Conn = psycopg.Connection[Any]
Document = dict[str, Any]

EXAMPLES = Path(__file__).parents[1] / "examples" / "legacy"
ENTITIES = ("systems", "data_feeds", "business_owners", "domains", "teams")
TABLES = (
    *ENTITIES,
    "schemas",
    "coercion_rules",
    "validation_rules",
    "governance_rules",
    "metadata_record",
    "ownership",
    "data_contracts",
    "data_contract_system_pulls",
    "data_contract_system_pushes",
    "data_contract_system_sources",
    "data_contract_business_owners",
    "data_contract_team_access",
    "data_feed_dependencies",
)


def contract(name: str, **content: Any) -> Document:
    return {"name": name, "version": "1.0.0", "schema": {"type": "object"}} | content


def system(name: str, **attributes: Any) -> Document:
    return {"name": name, **attributes}


def rows(conn: Conn) -> dict[str, list[tuple[str, str, str]]]:
    """Every row of every table, with where it stands and who wrote it: a row written anew changes either."""
    query = SQL("SELECT t.ctid::text, t.xmin::text, t::text FROM pycharter.{} AS t ORDER BY t.ctid")
    return {table: conn.execute(query.format(Identifier(table))).fetchall() for table in TABLES}


def counts(conn: Conn) -> dict[str, int]:
    return {table: len(found) for table, found in rows(conn).items()}


def content(conn: Conn) -> Any:
    """What the catalogue says, without the keys, times and authors that differ from load to load."""
    noise = "{id,number,parent_domain_id,created_at,updated_at}"
    query = SQL("SELECT to_jsonb(e) - %s::text[] FROM pycharter.{} AS e ORDER BY e.name")
    entities = {
        table: conn.execute(query.format(Identifier(table)), [noise]).fetchall() for table in ENTITIES
    }
    with conn.transaction():
        return entities, list(queries.stream_documents(conn))


def write(directory: Path, files: dict[str, Any]) -> list[Path]:
    """YAML files, from their text or from what they say."""
    for name, said in files.items():
        (directory / name).write_text(
            said if isinstance(said, str) else yaml.safe_dump(said, sort_keys=False)
        )
    return [directory / name for name in files]


def load_files(conn: Conn, *paths: Path, **options: Any) -> Report:
    return loader.load(conn, sources.read_files(paths), **options)


def changed(report: Report) -> dict[str, dict[str, int]]:
    """Of each table that the load changed, what it did to its rows."""
    found = {
        table: {what: count for what, count in values.items() if count and what != "unchanged"}
        for table, values in report.as_json()["tables"].items()
    }
    return {table: values for table, values in found.items() if values}


def refused(run: Callable[[], object]) -> list[Refusal]:
    """The refusals of a call that must be refused: each says where, what and what to do."""
    with pytest.raises(DocumentRefused) as caught:
        run()
    refusals = list(caught.value.refusals)
    assert refusals
    for refusal in refusals:
        assert refusal.source and refusal.reason and refusal.remedy
        assert str(refusal) in str(caught.value)
    return refusals


def adds_up(report: Report) -> bool:
    return report.read == report.loaded + report.merged + report.refused


@pytest.fixture(scope="module")
def database(server: Server, migrated_server: NoopExecutor) -> Iterator[Conn]:
    host = str(server.socket_directory)
    template = migrated_server.template_dbname
    with (
        DatabaseJanitor(user=USER, host=host, port=PORT, dbname="loader", template_dbname=template),
        psycopg.connect(server.url_of("loader")) as connection,
    ):
        yield connection


@pytest.fixture
def conn(database: Conn) -> Iterator[Conn]:
    """An empty catalogue: a load does not commit, so that one database does for most tests."""
    yield database
    database.rollback()


# For tests that commit.
own_database = factories.postgresql("migrated_server")


@pytest.fixture(params=[1, 2, 250])
def batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Documents a call: whatever their number, the result is the same."""
    monkeypatch.setattr(intake, "BATCH", request.param)
    size: int = request.param
    return size


# ------------------------------------------------------------------------------- what goes in, and its report


def test_the_examples(conn: Conn) -> None:
    report = load_files(conn, EXAMPLES)
    assert (report.read, report.merged, report.refused, report.inserted) == (4, 0, 0, 4)
    assert [(row.name, row.version) for row in queries.list_contracts(conn)] == [
        ("Customer", "1.3.0"),
        ("Order", "2.1.0"),
        ("Product", "1.9.0"),
        ("Product", "1.10.0"),
    ]
    # The report's numbers are those of the rows, table by table.
    assert {table: values.inserted for table, values in report.tables.items()} == counts(conn)
    assert all((t.updated, t.unchanged, t.deleted) == (0, 0, 0) for t in report.tables.values())


def test_loading_twice_changes_nothing(conn: Conn) -> None:
    load_files(conn, EXAMPLES)
    before = rows(conn)
    report = load_files(conn, EXAMPLES)
    assert rows(conn) == before
    assert (report.inserted, report.updated, report.unchanged) == (0, 0, 4)
    assert changed(report) == {}
    assert {table: values.unchanged for table, values in report.tables.items()} == counts(conn)


def test_report_as_json(conn: Conn) -> None:
    said = load_files(conn, EXAMPLES).as_json()
    assert said["documents"] == {"read": 4, "merged": 0, "refused": 0}
    assert said["contracts"] == {"loaded": 4, "inserted": 4, "updated": 0, "unchanged": 0}
    assert set(said["tables"]) == set(TABLES)
    assert said["refusals"] == []
    assert json.loads(json.dumps(said)) == said


def test_no_documents(conn: Conn) -> None:
    report = loader.load(conn, [])
    assert (report.read, report.loaded, report.refused, report.tables) == (0, 0, 0, {})


def test_nothing_of_the_legacy_document_is_dropped(conn: Conn, tmp_path: Path) -> None:
    metadata = {
        "title": "Aircraft",
        "version": "1.0.0",
        "status": "active",
        "type": "object",
        "created_at": "2025-08-28T04:10:45+00:00",
        "created_by": "IOC DE",
        "data_feed_association": [{"title": "Aircraft", "type": "Operational"}, {"title": "Second"}],
        "pulls_from": ["Netline"],
        "dependencies": None,
        "business_owners": ["IOC"],
        "ownership": {"owner": "ops", "contact": "ops@air.example", "additional_info": {}},
        "governance_rules": {"access_control": {"read": ["a"], "level": "restricted"}},
        "data_quality": {"accuracy": 0.0, "sla": None, "total_records": 4700000000},
        "serve": {"api": {"params": [{"name": "registration", "required": False}]}},
        "never heard of": [1, {"a/b~c": ""}],
    }
    rules = {
        "description": "how to coerce",
        "author": "me",
        "version": "2",
        "rules": {"A": "coerce_to_string"},
    }
    files = {
        "a_metadata.yaml": metadata,
        "a_schema.yaml": {"type": "object", "version": "3"},
        "a_coercion_rules.yaml": rules,
    }
    load_files(conn, *write(tmp_path, files))
    found = queries.get_contract(conn, "Aircraft")
    beside = {key: rules[key] for key in ("description", "author")}
    assert found.metadata == metadata | {"coercion_rules": beside}
    assert found.coercion_rules == rules["rules"]
    assert found.created_by == "IOC DE"
    assert found.ownership == {
        "resource_id": "Aircraft@1.0.0",
        "owner": "ops",
        "team": None,
        "additional_info": {},
    }


def test_a_contract_file_keeps_what_stands_beside_its_metadata(conn: Conn) -> None:
    load_files(conn, EXAMPLES / "customer_contract.yaml")
    said = yaml.safe_load((EXAMPLES / "customer_contract.yaml").read_text())
    metadata = queries.get_contract(conn, "Customer").metadata
    assert metadata is not None
    for key, value in said["metadata"].items():
        assert metadata[key] == value
    for key in ("ownership", "business_rules"):
        assert metadata[key] == said[key]
    assert queries.get_contract(conn, "Customer").governance_rules == said["governance_rules"]


def test_integers_beyond_64_bits(conn: Conn) -> None:
    numbers = [2**63, 2**64, -(10**40), 10**300]
    document = contract("Big", metadata={"numbers": numbers}, schema={"type": "integer", "maximum": 2**70})
    loader.register_contract(conn, document)
    found = queries.get_document(conn, "Big", "1.0.0")
    assert found["metadata"] == {"numbers": numbers} and found["schema"] == document["schema"]
    assert loader.register_contract(conn, found) == "unchanged"


# ---------------------------------------------------------------------------- several sources of one contract


COMPONENTS = {
    "a_metadata.yaml": {
        "title": "A",
        "version": "1.0.0",
        "pulls_from": ["X"],
        "business_owners": ["Ann", "Bob"],
    },
    "a_schema.yaml": {"title": "A", "type": "object", "properties": {"f": {"type": "string"}}},
}
CONTRACT_FILE = {
    "metadata": {
        "title": "A",
        "version": "1.0.0",
        "description": "as a whole",
        "business_owners": ["Ann", "Bob"],
    },
    "schema": {
        "title": "A",
        "type": "object",
        "version": "7",
        "properties": {"f": {"type": "string", "coercion": "coerce_to_string"}},
    },
    "ownership": {"owner": "ops"},
}
DOCUMENT = {
    "name": "A",
    "version": "1.0.0",
    "status": "active",
    "domain": {"name": "D", "parent_domain": "E"},
}
OTHER = contract("B", pulls_from=[{"name": "X", "system_type": "api"}], dependencies=["A"], domain="E")


def test_complementing_sources_are_merged_in_any_order_and_any_batches(
    conn: Conn, tmp_path: Path, batch: int
) -> None:
    files = {**COMPONENTS, "a_contract.yaml": CONTRACT_FILE, "a.json": json.dumps(DOCUMENT), "b.yaml": OTHER}
    paths = write(tmp_path, files)
    found = []
    for order in permutations(paths[1:]):
        with conn.transaction(force_rollback=True):
            report = load_files(conn, paths[0], *order)
            assert (report.read, report.merged, report.refused, report.inserted) == (4, 2, 0, 2)
            assert adds_up(report)
            found.append(content(conn))
    assert all(each == found[0] for each in found)
    load_files(conn, tmp_path)
    whole = queries.get_contract(conn, "A")
    assert (whole.status, whole.description, whole.domain) == ("active", "as a whole", "D")
    assert whole.coercion_rules == {"f": "coerce_to_string"}
    assert (whole.pulls_from, whole.business_owners) == (["X"], ["Ann", "Bob"])
    assert whole.ownership is not None and whole.ownership["owner"] == "ops"
    assert queries.get_document(conn, "A")["schema"]["version"] == "7"
    assert queries.get_document(conn, "B", "1.0.0")["pulls_from"] == [{"name": "X", "system_type": "api"}]


def test_the_order_of_names_in_a_legacy_relation_does_not_matter(conn: Conn, tmp_path: Path) -> None:
    turned = {"metadata": {"title": "A", "version": "1.0.0", "business_owners": ["Bob", "Ann"]}}
    report = load_files(conn, *write(tmp_path, {**COMPONENTS, "a_contract.yaml": turned}))
    assert (report.merged, report.inserted) == (1, 1)


def test_a_source_given_twice_is_merged_with_itself(conn: Conn, batch: int) -> None:
    report = loader.load(conn, [contract("A"), contract("B"), contract("A")])
    assert (report.read, report.merged, report.inserted) == (3, 1, 2)


@pytest.mark.parametrize(
    ("content_", "pointers"),
    [
        ({"description": "another"}, {"/description"}),
        ({"status": "active"}, {"/status"}),
        ({"schema": {"type": "array"}}, {"/schema"}),
        ({"pulls_from": ["Y"]}, {"/pulls_from"}),
        (
            {"coercion_rules": {"rules": {"f": "coerce_to_integer"}}},
            {"/coercion_rules", "/coercion_rules/rules"},
        ),
    ],
)
def test_disagreeing_sources_are_refused_naming_both(
    conn: Conn, tmp_path: Path, batch: int, content_: Document, pointers: set[str]
) -> None:
    said = contract(
        "A",
        description="one",
        status="draft",
        pulls_from=["X"],
        coercion_rules={"rules": {"f": "coerce_to_string"}},
    )
    files = {"1.yaml": said, "2.yaml": contract("B"), "3.yaml": said | content_}
    one, other, three = write(tmp_path, files)
    for order in permutations([one, other, three]):
        [refusal] = refused(lambda order=order: load_files(conn, *order))  # type: ignore[misc]
        place, named = sorted([one, three], key=order.index)
        assert refusal.source == str(place) and refusal.pointer in pointers
        assert any(f"{named}#{pointer}" in refusal.reason for pointer in pointers)
        assert refusal.contract == "A@1.0.0"
        assert counts(conn) == dict.fromkeys(TABLES, 0)
    report = load_files(conn, one, other, three, skip_invalid=True)
    assert (report.read, report.refused, report.merged, report.inserted) == (3, 2, 0, 1)
    assert [row.name for row in queries.list_contracts(conn)] == ["B"]


# -------------------------------------------------------------------------------------- one entity, described


ONE_ENTITY_IN_TWO_WAYS: list[tuple[Document, Document, str]] = [
    (
        {"pulls_from": [system("X", system_type="api")]},
        {"pushes_to": ["Y", system("X", system_type="file")]},
        "/pushes_to/1/system_type",
    ),
    (
        {"system_sources": [system("X", is_active=False)]},
        {"system_sources": [system("X", is_active=True)]},
        "/system_sources/0/is_active",
    ),
    (
        {"business_owners": [{"name": "X", "role": "data_steward", "department": "ops"}]},
        {"business_owners": [{"name": "X", "department": "sales"}]},
        "/business_owners/0/department",
    ),
    (
        {"team_access": {"read": [{"name": "X", "team_type": "data"}]}},
        {"team_access": {"write": [{"name": "X", "team_type": "engineering"}]}},
        "/team_access/write/0/team_type",
    ),
    (
        {"data_feed": {"name": "X", "title": "one"}},
        {"dependencies": [{"name": "X", "title": "another"}]},
        "/dependencies/0/title",
    ),
    (
        {"domain": {"name": "X", "parent_domain": "P"}},
        {"domain": {"name": "W", "parent_domain": {"name": "X", "parent_domain": {"name": "Q"}}}},
        "/domain/parent_domain/parent_domain",
    ),
]


@pytest.mark.parametrize(
    ("said", "otherwise", "pointer"), ONE_ENTITY_IN_TWO_WAYS, ids=[case[2] for case in ONE_ENTITY_IN_TWO_WAYS]
)
def test_an_entity_described_in_two_ways_is_refused_naming_both(
    conn: Conn, batch: int, said: Document, otherwise: Document, pointer: str
) -> None:
    documents = [contract("A", **said), contract("B"), contract("C", **otherwise)]
    [first, refusal] = refused(lambda: loader.load(conn, documents))
    assert (first.source, first.contract) == ("document 1", "A@1.0.0")
    assert f"document 3#{pointer}" in first.reason
    assert (refusal.source, refusal.pointer, refusal.contract) == ("document 3", pointer, "C@1.0.0")
    assert "document 1#" in refusal.reason and "'X'" in refusal.reason
    assert counts(conn) == dict.fromkeys(TABLES, 0)
    report = loader.load(conn, documents, skip_invalid=True)
    assert (report.read, report.refused, report.inserted) == (3, 2, 1)
    assert adds_up(report)
    assert [row.name for row in queries.list_contracts(conn)] == ["B"]
    assert conn.execute("SELECT count(*) FROM pycharter.systems").fetchone() == (0,)


def test_which_documents_contradict_one_another_does_not_depend_on_their_order(
    conn: Conn, batch: int
) -> None:
    documents = [
        contract(name, pulls_from=[system("X", system_type=kind)])
        for name, kind in [("A", "a"), ("B", "b"), ("C", "a")]
    ]
    outcomes = set()
    for order in permutations(documents):
        with conn.transaction(force_rollback=True):
            report = loader.load(conn, order, skip_invalid=True)
            outcomes.add((report.refused, tuple(row.name for row in queries.list_contracts(conn))))
    assert outcomes == {(3, ())}


def test_true_is_not_one(conn: Conn, batch: int) -> None:
    documents = [
        contract("A", pulls_from=[system("X", connection_info={"tls": True})]),
        contract("B", pulls_from=[system("X", connection_info={"tls": 1})]),
    ]
    refused(lambda: loader.load(conn, documents))


def test_a_contract_that_contradicts_itself(conn: Conn) -> None:
    document = contract(
        "A", pulls_from=[system("X", system_type="a")], pushes_to=[system("X", system_type="b")]
    )
    refusals = refused(lambda: loader.load(conn, [document]))
    assert [refusal.pointer for refusal in refusals] == [
        "/pulls_from/0/system_type",
        "/pushes_to/0/system_type",
    ]
    [refusal] = refused(lambda: loader.register_contract(conn, document))
    assert '"X"' in refusal.reason


def test_descriptions_that_complement_each_other_are_joined(conn: Conn, batch: int) -> None:
    documents = [
        contract("A", pulls_from=["X"], domain="D"),
        contract("B", pulls_from=[system("X", system_type="api", description="")], domain={"name": "D"}),
        contract(
            "C", pushes_to=[system("X", description="the X")], domain={"name": "D", "parent_domain": "E"}
        ),
    ]
    found = []
    for order in permutations(documents):
        with conn.transaction(force_rollback=True):
            assert loader.load(conn, order).inserted == 3
            found.append(content(conn))
    assert all(each == found[0] for each in found)
    loader.load(conn, documents)
    whole = [system("X", system_type="api", description="the X")]
    assert queries.get_document(conn, "A", "1.0.0")["pulls_from"] == whole


def test_the_report_counts_rows_not_mentions(conn: Conn, batch: int) -> None:
    documents = [contract(name, data_feed=name, pulls_from=["X"], domain="D") for name in "ABCDE"]
    report = loader.load(conn, documents)
    assert {table: values.inserted for table, values in report.tables.items()} == counts(conn)
    assert all((t.updated, t.unchanged, t.deleted) == (0, 0, 0) for t in report.tables.values())
    report = loader.load(conn, documents)
    assert {table: values.unchanged for table, values in report.tables.items()} == counts(conn)


def test_an_entity_made_and_completed_by_one_load_is_inserted(conn: Conn, batch: int) -> None:
    documents = [contract("A", pulls_from=["X"]), contract("B", pulls_from=[system("X", system_type="api")])]
    assert loader.load(conn, documents).tables["systems"] == Counts(inserted=1)
    conn.execute("UPDATE pycharter.systems SET system_type = 'stream'")
    assert loader.load(conn, [*documents, contract("C", pulls_from=["X"])]).tables["systems"] == Counts(
        updated=1
    )


# ---------------------------------------------------------------------------------------- what is not written


def test_a_refusal_means_that_nothing_is_written(conn: Conn, tmp_path: Path, batch: int) -> None:
    load_files(conn, EXAMPLES / "product.ndjson")
    before = rows(conn)
    good = [contract(f"good {number}", pulls_from=["X"]) for number in range(3)]
    with pytest.raises(LoadRefused) as caught:
        loader.load(conn, [*good, contract("bad", status="live"), contract("Product", version="1.10.0")])
    report = caught.value.report
    assert [(refusal.source, refusal.pointer) for refusal in report.refusals] == [
        ("document 4", "/status"),
        ("document 5", "/schema"),
    ]
    assert (report.read, report.refused) == (5, 2)
    assert (report.loaded, report.tables) == (0, {})
    assert rows(conn) == before


def test_with_skip_invalid_the_rest_is_loaded(conn: Conn, batch: int) -> None:
    documents: list[Document | Refusal] = [
        contract("a"),
        contract("b", status="live"),
        Refusal("x.yaml", "", "broken", "mend it"),
        contract("c"),
    ]
    report = loader.load(conn, documents, skip_invalid=True)
    assert (report.read, report.inserted, report.refused) == (4, 2, 2)
    assert adds_up(report)
    assert {refusal.source for refusal in report.refusals} == {"document 2", "x.yaml"}
    assert [row.name for row in queries.list_contracts(conn)] == ["a", "c"]


@pytest.mark.parametrize("bad", [0, 3, 6])
def test_what_only_the_database_refuses_takes_no_other_document_with_it(
    conn: Conn, batch: int, bad: int
) -> None:
    conn.execute(
        "ALTER TABLE pycharter.data_contracts"
        " ADD CONSTRAINT data_contracts_house_rule_check CHECK (description <> 'forbidden')"
    )
    documents = [contract(f"c{number}", pulls_from=["X"]) for number in range(7)]
    documents[bad] |= {"description": "forbidden", "pushes_to": ["only of the refused one"]}
    [refusal] = refused(lambda: loader.load(conn, documents))
    assert (refusal.source, refusal.contract) == (f"document {bad + 1}", f"c{bad}@1.0.0")
    assert "data_contracts_house_rule_check" in refusal.reason
    report = loader.load(conn, documents, skip_invalid=True)
    assert (report.read, report.inserted, report.refused) == (7, 6, 1)
    assert adds_up(report)
    assert conn.execute("SELECT name FROM pycharter.systems").fetchall() == [("X",)]


def test_one_resource_id_for_two_contracts(conn: Conn) -> None:
    documents = [contract(name, ownership={"resource_id": "r", "owner": name}) for name in "AB"]
    refusals = refused(lambda: loader.load(conn, documents))
    assert {refusal.contract for refusal in refusals} == {"A@1.0.0", "B@1.0.0"}
    assert {refusal.pointer for refusal in refusals} == {"/ownership/resource_id"}
    loader.load(conn, documents[:1])
    # Nor can one contract take another's over, and change it by that.
    loader.load(conn, [contract("B", ownership={"resource_id": "s"})])
    refused(lambda: loader.load(conn, [contract("B", ownership={"resource_id": "r", "owner": "thief"})]))
    assert queries.get_document(conn, "A", "1.0.0")["ownership"]["owner"] == "A"


def test_an_error_of_the_callers_own_writes_nothing(conn: Conn, batch: int) -> None:
    def documents() -> Iterator[Document]:
        yield from (contract(name) for name in "ABC")
        raise KeyError("out of documents")

    with pytest.raises(KeyError, match="out of documents"):
        loader.load(conn, documents())
    assert counts(conn) == dict.fromkeys(TABLES, 0)


# ----------------------------------------------------------------------------------- the caller's transaction


def test_a_load_does_not_commit(conn: Conn) -> None:
    load_files(conn, EXAMPLES)
    loader.register_contract(conn, contract("A"))
    assert conn.info.transaction_status == TransactionStatus.INTRANS
    conn.rollback()
    assert counts(conn) == dict.fromkeys(TABLES, 0)


def test_a_load_in_the_callers_savepoint(own_database: Conn) -> None:
    loader.load(own_database, [contract("before")])
    with own_database.transaction(force_rollback=True):
        loader.load(own_database, [contract("within")])
        refused(lambda: loader.load(own_database, [contract("bad", status="live")]))
        assert [row.name for row in queries.list_contracts(own_database)] == ["before", "within"]
    own_database.commit()
    assert [row.name for row in queries.list_contracts(own_database)] == ["before"]


def test_a_load_in_autocommit_is_one_transaction(own_database: Conn, batch: int) -> None:
    own_database.autocommit = True
    refused(lambda: loader.load(own_database, [contract("A"), contract("B"), contract("C", status="live")]))
    assert counts(own_database) == dict.fromkeys(TABLES, 0)
    loader.load(own_database, [contract("A"), contract("B")])
    assert own_database.info.transaction_status == TransactionStatus.IDLE
    transactions = own_database.execute("SELECT DISTINCT created_at FROM pycharter.data_contracts").fetchall()
    assert len(transactions) == 1


def test_the_connection_stays_as_it_was(own_database: Conn) -> None:
    own_database.row_factory = dict_row
    loader.load(own_database, [contract("first")])  # makes PL/pgSQL's own settings known
    settings_of = "SELECT name, setting FROM pg_settings ORDER BY name"
    before = own_database.execute(settings_of).fetchall()
    loader.load(own_database, [contract("A")])
    assert loader.register_contract(own_database, contract("B")) == "inserted"
    assert own_database.execute(settings_of).fetchall() == before
    assert own_database.row_factory is dict_row


def test_whatever_cursor_class_the_connection_has(own_database: Conn) -> None:
    own_database.cursor_factory = RawCursor
    assert loader.register_contract(own_database, contract("A")) == "inserted"


def test_documents_may_come_from_the_same_connection(own_database: Conn, batch: int) -> None:
    migrations.apply(own_database.info.dsn, schema="second")
    loader.load(own_database, (contract(f"N{number}") for number in range(600)))
    report = loader.load(own_database, queries.stream_documents(own_database), schema="second")
    assert (report.read, report.inserted) == (600, 600)
    assert list(queries.stream_documents(own_database, schema="second")) == list(
        queries.stream_documents(own_database)
    )


@pytest.mark.parametrize("read_ahead", [False, True])
def test_an_error_of_the_source_is_the_callers(conn: Conn, batch: int, read_ahead: bool) -> None:
    def source() -> Iterator[Document]:
        for number in range(5):
            yield contract(f"N{number}")
        raise psycopg.DataError("the source broke")

    with pytest.raises(psycopg.DataError, match="the source broke"):
        loader.load(conn, source(), read_ahead=read_ahead)
    assert counts(conn) == dict.fromkeys(TABLES, 0)
    assert loader.load(conn, [contract("A")]).inserted == 1


def test_a_connection_in_another_encoding_is_refused(conn: Conn) -> None:
    conn.execute("SET client_encoding TO 'LATIN1'")
    with pytest.raises(CatalogueError, match="client_encoding is LATIN1"):
        loader.load(conn, [contract("Caf\u00e9")])
    with pytest.raises(CatalogueError, match="SET client_encoding TO 'UTF8'"):
        loader.register_contract(conn, contract("Caf\u00e9"))


def test_a_batch_is_bounded_in_bytes(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    send = sending.Run._ask

    def measured(self: Any, lines: bytes, *others: bytes) -> Any:
        sizes.append(len(lines))
        return send(self, lines, *others)

    monkeypatch.setattr(sending.Run, "_ask", measured)
    monkeypatch.setattr(intake, "BATCH_BYTES", 2500)
    documents = [contract(f"N{number}", description="x" * 1000) for number in range(6)]
    documents.append(contract("large", description="x" * 5000))
    assert loader.load(conn, documents).inserted == 7
    assert len(sizes) == 4 and max(sizes[:3]) < 2500 < 5000 < sizes[3]


def test_an_entity_document_that_the_database_refuses(conn: Conn, batch: int) -> None:
    secret = {"systems": [system("S", connection_info={"password": "hunter2"})]}
    [refusal] = refused(lambda: loader.load(conn, [contract("A"), secret]))
    assert (refusal.source, refusal.contract) == ("document 2", None)
    assert "credential" in refusal.reason and "hunter2" not in str(refusal)
    report = loader.load(conn, [contract("A"), secret, {"systems": ["T"]}], skip_invalid=True)
    assert (report.inserted, report.refused, report.tables["systems"].inserted) == (1, 1, 1)


def test_a_refusal_in_pipeline_mode(conn: Conn) -> None:
    loader.load(conn, [contract("A", ownership={"resource_id": "r"})])
    with conn.pipeline(), pytest.raises(LoadRefused, match="resource_id"):
        loader.load(conn, [contract("B", ownership={"resource_id": "r"})])


def test_a_source_on_the_same_connection_outlives_a_refused_batch(own_database: Conn, batch: int) -> None:
    migrations.apply(own_database.info.dsn, schema="second")
    loader.load(own_database, (contract(f"N{number}") for number in range(5)))
    own_database.execute(
        "ALTER TABLE second.data_contracts ADD CONSTRAINT house_rule_check CHECK (name <> 'N3')"
    )
    copied = queries.stream_documents(own_database)
    report = loader.load(own_database, copied, schema="second", skip_invalid=True)
    assert (report.read, report.inserted, report.refused) == (5, 4, 1)


def test_what_is_known_is_not_sent_again(conn: Conn, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = sending.Run._ask

    def recorded(self: Any, lines: bytes, *others: bytes) -> Any:
        sent.append(lines)
        return send(self, lines, *others)

    documents = [contract(f"N{number}", data_feed="F", pulls_from=["S"]) for number in range(5)]
    loader.load(conn, documents)
    monkeypatch.setattr(sending.Run, "_ask", recorded)
    before = counts(conn)
    report = loader.load(conn, documents)
    assert b"".join(sent) == b""
    assert (report.read, report.unchanged, report.loaded) == (5, 5, 5)
    assert {table: values.unchanged for table, values in report.tables.items()} == before
    assert adds_up(report)

    documents[3] = documents[3] | {"description": "changed"}
    sent.clear()
    assert loader.load(conn, documents).updated == 1
    assert [json.loads(text)["name"] for text in sent if text] == ["N3"]
    assert loader.load(conn, documents).unchanged == 5


def test_of_what_is_known_the_entities_still_count(conn: Conn, batch: int) -> None:
    documents = [contract("A", pulls_from=[system("S", description="as loaded")]), contract("B")]
    loader.load(conn, documents)
    conn.execute("UPDATE pycharter.systems SET description = 'edited', system_type = 'api'")
    report = loader.load(conn, documents)
    assert (report.unchanged, report.tables["systems"]) == (2, Counts(updated=1))
    row = conn.execute("SELECT description, system_type FROM pycharter.systems").fetchone()
    assert row == ("as loaded", "api")


def test_a_load_that_waits_can_be_interrupted(own_database: Conn) -> None:
    """By Ctrl-C, here while it waits for its turn; the connection stays usable."""
    loader.load(own_database, [contract("A")])
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    def interrupt() -> None:
        while own_database.execute(waiting).fetchone() == (0,):
            pass
        signal.raise_signal(signal.SIGINT)

    # A shell starts what it runs in the background deaf to Ctrl-C.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    with psycopg.connect(own_database.info.dsn) as other, ThreadPoolExecutor() as threads:
        done = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            loader.load(other, [contract("B")])
        signal.signal(signal.SIGINT, handler)
        done.result(timeout=20)
        own_database.rollback()
        assert loader.load(other, [contract("B")]).inserted == 1


def test_a_resource_id_that_is_taken(conn: Conn, batch: int) -> None:
    loader.load(conn, [contract("A", ownership={"resource_id": "r", "owner": "Ann"})])
    taken = contract("B", ownership={"resource_id": "r", "owner": "Bob"})
    [refusal] = refused(lambda: loader.load(conn, [contract("C"), taken]))
    assert (refusal.contract, refusal.pointer) == ("B@1.0.0", "/ownership/resource_id")
    assert refusal.remedy == "Choose another resource_id, or leave it out."
    loader.load(conn, [contract("D", ownership={"owner": "Dora"})])
    conn.execute("UPDATE pycharter.data_contracts SET name = 'renamed' WHERE name = 'D'")
    assert loader.load(conn, [contract("D", ownership={"owner": "Dora"})]).inserted == 1


def test_of_two_loads_at_once_the_second_finds_what_the_first_wrote(own_database: Conn) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with psycopg.connect(own_database.info.dsn) as other, ThreadPoolExecutor() as threads:
        loader.load(own_database, [contract("A", pulls_from=["X"])])
        later = threads.submit(loader.load, other, [contract("A", pulls_from=["X"]), contract("B")])
        while own_database.execute(waiting).fetchone() == (0,):
            assert not later.done()
        own_database.commit()
        report = later.result(timeout=20)
    assert (report.inserted, report.unchanged) == (1, 1)


def test_a_missing_catalogue(conn: Conn) -> None:
    with pytest.raises(CatalogueMissing, match="pycharter-sql migrate"):
        loader.load(conn, [contract("A")], schema="nothing_here")


# ------------------------------------------------------------------------------------------ register_contract


def test_register_contract(conn: Conn) -> None:
    assert loader.register_contract(conn, contract("A", pulls_from=["X"])) == "inserted"
    assert loader.register_contract(conn, contract("A", pulls_from=["X"])) == "unchanged"
    assert loader.register_contract(conn, contract("A", pulls_from=["Y"])) == "updated"
    assert loader.register_contract(conn, contract("A", status="active")) == "updated"
    with pytest.raises(VersionPublished) as caught:
        loader.register_contract(conn, contract("A", pulls_from=["Z"]))
    assert (caught.value.constraint, caught.value.contract) == ("data_contracts_seal", "A@1.0.0")
    [refusal] = caught.value.refusals
    assert (refusal.source, refusal.pointer, refusal.contract) == ("document", "/pulls_from", "A@1.0.0")
    assert "new version" in refusal.remedy
    # The transaction goes on.
    assert loader.register_contract(conn, contract("A", version="2.0.0")) == "inserted"
    assert [row.version for row in queries.versions_of(conn, "A")] == ["1.0.0", "2.0.0"]


def test_register_contract_reads_legacy_shapes(conn: Conn) -> None:
    document = {"metadata": {"title": "A", "pulls_from": "X"}, "schema": {"type": "object", "version": "1"}}
    assert loader.register_contract(conn, document) == "inserted"
    assert queries.get_contract(conn, "A", "1").pulls_from == ["X"]


def test_register_contract_takes_contracts_only(conn: Conn) -> None:
    with pytest.raises(DocumentRefused, match="names no contract") as caught:
        loader.register_contract(conn, {"systems": ["X"]})
    assert "load(conn, [document])" in caught.value.refusals[0].remedy
    assert conn.execute("SELECT count(*) FROM pycharter.systems").fetchone() == (0,)
    loader.load(conn, [{"systems": ["X"]}])
    assert conn.execute("SELECT name FROM pycharter.systems").fetchone() == ("X",)


def test_any_mapping_is_a_document(conn: Conn) -> None:
    assert loader.register_contract(conn, MappingProxyType(contract("A"))) == "inserted"


# ------------------------------------------------------------------------------------- what has changed since


WHOLE = contract(
    "A",
    description="one",
    status="draft",
    is_data_feed=True,
    data_feed={"name": "F", "title": "feed"},
    domain="D",
    coercion_rules={"version": "1", "rules": {"f": "coerce_to_string"}},
    validation_rules={"version": "1", "rules": {"f": {"max_length": {"threshold": 3}}}},
    governance_rules={"sensitivity": "Internal"},
    metadata={"title": "A"},
    ownership={"owner": "ops"},
    pulls_from=["X", "Y"],
    pushes_to=["X"],
    system_sources=["X"],
    business_owners=["Ann", {"name": "Ann", "role": "data_steward"}],
    team_access={"read": ["T"], "write": ["U"]},
    dependencies=["G", "H"],
)
ITSELF = {"data_contracts": {"updated": 1}}


@pytest.mark.parametrize("status", ["draft", "proposed"])
@pytest.mark.parametrize(
    ("change", "tables"),
    [
        ({"description": "two"}, {}),
        ({"status": "active"}, {}),
        ({"is_data_feed": False}, {}),
        ({"domain": "E"}, {"domains": {"inserted": 1}}),
        ({"schema": {"type": "object", "title": "new"}}, {"schemas": {"updated": 1}}),
        ({"coercion_rules": {"version": "1", "rules": {}}}, {"coercion_rules": {"updated": 1}}),
        ({"validation_rules": None}, {"validation_rules": {"deleted": 1}}),
        ({"governance_rules": {}}, {"governance_rules": {"updated": 1}}),
        ({"metadata": None}, {"metadata_record": {"deleted": 1}}),
        ({"ownership": {"owner": "sales"}}, {"ownership": {"updated": 1}}),
        (
            {"pulls_from": ["X", "Z"]},
            {"systems": {"inserted": 1}, "data_contract_system_pulls": {"inserted": 1, "deleted": 1}},
        ),
        ({"pushes_to": []}, {"data_contract_system_pushes": {"deleted": 1}}),
        ({"business_owners": ["Ann"]}, {"data_contract_business_owners": {"deleted": 1}}),
        ({"team_access": {"read": ["T", "U"]}}, {"data_contract_team_access": {"inserted": 1}}),
        (
            {"dependencies": ["G", {"name": "H", "dependency_type": "optional"}]},
            {"data_feed_dependencies": {"updated": 1}},
        ),
    ],
    ids=lambda value: next(iter(value), "contract") if isinstance(value, dict) else None,
)
def test_of_an_unpublished_version_exactly_what_changed_is_updated(
    conn: Conn, status: str, change: Document, tables: dict[str, Any]
) -> None:
    loader.load(conn, [WHOLE | {"status": status}, contract("bystander", pulls_from=["X"])])
    before = rows(conn)
    report = loader.load(conn, [WHOLE | {"status": status} | change, contract("bystander", pulls_from=["X"])])
    assert (report.inserted, report.updated, report.unchanged) == (0, 1, 1)
    assert changed(report) == ITSELF | tables
    after = rows(conn)
    assert {table for table in TABLES if after[table] != before[table]} == set(ITSELF | tables)


@pytest.mark.parametrize("status", ["active", "deprecated", "retired"])
def test_a_published_version_does_not_change(conn: Conn, batch: int, status: str) -> None:
    published = WHOLE | {"status": status}
    loader.load(conn, [published])
    before = rows(conn)
    changes: list[Document] = [
        {"status": "draft"},
        {"status": "proposed"},
        {"description": None},
        {"pulls_from": []},
    ]
    for change in changes:
        documents = [contract("new"), published | change]
        [refusal] = refused(lambda documents=documents: loader.load(conn, documents))  # type: ignore[misc]
        assert (refusal.source, refusal.pointer) == ("document 2", f"/{next(iter(change))}")
        assert status in refusal.reason and "new version" in refusal.remedy
        assert rows(conn) == before
    report = loader.load(conn, [published, {"name": "A", "version": "1.0.0"}])
    assert (report.merged, report.unchanged) == (1, 1)


def test_what_a_document_lacks_stays_and_null_or_an_empty_list_clears(conn: Conn) -> None:
    loader.register_contract(conn, WHOLE)
    stored = queries.get_document(conn, "A", "1.0.0")
    assert loader.register_contract(conn, {"name": "A", "version": "1.0.0"}) == "unchanged"
    assert queries.get_document(conn, "A", "1.0.0") == stored
    lists = ["pulls_from", "pushes_to", "system_sources", "business_owners", "dependencies"]
    others = [
        "description",
        "domain",
        "coercion_rules",
        "validation_rules",
        "governance_rules",
        "metadata",
        "ownership",
    ]
    empty: list[tuple[str, Any]] = [
        *((key, None) for key in [*lists, *others, "team_access"]),
        *((key, []) for key in lists),
        ("team_access", {"read": [], "write": None}),
    ]
    for key, nothing in empty:
        with conn.transaction(force_rollback=True):
            document = {"name": "A", "version": "1.0.0", key: nothing}
            assert loader.register_contract(conn, document) == "updated"
            cleared: Any = [] if key in lists else {"read": [], "write": []} if key == "team_access" else None
            assert queries.get_document(conn, "A", "1.0.0") == stored | {key: cleared}


# -------------------------------------------------------------------------------------------- what is refused


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines)


HEAD = 'name: A\nversion: "1"\nschema: {type: object}\n'
MALFORMED: dict[str, tuple[str, str, str, str]] = {
    "a version that is a number": (
        "name: A\nversion: 1.10\nschema: {}\n",
        "/version",
        "1.1 is a number",
        'version: "1.10"',
    ),
    "a metadata version that is a number": (
        "metadata: {title: A, version: 1.10}\nschema: {}\n",
        "/metadata/version",
        "1.1 is a number",
        'version: "1.10"',
    ),
    "an unknown status": (HEAD + "status: live", "/status", '"live"', "proposed, draft, active"),
    "an unknown permission": (HEAD + "team_access: {admin: [x]}", "/team_access/admin", "admin", ""),
    "an unknown legacy permission": (
        "metadata: {title: A, version: '1', governance_rules: {access_control: {own: [x]}}}\nschema: {}",
        "/metadata/governance_rules/access_control/own",
        "unknown permission",
        "read and write",
    ),
    "a name too long": (f'name: {"n" * 256}\nversion: "1"\nschema: {{}}', "/name", "at most 255", "shorten"),
    "a version too long": (
        f"name: A\nversion: v{'1' * 128}\nschema: {{}}",
        "/version",
        "at most 128",
        "shorten",
    ),
    "an entity's name too long": (
        HEAD + f"pulls_from: [{'n' * 256}]",
        "/pulls_from/0",
        "at most 255",
        "shorten",
    ),
    "a blank name": ('name: " "\nversion: "1"\nschema: {}', "/name", "empty", "fill it in"),
    "a NUL": (HEAD + r'metadata: {note: "a\0b"}', "/metadata/note", "NUL", "remove"),
    "a NUL in a key": (HEAD + r'metadata: {"a\0b": 1}', "/metadata/a\0b", "NUL", "remove"),
    "invalid YAML": ("name: [", "", "invalid YAML", "correct"),
    "an alias bomb": (bomb(), "", "aliases", "write the values out"),
    "absurd nesting": (HEAD + "metadata: " + "{a: " * 1000 + "1" + "}" * 1000, "", "nested", "flatten"),
    "no schema": ('name: A\nversion: "1"\n', "/schema", "no schema", "schema"),
    "no name": ("description: x\nstatus: draft\n", "", "names no contract", "name"),
    "an invalid JSON Schema": (
        'name: A\nversion: "1"\nschema: {type: objekt}',
        "/schema/type",
        "not a valid JSON Schema",
        "",
    ),
    "an invalid draft 7 schema": (
        'name: A\nversion: "1"\nschema: {$schema: "http://json-schema.org/draft-07/schema#", required: a}',
        "/schema/required",
        "not a valid JSON Schema",
        "",
    ),
    "an unknown dialect": (
        'name: A\nversion: "1"\nschema: {$schema: "https://example.org/mine"}',
        "/schema/$schema",
        "no JSON Schema dialect",
        "2020-12",
    ),
    "a schema that is no mapping": ('name: A\nversion: "1"\nschema: []', "/schema", "a list", ""),
    "a domain within itself": (
        HEAD + "domain: {name: D, parent_domain: {name: E, parent_domain: D}}",
        "/domain/parent_domain/parent_domain",
        "its own ancestor",
        "parent",
    ),
    "a contract that depends on its own feed": (
        HEAD + "dependencies: [A]",
        "/dependencies",
        '"A"',
        "dependencies",
    ),
    "no mapping": ("just text", "", "not text", "key: value"),
    "nothing": ("", "", "empty", "remove"),
    "a shape not read yet": (
        "apiVersion: v3.0.2\nkind: DataContract\nid: a",
        "/apiVersion",
        "Open Data Contract Standard",
        "name",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_documents_are_refused_saying_where_what_and_what_to_do(
    conn: Conn, tmp_path: Path, case: str
) -> None:
    text, pointer, reason, remedy = MALFORMED[case]
    good, bad = write(tmp_path, {"good.yaml": contract("good"), "bad.yaml": text})
    refusals = refused(lambda: load_files(conn, good, bad))
    assert {refusal.source for refusal in refusals} == {str(bad)}
    assert any(
        refusal.pointer == pointer and reason in refusal.reason and remedy in refusal.remedy
        for refusal in refusals
    )
    assert counts(conn) == dict.fromkeys(TABLES, 0)
    assert load_files(conn, good, bad, skip_invalid=True).inserted == 1


def test_a_domain_within_itself_by_what_the_database_says(conn: Conn) -> None:
    loader.load(
        conn, [contract("A", domain={"name": "D", "parent_domain": {"name": "E", "parent_domain": "F"}})]
    )
    [refusal] = refused(
        lambda: loader.load(conn, [contract("B", domain={"name": "F", "parent_domain": "D"})])
    )
    assert refusal.pointer == "/domain" and "its own ancestor" in refusal.reason
    # What the documents say of a domain counts, not what they replace.
    moved = [
        contract("B", domain={"name": "E", "parent_domain": "D"}),
        contract("C", domain={"name": "D", "parent_domain": "G"}),
    ]
    assert loader.load(conn, moved).inserted == 2


@pytest.mark.parametrize("size", [1, 2])
def test_domains_within_each_other_across_batches(
    conn: Conn, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(intake, "BATCH", size)
    documents = [
        contract("A", domain={"name": "D", "parent_domain": "E"}),
        contract("B"),
        contract("C", domain={"name": "E", "parent_domain": "D"}),
    ]
    report = loader.load(conn, documents, skip_invalid=True)
    assert [row.name for row in queries.list_contracts(conn)] == ["B"]
    assert report.refused == 2


CREDENTIALS: list[Any] = [
    {"password": "hunter2"},
    {"deep": [{"api_key": "hunter2"}]},
    "postgresql://scott:hunter2@db.example/prod",
    "host=db password=hunter2",
]


@pytest.mark.parametrize("info", CREDENTIALS, ids=str)
def test_a_credential_is_refused_and_not_repeated(conn: Conn, batch: int, info: Any) -> None:
    document = contract("A", pulls_from=["Y", system("X", connection_info=info)])
    for run in (
        lambda: loader.load(conn, [contract("B"), document]),
        lambda: loader.register_contract(conn, document),
    ):
        with pytest.raises(DocumentRefused) as caught:
            run()
        [refusal] = caught.value.refusals
        assert "credential" in refusal.reason and "env:" in refusal.remedy
        error: BaseException | None = caught.value
        while error is not None:
            assert "hunter2" not in f"{error} {error!r}"
            error = error.__cause__ or error.__context__
    assert counts(conn) == dict.fromkeys(TABLES, 0)
    kept_elsewhere = system("X", connection_info={"host": "db", "password": "env:DB_PASSWORD"})
    assert loader.register_contract(conn, contract("A", pulls_from=[kept_elsewhere])) == "inserted"


@pytest.mark.parametrize(
    ("content_", "pointer"),
    [
        ({"pulls_from": [system("X", connection_info={"password": "p"})]}, "/pulls_from/0/connection_info"),
        ({"schema": {"version": ""}}, "/schema/version"),
        ({"coercion_rules": {"version": "", "rules": {}}}, "/coercion_rules/version"),
    ],
)
def test_what_the_tables_refuse_has_a_pointer(conn: Conn, content_: Document, pointer: str) -> None:
    [refusal] = refused(lambda: loader.load(conn, [contract("A", **content_)]))
    assert refusal.pointer == pointer
    assert "constraint" not in refusal.reason


def test_a_disagreement_does_not_repeat_a_credential(conn: Conn) -> None:
    said = contract("A", pulls_from=[system("X", connection_info={"password": "hunter2"})])
    with pytest.raises(DocumentRefused) as caught:
        loader.load(conn, [said, said | {"pulls_from": ["Y"]}])
    assert "hunter2" not in str(caught.value)


def test_a_version_that_the_database_takes(conn: Conn) -> None:
    assert loader.register_contract(conn, contract("A", version="1\n2")) == "inserted"


def test_an_integer_of_thousands_of_digits(conn: Conn, tmp_path: Path) -> None:
    refused(lambda: loader.register_contract(conn, contract("A", metadata={"n": 10**5000})))
    paths = write(tmp_path, {"a.yaml": HEAD + f"metadata: {{n: 0x{'F' * 5000}}}"})
    refused(lambda: load_files(conn, *paths))


def test_an_alias_bomb_of_long_text(tmp_path: Path) -> None:
    text = HEAD + f"metadata:\n  a: &a {'x' * 1_000_000}\n  b: [{', '.join(['*a'] * 300)}]\n"
    [found] = sources.read_files(write(tmp_path, {"a.yaml": text}))
    is_refused = isinstance(found, Refusal)  # outside the assert, which would write the bomb out
    assert is_refused


# ----------------------------------------------------------------------------------------------- any document


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.text(CHARACTERS, max_size=12)
TEXT_OR_NULL = st.none() | TEXT
NAME = st.sampled_from(["x", "y", "z"]) | TEXT.map(str.strip).filter(bool)
VERSION = NAME.filter(lambda name: "\n" not in name)
NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda value: st.lists(value, max_size=3) | st.dictionaries(TEXT, value, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)


def objects(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({}, optional=optional)


def described(**attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Document]]:
    """Entities of one kind, with all that one document may say of them without contradicting itself."""
    common = {"description": TEXT_OR_NULL, "is_active": st.booleans()}
    return st.dictionaries(NAME, objects(**common, **attributes), min_size=1, max_size=3)


SYSTEMS = described(system_type=TEXT_OR_NULL, connection_info=TEXT_OR_NULL | OBJECT)
OWNERS = described(contact_email=TEXT_OR_NULL, department=TEXT_OR_NULL)
TEAMS = described(team_type=TEXT_OR_NULL)
FEEDS = described(title=TEXT_OR_NULL, feed_type=TEXT_OR_NULL)
RULES = st.none() | st.fixed_dictionaries({"rules": OBJECT}, optional={"version": st.none() | NAME})
SCHEMA = st.fixed_dictionaries(
    {"type": st.just("object")}, optional={"version": NAME, "default": JSON, "x-note": JSON}
)
OWNERSHIP = objects(
    resource_id=NAME, owner=TEXT_OR_NULL, team=TEXT_OR_NULL, additional_info=st.none() | OBJECT
)


@st.composite
def items(
    draw: st.DrawFn, /, entities: dict[str, Document], of_the_link: dict[str, st.SearchStrategy[Any]]
) -> Any:
    """An item of a relation: a name, or an object with some of what the document says of that entity."""
    name = draw(st.sampled_from(sorted(entities)))
    chosen = draw(st.lists(st.sampled_from([None, *entities[name]]), unique=True))
    attributes = {key: entities[name][key] for key in chosen if key is not None} | draw(
        objects(**of_the_link)
    )
    as_object: bool = draw(st.booleans())
    return {"name": name} | attributes if attributes or as_object else name


def name_of(item: Any) -> str:
    return str(item["name"] if isinstance(item, dict) else item)


def relations(entities: dict[str, Document], **of_the_link: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    unique = name_of if "dependency_type" in of_the_link else None
    return st.none() | st.lists(items(entities, of_the_link), max_size=3, unique_by=unique)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Any document that contract-document.schema.json and the catalogue allow."""
    systems, owners, teams, feeds = (draw(entities) for entities in (SYSTEMS, OWNERS, TEAMS, FEEDS))
    feed = draw(items(feeds, {}))
    del feeds[name_of(feed)]
    kind = st.sampled_from(["required", "optional"])
    domain: Any = None
    for name in draw(st.lists(NAME, max_size=3, unique=True)):
        domain = {"name": name, "parent_domain": domain, **draw(objects(description=TEXT_OR_NULL))}
    required: Document = {"name": NAME, "version": VERSION, "schema": SCHEMA, "data_feed": st.just(feed)}
    optional: Document = {
        "status": st.sampled_from(["proposed", "draft", "active", "deprecated", "retired"]),
        "description": TEXT_OR_NULL,
        "is_data_feed": st.booleans(),
        "domain": st.just(domain),
        "coercion_rules": RULES,
        "validation_rules": RULES,
        "governance_rules": st.none() | OBJECT,
        "metadata": st.none() | OBJECT,
        "ownership": st.none() | OWNERSHIP,
        "pulls_from": relations(systems),
        "pushes_to": relations(systems),
        "system_sources": relations(systems),
        "business_owners": relations(owners, role=NAME),
        "team_access": st.none() | objects(read=relations(teams), write=relations(teams)),
        "dependencies": relations(feeds, dependency_type=kind) if feeds else st.none(),
        "created_by": st.none() | NAME,
        "updated_by": st.none() | NAME,
    }
    return draw(st.fixed_dictionaries(required, optional=optional))


def decimal(value: Any) -> Any:
    """The same with exact numbers: PostgreSQL writes 1e16 as 10000000000000000."""
    return json.loads(json.dumps(value), parse_int=Decimal, parse_float=Decimal)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=documents())
def test_what_was_loaded_comes_back_and_loading_it_changes_nothing(conn: Conn, document: Document) -> None:
    key = (document["name"], document["version"])
    with conn.transaction(force_rollback=True):
        assert loader.load(conn, [document]).inserted == 1
        stored = queries.get_document(conn, *key)
        before = rows(conn)
        for again in (document, stored):
            report = loader.load(conn, [again])
            assert (report.unchanged, changed(report)) == (1, {})
        assert rows(conn) == before
        for name in ("schema", "governance_rules", "metadata"):
            assert decimal(stored[name]) == decimal(document.get(name))

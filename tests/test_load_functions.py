"""The load functions as psql or another driver calls them: what they write, leave, report and refuse."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

Conn = psycopg.Connection[Any]
Document = dict[str, Any]

# Every key, every relation with a plain name and with an object.
WHOLE: Document = {
    "name": "Aircraft",
    "version": "1.0.0",
    "status": "draft",
    "description": "Every aircraft",
    "is_data_feed": True,
    "data_feed": {"name": "aircraft", "title": "Aircraft", "feed_type": "Operational"},
    "domain": {"name": "Fleet", "description": "The fleet", "parent_domain": "Operations"},
    "schema": {"type": "object", "version": "0.9", "title": "Aircraft"},
    "coercion_rules": {"version": "1", "rules": {"REGISTRATION": "coerce_to_string"}},
    "validation_rules": {"version": None, "rules": {"REGISTRATION": {"max_length": {"threshold": 10}}}},
    "governance_rules": {"pii_fields": []},
    "metadata": {"title": "Aircraft", "created_at": None},
    "ownership": {"owner": "IOC", "team": "data-engineering", "additional_info": {"desk": 7}},
    "pulls_from": ["SCR", {"name": "Netline", "system_type": "database", "connection_info": {"port": None}}],
    "pushes_to": ["SCR"],
    "system_sources": ["Netline"],
    "business_owners": ["IOC", {"name": "IOC", "role": "data_steward"}, {"name": "Ann", "department": "ops"}],
    "team_access": {"read": [{"name": "analysts", "team_type": "data"}], "write": ["loaders"]},
    "dependencies": ["operator", {"name": "airport", "dependency_type": "optional", "title": "Airports"}],
    "created_by": "ann",
    "updated_by": "bob",
}

# What loading it into an empty catalogue makes.
ROWS_OF_WHOLE = {
    "systems": 2,
    "data_feeds": 3,
    "business_owners": 2,
    "domains": 2,
    "teams": 2,
    "schemas": 1,
    "coercion_rules": 1,
    "validation_rules": 1,
    "governance_rules": 1,
    "metadata_record": 1,
    "ownership": 1,
    "data_contracts": 1,
    "data_contract_system_pulls": 2,
    "data_contract_system_pushes": 1,
    "data_contract_system_sources": 1,
    "data_contract_business_owners": 3,
    "data_contract_team_access": 2,
    "data_feed_dependencies": 2,
}


def contract(name: str, **content: Any) -> Document:
    return {"name": name, "version": "1.0.0", "schema": {"type": "object"}} | content


def report_of(conn: Conn, *documents: Any) -> Document:
    """The report of one load, in a transaction of its own, so that changed rows have another xmin."""
    row = conn.execute("SELECT pycharter.load_documents(%s)", [list(map(Jsonb, documents))]).fetchone()
    assert row
    conn.commit()
    report: Document = row[0]
    return report


def load(conn: Conn, *documents: Any) -> Document:
    report = report_of(conn, *documents)
    assert report["refusals"] == []
    return report


def refusals(conn: Conn, *documents: Any) -> list[tuple[int, str]]:
    """The (place, pointer) of each refusal, all of which say why and what to do."""
    report = report_of(conn, *documents)
    assert all(refusal["reason"] and refusal["remedy"] for refusal in report["refusals"])
    assert report["documents"]["refused"] == len({refusal["document"] for refusal in report["refusals"]})
    return [(refusal["document"], refusal["pointer"]) for refusal in report["refusals"]]


def counted(report: Document, *what: str) -> dict[str, dict[str, int]]:
    """Of each table those of these counts that are not 0."""
    found = {
        table: {key: counts[key] for key in what if counts[key]} for table, counts in report["tables"].items()
    }
    return {table: counts for table, counts in found.items() if counts}


def changes(report: Document) -> dict[str, dict[str, int]]:
    return counted(report, "inserted", "updated", "deleted")


def physical_rows(conn: Conn) -> dict[str, set[tuple[str, str]]]:
    """Where each row version of each table stands, and who made it: a row written anew changes either."""
    return {
        table: set(conn.execute(f"SELECT ctid::text, xmin::text FROM pycharter.{table}".encode()))
        for table in ROWS_OF_WHOLE
    }


def tables_written(before: dict[str, Any], conn: Conn) -> set[str]:
    after = physical_rows(conn)
    return {table for table in after if after[table] != before[table]}


def document_of(conn: Conn, name: str = "Aircraft", version: str = "1.0.0") -> Document:
    query = """
        SELECT pycharter.contract_document(id) FROM pycharter.data_contracts
        WHERE name = %s AND version = %s"""
    row = conn.execute(query, [name, version]).fetchone()
    assert row
    document: Document = row[0]
    return document


def empty(conn: Conn) -> None:
    conn.execute("SET LOCAL pycharter_sql.overwrite = 'yes'")
    conn.execute(f"TRUNCATE {', '.join('pycharter.' + name for name in ROWS_OF_WHOLE)} CASCADE".encode())
    conn.commit()


def table(conn: Conn, name: str, *columns: str) -> list[Any]:
    return conn.execute(f"SELECT {', '.join(columns)} FROM pycharter.{name} ORDER BY 1".encode()).fetchall()


# --------------------------------------------------------------------------------- new, unchanged, round trip


def test_new(conn: Conn) -> None:
    report = load(conn, WHOLE)
    assert report["documents"] == {"inserted": 1, "updated": 0, "unchanged": 0, "refused": 0}
    assert counted(report, "inserted", "updated", "unchanged", "deleted") == {
        name: {"inserted": count} for name, count in ROWS_OF_WHOLE.items()
    }
    assert {name: len(rows) for name, rows in physical_rows(conn).items()} == ROWS_OF_WHOLE


def test_loading_twice_writes_nothing(conn: Conn) -> None:
    load(conn, WHOLE)
    before = physical_rows(conn)
    report = load(conn, WHOLE)
    assert report["documents"] == {"inserted": 0, "updated": 0, "unchanged": 1, "refused": 0}
    assert counted(report, "inserted", "updated", "unchanged", "deleted") == {
        name: {"unchanged": count} for name, count in ROWS_OF_WHOLE.items()
    }
    assert tables_written(before, conn) == set()


@pytest.mark.parametrize("content", [WHOLE, contract("Bare"), contract("Retired", status="retired")])
def test_loading_a_contract_document_writes_nothing(conn: Conn, content: Document) -> None:
    load(conn, content)
    before = physical_rows(conn)
    document = document_of(conn, content["name"])
    assert load(conn, document)["documents"]["unchanged"] == 1
    assert tables_written(before, conn) == set()
    assert document_of(conn, content["name"]) == document


def test_a_contract_document_makes_the_same_catalogue_elsewhere(conn: Conn) -> None:
    load(conn, WHOLE)
    document = document_of(conn)
    empty(conn)
    assert changes(load(conn, document)) == {
        name: {"inserted": count} for name, count in ROWS_OF_WHOLE.items()
    }
    assert document_of(conn) == document


def test_loading_nothing(conn: Conn) -> None:
    report = load(conn)
    assert report["documents"] == {"inserted": 0, "updated": 0, "unchanged": 0, "refused": 0}
    assert counted(report, "inserted", "updated", "unchanged", "deleted") == {}


def test_many_documents(conn: Conn) -> None:
    documents = [contract(f"contract {n}", pulls_from=["SCR"], domain="Fleet") for n in range(20)]
    report = load(conn, *documents[:15])
    assert report["documents"]["inserted"] == 15
    assert report["tables"]["systems"]["inserted"] == 1
    documents[0] = documents[0] | {"description": "new"}
    report = load(conn, *documents)
    assert report["documents"] == {"inserted": 5, "updated": 1, "unchanged": 14, "refused": 0}
    assert report["tables"]["data_contracts"] == {"inserted": 5, "updated": 1, "unchanged": 14, "deleted": 0}


def test_register_contract(conn: Conn) -> None:
    register = "SELECT pycharter.register_contract(%s)"
    registered = conn.execute(register, [Jsonb(WHOLE)]).fetchone()
    assert registered == (table(conn, "data_contracts", "id")[0])
    assert conn.execute(register, [Jsonb(WHOLE)]).fetchone() == registered
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        conn.execute(register, [Jsonb({"name": "New", "version": "1"})])
    assert caught.value.diag.message_primary == "the contract is new and its document has no schema"
    assert caught.value.diag.message_detail == "At /schema of the contract document."
    assert caught.value.diag.message_hint == "Add its JSON Schema under the key schema."


# -------------------------------------------------------------------------------------- one key changed alone

CONTRACT_UPDATED = {"data_contracts": {"updated": 1}}
KEY_CHANGES: list[tuple[Document, dict[str, dict[str, int]]]] = [
    ({"status": "active"}, {}),
    ({"description": "new"}, {}),
    ({"description": None}, {}),
    ({"is_data_feed": False}, {}),
    (
        {"data_feed": "operator", "dependencies": [{"name": "airport", "dependency_type": "optional"}]},
        {"data_feed_dependencies": {"deleted": 1}},
    ),
    ({"data_feed": "planes"}, {"data_feeds": {"inserted": 1}}),
    ({"domain": "Operations"}, {}),
    ({"domain": "Ground"}, {"domains": {"inserted": 1}}),
    ({"domain": None}, {}),
    ({"schema": {"type": "array"}}, {"schemas": {"updated": 1}}),
    ({"schema": WHOLE["schema"] | {"version": "1.0"}}, {"schemas": {"updated": 1}}),
    ({"coercion_rules": {"version": "1", "rules": {}}}, {"coercion_rules": {"updated": 1}}),
    ({"coercion_rules": WHOLE["coercion_rules"] | {"version": "2"}}, {"coercion_rules": {"updated": 1}}),
    ({"coercion_rules": None}, {"coercion_rules": {"deleted": 1}}),
    ({"validation_rules": {"rules": {}}}, {"validation_rules": {"updated": 1}}),
    ({"validation_rules": None}, {"validation_rules": {"deleted": 1}}),
    ({"governance_rules": {}}, {"governance_rules": {"updated": 1}}),
    ({"governance_rules": None}, {"governance_rules": {"deleted": 1}}),
    ({"metadata": {"title": "Planes"}}, {"metadata_record": {"updated": 1}}),
    ({"metadata": None}, {"metadata_record": {"deleted": 1}}),
    ({"ownership": {"owner": "Ann", "team": "x"}}, {"ownership": {"updated": 1}}),
    ({"ownership": None}, {"ownership": {"deleted": 1}}),
    (
        {"pulls_from": ["SCR", "new"]},
        {"systems": {"inserted": 1}, "data_contract_system_pulls": {"inserted": 1, "deleted": 1}},
    ),
    ({"pulls_from": None}, {"data_contract_system_pulls": {"deleted": 2}}),
    ({"pulls_from": []}, {"data_contract_system_pulls": {"deleted": 2}}),
    ({"pushes_to": ["Netline"]}, {"data_contract_system_pushes": {"inserted": 1, "deleted": 1}}),
    ({"pushes_to": []}, {"data_contract_system_pushes": {"deleted": 1}}),
    ({"system_sources": ["Netline", "SCR"]}, {"data_contract_system_sources": {"inserted": 1}}),
    ({"system_sources": None}, {"data_contract_system_sources": {"deleted": 1}}),
    ({"business_owners": ["IOC", "Ann"]}, {"data_contract_business_owners": {"deleted": 1}}),
    (
        {"business_owners": [*WHOLE["business_owners"], {"name": "Ann", "role": "support_lead"}]},
        {"data_contract_business_owners": {"inserted": 1}},
    ),
    ({"business_owners": []}, {"data_contract_business_owners": {"deleted": 3}}),
    ({"team_access": {"read": ["loaders"]}}, {"data_contract_team_access": {"inserted": 1, "deleted": 1}}),
    ({"team_access": {"read": []}}, {"data_contract_team_access": {"deleted": 1}}),
    ({"team_access": {"write": None}}, {"data_contract_team_access": {"deleted": 1}}),
    ({"team_access": None}, {"data_contract_team_access": {"deleted": 2}}),
    (
        {"dependencies": ["operator", "airport"]},
        {"data_feed_dependencies": {"updated": 1}},
    ),
    (
        {"dependencies": ["crew"]},
        {"data_feeds": {"inserted": 1}, "data_feed_dependencies": {"inserted": 1, "deleted": 2}},
    ),
    ({"dependencies": None}, {"data_feed_dependencies": {"deleted": 2}}),
]


@pytest.mark.parametrize(
    ("change", "expected"), KEY_CHANGES, ids=["-".join(change) for change, _ in KEY_CHANGES]
)
def test_one_key_changed_writes_its_table_and_no_other(
    conn: Conn, change: Document, expected: dict[str, dict[str, int]]
) -> None:
    load(conn, WHOLE)
    before = physical_rows(conn)
    report = load(conn, WHOLE | change)
    assert report["documents"] == {"inserted": 0, "updated": 1, "unchanged": 0, "refused": 0}
    assert changes(report) == expected | CONTRACT_UPDATED
    # A dependency keeps the contract's own feed beside it.
    cascaded = {"data_feed_dependencies"} if "data_feed" in change else set()
    assert tables_written(before, conn) == {*expected, "data_contracts", *cascaded}
    # Nothing is left to be done.
    assert load(conn, WHOLE | change)["documents"]["unchanged"] == 1


def test_every_key_of_a_contract_is_changed_above() -> None:
    changed = {key for change, _ in KEY_CHANGES for key in change}
    assert changed == WHOLE.keys() - {"name", "version", "created_by", "updated_by"}


def test_what_is_shared_by_two_versions_is_changed_in_neither(conn: Conn) -> None:
    load(conn, WHOLE, WHOLE | {"version": "1.1.0"})
    other = document_of(conn, version="1.1.0")
    cleared = dict.fromkeys(
        ("coercion_rules", "validation_rules", "governance_rules", "metadata", "ownership", "pulls_from")
    )
    load(conn, WHOLE | {"schema": {}} | cleared)
    assert document_of(conn, version="1.1.0") == other


def test_an_absent_key_leaves_alone(conn: Conn) -> None:
    load(conn, WHOLE)
    document = document_of(conn)
    before = physical_rows(conn)
    assert load(conn, {"name": "Aircraft", "version": "1.0.0"})["documents"]["unchanged"] == 1
    assert tables_written(before, conn) == set()
    load(conn, {"name": "Aircraft", "version": "1.0.0", "description": "new"})
    assert tables_written(before, conn) == {"data_contracts"}
    after = document_of(conn)
    assert after.pop("updated_by") == conn.info.user
    del document["updated_by"]
    assert after == document | {"description": "new"}


def test_every_key_at_once_can_be_cleared(conn: Conn) -> None:
    load(conn, WHOLE)
    nothing = dict.fromkeys(
        WHOLE.keys() - {"name", "version", "status", "is_data_feed", "data_feed", "schema"}, None
    )
    load(conn, {"name": "Aircraft", "version": "1.0.0"} | nothing)
    assert document_of(conn) == {
        "name": "Aircraft",
        "version": "1.0.0",
        "status": "draft",
        "is_data_feed": True,
        "data_feed": WHOLE["data_feed"],
        "schema": WHOLE["schema"],
        "description": None,
        "domain": None,
        "coercion_rules": None,
        "validation_rules": None,
        "governance_rules": None,
        "metadata": None,
        "ownership": None,
        "pulls_from": [],
        "pushes_to": [],
        "system_sources": [],
        "business_owners": [],
        "team_access": {"read": [], "write": []},
        "dependencies": [],
        "created_by": "ann",
        "updated_by": conn.info.user,
    }
    components = ("coercion_rules", "validation_rules", "governance_rules", "metadata_record", "ownership")
    assert not any(physical_rows(conn)[component] for component in components)


def test_the_audit_columns(conn: Conn) -> None:
    columns = ("created_by", "updated_by", "created_at", "updated_at")
    load(conn, WHOLE)
    ((created_by, updated_by, created_at, updated_at),) = table(conn, "data_contracts", *columns)
    assert (created_by, updated_by) == ("ann", "bob") and created_at == updated_at
    # Never compared later.
    assert load(conn, WHOLE | {"created_by": "eve", "updated_by": None})["documents"]["unchanged"] == 1
    assert table(conn, "data_contracts", *columns) == [("ann", "bob", created_at, created_at)]
    # A link alone moves them too, and then the database user is named.
    load(conn, WHOLE | {"pulls_from": [], "created_by": "eve", "updated_by": "eve"})
    ((created_by, updated_by, again, updated_at),) = table(conn, "data_contracts", *columns)
    assert (created_by, updated_by, again) == ("ann", conn.info.user, created_at) and updated_at > created_at
    load(conn, contract("One", created_by="ann"), contract("None"))
    assert table(conn, "data_contracts", "name", "created_by", "updated_by")[1:] == [
        ("None", conn.info.user, conn.info.user),
        ("One", "ann", "ann"),
    ]


# --------------------------------------------------------------------------------------------------- entities


def test_attributes_fill_in_and_replace_and_empty_ones_never_overwrite(conn: Conn) -> None:
    named: Document = {
        "pulls_from": ["SCR"],
        "business_owners": ["IOC"],
        "team_access": {"read": ["analysts"]},
        "dependencies": ["airport"],
        "domain": "Fleet",
    }
    load(conn, contract("a", **named))

    def described(text: str | None, active: bool | None = None) -> Document:
        """The same contract, saying this of every attribute of every entity."""
        common = {"description": text} | ({} if active is None else {"is_active": active})
        return contract(
            "a",
            data_feed={"name": "a", "title": text, "feed_type": text} | common,
            pulls_from=[{"name": "SCR", "system_type": text, "connection_info": text} | common],
            business_owners=[{"name": "IOC", "contact_email": text, "department": text} | common],
            team_access={"read": [{"name": "analysts", "team_type": text} | common]},
            dependencies=[{"name": "airport", "title": text, "feed_type": text} | common],
            domain={"name": "Fleet"} | common,
        )

    entities = {
        "systems": ("description", "system_type", "connection_info", "is_active"),
        "data_feeds": ("description", "title", "feed_type", "is_active"),
        "business_owners": ("description", "contact_email", "department", "is_active"),
        "teams": ("description", "team_type", "is_active"),
        "domains": ("description", "is_active"),
    }
    all_updated = {name: {"updated": 2 if name == "data_feeds" else 1} for name in entities}

    def stored() -> set[object]:
        return {value for name in entities for row in table(conn, name, *entities[name]) for value in row}

    assert stored() == {None, True}
    # The contract itself stays as it was: what an entity is like is not the contract's.
    for content, expected in [
        (described("first"), {"first", True}),
        (described("second", active=False), {"second", False}),
    ]:
        report = load(conn, content)
        assert changes(report) == all_updated and report["documents"]["unchanged"] == 1
        assert stored() == expected
    for empty in (described(None), described(""), contract("a", **named)):
        before = physical_rows(conn)
        assert changes(load(conn, empty)) == {}
        assert tables_written(before, conn) == set()


def test_a_published_contract_may_complete_an_entity(conn: Conn) -> None:
    load(conn, contract("a", status="active", pulls_from=["SCR"]))
    load(conn, contract("a", status="active", pulls_from=[{"name": "SCR", "description": "new"}]))
    assert table(conn, "systems", "name", "description") == [("SCR", "new")]


def test_contradicting_descriptions_are_refused(conn: Conn) -> None:
    once = contract("a", pulls_from=[{"name": "SCR", "description": "one", "system_type": "api"}])
    other = contract("b", pushes_to=[{"name": "SCR", "description": "two"}])
    with pytest.raises(psycopg.errors.RaiseException, match='contradict one another on the system "SCR"'):
        report_of(conn, once, other)
    conn.rollback()
    assert table(conn, "systems", "name") == []
    # What complements is no contradiction.
    load(
        conn, once, contract("b", pushes_to=[{"name": "SCR", "connection_info": "scr:1", "description": ""}])
    )
    assert table(conn, "systems", "description", "system_type", "connection_info") == [
        ("one", "api", "scr:1")
    ]


def test_parent_domains(conn: Conn) -> None:
    nested = {"name": "c", "parent_domain": {"name": "b", "description": "B", "parent_domain": "a"}}
    load(conn, contract("1", domain=nested))
    tree = "SELECT path FROM pycharter.domain_tree ORDER BY path"
    assert conn.execute(tree).fetchall() == [(["a"],), (["a", "b"],), (["a", "b", "c"],)]
    # An absent parent leaves the domain where it is, another one moves it.
    load(conn, contract("1", domain="c"), contract("2", domain={"name": "b", "parent_domain": "x"}))
    assert conn.execute(tree).fetchall() == [(["a"],), (["x"],), (["x", "b"],), (["x", "b", "c"],)]


@pytest.mark.parametrize(
    "documents",
    [
        [contract("1", domain={"name": "a", "parent_domain": "a"})],
        [contract("1", domain={"name": "a", "parent_domain": {"name": "b", "parent_domain": "a"}})],
        [
            contract("1", domain={"name": "a", "parent_domain": "b"}),
            contract("2", domain={"name": "b", "parent_domain": "a"}),
        ],
        # "low" lies within "high" already.
        [contract("1", domain={"name": "high", "parent_domain": "low"})],
    ],
)
def test_a_cycle_of_domains_is_refused(conn: Conn, documents: list[Document]) -> None:
    load(
        conn, contract("0", domain={"name": "low", "parent_domain": {"name": "mid", "parent_domain": "high"}})
    )
    found = refusals(conn, *documents)
    assert set(found) == {(place, "/domain") for place in range(len(documents))}
    assert table(conn, "domains", "name") == [("high",), ("low",), ("mid",)]


# --------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("status", ["active", "deprecated", "retired"])
def test_a_published_version_does_not_change(conn: Conn, status: str) -> None:
    published = WHOLE | {"status": status}
    load(conn, published)
    before = physical_rows(conn)
    for change, _ in KEY_CHANGES:
        if change.get("status") != status:
            expected = sorted((0, "/" + key) for key in change)
            if change.get("data_feed") == "operator":
                assert expected == [(0, "/data_feed"), (0, "/dependencies")]
            assert refusals(conn, published | change) == expected
    assert refusals(conn, published | {"status": "draft", "schema": {}}) == [(0, "/schema"), (0, "/status")]
    assert tables_written(before, conn) == set()
    assert load(conn, published)["documents"]["unchanged"] == 1


def test_a_refusal_of_a_published_version_says_what_to_do(conn: Conn) -> None:
    load(conn, contract("a", status="deprecated"))
    (refusal,) = report_of(conn, contract("a", status="active"))["refusals"]
    assert refusal == {
        "document": 0,
        "pointer": "/status",
        "reason": "the version is deprecated, and its status differs from the one stored",
        "remedy": "A published version does not change: "
        "give the changed contract a new version, or overwrite this one.",
        "constraint": "data_contracts_seal",
    }


def test_a_refused_document_is_left_out_and_the_others_are_loaded(conn: Conn) -> None:
    load(conn, contract("published", status="active"))
    report = report_of(
        conn,
        contract("a", pulls_from=["of a"]),
        {"name": "b", "version": "1", "pulls_from": ["of b"]},
        contract("published", status="active", description="new", pulls_from=["of published"]),
        contract("c", dependencies=["c"]),
        contract("d", pulls_from=["of d"]),
    )
    assert [(refusal["document"], refusal["pointer"]) for refusal in report["refusals"]] == [
        (1, "/schema"),
        (2, "/description"),
        (2, "/pulls_from"),
        (3, "/dependencies"),
    ]
    assert report["documents"] == {"inserted": 2, "updated": 0, "unchanged": 0, "refused": 3}
    assert table(conn, "data_contracts", "name") == [("a",), ("d",), ("published",)]
    assert table(conn, "systems", "name") == [("of a",), ("of d",)]
    assert table(conn, "data_feeds", "name") == [("a",), ("d",), ("published",)]


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ({"name": "a", "version": "1"}, ["/schema"]),
        (contract("a", dependencies=["a"]), ["/dependencies"]),
        (contract("a", data_feed="f", dependencies=["x", {"name": "f"}]), ["/dependencies"]),
        (
            contract("a", dependencies=["x", {"name": "x", "dependency_type": "optional"}]),
            ["/dependencies"],
        ),
        (contract("a", colour="red"), ["/colour"]),
        (contract("a", pulls_from="SCR"), ["/pulls_from"]),
        (contract("a", pulls_from=["x", 5]), ["/pulls_from/1"]),
        (contract("a", pulls_from=[{"description": "x"}]), ["/pulls_from/0"]),
        (contract("a", pushes_to=[{"name": "x", "colour": "red"}]), ["/pushes_to/0/colour"]),
        (contract("a", system_sources=[["x"]]), ["/system_sources/0"]),
        (contract("a", business_owners=[{"name": 5}]), ["/business_owners/0/name"]),
        (contract("a", team_access=["x"]), ["/team_access"]),
        (
            contract("a", team_access={"read": [None], "write": [1]}),
            ["/team_access/read/0", "/team_access/write/0"],
        ),
        (contract("a", dependencies=[{"name": "x", "role": "x"}]), ["/dependencies/0/role"]),
        (contract("a", data_feed={"title": "x"}), ["/data_feed"]),
        (contract("a", domain={"parent_domain": "x"}), ["/domain"]),
        (contract("a", status=None), ["/status"]),
        (contract("a", is_data_feed="yes"), ["/is_data_feed"]),
        (contract("a", schema=None), ["/schema"]),
        (contract("a", schema=[]), ["/schema"]),
        (contract("a", coercion_rules={"FIELD": "x"}), ["/coercion_rules", "/coercion_rules/FIELD"]),
        (contract("a", validation_rules=[]), ["/validation_rules"]),
        (contract("a", metadata="x"), ["/metadata"]),
        (contract("a", version=1.1), ["/version"]),
        (
            contract("a", pulls_from=[{"name": "x", "connection_info": {"password": "p"}}]),
            ["/pulls_from/0/connection_info"],
        ),
        ({"name": "a", "schema": {}}, [""]),
        ([], [""]),
        ("a", [""]),
        (None, [""]),
        (contract("a", team_access={"read": "ops"}), ["/team_access/read"]),
        (contract("a", team_access={"reed": ["ops"]}), ["/team_access/reed"]),
        (contract("a", ownership={"owner": 5, "contact": "x"}), ["/ownership/contact", "/ownership/owner"]),
        (contract("a", schema={"version": 1}), ["/schema/version"]),
        (contract("a", coercion_rules={"version": 1, "rules": {}}), ["/coercion_rules/version"]),
        (contract("a", business_owners=[{"name": "x", "role": 1}]), ["/business_owners/0/role"]),
        (contract("a", pulls_from=[{"name": "x", "is_active": "yes"}]), ["/pulls_from/0/is_active"]),
        (contract("a", domain={"name": "x", "parent_domain": 5}), ["/domain/parent_domain"]),
        (
            contract("a", domain={"name": "x", "parent_domain": {"colour": "red"}}),
            ["/domain/parent_domain", "/domain/parent_domain/colour"],
        ),
    ],
)
def test_refused(conn: Conn, document: Any, pointers: list[str]) -> None:
    assert refusals(conn, document) == [(0, pointer) for pointer in pointers]
    assert not any(physical_rows(conn).values())


def test_parts_of_a_component_that_a_document_leaves_out_stay(conn: Conn) -> None:
    owned = {"owner": "IOC", "team": "ops", "additional_info": {"desk": 7}}
    load(conn, contract("a", ownership=owned, coercion_rules={"version": "1.2", "rules": {"X": "y"}}))
    load(conn, contract("a", ownership={"team": None}, coercion_rules={"rules": {"X": "z"}}))
    document = document_of(conn, "a")
    assert document["ownership"] == owned | {"team": None, "resource_id": "a@1.0.0"}
    assert document["coercion_rules"] == {"version": "1.2", "rules": {"X": "z"}}
    report = load(conn, contract("a", ownership={"resource_id": "mine"}))
    assert document_of(conn, "a")["ownership"] == owned | {"team": None, "resource_id": "mine"}
    assert report["tables"]["ownership"] == {"inserted": 0, "updated": 1, "unchanged": 0, "deleted": 0}
    assert conn.execute("SELECT count(*) FROM pycharter.ownership").fetchone() == (1,)


def test_two_documents_of_one_version_in_one_call_are_refused(conn: Conn) -> None:
    both = [contract("a"), contract("a", description="another")]
    for _ in range(2):
        report = conn.execute(
            "SELECT pycharter.load_documents(%s)", [[Jsonb(one) for one in both]]
        ).fetchone()
        assert report and [refusal["document"] for refusal in report[0]["refusals"]] == [0, 1]
        load(conn, contract("a"))


def test_without_a_report(conn: Conn) -> None:
    """The same is written, and said of the documents; tables and entities are left out."""
    query = "SELECT pycharter.load_documents(%s, with_report => %s)"
    documents = "SELECT name, version, document FROM pycharter.contract_documents ORDER BY name"
    for document in (WHOLE, WHOLE | {"pulls_from": ["SCR"]}, WHOLE | {"pulls_from": ["SCR"]}, {"name": "a"}):
        with conn.transaction(force_rollback=True):
            told = conn.execute(query, [[Jsonb(document)], True]).fetchone()
            written = conn.execute(documents).fetchall()
        row = conn.execute(query, [[Jsonb(document)], False]).fetchone()
        assert told and row and row[0] == told[0] | {"tables": None, "entities": None}
        assert conn.execute(documents).fetchall() == written


def test_no_existing_contract_comes_to_depend_on_its_own_feed(conn: Conn) -> None:
    load(conn, contract("a", data_feed="f", dependencies=["g"]))
    assert refusals(conn, contract("a", data_feed="g")) == [(0, "/dependencies")]
    assert refusals(conn, contract("a", dependencies=["f"])) == [(0, "/dependencies")]
    load(conn, contract("a", data_feed="g", dependencies=["f"]))
    assert document_of(conn, "a")["dependencies"] == ["f"]


def test_the_tables_check_what_is_left_to_them(conn: Conn) -> None:
    for document, constraint in [
        (contract("a", status="live"), "data_contracts_status_check"),
        (contract("a", version="1" * 129), "data_contracts_version_check"),
        (contract("a", data_feed="f" * 256), "data_feeds_name_check"),
        (
            contract("a", dependencies=[{"name": "b", "dependency_type": "x"}]),
            "data_feed_dependencies_dependency_type_check",
        ),
        (contract("a", pulls_from=[""]), "systems_name_check"),
    ]:
        with pytest.raises(psycopg.errors.CheckViolation) as caught, conn.transaction():
            conn.execute("SELECT pycharter.load_documents(%s)", [[Jsonb(document)]])
        assert caught.value.diag.constraint_name == constraint


# --------------------------------------------------------------------------------- contracts of other writers

# "Creating a Data Contract" of the design's "Example Usage".
BY_HAND = """
INSERT INTO systems (name, system_type) VALUES ('NetlineOpsReplica', 'database');
INSERT INTO data_feeds (name, feed_type) VALUES ('Aircraft', 'Operational');
INSERT INTO business_owners (name) VALUES ('IOC');
INSERT INTO domains (name) VALUES ('NetlineOps configuration');
INSERT INTO teams (name) VALUES ('operations-team');

INSERT INTO schemas (name, version, schema_data) VALUES ('Aircraft', '1.0.0', '{"type": "object"}');
INSERT INTO coercion_rules (schema_id, rules)
    SELECT id, '{"REGISTRATION": "coerce_to_string"}' FROM schemas WHERE name = 'Aircraft';
INSERT INTO validation_rules (schema_id, rules)
    SELECT id, '{"REGISTRATION": {"is_unique": {}}}' FROM schemas WHERE name = 'Aircraft';
INSERT INTO governance_rules (name, rule_definition) VALUES ('aircraft_governance', '{"retention": 30}');
INSERT INTO metadata_record (resource_id, resource_type, metadata_data)
    VALUES ('aircraft', 'schema', '{"title": "Aircraft"}');
INSERT INTO ownership (resource_id, owner, team) VALUES ('aircraft', 'IOC', 'data-engineering');

INSERT INTO data_contracts (
    name, version, status, schema_id, coercion_rules_id, validation_rules_id, governance_rules_id,
    metadata_id, ownership_id, data_feed_id, domain_id, is_data_feed)
SELECT 'Aircraft', '1.0.0', 'active', s.id, c.id, v.id, g.id, m.id, 'aircraft', f.id, d.id, true
FROM schemas AS s
JOIN coercion_rules AS c ON c.schema_id = s.id
JOIN validation_rules AS v ON v.schema_id = s.id
JOIN governance_rules AS g ON g.name = 'aircraft_governance'
JOIN metadata_record AS m ON m.resource_id = 'aircraft'
JOIN data_feeds AS f ON f.name = 'Aircraft'
JOIN domains AS d ON d.name = 'NetlineOps configuration'
WHERE s.name = 'Aircraft';

INSERT INTO data_contract_system_pulls (data_contract_id, system_id)
    SELECT c.id, s.id FROM data_contracts AS c, systems AS s WHERE s.name = 'NetlineOpsReplica';
INSERT INTO data_contract_business_owners (data_contract_id, business_owner_id)
    SELECT c.id, b.id FROM data_contracts AS c, business_owners AS b WHERE b.name = 'IOC';
INSERT INTO data_contract_team_access (data_contract_id, team_id, permission)
    SELECT c.id, t.id, 'read' FROM data_contracts AS c, teams AS t WHERE t.name = 'operations-team';
"""


@pytest.fixture
def by_hand(conn: Conn) -> Conn:
    conn.execute("SET LOCAL search_path = pycharter")
    conn.execute(BY_HAND)
    conn.commit()
    return conn


def test_a_contract_made_by_hand_goes_round(by_hand: Conn) -> None:
    before = physical_rows(by_hand)
    document = document_of(by_hand)
    assert document["ownership"]["resource_id"] == "aircraft"
    assert document["schema"] == {"type": "object", "version": "1.0.0"}
    assert load(by_hand, document)["documents"]["unchanged"] == 1
    assert tables_written(before, by_hand) == set()
    assert refusals(by_hand, document | {"schema": {"type": "object"}}) == [(0, "/schema")]


def test_a_contract_made_by_hand_can_be_changed_while_it_is_a_draft(by_hand: Conn) -> None:
    by_hand.execute("SET LOCAL pycharter_sql.overwrite = 'yes'")
    by_hand.execute("UPDATE pycharter.data_contracts SET status = 'draft'")
    by_hand.commit()
    components = ("schemas", "coercion_rules", "validation_rules", "governance_rules", "metadata_record")
    ids = {name: table(by_hand, name, "id") for name in components}
    changed: Document = {
        "schema": {"type": "array"},
        "coercion_rules": {"rules": {}},
        "validation_rules": {"rules": {}},
        "governance_rules": {"retention": 60},
        "metadata": {"title": "Planes"},
        # Without its resource_id, which stays.
        "ownership": {"owner": "Ann", "team": "x"},
        "pulls_from": [],
        "business_owners": ["Ann"],
        "team_access": {"write": ["operations-team"]},
        "dependencies": ["airport"],
    }
    report = load(by_hand, {"name": "Aircraft", "version": "1.0.0"} | changed)
    assert changes(report) == {
        "business_owners": {"inserted": 1},
        "data_feeds": {"inserted": 1},
        "data_contracts": {"updated": 1},
        **{name: {"updated": 1} for name in (*components, "ownership")},
        "data_contract_system_pulls": {"deleted": 1},
        "data_contract_business_owners": {"inserted": 1, "deleted": 1},
        "data_contract_team_access": {"inserted": 1},
        "data_feed_dependencies": {"inserted": 1},
    }
    assert {name: table(by_hand, name, "id") for name in components} == ids
    assert table(by_hand, "metadata_record", "resource_id", "resource_type") == [("aircraft", "schema")]
    assert table(by_hand, "ownership", "resource_id", "owner") == [("aircraft", "Ann")]
    assert table(by_hand, "data_contract_team_access", "permission") == [("read",), ("write",)]
    assert load(by_hand, document_of(by_hand))["documents"]["unchanged"] == 1


# --------------------------------------------------------------------------------------- the caller's session

# Would be found first by any function that looked at the caller's search path, or had pg_temp at its front.
HOSTILE = """
CREATE TEMP TABLE systems (id int, name int);
CREATE TEMP TABLE data_contracts (id int, name int);
CREATE TEMP TABLE schemas (id int, name int);
CREATE TEMP TABLE domains (id int, name int);
CREATE FUNCTION pg_temp.item_name(jsonb) RETURNS text RETURN 'hostile';
"""
HOSTILE_PATHS = ["public", "", "pg_temp, public", "pg_temp, pycharter"]


@pytest.mark.parametrize("search_path", HOSTILE_PATHS)
def test_nothing_of_the_callers_session_is_used_or_changed(conn: Conn, search_path: str) -> None:
    conn.execute(HOSTILE)
    conn.execute("DO 'BEGIN END'")  # PL/pgSQL has settings of its own from its first use on.
    conn.execute("SELECT set_config('search_path', %s, false)", [search_path])
    settings = "SELECT name, setting FROM pg_settings ORDER BY name"
    before = conn.execute(settings).fetchall()
    assert changes(load(conn, WHOLE)) == {name: {"inserted": count} for name, count in ROWS_OF_WHOLE.items()}
    assert load(conn, WHOLE | {"pulls_from": ["SCR"], "schema": {}})["documents"]["updated"] == 1
    assert load(conn, document_of(conn))["documents"]["unchanged"] == 1
    assert refusals(conn, {"name": "new", "version": "1"}) == [(0, "/schema")]
    conn.execute("SELECT pycharter.register_contract(%s)", [Jsonb(contract("new"))])
    conn.execute("DELETE FROM pycharter.data_contracts")
    assert conn.execute(settings).fetchall() == before
    for name in ("systems", "data_contracts", "schemas", "domains"):
        assert conn.execute(f"SELECT count(*) FROM pg_temp.{name}".encode()).fetchone() == (0,)


def test_the_four_steps_one_by_one(conn: Conn) -> None:
    load(conn, WHOLE)
    expected = document_of(conn)
    empty(conn)
    conn.execute(HOSTILE)
    conn.execute("SET search_path = pg_temp, public")
    counts: Counter[str] = Counter()
    for step in ("load_entities", "load_data_feeds", "load_contracts", "load_relations"):
        rows = conn.execute(f"SELECT * FROM pycharter.{step}(%s)".encode(), [[Jsonb(WHOLE)]]).fetchall()
        if step in ("load_entities", "load_data_feeds"):
            assert {outcome for _, _, outcome in rows} == {"inserted"}
            counts.update(table_name for table_name, _, _ in rows)
        else:
            assert all(row[2:] == (0, 0) for row in rows)
            counts.update({table_name: inserted for table_name, inserted, *_ in rows})
        assert conn.execute("SHOW search_path").fetchone() == ("pg_temp, public",)
    assert counts == ROWS_OF_WHOLE
    assert document_of(conn) == expected


def test_nothing_is_left_in_the_system_catalogues(conn: Conn) -> None:
    count = "SELECT count(*) FROM pg_class"
    before = conn.execute(count).fetchone()
    for n in range(3):
        load(conn, WHOLE | {"description": str(n)})
    assert conn.execute(count).fetchone() == before

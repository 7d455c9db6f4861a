"""rename_<entity> and merge_<entity>: what legacy names left behind is cleaned up, and no link is lost."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pycharter_sql import cleanup, queries
from pycharter_sql.errors import CatalogueError, CatalogueMissing

Conn = psycopg.Connection[Any]

# Per kind of entity: its table, an attribute, and a contract document that names the entity in every way.
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "system": ("systems", "system_type", {"pulls_from": ["?"], "pushes_to": ["?"], "system_sources": ["?"]}),
    "data_feed": ("data_feeds", "title", {"dependencies": ["?"]}),
    "business_owner": (
        "business_owners",
        "department",
        {"business_owners": ["?", {"name": "?", "role": "data_steward"}]},
    ),
    "domain": ("domains", "description", {"domain": "?"}),
    "team": ("teams", "team_type", {"team_access": {"read": ["?"], "write": ["?"]}}),
}


def naming(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: naming(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [naming(item, name) for item in value]
    return name if value == "?" else value


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def catalogue(conn: Conn, kind: str) -> Conn:
    """Sealed contracts: A names "old", B names "new", C names both where that is possible."""
    conn.execute("SET search_path = pycharter")
    both: dict[str, Any] = {}
    for key, value in KINDS[kind][2].items():
        one, two = naming(value, "old"), naming(value, "new")
        if isinstance(value, list):
            both[key] = one + two
        elif isinstance(value, dict):
            both[key] = {permission: one[permission] + two[permission] for permission in value}
        else:
            both[key] = two
    for name, said in (
        ("A", naming(KINDS[kind][2], "old")),
        ("B", naming(KINDS[kind][2], "new")),
        ("C", both),
    ):
        document = {"name": name, "version": "1", "status": "active", "schema": {}} | said
        conn.execute("SELECT register_contract(%s)", [Jsonb(document)])
    conn.commit()
    return conn


def documents(conn: Conn) -> dict[str, Any]:
    return {name: queries.get_document(conn, name, "1") for name in "ABC"}


def test_rename(catalogue: Conn, kind: str) -> None:
    before = documents(catalogue)
    catalogue.execute(f"SELECT rename_{kind}('old', 'Old one')".encode())
    after = documents(catalogue)
    assert after["B"] == before["B"]
    for key, value in KINDS[kind][2].items():
        assert after["A"][key] == naming(value, "Old one")
    assert len(catalogue.execute(f"SELECT FROM {KINDS[kind][0]} WHERE name = 'old'".encode()).fetchall()) == 0


def test_merge(catalogue: Conn, kind: str) -> None:
    table, attribute, said = KINDS[kind]
    catalogue.execute(f"UPDATE {table} SET {attribute} = 'from old' WHERE name = 'old'".encode())
    catalogue.execute(f"UPDATE {table} SET is_active = false WHERE name = 'new'".encode())
    catalogue.commit()
    before = documents(catalogue)
    moved = catalogue.execute(f"SELECT merge_{kind}('old', 'new')".encode()).fetchone()
    in_a = 1 if kind in ("domain", "data_feed") else 3 if kind == "system" else 2
    assert moved == (in_a if kind == "domain" else 2 * in_a,)
    row = catalogue.execute(
        f"SELECT {attribute}, is_active FROM {table} WHERE name IN ('old', 'new')".encode()
    ).fetchall()
    assert row == [("from old", False)], "the attributes that it lacked are filled in, its own stay"
    after = documents(catalogue)
    for key in said:
        assert after["A"][key] == after["B"][key] == after["C"][key]
        if isinstance(before["B"][key], list):
            assert len(after["B"][key]) == len(before["B"][key])
    catalogue.commit()
    with pytest.raises(psycopg.errors.RestrictViolation):
        catalogue.execute("DELETE FROM data_contracts")


@pytest.mark.parametrize("kind", ["system", "business_owner", "team"], indirect=True)
def test_links_keep_saying_when_and_by_whom_they_were_made(catalogue: Conn, kind: str) -> None:
    links = {
        "system": "data_contract_system_pulls",
        "business_owner": "data_contract_business_owners",
        "team": "data_contract_team_access",
    }
    query = f"""
        SELECT l.created_at, l.created_by FROM {links[kind]} AS l
        JOIN data_contracts AS c ON c.id = l.data_contract_id WHERE c.name = 'A'
        """.encode()
    before = catalogue.execute(query).fetchall()
    catalogue.execute(f"SELECT merge_{kind}('old', 'new')".encode())
    assert catalogue.execute(query).fetchall() == before


def test_what_is_refused(catalogue: Conn, kind: str) -> None:
    words = kind.replace("_", " ")
    for call, error, message, hint in (
        ("rename_?('absent', 'x')", psycopg.errors.NoDataFound, f'there is no {words} "absent"', "exact"),
        (
            "rename_?('old', 'new')",
            psycopg.errors.UniqueViolation,
            f'there is a {words} "new" already',
            "merge_?",
        ),
        ("rename_?('old', ' x')", psycopg.errors.CheckViolation, "name_check", ""),
        ("merge_?('absent', 'new')", psycopg.errors.NoDataFound, f'there is no {words} "absent"', "exact"),
        ("merge_?('old', 'absent')", psycopg.errors.NoDataFound, f'there is no {words} "absent"', "exact"),
        ("merge_?('old', 'old')", psycopg.errors.InvalidParameterValue, "cannot be merged into itself", ""),
    ):
        with pytest.raises(error) as caught, catalogue.transaction():
            catalogue.execute(f"SELECT {call.replace('?', kind)}".encode())
        assert message in str(caught.value)
        assert hint.replace("?", kind) in (caught.value.diag.message_hint or "")
    catalogue.execute(f"SELECT rename_{kind}('old', 'old')".encode())


def test_a_dependency_that_either_name_requires_is_required(conn: Conn) -> None:
    conn.execute("SET search_path = pycharter")
    for name, types in (("A", ("optional", "required")), ("B", ("optional", "optional"))):
        items = [
            {"name": feed, "dependency_type": type} for feed, type in zip(("new", "old"), types, strict=True)
        ]
        document = {"name": name, "version": "1", "schema": {}, "dependencies": items}
        conn.execute("SELECT register_contract(%s)", [Jsonb(document)])
    conn.execute("SELECT merge_data_feed('old', 'new')")
    query = """
        SELECT c.name, dependency_type FROM data_feed_dependencies
        JOIN data_contracts AS c ON c.id = data_contract_id ORDER BY 1
        """
    assert conn.execute(query).fetchall() == [("A", "required"), ("B", "optional")]


def test_contracts_that_serve_a_merged_feed_serve_the_other(conn: Conn) -> None:
    conn.execute("SET search_path = pycharter")
    for name, needed in (("A", ["x"]), ("B", [])):
        document = {"name": name, "version": "1", "status": "active", "schema": {}, "dependencies": needed}
        conn.execute("SELECT register_contract(%s)", [Jsonb(document)])
    conn.commit()
    assert conn.execute("SELECT merge_data_feed('A', 'B')").fetchone() == (1,)
    assert queries.get_document(conn, "A", "1")["data_feed"] == "B"
    with pytest.raises(
        psycopg.errors.RestrictViolation, match='"A" serves one of the two and depends on the other'
    ):
        conn.execute("SELECT merge_data_feed('x', 'B')")


def test_domains_move_with_the_one_they_lie_within(conn: Conn) -> None:
    conn.execute("SET search_path = pycharter")
    conn.execute(
        """
        INSERT INTO domains (name) VALUES ('top'), ('old'), ('new'), ('below');
        UPDATE domains SET parent_domain_id = (SELECT id FROM domains WHERE name = 'top') WHERE name = 'old';
        UPDATE domains SET parent_domain_id = (SELECT id FROM domains WHERE name = 'old')
        WHERE name IN ('new', 'below');
        """
    )
    conn.execute("SELECT merge_domain('old', 'new')")
    query = """
        SELECT d.name, p.name FROM domains AS d LEFT JOIN domains AS p ON p.id = d.parent_domain_id ORDER BY 1
        """
    assert conn.execute(query).fetchall() == [("below", "new"), ("new", "top"), ("top", None)]


@pytest.mark.parametrize("from_", "abcd")
@pytest.mark.parametrize("into", "abcd")
def test_any_domain_merges_into_any_other(conn: Conn, from_: str, into: str) -> None:
    if from_ == into:
        pytest.skip("one domain")
    conn.execute("SET search_path = pycharter")
    for name, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", "a")):
        above = "(SELECT id FROM domains WHERE name = %s)"
        conn.execute(
            f"INSERT INTO domains (name, parent_domain_id) SELECT %s, {above}".encode(), [name, parent]
        )
    conn.execute("SELECT merge_domain(%s, %s)", [from_, into])
    names = "SELECT string_agg(name, '' ORDER BY name) FROM domains"
    assert conn.execute(names).fetchone() == ("abcd".replace(from_, ""),)


def test_from_python(catalogue: Conn, kind: cleanup.Kind) -> None:
    cleanup.rename(catalogue, kind, "new", "newer")
    assert cleanup.merge(catalogue, kind, "old", "newer") > 0
    for error, reason, call in (
        (CatalogueError, "there is no", lambda: cleanup.rename(catalogue, kind, "old", "x")),
        (CatalogueError, "itself", lambda: cleanup.merge(catalogue, kind, "newer", "newer")),
        (CatalogueError, "name_check", lambda: cleanup.rename(catalogue, kind, "newer", " ")),
        (CatalogueMissing, "migrate", lambda: cleanup.rename(catalogue, kind, "newer", "x", schema="absent")),
    ):
        with pytest.raises(error, match=reason), catalogue.transaction():
            call()

"""What the system catalogues of PostgreSQL say about the schema: the rules that every object keeps."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import cmp_to_key
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAME_LIMIT = 63  # bytes; PostgreSQL cuts longer names off without a word


@pytest.fixture
def rows(conn: psycopg.Connection) -> Iterator[Any]:
    """A function from a query to its rows; relations of yoyo are no concern of this catalogue."""
    conn.execute(
        """
        SET search_path TO pycharter;
        CREATE TEMPORARY VIEW relation AS SELECT * FROM pg_class
            WHERE relnamespace = 'pycharter'::regnamespace AND relname !~ '^_?yoyo';
        CREATE TEMPORARY VIEW function AS SELECT * FROM pg_proc
            WHERE pronamespace = 'pycharter'::regnamespace;
        """
    )
    yield lambda query: conn.execute(query).fetchall()


# ---------------------------------------------------------------------------------------------------------
# Names and comments


def name_of(table: str, columns: Sequence[str], suffix: str) -> str:
    """The full name or, where that is too long, with as few trailing columns left out as need be."""
    names = ("_".join([table, *columns[:count], suffix]) for count in range(len(columns), 0, -1))
    return next(name for name in names if len(name) <= NAME_LIMIT)


def test_constraints_are_named_by_their_table_and_columns(rows: Any) -> None:
    suffixes = {"u": "key", "f": "fkey", "c": "check"}
    constraints = rows(
        """
        SELECT k.conname, k.contype, r.relname, ARRAY(
            SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS key (attnum, place)
            JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum = key.attnum
            -- The columns of a condition have no order but the table's.
            ORDER BY CASE WHEN k.contype = 'c' THEN a.attnum ELSE place END)
        FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
        WHERE k.contype <> 'n'  -- PostgreSQL 18 names these itself
        """
    )
    assert len(constraints) > 60
    for name, kind, table, columns in constraints:
        expected = f"{table}_pkey" if kind == "p" else name_of(table, columns, suffixes[kind])
        assert name == expected


def test_indexes_are_named_by_their_table_and_columns(rows: Any) -> None:
    indexes = rows(
        """
        SELECT i.relname, r.relname, ARRAY(
            -- Of an expression the function that makes it.
            SELECT coalesce(a.attname, split_part(pg_get_indexdef(i.oid, place::integer, false), '(', 1))
            FROM unnest(x.indkey) WITH ORDINALITY AS key (attnum, place)
            LEFT JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum = key.attnum ORDER BY place)
        FROM pg_index AS x JOIN relation AS r ON r.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.oid AND k.contype <> 'f')
        """
    )
    assert len(indexes) > 10
    for name, table, columns in indexes:
        assert name == name_of(table, columns, "idx")


def test_every_table_view_column_and_function_has_a_comment(rows: Any) -> None:
    described = rows(
        """
        SELECT relname::text, obj_description(oid, 'pg_class') FROM relation
        WHERE relkind IN ('r', 'p', 'v', 'm')
        UNION ALL
        SELECT r.relname || '.' || a.attname, col_description(r.oid, a.attnum)
        FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
        WHERE r.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT oid::regprocedure::text, obj_description(oid, 'pg_proc') FROM function
        """
    )
    assert len(described) > 250
    assert [name for name, comment in described if not (comment or "").strip()] == []


# ---------------------------------------------------------------------------------------------------------
# Keys and types


def test_every_table_has_a_primary_key(rows: Any) -> None:
    without = rows(
        """
        SELECT relname FROM relation AS r WHERE relkind IN ('r', 'p')
        AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = r.oid AND k.contype = 'p')
        """
    )
    assert without == []


def test_every_foreign_key_has_an_index_that_leads_with_it(rows: Any) -> None:
    foreign_keys = rows(
        """
        SELECT k.conname, EXISTS (
            SELECT FROM pg_index AS x
            WHERE x.indrelid = k.conrelid AND x.indpred IS NULL AND x.indisvalid
                -- In any order; indkey counts from 0.
                AND (x.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
                AND (x.indkey::smallint[])[0:cardinality(k.conkey) - 1] <@ k.conkey)
        FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid WHERE k.contype = 'f'
        """
    )
    assert len(foreign_keys) > 20
    assert [name for name, indexed in foreign_keys if not indexed] == []


def test_every_foreign_key_says_what_a_delete_does(rows: Any) -> None:
    says = rows(
        """
        SELECT k.conname, k.confdeltype, k.convalidated
        FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
        WHERE k.contype = 'f'
        """
    )
    # RESTRICT, CASCADE or SET NULL; never the default, NO ACTION.
    assert [name for name, on_delete, _ in says if on_delete not in ("r", "c", "n")] == []
    assert all(validated for _, _, validated in says)


def test_whatever_is_ordered_by_is_collated_c(rows: Any) -> None:
    """Names and versions, in tables and where views show them."""
    columns = rows(
        """
        SELECT r.relname || '.' || a.attname, c.collname
        FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
        JOIN pg_collation AS c ON c.oid = a.attcollation
        WHERE r.relkind IN ('r', 'v') AND a.attname IN (
            'name', 'version', 'version_sort_key', 'resource_id', 'ownership_id', 'contract', 'system',
            'business_owner', 'role', 'team', 'permission', 'data_feed', 'dependency', 'domain',
            'parent_domain', 'path', 'pulls_from', 'pushes_to', 'system_sources', 'business_owners',
            'read_teams', 'write_teams', 'dependencies')
        -- A team that an ownership speaks of is text from a document, no team of the catalogue.
        AND (r.relname, a.attname) <> ('ownership', 'team')
        """
    )
    assert len(columns) > 60
    assert [name for name, collation in columns if collation != "C"] == []


def test_types_say_what_is_meant(rows: Any) -> None:
    columns = rows(
        """
        SELECT DISTINCT format_type(a.atttypid, a.atttypmod)
        FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
        WHERE r.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        """
    )
    kinds = {"uuid", "text", "jsonb", "boolean", "timestamp with time zone", "bytea", "integer", "bigint"}
    assert {kind for (kind,) in columns} == kinds


def test_only_core_postgresql(rows: Any) -> None:
    assert rows("SELECT extname FROM pg_extension") == [("plpgsql",)]
    assert (
        rows("SELECT DISTINCT collprovider FROM pg_collation WHERE collnamespace = 'pycharter'::regnamespace")
        == []
    )


# ---------------------------------------------------------------------------------------------------------
# Functions and views


def test_no_function_depends_on_the_callers_search_path(rows: Any) -> None:
    functions = rows(
        """
        SELECT f.oid::regprocedure::text, l.lanname, f.prosqlbody IS NOT NULL,
            coalesce(f.proconfig, '{}'), f.prosecdef
        FROM function AS f JOIN pg_language AS l ON l.oid = f.prolang
        """
    )
    assert {language for _, language, *_ in functions} == {"sql", "plpgsql"}
    for name, language, has_body, configuration, security_definer in functions:
        if language == "sql" and not security_definer:
            assert has_body, f"{name} finds its objects anew whenever it is called"
            assert configuration == [], f"{name} cannot be inlined"
        else:
            # One must find nothing but PostgreSQL's own: it binds the others.
            schema = "pg_catalog" if name == "bind_functions(text)" else "pycharter"
            assert f"search_path={schema}, pg_temp" in configuration, name


def test_nothing_orders_versions_by_their_text(rows: Any) -> None:
    definitions = rows(
        """
        SELECT relname::text, pg_get_viewdef(oid) FROM relation WHERE relkind = 'v'
        UNION ALL SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM function
        """
    )
    ordered = []
    for name, definition in definitions:
        assert not re.search(r"(?i)\b(min|max)\(\s*(\w+\.)?version\s*\)", definition), name
        for ordering in re.findall(r"(?i)\bORDER\s+BY\s+([^();]*)", definition):
            if version := re.search(r"\bversion\b", ordering):
                ordered.append(name)
                assert "version_sort_key" in ordering[: version.start()], (name, ordering)
    assert {"contract_latest", "contract_current"} <= set(ordered)


# ---------------------------------------------------------------------------------------------------------
# Versions


def sort_keys(conn: psycopg.Connection, versions: Sequence[str]) -> list[str]:
    query = """
        SELECT pycharter.version_sort_key(version)
        FROM unnest(%s::text[]) WITH ORDINALITY AS v (version, place) ORDER BY place
    """
    return [key for (key,) in conn.execute(query, [list(versions)])]


# Each line sorts above the one before it; versions on one line have equal keys. SemVer 2.0.0, section 11, and
# what it leaves open.
ASCENDING = [
    ["", "latest", "next-1.0.0", "v", "vNext", "-1", ".1"],
    ["0", "0.0", "0.0.0", "v0", "00"],
    ["0.0.1-rc.1"],
    ["0.0.1"],
    ["0.1", "0.1.0"],
    ["0.9.9"],
    ["1-0"],
    ["1.0.0-0.3.7"],
    ["1.0.0-0.30"],
    [f"1.0.0-{9 * 10**98}"],
    ["1.0.0--"],
    ["1.0.0-A"],
    ["1.0.0-alpha", "1-alpha", "v1.0-alpha", "1.0.0-alpha+build.7"],
    ["1.0.0-alpha.1"],
    ["1.0.0-alpha.beta"],
    ["1.0.0-alpha-1"],
    ["1.0.0-beta"],
    ["1.0.0-beta.2"],
    ["1.0.0-beta.11"],
    ["1.0.0-rc.1"],
    ["1", "1.0", "1.0.0", "v1.0.0", "V1.0.0", "01.0.0", "1.0.0.0", "1.0.0+20130313144700", "1.0.0+b-1.2"],
    ["1.0.0.1"],
    ["1.0.1-rc"],
    ["1.0.1"],
    ["1.2.0"],
    ["1.9.0", "1.9"],
    ["1.10.0"],
    ["1.100.0"],
    ["2.0.0"],
    ["2.1.0"],
    ["2.1.1"],
    ["9.99"],
    ["10.0.0"],
    ["2024.1.15"],
    ["20240115"],
    ["1" + 99 * "0"],
    [f"{10**99 + 1}"],
    [100 * "9"],
]


def test_the_golden_order_of_versions(conn: psycopg.Connection) -> None:
    groups = [set(sort_keys(conn, group)) for group in ASCENDING]
    assert [len(group) for group in groups] == [1] * len(groups), "equal precedence, equal key"
    keys = [key for group in groups for key in group]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


numbers = st.one_of(st.integers(0, 12), st.integers(0, 10**100)).map(str)
words = st.from_regex(r"[0-9A-Za-z-]*[A-Za-z-][0-9A-Za-z-]*", fullmatch=True)
versions = st.builds(
    lambda prefix, release, pre_release, build: (
        prefix
        + ".".join(release)
        + ("-" + ".".join(pre_release) if pre_release else "")
        + ("+" + ".".join(build) if build else "")
    ),
    st.sampled_from(["", "v"]),
    st.lists(numbers, min_size=1, max_size=4),
    st.lists(numbers | words, max_size=3),
    st.lists(words, max_size=2),
)


def precedence(a: str, b: str) -> int:
    """-1, 0 or 1, as SemVer 2.0.0 section 11 words it."""

    def parts(version: str) -> tuple[list[int], list[str]]:
        release, _, pre_release = version.removeprefix("v").partition("+")[0].partition("-")
        return [int(number) for number in release.split(".")], pre_release.split(".") if pre_release else []

    def compare(x: Any, y: Any) -> int:
        return int(x > y) - int(x < y)

    (release_a, pre_a), (release_b, pre_b) = parts(a), parts(b)
    for x, y in itertools.zip_longest(release_a, release_b, fillvalue=0):
        if x != y:
            return compare(x, y)
    if not pre_a or not pre_b:
        return compare(not pre_a, not pre_b)
    for p, q in zip(pre_a, pre_b, strict=False):
        if p != q:
            if p.isdigit() and q.isdigit():
                return compare(int(p), int(q))
            return compare(not p.isdigit(), not q.isdigit()) or compare(p, q)
    return compare(len(pre_a), len(pre_b))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(versions, min_size=2, max_size=12))
def test_sort_keys_order_as_semver_does(conn: psycopg.Connection, some: list[str]) -> None:
    keys = dict(zip(some, sort_keys(conn, some), strict=True))
    for a, b in itertools.combinations(some, 2):
        assert precedence(a, b) == (keys[a] > keys[b]) - (keys[a] < keys[b]), (a, b)
    in_order = sorted(some, key=cmp_to_key(precedence))
    assert [keys[version] for version in in_order] == sorted(keys[version] for version in some)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=128), min_size=1))
def test_any_text_has_a_sort_key(conn: psycopg.Connection, some: list[str]) -> None:
    for version, key in zip(some, sort_keys(conn, some), strict=True):
        assert key[0] == ("1" if re.match("[vV]?[0-9]", version) else "0")


# ---------------------------------------------------------------------------------------------------------
# Audit columns


def test_every_table_says_when_and_by_whom(rows: Any) -> None:
    """Rows that change say so; links are only ever made and deleted."""
    tables = rows(
        """
        SELECT r.relname, array_agg(a.attname::text ORDER BY a.attname)
            FILTER (WHERE a.attname ~ '_(at|by)$' AND a.attnotnull AND d.adbin IS NOT NULL)
        FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
        LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
        WHERE r.relkind = 'r' GROUP BY r.relname
        """
    )
    follows_from_others = "document_digests", "current_contracts", "lineage_edges"
    kept_by_programs = "migration_files", "migration_objects", *follows_from_others
    links = "system_pulls", "system_pushes", "system_sources", "business_owners", "team_access"
    made_only_tables = {"granted_access", *(f"data_contract_{link}" for link in links)}
    for table, columns in tables:
        if table in kept_by_programs:
            continue
        made_only = table in made_only_tables
        changed = [] if made_only else ["updated_at", "updated_by"]
        assert columns == ["created_at", "created_by", *changed], table


def test_every_column_counts_as_a_change(rows: Any) -> None:
    triggers = rows(
        """
        SELECT r.relname, pg_get_triggerdef(t.oid), ARRAY(
            SELECT a.attname::text FROM pg_attribute AS a
            WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
        FROM relation AS r LEFT JOIN pg_trigger AS t
            ON t.tgrelid = r.oid AND t.tgenabled = 'O'
                AND t.tgfoid IN ('set_updated'::regproc, 'set_revision'::regproc)
        WHERE r.relkind = 'r' AND EXISTS (
            SELECT FROM pg_attribute AS a WHERE a.attrelid = r.oid AND a.attname = 'updated_at')
        """
    )
    assert len(triggers) == 14  # two of data_contracts
    for table, definition, columns in triggers:
        assert definition and "BEFORE UPDATE ON" in definition, table
        if "WHEN ((old.* IS DISTINCT FROM new.*))" not in definition:
            for column in columns:
                assert f"old.{column}" in definition and f"new.{column}" in definition, (table, column)


def test_the_database_fills_the_audit_columns(conn: psycopg.Connection) -> None:
    team = conn.execute(
        """
        INSERT INTO pycharter.teams (name) VALUES ('t')
        RETURNING created_at = now() AND updated_at = now(), created_by, updated_by, is_active,
            substring(id::text FROM 15 FOR 1)
        """
    ).fetchone()
    assert team == (True, "postgres", "postgres", True, "7")


def test_updated_moves_when_something_changes_and_only_then(conn: psycopg.Connection) -> None:
    conn.execute(
        """
        INSERT INTO pycharter.teams (name, created_at, updated_at, created_by, updated_by)
        VALUES ('t', '2000-01-01Z', '2000-01-01Z', 'somebody', 'somebody')
        """
    )

    def audit() -> Any:
        return conn.execute(
            """
            SELECT created_at = '2000-01-01Z', created_by,
                updated_at = '2000-01-01Z', updated_at = now(), updated_by
            FROM pycharter.teams
            """
        ).fetchone()

    untouched = (True, "somebody", True, False, "somebody")
    for nothing in ("name = name", "description = NULL", "is_active = true"):
        conn.execute(f"UPDATE pycharter.teams SET {nothing}".encode())
        assert audit() == untouched
    conn.execute("SAVEPOINT before")
    for change in (
        "description = ''",
        "is_active = NOT is_active",
        "updated_by = 'me'",
        "updated_at = '2030-01-01Z'",
    ):
        conn.execute(f"UPDATE pycharter.teams SET {change}".encode())
        assert audit() == (True, "somebody", False, True, "postgres")
        conn.execute("ROLLBACK TO before")
        assert audit() == untouched

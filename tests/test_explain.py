"""The plans of the questions asked most, on some thousand contracts: an index wherever one serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest

Conn = psycopg.Connection[Any]

QUESTIONS: list[tuple[LiteralString, int]] = [
    ("SELECT * FROM contract_full WHERE name = 'contract 7' AND version = '1.3'", 1),
    ("SELECT * FROM contract_latest WHERE name = 'contract 7'", 1),
    ("SELECT * FROM contract_current WHERE name = 'contract 7'", 1),
    ("SELECT * FROM contract_systems WHERE system = 'system 3' AND direction = 'pulls_from'", 4),
    ("SELECT * FROM contract_systems WHERE system = 'system 3'", 14),
    ("SELECT * FROM contract_owners WHERE business_owner = 'owner 3'", 4),
    ("SELECT * FROM contract_access WHERE team = 'team 3'", 4),
    ("SELECT * FROM contract_dependencies WHERE dependency = 'feed 3'", 4),
]
FUNCTIONS: list[tuple[LiteralString, int]] = [
    ("SELECT * FROM get_contract('contract 7', '1.3')", 1),
    ("SELECT * FROM get_latest_contract('contract 7')", 1),
    ("SELECT * FROM get_contracts(ARRAY['contract 7', 'contract 8'], ARRAY['1.3'])", 2),
    ("SELECT * FROM get_current_contract('contract 7')", 1),
]


@pytest.fixture
def full(conn: Conn) -> Conn:
    """2,000 contract versions, five a name, each with one link of every kind to one of some 500 entities."""
    conn.execute("""
        SELECT pycharter.load_documents(array_agg(jsonb_build_object(
            'name', 'contract ' || n / 5, 'version', '1.' || n % 5, 'schema', '{}'::jsonb,
            'coercion_rules', '{"rules": {}}'::jsonb, 'validation_rules', '{"rules": {}}'::jsonb,
            'governance_rules', '{}'::jsonb, 'metadata', '{}'::jsonb, 'ownership', '{"owner": "o"}'::jsonb,
            'status', CASE WHEN n % 5 < 3 THEN 'active' ELSE 'draft' END,
            'domain', 'domain ' || n % 500,
            'pulls_from', jsonb_build_array('system ' || n % 500),
            'pushes_to', jsonb_build_array('system ' || n % 499),
            'system_sources', jsonb_build_array('system ' || n % 498),
            'business_owners', jsonb_build_array('owner ' || n % 500),
            'team_access', jsonb_build_object('read', jsonb_build_array('team ' || n % 500)),
            'dependencies', jsonb_build_array('feed ' || n % 500))))
        FROM generate_series(0, 1999) AS n""")
    conn.commit()
    conn.autocommit = True
    conn.execute("ANALYZE")
    conn.execute("SET search_path = pycharter, pg_temp")
    return conn


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_one_lookup_scans_no_table(full: Conn) -> None:
    for query, answers in QUESTIONS:
        assert len(full.execute(query).fetchall()) == answers
        ((explained,),) = full.execute("EXPLAIN (FORMAT JSON) " + query).fetchall()
        scans = {
            (node["Relation Name"], node["Node Type"])
            for node in nodes(explained[0]["Plan"])
            if "Relation Name" in node
        }
        assert "data_contracts" in {table for table, _ in scans}
        assert not [table for table, scan in scans if scan == "Seq Scan"], query


def test_no_function_scans_a_table(full: Conn) -> None:
    """As the server counts it, since EXPLAIN does not look inside."""
    for query, answers in FUNCTIONS:
        with full.transaction():
            assert len(full.execute(query).fetchall()) == answers
            scanned = full.execute(
                "SELECT relname FROM pg_stat_xact_user_tables WHERE schemaname = 'pycharter' AND seq_scan > 0"
            ).fetchall()
        assert scanned == [], query


def test_one_contract_looks_up_no_more_than_it_links_to(full: Conn) -> None:
    """Not every team and owner there is, as PostgreSQL 18 does where a column of the index is skipped."""
    query = "SELECT * FROM contract_full WHERE name = 'contract 7' AND version = '1.3'"
    ((explained,),) = full.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode()).fetchall()
    assert max(node["Actual Loops"] for node in nodes(explained[0]["Plan"])) <= 3


@pytest.mark.parametrize(
    "function", ["get_contract", "get_latest_contract", "get_current_contract", "get_contracts"]
)
def test_plans_of_functions_fit_any_contract(full: Conn, function: str) -> None:
    """Generic from the first call on: no five plans made for one contract each before."""
    settings = full.execute("SELECT proconfig FROM pg_proc WHERE proname = %s", [function]).fetchone()
    assert settings and "plan_cache_mode=force_generic_plan" in settings[0]


def test_functions_return_the_rows_of_the_views(full: Conn) -> None:
    for name in ("contract 7", "contract 399", "nothing"):
        for question, function in (
            ("contract_latest WHERE name = %s", "get_latest_contract(%s)"),
            ("contract_current WHERE name = %s", "get_current_contract(%s)"),
            ("contract_full WHERE name = %s AND version = '1.4'", "get_contract(%s, '1.4')"),
        ):
            viewed = full.execute(f"SELECT * FROM {question}".encode(), [name])
            found = full.execute(f"SELECT * FROM {function}".encode(), [name])
            assert viewed.description and found.description
            assert [(column.name, column.type_code) for column in viewed.description] == [
                (column.name, column.type_code) for column in found.description
            ]
            assert viewed.fetchall() == found.fetchall()


def test_many_at_once(full: Conn) -> None:
    """Each at its place, as often as it is asked for; where no version is named, the current one."""
    wanted = [
        ("contract 7", "1.4"),
        ("contract 399", None),
        ("nothing", None),
        ("contract 7", "9"),
        ("contract 7", "1.4"),
    ]
    names, versions = zip(*wanted, strict=True)
    query = "SELECT * FROM get_contracts(%s, %s) ORDER BY place"
    found = full.execute(query, [list(names), list(versions)]).fetchall()
    one = full.execute("SELECT * FROM get_contract('contract 7', '1.4')").fetchone()
    current = full.execute("SELECT * FROM get_current_contract('contract 399')").fetchone()
    assert one and current
    assert found == [(1, *one), (2, *current), (5, *one)]
    assert full.execute("SELECT * FROM get_contracts(ARRAY['contract 399'])").fetchall() == [(1, *current)]
    assert full.execute("SELECT * FROM get_contracts('{}')").fetchall() == []

"""Which feed is made from which: the answers, and that they stay true whatever changes the catalogue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from pycharter_sql import lineage, queries
from pycharter_sql.errors import FeedNotFound
from pycharter_sql.rows import DependencyCycle, DependencyType, FeedDependency, ReachableFeed

Conn = psycopg.Connection[Any]
Edges = dict[tuple[int, int], bool]
"""(feed, feed that it depends on) -> whether it is required."""

FEEDS = 7


@pytest.fixture
def catalogue(conn: Conn) -> Conn:
    conn.execute("SET search_path = pycharter, pg_temp")
    return conn


def load(conn: Conn, *documents: dict[str, Any]) -> None:
    row = conn.execute(
        "SELECT load_documents(%s, overwrite => true)", [list(map(Jsonb, documents))]
    ).fetchone()
    assert row and row[0]["refusals"] == []


def contract(name: str, *dependencies: Any, version: str = "1.0.0", **content: Any) -> dict[str, Any]:
    active = {"name": name, "version": version, "status": "active", "schema": {"type": "object"}}
    return active | {"dependencies": list(dependencies)} | content


def optional(name: str) -> dict[str, str]:
    return {"name": name, "dependency_type": "optional"}


def select(conn: Conn, query: LiteralString, *parameters: object) -> list[Any]:
    return conn.execute(query, parameters).fetchall()


# --------------------------------------------------------------------------------------------- golden answers


@pytest.fixture
def shop(catalogue: Conn) -> Conn:
    """report <- orders <- customers and products <- customers; orders <- report closes a cycle."""
    load(
        catalogue,
        contract("customers", pulls_from=["crm"], pushes_to=["warehouse", "mail"]),
        contract("products", optional("customers"), system_sources=["pim"], pulls_from=["pim"]),
        contract("orders", "customers", "products", optional("report"), pushes_to=["warehouse"]),
        contract("report", "orders"),
        contract("report", "customers", version="0.9.0"),  # active too, but not the highest
        contract("report", "products", version="2.0.0", status="draft"),
    )
    return catalogue


def test_feed_lineage(shop: Conn) -> None:
    assert select(
        shop,
        "SELECT data_feed, depends_on, dependency_type, contract, version FROM feed_lineage ORDER BY 1, 2",
    ) == [
        ("orders", "customers", "required", "orders", "1.0.0"),
        ("orders", "products", "required", "orders", "1.0.0"),
        ("orders", "report", "optional", "orders", "1.0.0"),
        ("products", "customers", "optional", "products", "1.0.0"),
        ("report", "orders", "required", "report", "1.0.0"),
    ]


def test_upstream(shop: Conn) -> None:
    assert select(shop, "SELECT * FROM upstream('report') ORDER BY distance, data_feed") == [
        ("orders", 1, True),
        ("customers", 2, True),
        ("products", 2, True),
        ("report", 2, False),
    ]
    assert select(shop, "SELECT * FROM upstream_feeds('report') ORDER BY 1") == [
        ("customers",), ("orders",), ("products",), ("report",)
    ]  # fmt: skip


def test_downstream(shop: Conn) -> None:
    assert select(shop, "SELECT * FROM downstream('products') ORDER BY distance, data_feed") == [
        ("orders", 1, True),
        ("report", 2, True),
    ]
    assert select(shop, "SELECT * FROM downstream('customers') ORDER BY distance, data_feed") == [
        ("orders", 1, True),
        ("products", 1, False),
        ("report", 2, True),
    ]
    assert select(shop, "SELECT * FROM downstream_feeds('products') ORDER BY 1") == [("orders",), ("report",)]


def test_required_by_a_longer_way(catalogue: Conn) -> None:
    load(catalogue, contract("a", optional("c"), "b"), contract("b", "c"), contract("c", "d"))
    assert select(catalogue, "SELECT * FROM upstream('a') ORDER BY data_feed") == [
        ("b", 1, True),
        ("c", 1, True),
        ("d", 2, True),
    ]


def test_nothing_to_reach(shop: Conn) -> None:
    assert select(shop, "SELECT * FROM upstream('customers')") == []
    assert select(shop, "SELECT * FROM upstream_feeds('customers')") == []


@pytest.mark.parametrize("function", ["upstream", "downstream", "upstream_feeds", "downstream_feeds"])
def test_unknown_feed(shop: Conn, function: str) -> None:
    with pytest.raises(psycopg.errors.NoDataFound, match='there is no data feed "Report"') as raised:
        shop.execute(f"SELECT * FROM {function}('Report')".encode())
    assert raised.value.diag.message_hint == "Names are exact: SELECT name FROM pycharter.data_feeds."


def test_system_flow(shop: Conn) -> None:
    assert select(
        shop,
        "SELECT from_system, relation, contract, data_feed, to_system FROM system_flow ORDER BY 3, 1, 2, 5",
    ) == [
        ("crm", "pulls_from", "customers", "customers", "mail"),
        ("crm", "pulls_from", "customers", "customers", "warehouse"),
        (None, None, "orders", "orders", "warehouse"),
        ("pim", "pulls_from", "products", "products", None),
        ("pim", "system_sources", "products", "products", None),
    ]


def test_dependency_cycles(shop: Conn) -> None:
    load(shop, contract("x", "y"), contract("y", "z"), contract("z", "x", "report"))
    assert select(shop, "SELECT * FROM dependency_cycles ORDER BY size") == [
        (["orders", "report"], 2),
        (["x", "y", "z"], 3),
    ]


def test_a_long_way(catalogue: Conn) -> None:
    """No cap on the depth, and the cost of a step does not grow with it."""
    length = 2_000
    load(catalogue, *(contract(f"feed {n}", f"feed {n + 1}") for n in range(length)))
    assert select(
        catalogue, "SELECT count(*), max(distance), bool_and(all_required) FROM upstream('feed 0')"
    ) == [(length, length, True)]
    assert select(catalogue, "SELECT count(*) FROM dependency_cycles") == [(0,)]
    load(catalogue, contract(f"feed {length}", "feed 0"))
    assert select(catalogue, "SELECT size FROM dependency_cycles") == [(length + 1,)]


def test_answers_where_nothing_can_be_written(shop: Conn) -> None:
    """As on a standby."""
    shop.commit()
    shop.read_only = True
    for query in (
        "SELECT * FROM upstream('report')", "SELECT * FROM downstream_feeds('orders')",
        "SELECT * FROM dependency_cycles", "SELECT * FROM system_flow",
    ):  # fmt: skip
        assert shop.execute(query.encode()).fetchall(), query


# ------------------------------------------------------------------------------------------------- in Python


def test_queries(shop: Conn) -> None:
    assert queries.upstream(shop, "report")[:2] == [
        ReachableFeed("orders", 1, True),
        ReachableFeed("customers", 2, True),
    ]
    assert [feed.data_feed for feed in queries.downstream(shop, "customers")] == [
        "orders",
        "products",
        "report",
    ]
    links = [
        (link.data_feed, link.depends_on) for link in queries.feed_lineage(shop, "products", "downstream")
    ]
    assert links == [("orders", "products"), ("orders", "report"), ("report", "orders")]
    links = [(link.data_feed, link.depends_on) for link in queries.feed_lineage(shop, "products", "upstream")]
    assert links == [("products", "customers")]
    assert queries.dependency_cycles(shop) == [DependencyCycle(["orders", "report"], 2)]
    flows = [
        (flow.from_system, flow.contract, flow.to_system) for flow in queries.system_flow(shop, "warehouse")
    ]
    assert flows == [("crm", "customers", "warehouse"), (None, "orders", "warehouse")]
    assert len(queries.system_flow(shop)) == 5


@pytest.mark.parametrize("query", [queries.upstream, queries.downstream, queries.feed_lineage])
def test_a_feed_that_is_not_there(shop: Conn, query: Callable[..., object]) -> None:
    direction = ["upstream"] if query is queries.feed_lineage else []
    with pytest.raises(FeedNotFound, match=r'^there is no data feed "Report"\n  Names are exact'):
        query(shop, "Report", *direction)


def link(feed: str, dependency: str, kind: str = "required") -> FeedDependency:
    return FeedDependency(feed, dependency, DependencyType(kind), UUID(int=0), feed, "1.0.0")


HARD_NAMES = [link('a "b"', "x\ny #1 <i>"), link("x\ny #1 <i>", 'a "b"', "optional")]


def test_tree() -> None:
    diamond = [link("a", "b"), link("a", "c", "optional"), link("b", "d"), link("c", "d"), link("d", "a")]
    assert list(lineage.tree("a", diamond, "upstream")) == [
        "a",
        "├── b",
        "│   └── d",
        "│       └── a (above)",
        "└── c (optional)",
        "    └── d (above)",
    ]
    assert list(lineage.tree("d", diamond, "downstream"))[:3] == ["d", "├── b", "│   └── a"]
    assert list(lineage.tree('a "b"', HARD_NAMES, "upstream")) == [
        'a "b"',
        "└── x y #1 <i>",
        '    └── a "b" (optional) (above)',
    ]
    assert list(lineage.tree("alone", [], "upstream")) == ["alone"]


def test_mermaid() -> None:
    assert list(lineage.mermaid('a "b"', HARD_NAMES)) == [
        "flowchart LR",
        '    f0["a #quot;b#quot;"]',
        '    f1["x y #35;1 #lt;i>"]',
        "    f0 -.-> f1",
        "    f1 --> f0",
        "    style f0 stroke-width:3px",
    ]


def test_dot() -> None:
    assert list(lineage.dot('a "b"', HARD_NAMES))[3:] == [
        '    "a \\"b\\"" [penwidth=3];',
        '    "a \\"b\\"" -> "x y #1 <i>" [style=dashed];',
        '    "x y #1 <i>" -> "a \\"b\\"";',
        "}",
    ]


# ------------------------------------------------------------------------------------------------- any graph

edges = st.dictionaries(
    st.tuples(st.integers(1, FEEDS), st.integers(1, FEEDS)).filter(lambda edge: edge[0] != edge[1]),
    st.booleans(),
    max_size=18,
)


def reached(edges: Edges, start: int, *, only_required: bool = False) -> dict[int, int]:
    """Distance by feed, breadth first."""
    distances: dict[int, int] = {}
    queue = deque([(start, 0)])
    while queue:
        feed, distance = queue.popleft()
        for (source, target), required in edges.items():
            if source == feed and target not in distances and (required or not only_required):
                distances[target] = distance + 1
                queue.append((target, distance + 1))
    return distances


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges)
def test_any_graph(catalogue: Conn, edges: Edges) -> None:
    with catalogue.transaction(force_rollback=True):
        load(
            catalogue,
            *(
                contract(
                    str(feed),
                    *(
                        str(target) if required else optional(str(target))
                        for (source, target), required in edges.items()
                        if source == feed
                    ),
                )
                for feed in range(1, FEEDS + 1)
            ),
        )
        back = {(target, source): required for (source, target), required in edges.items()}
        for feed in range(1, FEEDS + 1):
            for function, graph in (("upstream", edges), ("downstream", back)):
                required = reached(graph, feed, only_required=True)
                expected = {
                    (str(target), distance, target in required)
                    for target, distance in reached(graph, feed).items()
                }
                answer = catalogue.execute(f"SELECT * FROM {function}(%s)".encode(), [str(feed)]).fetchall()
                assert set(answer) == expected and len(answer) == len(expected)
                names = catalogue.execute(
                    f"SELECT data_feed FROM {function}_feeds(%s)".encode(), [str(feed)]
                ).fetchall()
                assert sorted(names) == sorted((name,) for name, *_ in expected)
        groups = {
            tuple(sorted(str(other) for other in reached(edges, feed) if feed in reached(edges, other)))
            for feed in range(1, FEEDS + 1)
        } - {()}
        cycles = select(catalogue, "SELECT data_feeds FROM dependency_cycles")
        assert sorted(tuple(cycle) for (cycle,) in cycles) == sorted(groups)


# ------------------------------------------------------------------------------------------- whatever changes

CHANGES: list[LiteralString] = [
    """INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id)
       SELECT c.id, f.id FROM data_contracts AS c JOIN data_feeds AS f ON f.id <> c.data_feed_id
       ON CONFLICT DO NOTHING""",
    """INSERT INTO data_contracts (name, version, status, schema_id, data_feed_id)
       SELECT %(name)s, %(version)s, %(status)s, schema_of(%(feed)s), id FROM data_feeds WHERE name = %(feed)s
       ON CONFLICT DO NOTHING""",
    "UPDATE data_contracts SET status = %(status)s WHERE name = %(name)s AND version = %(version)s",
    "UPDATE data_contracts SET status = %(status)s WHERE version = %(version)s",
    """UPDATE data_contracts AS c SET name = %(other)s WHERE name = %(name)s
       AND NOT EXISTS (SELECT FROM data_contracts AS o WHERE o.name = %(other)s AND o.version = c.version)""",
    """UPDATE data_contracts AS c SET version = %(version)s WHERE name = %(name)s AND version > %(version)s
       AND NOT EXISTS (SELECT FROM data_contracts AS o WHERE o.name = c.name AND o.version = %(version)s)
       AND (SELECT count(*) FROM data_contracts AS o WHERE o.name = c.name) = 1""",
    """UPDATE data_contracts AS c SET data_feed_id = f.id FROM data_feeds AS f
       WHERE f.name = %(feed)s AND c.name = %(name)s AND NOT EXISTS (
           SELECT FROM data_feed_dependencies AS d
           WHERE d.data_contract_id = c.id AND d.dependency_feed_id = f.id)""",
    "DELETE FROM data_contracts WHERE name = %(name)s AND version = %(version)s",
    """INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id, dependency_type)
       SELECT c.id, f.id, %(kind)s FROM data_contracts AS c JOIN data_feeds AS f ON f.id <> c.data_feed_id
       WHERE c.name = %(name)s AND f.name = %(feed)s ON CONFLICT DO NOTHING""",
    """INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id, dependency_type)
       SELECT c.id, f.id, %(kind)s FROM data_contracts AS c JOIN data_feeds AS f ON f.id <> c.data_feed_id
       WHERE c.name = %(name)s
       ON CONFLICT ON CONSTRAINT data_feed_dependencies_pkey
       DO UPDATE SET dependency_type = excluded.dependency_type""",
    """DELETE FROM data_feed_dependencies WHERE dependency_feed_id IN (
           SELECT id FROM data_feeds WHERE name = %(feed)s)""",
    """UPDATE data_feed_dependencies AS d SET dependency_feed_id = f.id FROM data_feeds AS f
       WHERE f.name = %(feed)s AND d.data_feed_id <> f.id AND NOT EXISTS (
           SELECT FROM data_feed_dependencies AS o
           WHERE o.data_contract_id = d.data_contract_id
               AND (o.dependency_feed_id = f.id OR o.dependency_feed_id < d.dependency_feed_id))""",
]
names = st.sampled_from(["a", "b", "c"])
statuses = st.sampled_from(["draft", "active", "active", "deprecated"])
change = st.fixed_dictionaries(
    {
        "statement": st.sampled_from(CHANGES),
        "name": names,
        "other": names,
        "version": st.sampled_from(["1.0.0", "2.0.0", "10.0.0"]),
        "status": statuses,
        "feed": st.sampled_from(["f", "g", "h"]),
        "kind": st.sampled_from(["required", "optional"]),
    }
)
EDGES: LiteralString = "SELECT * FROM lineage_edges"
EXPECTED_EDGES: LiteralString = """
    SELECT d.data_contract_id, d.dependency_feed_id, own.number, f.number, d.dependency_type = 'required'
    FROM contract_current AS c JOIN data_feed_dependencies AS d ON d.data_contract_id = c.contract_id
    JOIN data_feeds AS own ON own.name = c.data_feed JOIN data_feeds AS f ON f.id = d.dependency_feed_id
"""
CURRENT: LiteralString = (
    "SELECT name, data_contract_id FROM current_contracts WHERE data_contract_id IS NOT NULL ORDER BY name"
)
EXPECTED_CURRENT: LiteralString = "SELECT name, contract_id FROM contract_current ORDER BY name"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(change, max_size=12))
def test_whatever_changes_lineage_follows(catalogue: Conn, changes: list[dict[str, Any]]) -> None:
    with catalogue.transaction(force_rollback=True):
        catalogue.execute("SET LOCAL pycharter_sql.overwrite = 'yes'")
        catalogue.execute(
            """
            CREATE FUNCTION pg_temp.schema_of(name text) RETURNS uuid LANGUAGE sql AS $$
                INSERT INTO pycharter.schemas (name, version, schema_data) VALUES (name, '1', '{}')
                RETURNING id
            $$
            """
        )
        catalogue.execute("INSERT INTO data_feeds (name) VALUES ('f'), ('g'), ('h')")
        for step in changes:
            statement = step["statement"].replace("schema_of(", "pg_temp.schema_of(")
            catalogue.execute(statement.encode(), step)
            assert sorted(select(catalogue, EDGES)) == sorted(select(catalogue, EXPECTED_EDGES))
            assert select(catalogue, CURRENT) == select(catalogue, EXPECTED_CURRENT)


@pytest.mark.parametrize("first", ["2.0.0", "3.0.0"])
def test_two_who_publish_versions_of_one_contract(catalogue: Conn, first: str) -> None:
    """Neither sees the other's version while it chooses, were they not to wait for each other."""
    load(
        catalogue,
        contract("a", "f"),
        contract("a", "g", version="2.0.0", status="draft"),
        contract("a", "h", version="3.0.0", status="draft"),
    )
    catalogue.commit()
    second = {"2.0.0": "3.0.0", "3.0.0": "2.0.0"}[first]
    publish = "UPDATE pycharter.data_contracts SET status = 'active' WHERE version = %s"
    with psycopg.connect(catalogue.info.dsn) as other, ThreadPoolExecutor() as pool:
        catalogue.execute(publish, [first])
        waiting = pool.submit(other.execute, publish, [second])
        wait_until_blocked(catalogue, other)
        catalogue.commit()
        waiting.result(10)
        other.commit()
    assert select(catalogue, "SELECT data_feed FROM upstream('a')") == [("h",)]


def test_first_versions_entered_at_once(catalogue: Conn) -> None:
    catalogue.commit()
    insert = """
        WITH schema AS (INSERT INTO schemas (name, version, schema_data) VALUES ('a', '1', '{}') RETURNING id)
        INSERT INTO data_contracts (name, version, status, schema_id, data_feed_id)
        SELECT 'a', %s, 'active', schema.id, f.id FROM schema, data_feeds AS f WHERE f.name = 'a'
    """
    catalogue.execute("INSERT INTO data_feeds (name) VALUES ('a')")
    catalogue.commit()
    with psycopg.connect(catalogue.info.dsn) as other, ThreadPoolExecutor() as pool:
        other.execute("SET search_path = pycharter, pg_temp")
        catalogue.execute(insert, ["2.0.0"])
        waiting = pool.submit(other.execute, insert, ["1.0.0"])
        wait_until_blocked(catalogue, other)
        catalogue.commit()
        waiting.result(10)
        other.commit()
    assert select(
        catalogue,
        "SELECT version FROM data_contracts WHERE id = (SELECT data_contract_id FROM current_contracts)",
    ) == [("2.0.0",)]


TWO_ACTIVE = (contract("a", "x"), contract("a", "y", version="2.0.0"))
DEPRECATE = "UPDATE pycharter.data_contracts SET status = 'deprecated' WHERE name = 'a' AND version = '2.0.0'"
PUBLISH = """
    WITH schema AS (
        INSERT INTO pycharter.schemas (name, version, schema_data) VALUES ('a', '1', '{}') RETURNING id
    )
    INSERT INTO pycharter.data_contracts (name, version, status, schema_id, data_feed_id)
    SELECT 'a', '3.0.0', 'active', schema.id, f.id FROM schema, pycharter.data_feeds AS f WHERE f.name = 'a'
"""
LINK = """
    INSERT INTO pycharter.data_feed_dependencies (data_contract_id, dependency_feed_id)
    SELECT c.id, f.id FROM pycharter.data_contracts AS c, pycharter.data_feeds AS f
    WHERE c.name = 'a' AND c.version = '1.0.0' AND f.name = 'y'
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (LINK, DEPRECATE),
        ("DELETE FROM pycharter.data_feed_dependencies", DEPRECATE),
        ("SELECT pycharter.merge_data_feed('x', 'z')", DEPRECATE),
        ("SELECT pycharter.merge_data_feed('y', 'z')", PUBLISH),
        (DEPRECATE, LINK),
        (PUBLISH, "SELECT pycharter.merge_data_feed('y', 'z')"),
    ],
)
def test_who_changes_dependencies_and_who_changes_versions_wait(
    catalogue: Conn, first: str, second: str
) -> None:
    load(catalogue, *TWO_ACTIVE, contract("z"))
    catalogue.commit()
    with psycopg.connect(catalogue.info.dsn) as other, ThreadPoolExecutor() as pool:
        for connection in (catalogue, other):
            connection.execute("SET pycharter_sql.overwrite = 'yes'")
        catalogue.execute(first.encode())
        waiting = pool.submit(other.execute, second.encode())
        wait_until_blocked(catalogue, other)
        catalogue.commit()
        waiting.result(10)
        other.commit()
    assert sorted(select(catalogue, EDGES)) == sorted(select(catalogue, EXPECTED_EDGES))


@pytest.mark.parametrize("change", [PUBLISH, LINK])
def test_an_older_snapshot_is_refused(catalogue: Conn, change: str) -> None:
    load(catalogue, *TWO_ACTIVE)
    catalogue.commit()
    with psycopg.connect(catalogue.info.dsn) as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute("SELECT")
        catalogue.execute("SET pycharter_sql.overwrite = 'yes'")
        catalogue.execute(change.encode())
        catalogue.commit()
        with pytest.raises(psycopg.errors.SerializationFailure):
            other.execute(DEPRECATE.encode())


def test_dependencies_one_by_one(catalogue: Conn) -> None:
    """Each costs the same: no edge but its own is written."""
    load(catalogue, contract("a"))
    catalogue.execute("INSERT INTO data_feeds (name) SELECT 'f' || n FROM generate_series(1, 50) AS n")
    for number in range(1, 51):
        catalogue.execute(LINK.replace("'y'", f"'f{number}'").encode())
    ((dead,),) = select(catalogue, "SELECT pg_stat_get_xact_tuples_deleted(%s::regclass)", "lineage_edges")
    assert dead == 0 and select(catalogue, "SELECT count(*) FROM upstream_feeds('a')") == [(50,)]


def wait_until_blocked(conn: Conn, other: Conn) -> None:
    for _ in range(1_000):
        if select(
            conn, "SELECT cardinality(pg_blocking_pids(%s)) > 0, pg_sleep(0.01)", other.info.backend_pid
        )[0][0]:
            return
    raise AssertionError("nobody waits")


def test_merged_feeds(shop: Conn) -> None:
    load(shop, contract("stock", "goods"))
    shop.execute("SELECT merge_data_feed('goods', 'products')")
    assert select(shop, "SELECT data_feed FROM downstream('products') ORDER BY 1") == [
        ("orders",), ("report",), ("stock",)
    ]  # fmt: skip


# --------------------------------------------------------------------------------------------------- by index


def test_one_feed_is_found_by_indexes(catalogue: Conn) -> None:
    load(
        catalogue,
        *(
            contract(
                f"feed {n}", f"feed {n // 2}", pulls_from=[f"system {n}"], pushes_to=[f"system {n // 2}"]
            )
            for n in range(1, 2_000)
        ),
    )
    catalogue.commit()
    catalogue.autocommit = True
    catalogue.execute("VACUUM (ANALYZE)")
    for query in (
        "SELECT * FROM feed_lineage WHERE data_feed = 'feed 77'",
        "SELECT * FROM feed_lineage WHERE depends_on = 'feed 77'",
        "SELECT * FROM system_flow WHERE contract = 'feed 77'",
        "SELECT * FROM system_flow WHERE from_system = 'system 77'",
        "SELECT * FROM system_flow WHERE to_system = 'system 77'",
    ):
        plan = "\n".join(line for (line,) in catalogue.execute(f"EXPLAIN {query}".encode()))
        # Of few rows where nothing is stored.
        assert "Seq Scan" not in plan.replace("Seq Scan on data_contract_system_sources", ""), plan

"""A plan says what a load does, and writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycharter_sql import loader, sources
from pycharter_sql.loader import Change, Step, intake

Conn = psycopg.Connection[Any]
Document = dict[str, Any]


def contract(name: str, **more: Any) -> Document:
    return {"name": name, "version": "1.0.0", "schema": {"type": "object"}} | more


@pytest.fixture(params=[1, 250])
def batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(intake, "BATCH", request.param)
    return int(request.param)


def lines(plan: loader.Plan) -> list[tuple[str, str, str]]:
    return [(step.action, step.table, step.name) for step in plan.steps]


def test_what_a_first_load_would_do(conn: Conn, batch: int) -> None:
    documents = [
        contract(
            "A", data_feed="F", pulls_from=[{"name": "S", "system_type": "api"}, "T"], dependencies=["B"]
        ),
        contract("B", domain={"name": "D", "parent_domain": "E"}, team_access={"read": ["R"]}),
    ]
    plan = loader.plan(conn, documents)
    assert (plan.read, plan.refused, plan.changes_something) == (2, 0, True)
    assert lines(plan)[:2] == [
        ("insert", "data_contracts", "A@1.0.0"),
        ("insert", "data_contracts", "B@1.0.0"),
    ]
    assert set(lines(plan)[2:]) == {
        ("insert", "systems", "S"),
        ("dangling", "systems", "T"),
        ("insert", "data_feeds", "F"),
        ("insert", "data_feeds", "B"),
        ("insert", "domains", "D"),
        ("dangling", "domains", "E"),
        ("dangling", "teams", "R"),
    }
    places = {step.name: (step.source, step.pointer) for step in plan.steps}
    assert places["A@1.0.0"] == ("document 1", "")
    assert places["T"] == ("document 1", "/pulls_from/1")
    assert places["E"] == ("document 2", "/domain/parent_domain")
    assert places["R"] == ("document 2", "/team_access/read/0")
    assert places["B"] == ("document 1", "/dependencies/0")


def test_which_values_an_update_would_change(conn: Conn, batch: int) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}}
    before = contract(
        "A",
        schema=schema,
        pulls_from=["S", "T"],
        ownership={"owner": "Ann", "team": "core"},
        description="old",
        domain={"name": "D", "description": "as it was"},
    )
    loader.load(conn, [before, contract("B")])
    conn.execute("UPDATE pycharter.systems SET description = 'by hand' WHERE name = 'S'")
    after = before | {
        "schema": {"type": "object", "properties": {"a": {"type": "integer"}, "c": {}}},
        "pulls_from": [{"name": "S", "description": "by a file"}, "U"],
        "ownership": {"owner": "Bob"},
        "description": None,
    }
    plan = loader.plan(conn, [after, contract("B")])
    [update] = [step for step in plan.steps if step.table == "data_contracts" and step.action == "update"]
    assert {(change.pointer, str(change.old), str(change.new)) for change in update.changes} == {
        ("/schema/properties/a/type", "string", "integer"),
        ("/schema/properties/b", "{}", "None"),
        ("/schema/properties/c", "None", "{}"),
        ("/pulls_from", "['S', 'T']", "['S', 'U']"),
        ("/ownership/owner", "Ann", "Bob"),
        ("/description", "old", "None"),
    }
    assert update.changes[0].place.startswith("document 1#/")
    assert (
        Step(
            "update",
            "systems",
            "S",
            "document 1",
            "/pulls_from/0",
            (Change("/description", "by hand", "by a file", "document 1#/pulls_from/0/description"),),
        )
        in plan.steps
    )
    assert ("dangling", "systems", "U") in lines(plan)
    assert ("unchanged", "data_contracts", "B@1.0.0") in lines(plan)


def test_conflicts(conn: Conn, batch: int) -> None:
    loader.load(conn, [contract("A", status="active")])
    changed = contract("A", status="active", description="x")
    plan = loader.plan(conn, [changed, contract("B")])
    [refusal] = plan.refusals
    assert (refusal.pointer, plan.refused) == ("/description", 1)
    assert lines(plan)[0] == ("insert", "data_contracts", "B@1.0.0")
    assert not loader.plan(conn, [changed], overwrite=True).refusals
    twice = [contract("C", description="x"), contract("C", description="y")]
    assert [refusal.contract for refusal in loader.plan(conn, twice).refusals] == ["C@1.0.0"]


def test_a_plan_writes_nothing(conn: Conn, batch: int) -> None:
    """Not even what would be rolled back: it works in a READ ONLY transaction."""
    loader.load(conn, [contract("A")])
    conn.commit()
    conn.read_only = True
    documents = [
        contract("A", description="x"),
        contract("B", pulls_from=["S"]),
        contract("C"),
        contract("C"),
    ]
    plan = loader.plan(conn, documents)
    assert (plan.read, plan.merged, plan.count("insert", contracts=True)) == (4, 1, 2)
    conn.rollback()
    conn.read_only = False
    assert loader.load(conn, documents).updated == 1


def test_nothing_to_do(conn: Conn, batch: int) -> None:
    documents = [contract("A", pulls_from=["S"]), contract("B")]
    loader.load(conn, documents)
    plan = loader.plan(conn, documents)
    assert not plan.changes_something and not plan.refusals
    assert lines(plan) == [("unchanged", "data_contracts", f"{name}@1.0.0") for name in "AB"]


def test_of_files(conn: Conn, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(contract("A", pulls_from=["S"])))
    steps = loader.plan(conn, sources.read_files([path]), read_ahead=True).steps
    assert [(step.source, step.pointer) for step in steps] == [
        (str(path), ""),
        (str(path), ""),
        (str(path), "/pulls_from/0"),
    ]


REFUSED_BY_TRIGGERS: list[list[Document]] = [
    [contract("A", pulls_from=[{"name": "S", "connection_info": {"password": "hunter2"}}])],
    [{"systems": [{"name": "S", "connection_info": {"password": "hunter2"}}]}],
    [{"domains": [{"name": "B", "parent_domain": "A"}]}],
    [contract("A", domain={"name": "B", "parent_domain": "A"})],
    [contract("A", ownership={"resource_id": "r"}), contract("B", ownership={"resource_id": "r"})],
    [contract("A", ownership={"resource_id": "taken"})],
]


@pytest.mark.parametrize("documents", REFUSED_BY_TRIGGERS)
def test_a_plan_refuses_what_a_load_refuses(conn: Conn, batch: int, documents: list[Document]) -> None:
    conn.execute(
        """
        INSERT INTO pycharter.domains (name) VALUES ('B');
        INSERT INTO pycharter.domains (name, parent_domain_id) SELECT 'A', id FROM pycharter.domains;
        INSERT INTO pycharter.ownership (resource_id) VALUES ('taken');
        """
    )
    plan = loader.plan(conn, documents)
    report = loader.load(conn, documents, skip_invalid=True)
    assert plan.refusals == report.refusals
    assert plan.refused == report.refused > 0
    assert "hunter2" not in str(plan.as_json())


def test_a_plan_waits_for_no_load_and_no_load_for_a_plan(conn: Conn) -> None:
    loader.load(conn, [contract("A")])
    conn.commit()
    with psycopg.connect(conn.info.dsn) as other:
        loader.load(conn, [contract("B")])
        other.execute("SET lock_timeout = '1s'")
        loader.plan(other, [contract("A")])
        conn.commit()
        conn.execute("SET lock_timeout = '1s'")
        loader.load(conn, [contract("C")])


def test_a_feed_that_no_contract_serves_is_dangling(conn: Conn) -> None:
    loader.load(conn, [contract("Order", data_feed="F")])
    partial = {"name": "Order", "version": "1.0.0", "description": "d"}
    plan = loader.plan(conn, [partial, contract("Z", dependencies=["Order"])])
    assert ("dangling", "data_feeds", "Order") in lines(plan)


NAMES = st.sampled_from("ABC")
ITEMS = st.lists(
    st.one_of(
        st.sampled_from("XY"),
        st.builds(
            lambda name, text: {"name": name, "description": text},
            st.sampled_from("XY"),
            st.sampled_from("pq"),
        ),
    ),
    max_size=2,
)
DOCUMENTS = st.lists(
    st.builds(
        lambda name, version, more: {"name": name, "version": version} | more,
        NAMES,
        st.sampled_from(["1", "2"]),
        st.fixed_dictionaries(
            {"schema": st.sampled_from([{}, {"type": "object"}])},
            optional={
                "status": st.sampled_from(["draft", "active"]),
                "description": st.sampled_from([None, "x", "y"]),
                "data_feed": st.sampled_from("AF"),
                "pulls_from": ITEMS,
                "business_owners": ITEMS,
                "dependencies": ITEMS,
                "domain": st.sampled_from(
                    ["D", {"name": "D", "parent_domain": "E"}, {"name": "E", "parent_domain": "D"}]
                ),
                "metadata": st.sampled_from([None, {"a": 1}, {"a": 2}]),
                "team_access": st.sampled_from([{}, {"read": ["X"]}, {"read": [], "write": ["Y"]}]),
            },
        ),
    ),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(before=DOCUMENTS, documents=DOCUMENTS, size=st.sampled_from([1, 3, 250]), overwrite=st.booleans())
def test_a_load_right_after_does_exactly_that(
    conn: Conn, before: list[Document], documents: list[Document], size: int, overwrite: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch, conn.transaction(force_rollback=True):
        patch.setattr(intake, "BATCH", size)
        loader.load(conn, before, skip_invalid=True, overwrite=True)
        plan = loader.plan(conn, documents, overwrite=overwrite)
        report = loader.load(conn, documents, overwrite=overwrite, skip_invalid=True)
        assert plan.refusals == report.refusals
        assert (plan.read, plan.merged, plan.refused) == (report.read, report.merged, report.refused)
        for action, count in (("insert", "inserted"), ("update", "updated"), ("unchanged", "unchanged")):
            assert plan.count(action, contracts=True) == getattr(report, count)
        for table in ("systems", "data_feeds", "business_owners", "domains", "teams"):
            steps = [step.action for step in plan.steps if step.table == table]
            if table in report.tables:
                assert steps.count("insert") + steps.count("dangling") == report.tables[table].inserted
                assert steps.count("update") == report.tables[table].updated
            else:
                assert not steps
        again = loader.plan(conn, documents, overwrite=overwrite)
        if not again.refusals:
            assert not again.changes_something

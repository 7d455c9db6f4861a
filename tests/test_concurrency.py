"""Eight processes at one catalogue: nothing is lost, nothing deadlocks, nobody sees half a contract."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import psycopg

from pycharter_sql import (
    Outcome,
    RevisionConflict,
    Status,
    StatusOrderBroken,
    VersionPublished,
    activate,
    deprecate,
    downstream,
    get_contract,
    get_contracts,
    list_contracts,
    load,
    register_contract,
    rename,
    retire,
    search_contracts,
)

Conn = psycopg.Connection[Any]

PROCESSES = 8
SECONDS = float(os.environ.get("PYCHARTER_TEST_SECONDS", "10"))
COUNTERS = ("Counter 1", "Counter 2", "Counter 3")
DRAFTS = ("Draft 1", "Draft 2", "Draft 3", "Draft 4")


def draft(name: str, token: str, version: str = "1.0.0", **content: Any) -> dict[str, Any]:
    """A contract each part of which says the same."""
    return {
        "name": name,
        "version": version,
        "description": token,
        "schema": {"type": "object", "properties": {token: {"type": "string"}}},
        "coercion_rules": {"rules": {token: "coerce_to_string"}},
        "validation_rules": {"rules": {token: {"non_empty_string": None}}},
        "governance_rules": {"token": token},
        "metadata": {"token": token},
        "ownership": {"owner": token},
        "pulls_from": [token],
        "pushes_to": [token],
        "business_owners": [token],
        "team_access": {"read": [token]},
        "dependencies": [token],
    } | content


def count(conn: Conn) -> None:
    """What two writers who read the same number must not both do."""
    name = random.choice(COUNTERS)
    found = get_contract(conn, name, "1.0.0")
    conn.commit()
    counted = {"name": name, "version": "1.0.0", "description": str(int(found.description or 0) + 1)}
    assert register_contract(conn, counted, revision=found.revision) is Outcome.UPDATED
    conn.commit()


def change(conn: Conn) -> None:
    register_contract(conn, draft(random.choice(DRAFTS), random.choice("abcdefgh")))
    conn.commit()


def change_several(conn: Conn) -> None:
    load(conn, [draft(name, random.choice("abcdefgh")) for name in random.sample(DRAFTS, 3)])
    conn.commit()


def publish(conn: Conn) -> None:
    """A new version, and in one transaction with it the old one's end."""
    name = random.choice(DRAFTS)
    version = f"2.{random.randrange(1000)}.0"
    register_contract(conn, draft(name, "x", version))
    conn.commit()
    activate(conn, name, version)
    for older in list_contracts(conn, name=name, status=Status.ACTIVE):
        if older.version != version:
            random.choice([deprecate, retire])(conn, name, older.version)
    conn.commit()


def clean_up(conn: Conn) -> None:
    rename(conn, "team", "a", "z")
    rename(conn, "team", "z", "a")
    conn.commit()


def read(conn: Conn) -> None:
    rows = [get_contract(conn, random.choice(DRAFTS), "1.0.0")]
    rows += get_contracts(conn, [(name, "1.0.0") for name in DRAFTS])
    for row in rows:
        token = row.description
        assert row.governance_rules == row.metadata == {"token": token}
        assert list(row.schema["properties"]) == list(row.coercion_rules or ()) == [token]
        assert list(row.validation_rules or ()) == [token]
        assert row.ownership and row.ownership["owner"] == token
        assert row.pulls_from == row.pushes_to == row.business_owners == row.dependencies == [token]
        assert row.read_teams == [token]
    downstream(conn, "a")
    search_contracts(conn, "draft")
    conn.commit()


WORK = [count, count, change, change_several, publish, clean_up, read, read]


def hammer(dsn: str, seed: int, until: float) -> Counter[str]:
    random.seed(seed)
    done: Counter[str] = Counter()
    with psycopg.connect(dsn) as conn:
        while time.time() < until:
            work = random.choice(WORK)
            try:
                work(conn)
                done[work.__name__] += 1
            except (RevisionConflict, StatusOrderBroken, VersionPublished) as lost:
                # Somebody was faster. Anything else is a fault.
                done[type(lost).__name__] += 1
                conn.rollback()
    return done


def test_eight_processes(conn: Conn) -> None:
    load(conn, [draft(name, "0") for name in (*COUNTERS, *DRAFTS)])
    load(conn, [{"name": token, "version": "1", "schema": {}} for token in "abcdefgh"])
    conn.execute("INSERT INTO pycharter.teams (name) VALUES ('a')")
    conn.commit()
    until = time.time() + SECONDS
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        tasks = [processes.submit(hammer, conn.info.dsn, seed, until) for seed in range(PROCESSES)]
        done = sum((task.result() for task in tasks), Counter())
    # Everything has happened, conflicts included.
    assert set(done) >= {work.__name__ for work in WORK} | {"RevisionConflict"}, done
    counted = sum(int(get_contract(conn, name, "1.0.0").description or 0) for name in COUNTERS)
    assert counted == done["count"]
    # What triggers keep beside the contracts is true as well.
    current = (
        "SELECT name, data_contract_id FROM pycharter.current_contracts WHERE data_contract_id IS NOT NULL"
    )
    assert dict(conn.execute(current).fetchall()) == {
        row.name: row.contract_id for row in list_contracts(conn, versions="current")
    }

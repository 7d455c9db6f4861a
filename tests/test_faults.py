"""What goes wrong in the middle of a load: nothing is half-written, and the next load ends well."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pycharter_sql import loader, queries
from pycharter_sql.loader import intake

Conn = psycopg.Connection[Any]
Document = dict[str, Any]

MANY = 1500
LOADING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"


def contract(name: str, **content: Any) -> Document:
    return {"name": name, "version": "1.0.0", "schema": {"type": "object"}} | content


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = tmp_path / "many.ndjson"
    documents = (contract(f"N{number}", pulls_from=[f"S{number % 7}"]) for number in range(MANY))
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def rows(conn: Conn) -> int:
    """In tables that every load fills."""
    query = """
        SELECT (SELECT count(*) FROM pycharter.data_contracts) + (SELECT count(*) FROM pycharter.systems)
            + (SELECT count(*) FROM pycharter.data_contract_system_pulls)
        """
    row = conn.execute(query).fetchone()
    conn.rollback()
    assert row
    return int(row[0])


def wait_until(conn: Conn, query: str, expected: tuple[Any, ...]) -> None:
    deadline = time.monotonic() + 30
    while conn.execute(query.encode()).fetchone() != expected:
        assert time.monotonic() < deadline, query
        time.sleep(0.005)
    conn.rollback()


@pytest.mark.parametrize("attempt", range(5))
def test_a_loader_killed_in_mid_load_leaves_nothing(conn: Conn, many: Path, attempt: int) -> None:
    command = [sys.executable, "-c", "from pycharter_sql.cli import main; main()", "--dsn", conn.info.dsn]
    with subprocess.Popen([*command, "load", many], stdout=subprocess.DEVNULL) as process:
        while conn.execute(LOADING).fetchone() == (0,) and process.poll() is None:
            time.sleep(0.005)
        conn.rollback()
        time.sleep(random.Random(attempt).uniform(0, 0.2))
        process.kill()
        # Quicker than the signal it may have been; but then it has ended well.
        assert process.wait() == -signal.SIGKILL or rows(conn) > 0
    wait_until(conn, LOADING, (0,))
    assert rows(conn) in (0, 2 * MANY + 7)
    subprocess.run([*command, "load", many], check=True, stdout=subprocess.DEVNULL)
    assert rows(conn) == 2 * MANY + 7


@pytest.mark.parametrize("read_ahead", [False, True])
def test_a_connection_cut_in_mid_stream_leaves_nothing(conn: Conn, read_ahead: bool) -> None:
    with psycopg.connect(conn.info.dsn) as other:

        def documents() -> Iterator[Document]:
            for number in range(MANY):
                if number == MANY // 2:
                    conn.execute("SELECT pg_terminate_backend(%s)", [other.info.backend_pid])
                yield contract(f"N{number}", pulls_from=[f"S{number % 7}"])

        with pytest.raises(psycopg.OperationalError):
            loader.load(other, documents(), read_ahead=read_ahead)
    wait_until(conn, LOADING, (0,))
    assert rows(conn) == 0


def test_a_load_whose_commit_was_not_heard_of_adds_nothing(conn: Conn) -> None:
    """The client is told that the connection is gone; the commit has happened. It loads again."""
    documents = [contract("A", pulls_from=["S"], status="active"), contract("B")]
    other = psycopg.connect(conn.info.dsn)
    loader.load(other, documents)
    other.pgconn.send_query(b"COMMIT")  # and nobody reads the answer
    other.pgconn.finish()
    wait_until(conn, LOADING, (0,))
    before = rows(conn)
    assert before == 4
    report = loader.load(conn, documents)
    assert (report.unchanged, report.inserted, report.updated) == (2, 0, 0)
    conn.commit()
    assert rows(conn) == before


def state(conn: Conn) -> Any:
    documents = list(queries.stream_documents(conn))
    systems = conn.execute("SELECT name, description FROM pycharter.systems ORDER BY name").fetchall()
    conn.rollback()
    return documents, systems


def empty(conn: Conn) -> None:
    conn.execute("SET LOCAL pycharter_sql.overwrite = 'yes'")
    conn.execute("TRUNCATE pycharter.systems, pycharter.data_feeds CASCADE")
    conn.commit()


def test_two_loads_at_once_end_as_if_one_came_after_the_other(
    conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BATCH", 3)
    order = random.Random(1)
    for _ in range(20):
        loads = []
        for said in ("one", "two"):
            documents = [
                contract(
                    f"N{number}",
                    description=said,
                    pulls_from=[{"name": f"S{order.randrange(5)}", "description": said}, said],
                    dependencies=[f"N{(number + 1) % 10}"],
                )
                for number in order.sample(range(10), 8)
            ]
            loads.append(documents)
        possible = []
        for first, second in (loads, loads[::-1]):
            for documents in (first, second):
                loader.load(conn, documents)
                conn.commit()
            possible.append(state(conn))
            empty(conn)

        start = threading.Barrier(2)

        def run(documents: list[Document], start: threading.Barrier = start) -> None:
            with psycopg.connect(conn.info.dsn) as own:
                start.wait()
                loader.load(own, documents)

        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(run, documents) for documents in loads]:
                done.result(timeout=30)
        assert state(conn) in possible
        empty(conn)

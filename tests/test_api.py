"""What a pipeline imports, on every kind of connection that a pipeline has."""

from __future__ import annotations

import copy
import inspect
import json
import os
import pickle
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import psycopg_pool
import pytest
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

import pycharter_sql
from pycharter_sql import (
    CatalogueError,
    ConstraintBroken,
    Contract,
    ContractNotFound,
    DocumentRefused,
    EntityNotFound,
    FeedNotFound,
    NameTaken,
    Outcome,
    RevisionConflict,
    Status,
    StatusOrderBroken,
    VersionExists,
    VersionPublished,
    activate,
    catalogue_issues,
    cleanup,
    contract_diff,
    contract_fields,
    dependencies_of,
    dependency_cycles,
    deprecate,
    downstream,
    errors,
    explaining,
    feed_lineage,
    fields_named,
    get_contract,
    get_contracts,
    get_document,
    lifecycle,
    list_contracts,
    load,
    loader,
    merge,
    plan,
    queries,
    register_contract,
    rename,
    retire,
    rows,
    search_contracts,
    sources,
    stream_documents,
    system_flow,
    upstream,
    versions_of,
)
from pycharter_sql.embedded import Server

Conn = psycopg.Connection[Any]


def contract(name: str, version: str = "1.0.0", status: str = "draft", **content: Any) -> dict[str, Any]:
    return {"name": name, "version": version, "status": status, "schema": {"type": "object"}} | content


# ---------------------------------------------------------------------------------------- what is importable


@pytest.mark.parametrize("module", [queries, lifecycle, loader, cleanup, sources, rows, errors])
def test_everything_is_importable_from_the_top(module: Any) -> None:
    public = {
        name
        for name, value in inspect.getmembers(
            module, lambda it: inspect.isfunction(it) or inspect.isclass(it)
        )
        if not name.startswith("_") and value.__module__.startswith(module.__name__)
    }
    # Of use to the package itself.
    public -= {"expecting_catalogue", "explanation", "constraint_broken", "size"}
    assert public
    for name in public:
        assert name in pycharter_sql.__all__, f"{module.__name__}.{name}"
        assert getattr(pycharter_sql, name) is getattr(module, name)


def test_nothing_is_missing() -> None:
    for name in pycharter_sql.__all__:
        assert hasattr(pycharter_sql, name)


# -------------------------------------------------------------------------------------- kinds of connection

Connecting = Callable[[], AbstractContextManager[Conn]]


@pytest.fixture(scope="module")
def pgbouncer(server: Server) -> Iterator[str]:
    """DSN, without a database, of a pgbouncer in transaction mode with two connections to the server."""
    program = shutil.which("pgbouncer", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: apt install pgbouncer)")
    # Both run as one account, which pytest's own directory is closed to.
    account = pwd.getpwuid(server.socket_directory.stat().st_uid).pw_name
    directory = Path(tempfile.mkdtemp(prefix="pycharter-sql-bouncer-"))
    directory.chmod(0o777)
    (directory / "pgbouncer.ini").write_text(
        f"""
        [databases]
        * = host={server.socket_directory} user=postgres
        [pgbouncer]
        unix_socket_dir = {directory}
        listen_addr =
        listen_port = 6432
        auth_type = any
        pool_mode = transaction
        default_pool_size = 2
        """
    )
    user = ["-u", account] if os.getuid() == 0 else []
    process = subprocess.Popen([program, "-q", *user, str(directory / "pgbouncer.ini")])
    while not (directory / ".s.PGSQL.6432").exists():
        assert process.poll() is None
        time.sleep(0.05)
    yield f"host={directory} port=6432 user=postgres"
    process.terminate()
    process.wait(10)
    shutil.rmtree(directory)


@pytest.fixture(
    params=[
        "transaction",
        "savepoint",
        "autocommit",
        "block",
        "pipeline",
        "autocommit pipeline",
        "pool",
        "pgbouncer",
    ]
)
def connecting(request: pytest.FixtureRequest, conn: Conn) -> Iterator[Connecting]:
    """How to come by a connection of one kind, to a catalogue that is empty."""
    dsn, kind = conn.info.dsn, request.param
    if kind == "pgbouncer":
        dsn = f"{request.getfixturevalue('pgbouncer')} dbname={conn.info.dbname}"

    @contextmanager
    def connect() -> Iterator[Conn]:
        with ExitStack() as stack:
            if kind == "pool":
                yield stack.enter_context(pool.connection())
                return
            # An older pgbouncer knows nothing of prepared statements.
            threshold = None if kind == "pgbouncer" else 2
            found = stack.enter_context(
                psycopg.connect(dsn, autocommit=kind.startswith("autocommit") or kind == "block")
            )
            found.prepare_threshold = threshold
            if kind == "savepoint":
                found.execute("SELECT")
            if kind in ("savepoint", "block"):
                stack.enter_context(found.transaction())
            if kind.endswith("pipeline"):
                stack.enter_context(found.pipeline())
            yield found

    with psycopg_pool.ConnectionPool(dsn, min_size=1, max_size=2, open=False) as pool:
        yield connect


def session(conn: Conn) -> Any:
    with psycopg.Cursor(conn) as cursor:
        found = cursor.execute(
            # Those of PL/pgSQL appear when its first function is called.
            "SELECT name, setting FROM pg_settings WHERE name !~ '^plpgsql'"
        ).fetchall()
    return (dict(found), conn.autocommit, conn.row_factory, conn.cursor_factory, conn.isolation_level)


def ask_everything(conn: Conn) -> Iterator[object]:
    yield get_contract(conn, "A")
    yield get_contract(conn, "nothing", missing_ok=True)
    yield get_contracts(conn, ["A", ("B", "1.0.0")])
    yield get_document(conn, "A", "1.0.0")
    yield dependencies_of(conn, "A")
    yield dependencies_of(conn, "B", "1.0.0")
    yield contract_fields(conn, "A")
    yield contract_diff(conn, "A", "1.0.0", "1.1.0")
    yield fields_named(conn, "id")
    yield search_contracts(conn, "a")
    yield list_contracts(conn, status=Status.ACTIVE)
    yield versions_of(conn, "A")
    yield upstream(conn, "A")
    yield downstream(conn, "B")
    yield feed_lineage(conn, "A", "upstream")
    yield system_flow(conn)
    yield dependency_cycles(conn)
    yield catalogue_issues(conn)
    yield plan(conn, [contract("C")]).steps


def test_every_function_on_every_connection(connecting: Connecting) -> None:
    with connecting() as conn:
        before = session(conn)
        status = conn.info.transaction_status
        assert (
            register_contract(conn, contract("A", dependencies=["B"], pulls_from=["X"])) is Outcome.INSERTED
        )
        assert (
            activate(conn, "A", "1.0.0", revision=get_contract(conn, "A", "1.0.0").revision)
            is Outcome.UPDATED
        )
        report = load(conn, [contract("A", "1.1.0", "active", dependencies=["B"]), contract("B")])
        assert report.inserted == 2
        assert deprecate(conn, "A", "1.0.0") is Outcome.UPDATED
        assert retire(conn, "A", "1.0.0") is Outcome.UPDATED
        rename(conn, "system", "X", "Y")
        assert get_contract(conn, "A", "1.0.0").pulls_from == ["Y"]
        register_contract(conn, contract("B", pulls_from=["Z"]))
        assert merge(conn, "system", "Z", "Y") == 1
        assert list(ask_everything(conn)) == list(ask_everything(conn))
        assert session(conn) == before
        if conn.autocommit and not conn.info.pipeline_status:
            assert conn.info.transaction_status == status


def test_an_error_leaves_every_connection_usable(connecting: Connecting) -> None:
    with connecting() as conn:
        register_contract(conn, contract("A", status="active", pulls_from=["X", "Y"]))
        refused: list[tuple[type[CatalogueError], Callable[[], object]]] = [
            (ContractNotFound, lambda: get_contract(conn, "B")),
            (ContractNotFound, lambda: get_contracts(conn, ["A", ("A", "9")])),
            (ContractNotFound, lambda: contract_diff(conn, "A", "8", "9")),
            (ContractNotFound, lambda: dependencies_of(conn, "B")),
            (ContractNotFound, lambda: activate(conn, "A", "9")),
            (FeedNotFound, lambda: upstream(conn, "nothing")),
            (FeedNotFound, lambda: feed_lineage(conn, "nothing", "downstream")),
            (DocumentRefused, lambda: register_contract(conn, contract("A", status="live"))),
            (ConstraintBroken, lambda: register_contract(conn, contract("D", dependencies=["D"]))),
            (RevisionConflict, lambda: register_contract(conn, contract("A"), revision=9)),
            (RevisionConflict, lambda: deprecate(conn, "A", "1.0.0", revision=9)),
            (DocumentRefused, lambda: load(conn, [contract("B"), contract("A", dependencies=["A"])])),
            (EntityNotFound, lambda: rename(conn, "system", "nothing", "Z")),
            (NameTaken, lambda: rename(conn, "system", "X", "Y")),
            (EntityNotFound, lambda: merge(conn, "system", "X", "nothing")),
        ]
        for error, call in refused:
            with pytest.raises(error) as caught:
                call()
            assert caught.value.remedy
            assert [row.name for row in list_contracts(conn)] == ["A"]
        retire(conn, "A", "1.0.0")
        with pytest.raises(StatusOrderBroken):
            activate(conn, "A", "1.0.0")
        assert register_contract(conn, contract("B")) is Outcome.INSERTED


def test_nothing_commits_but_the_caller(conn: Conn) -> None:
    register_contract(conn, contract("A"))
    with pytest.raises(DocumentRefused):
        register_contract(conn, contract("B", status="live"))
    activate(conn, "A", "1.0.0")
    load(conn, [contract("C", pulls_from=["X"])])
    rename(conn, "system", "X", "Y")
    conn.rollback()
    assert list_contracts(conn) == []


def test_streams_need_a_cursor_of_the_server(conn: Conn) -> None:
    register_contract(conn, contract("A"))
    with conn.pipeline(), pytest.raises(psycopg.NotSupportedError, match="pipeline mode"):
        list(stream_documents(conn))


def test_many_clients_behind_two_connections(conn: Conn, pgbouncer: str) -> None:
    """In transaction mode each transaction of a client may meet another server process."""
    register_contract(conn, contract("A", status="active"))
    conn.commit()

    def work(number: int) -> int:
        with psycopg.connect(
            f"{pgbouncer} dbname={conn.info.dbname}", prepare_threshold=None, row_factory=dict_row
        ) as client:
            for turn in range(10):
                register_contract(client, contract(f"N{number}", f"{turn}.0.0"))
                client.commit()
                activate(client, f"N{number}", f"{turn}.0.0")
                client.commit()
                assert get_contract(client, f"N{number}").version == f"{turn}.0.0"
                assert len(list(stream_documents(client, name=f"N{number}"))) == turn + 1
                client.commit()
            return len(versions_of(client, f"N{number}"))

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(work, range(6))) == [10] * 6


# ----------------------------------------------------------------------------------------------- many at once


def test_get_contracts(conn: Conn) -> None:
    for number in range(3):
        register_contract(conn, contract("A", f"1.{number}.0", "active", pulls_from=[f"X{number}"]))
    register_contract(conn, contract("B"))
    found = get_contracts(conn, [("B", "1.0.0"), "A", ("A", "1.0.0"), ("A", None), "A"])
    assert [(row.name, row.version) for row in found] == [
        ("B", "1.0.0"),
        ("A", "1.2.0"),
        ("A", "1.0.0"),
        ("A", "1.2.0"),
        ("A", "1.2.0"),
    ]
    assert found[1] == get_contract(conn, "A")
    assert get_contracts(conn, []) == []
    assert get_contracts(conn, iter(("nothing", "B", ("A", "1.1.0"))), missing_ok=True) == [
        None,
        None,
        get_contract(conn, "A", "1.1.0"),
    ]
    with pytest.raises(ContractNotFound, match=r'contract "A" has no version "7"; its latest is 1\.2\.0'):
        get_contracts(conn, ["A", ("A", "7"), "nothing"])


def test_interrupted_between_two_contracts(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is free at once, not only when the traceback is gone."""
    register_contract(conn, contract("A", status="active"))

    class Interrupted(Contract):
        def __post_init__(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(queries, "Contract", Interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        get_contracts(conn, ["A"] * 50)
    assert caught.traceback
    assert conn.lock.acquire(timeout=5)
    conn.lock.release()
    assert conn.execute("SELECT count(*) FROM pycharter.data_contracts").fetchone() == (1,)


def test_missing_ok(conn: Conn) -> None:
    register_contract(conn, contract("A"))
    assert get_contract(conn, "A", missing_ok=True) is None
    assert get_contract(conn, "A", "2", missing_ok=True) is None
    assert get_document(conn, "B", missing_ok=True) is None
    found = get_contract(conn, "A", "1.0.0", missing_ok=True)
    assert found is not None and found.status is Status.DRAFT


def test_a_status_that_is_none(conn: Conn) -> None:
    with pytest.raises(ValueError, match="'live' is not a valid Status"):
        list_contracts(conn, status="live")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------- SQL of one's own


def test_explaining(conn: Conn) -> None:
    register_contract(conn, contract("A", status="active"))
    conn.commit()
    insert = """
        INSERT INTO pycharter.data_contracts (name, version, schema_id, data_feed_id)
        SELECT name, version, schema_id, data_feed_id FROM pycharter.data_contracts"""
    with (
        pytest.raises(VersionExists, match=r"Key \(name, version\)=\(A, 1.0.0\)") as caught,
        explaining("A@1.0.0"),
        conn.transaction(),
    ):
        conn.execute(insert)
    assert (caught.value.constraint, caught.value.contract) == ("data_contracts_name_version_key", "A@1.0.0")
    assert "register_contract" in caught.value.remedy
    assert isinstance(caught.value.__cause__, psycopg.errors.UniqueViolation)
    with pytest.raises(VersionPublished, match="new version"), explaining(), conn.transaction():
        conn.execute("UPDATE pycharter.data_contracts SET description = 'new'")
    with pytest.raises(errors.ValueRefused), explaining(), conn.transaction():
        conn.execute("INSERT INTO pycharter.systems (name) VALUES (NULL)")
    # What is no rule of the catalogue stays what it is.
    with pytest.raises(psycopg.errors.DivisionByZero), explaining(), conn.transaction():
        conn.execute("SELECT 1/0")
    with pytest.raises(ZeroDivisionError), explaining():
        print(1 / 0)
    assert conn.info.transaction_status == TransactionStatus.IDLE


def test_what_is_not_the_catalogues(conn: Conn) -> None:
    conn.execute("CREATE TEMP TABLE users (name text CONSTRAINT users_name_key UNIQUE)")
    with pytest.raises(psycopg.errors.UniqueViolation), explaining(), conn.transaction():
        conn.execute("INSERT INTO users VALUES ('x'), ('x')")
    with pytest.raises(psycopg.errors.NoDataFound), explaining(), conn.transaction():
        conn.execute("DO $$ DECLARE x int; BEGIN SELECT 1 INTO STRICT x WHERE false; END $$")


def test_no_secret_in_a_message(conn: Conn) -> None:
    with pytest.raises(errors.ValueRefused) as caught, explaining(), conn.transaction():
        conn.execute(
            """INSERT INTO pycharter.systems (name, connection_info) VALUES ('', '{"host": "inner"}')"""
        )
    assert "inner" not in str(caught.value)


def test_errors_of_the_callers_own_in_a_pipeline(conn: Conn) -> None:
    """What the caller has queued fails as it would without us."""
    register_contract(conn, contract("A"))
    conn.commit()
    calls: list[Callable[[], object]] = [
        lambda: get_contract(conn, "A", "1.0.0"),
        lambda: activate(conn, "A", "1.0.0"),
        lambda: rename(conn, "system", "A", "B"),
        lambda: register_contract(conn, contract("B"), revision=0),
        lambda: upstream(conn, "A"),
    ]
    for call in calls:
        for own, error in {
            "SELECT * FROM nowhere": psycopg.errors.UndefinedTable,
            "SELECT 1/0": psycopg.errors.DivisionByZero,
            "DO $$ BEGIN RAISE no_data_found; END $$": psycopg.errors.NoDataFound,
            "INSERT INTO pycharter.teams (name) VALUES ('x'), ('x')": psycopg.errors.UniqueViolation,
        }.items():
            with pytest.raises(error), conn.pipeline():
                conn.execute(own.encode())
                call()
            conn.rollback()


@pytest.mark.parametrize("loads", [str, lambda text: json.loads(text, object_pairs_hook=list)])
def test_whatever_the_connection_makes_of_json(conn: Conn, loads: Callable[[Any], Any]) -> None:
    register_contract(conn, contract("A", status="active"))
    expected = get_contract(conn, "A")
    set_json_loads(loads, conn)
    assert get_contract(conn, "A") == expected
    assert register_contract(conn, contract("B")) is Outcome.INSERTED
    assert load(conn, [contract("C")]).inserted == 1


@pytest.mark.parametrize(
    "number", [0, -1, 10**18, 2**63, -(2**70), 10**300, 1.5, -2.5e-7, 12345678901234567.25, 1e19]
)
def test_numbers_are_exact(conn: Conn, number: float) -> None:
    register_contract(conn, contract("A", metadata={"n": [number, "1" * 30]}))
    found = get_contract(conn, "A", "1.0.0").metadata
    assert found == {"n": [number, "1" * 30]}


def test_errors_come_back_from_processes(conn: Conn) -> None:
    register_contract(conn, contract("A", status="active"))
    raised: list[CatalogueError] = []
    for call in (
        lambda: register_contract(conn, contract("A"), revision=0),
        lambda: register_contract(conn, contract("A", status="active", description="x")),
        lambda: register_contract(conn, contract("B", status="live")),
        lambda: load(conn, [contract("B", status="live")]),
        lambda: get_contract(conn, "B"),
        lambda: pycharter_sql.to_pycharter(get_contract(conn, "N")),
    ):
        if not raised:
            register_contract(
                conn, contract("N", status="active", validation_rules={"rules": {"f": {"no": 1}}})
            )
        with pytest.raises(CatalogueError) as caught:
            call()
        raised.append(caught.value)
    assert len({type(error) for error in raised}) == 6
    for error in raised:
        for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(copied) is type(error)
            assert str(copied) == str(error)
            assert copied.__dict__.keys() == error.__dict__.keys()
            assert (copied.reason, copied.remedy) == (error.reason, error.remedy)


def test_wrong_arguments_say_so(conn: Conn) -> None:
    register_contract(conn, contract("A", "1.1"))
    with pytest.raises(TypeError, match="a list of names"):
        get_contracts(conn, "A")
    with pytest.raises(ContractNotFound, match=r'no version "1\.2"; its latest is 1\.1'):
        get_contract(conn, "A", 1.2)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="no kind of entity: 'teem'"):
        rename(conn, "teem", "A", "B")  # type: ignore[arg-type]

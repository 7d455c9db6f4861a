"""A throw-away PostgreSQL for the whole run; a freshly migrated database for every test that asks for one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yoyo.migrations
from pytest_postgresql import factories
from pytest_postgresql.executors.noop import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from pycharter_sql import migrations
from pycharter_sql.embedded import PORT, USER, Server, temporary_server

_split = yoyo.migrations.read_sql_migration


@cache
def _split_once(path: str, changed: int) -> Any:
    return _split(path)


def _read_sql_migration(path: str) -> Any:
    directives, comment, statements = _split_once(
        path, os.stat(path).st_mtime_ns if os.path.exists(path) else 0
    )
    return directives, comment, list(statements)


# To split the files into statements takes yoyo longer than PostgreSQL to run them; hundreds of tests migrate.
yoyo.migrations.read_sql_migration = _read_sql_migration


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
        migrations.apply(server.url_of(dbname))

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

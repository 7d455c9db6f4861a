"""The server that every benchmark runs on: a temporary one, with the catalogue in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
import psycopg

from pycharter_sql import migrations
from pycharter_sql.embedded import temporary_server

SETTINGS = {
    "shared_buffers": "512MB",
    # No checkpoint but those that are asked for, and nothing that starts by itself in the middle of a run.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}

pg_bin_option = click.option(
    "--pg-bin",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of the PostgreSQL server to use. Default: the one that pycharter-sql would choose.",
)


@contextmanager
def catalogue(pg_bin: Path | None, *, durable: bool = False) -> Iterator[str]:
    """The URL of an empty catalogue, on a server that goes with the block; prints which PostgreSQL it is."""
    with temporary_server(pg_bin, SETTINGS, durable=durable) as server:
        migrations.apply(server.dsn)
        with psycopg.connect(server.dsn) as connection:
            version = connection.info.parameter_status("server_version")
        waits = "durable: a commit waits for the" if durable else "not durable: a commit waits for no"
        click.echo(f"PostgreSQL {version}, {waits} disk")
        yield server.dsn


def database_url(dsn: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


@contextmanager
def copy_of(dsn: str) -> Iterator[str]:
    """The URL of a copy of the whole database, which goes with the block.

    Nothing may be connected to the original meanwhile: PostgreSQL refuses to copy a database in use.
    """
    name = urlsplit(dsn).path.removeprefix("/")
    with psycopg.connect(database_url(dsn, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name} STRATEGY file_copy")
        try:
            yield database_url(dsn, f"{name}_copy")
        finally:
            connection.execute(f"DROP DATABASE {name}_copy WITH (FORCE)")

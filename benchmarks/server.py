"""The server that every benchmark runs on: a temporary one, with the catalogue in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
def catalogue(pg_bin: Path | None) -> Iterator[str]:
    """The URL of an empty catalogue, on a server that goes with the block; prints which PostgreSQL it is."""
    with temporary_server(pg_bin, SETTINGS) as server:
        migrations.apply(server.dsn)
        with psycopg.connect(server.dsn) as connection:
            version = connection.info.parameter_status("server_version")
        click.echo(f"PostgreSQL {version}, not durable: a commit waits for no disk")
        yield server.dsn

"""Loading many contract documents, beside what a straightforward ORM takes for the same.

benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click
import orjson
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from benchmarks.generate import write_ndjson
from benchmarks.load import Connection, Taken, empty, load_file, ratios, spread, timed
from benchmarks.orm import DataContract, Store
from benchmarks.server import catalogue, pg_bin_option

FLUSH = 500  # documents, where the session is flushed and not committed


@click.command()
@click.option("--documents", type=click.IntRange(min=1), default=2_000, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True)
@pg_bin_option
def main(documents: int, runs: int, pg_bin: Path | None) -> None:
    """Load generated contract documents with each, in turns, and print how much longer the ORM takes."""
    ours: list[Taken] = []
    tuned: list[Taken] = []
    plain: list[Taken] = []
    with catalogue(pg_bin) as dsn, TemporaryDirectory() as directory:
        file = Path(directory, "documents.ndjson")
        write_ndjson(file, documents)
        for _ in range(runs):
            empty(dsn)
            ours.append(timed(dsn, lambda connection: load_file(connection, file)))
            empty(dsn)
            tuned.append(timed(dsn, lambda connection: _by_orm(connection, file, tuned=True)))
            empty(dsn)
            plain.append(timed(dsn, lambda connection: _by_orm(connection, file, tuned=False)))
    click.echo(f"{documents} documents, times as long as ours")
    click.echo(f"ORM, entities cached, one transaction              {spread(ratios(tuned, ours))}")
    click.echo(f"ORM, get or create, a transaction each document    {spread(ratios(plain, ours))}")


def _by_orm(connection: Connection, file: Path, *, tuned: bool) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection)
    with Session(engine, autoflush=not tuned) as session, file.open("rb") as lines:
        store = Store(session, cached=tuned)
        for number, line in enumerate(lines, 1):
            store.add(orjson.loads(line))
            if not tuned:
                session.commit()
            elif number % FLUSH == 0:
                session.flush()
        session.commit()
        assert session.scalar(select(func.count()).select_from(DataContract)) == number


if __name__ == "__main__":
    main()

"""Loading many contract documents, beside the least that writing their rows can cost.

The limit is COPY (text) of the rows that our loader would make, ids resolved, in the order of the foreign
keys, in one transaction, into the same tables with every constraint, index and trigger in place.
benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
import psycopg
from psycopg import sql

from benchmarks.generate import write_legacy, write_ndjson
from benchmarks.server import catalogue, pg_bin_option
from pycharter_sql import loader, migrations, sources
from pycharter_sql.documents import Document, Raw, normalise
from pycharter_sql.errors import Refusal

SCHEMA = "pycharter"
CHUNK = 1 << 20  # bytes
FEW = 1_000  # documents, for the cost of a document by size

# Referenced before referencing.
TABLES = (
    "systems",
    "data_feeds",
    "business_owners",
    "domains",
    "teams",
    "schemas",
    "coercion_rules",
    "validation_rules",
    "governance_rules",
    "metadata_record",
    "ownership",
    "data_contracts",
    "data_contract_system_pulls",
    "data_contract_system_pushes",
    "data_contract_system_sources",
    "data_contract_business_owners",
    "data_contract_team_access",
    "data_feed_dependencies",
    "document_digests",
)
FOLLOWING = ("current_contracts", "lineage_edges")  # kept by triggers, whoever writes the others

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Taken:
    """What one run took, in seconds: of the clock, of the processor by Python and by its server process."""

    wall: float
    python: float
    server: float


@click.command()
@click.option("--documents", type=click.IntRange(min=1), default=10_000, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--at-most", type=float, metavar="RATIO", help="Exit with 1 where the median ratio exceeds this."
)
@click.option(
    "--shape",
    type=click.Choice(["documents", "json", "yaml"]),
    default="documents",
    show_default=True,
    help="Contract documents as NDJSON, or legacy contract files, one each.",
)
@pg_bin_option
def main(documents: int, runs: int, at_most: float | None, shape: str, pg_bin: Path | None) -> None:
    """Load generated contract documents, in turns with the limit, and print how much longer that takes."""
    limit: list[Taken] = []
    ours: list[Taken] = []
    again: list[Taken] = []
    planned: list[Taken] = []
    parsed: list[Taken] = []  # read, and no more
    normalised: list[Taken] = []  # read and normalised, and no more
    few: list[Taken] = []
    with catalogue(pg_bin) as dsn, TemporaryDirectory() as directory:
        many_documents = _written(Path(directory, "many"), documents, shape)
        few_documents = _written(Path(directory, "few"), FEW, shape)
        click.echo(f"{documents} documents of {sources.size([many_documents]) / documents:.0f} bytes")
        with migrations.connect(dsn) as connection:
            load_file(connection, many_documents)
            rows = _copy_out(connection, Path(directory))
        for _ in range(runs):
            empty(dsn)
            limit.append(timed(dsn, lambda connection: _copy_in(connection, rows)))
            empty(dsn)
            parsed.append(_alone(lambda: sources.read_files([many_documents])))
            normalised.append(_alone(lambda: map(_normalised, sources.read_files([many_documents]))))
            planned.append(timed(dsn, lambda connection: _plan(connection, many_documents, documents)))
            ours.append(timed(dsn, lambda connection: load_file(connection, many_documents)))
            again.append(timed(dsn, lambda connection: load_file(connection, many_documents, unchanged=True)))
            empty(dsn)
            few.append(timed(dsn, lambda connection: load_file(connection, few_documents)))
    click.echo(f"limit       {_described(limit)}")
    click.echo(f"load        {_described(ours)}")
    click.echo(f"load/limit                     {spread(ratios(ours, limit))}")
    click.echo(f"unchanged second load/load     {spread(ratios(again, ours))}")
    click.echo(f"reading alone/load             {spread(ratios(parsed, ours))}")
    click.echo(f"reading, normalising/load      {spread(ratios(normalised, ours))}")
    click.echo(f"plan/load                      {spread(ratios(planned, ours))}")
    by_size = [ratio * FEW / documents for ratio in ratios(ours, few)]
    click.echo(f"a document of {documents}/one of {FEW}   {spread(by_size)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"Python's peak: {peak:.0f} MB")
    if at_most is not None and (reached := median(ratios(ours, limit))) > at_most:
        click.echo(f"The median, {reached:.2f}, exceeds {at_most}.", err=True)
        sys.exit(1)


def _written(path: Path, documents: int, shape: str) -> Path:
    if shape == "documents":
        path = path.with_suffix(".ndjson")
        write_ndjson(path, documents)
    else:
        write_legacy(path, documents, f".{shape}")
    return path


def _normalised(found: Raw | Refusal) -> Document:
    assert isinstance(found, Raw), found
    return normalise(found)


def _alone(work: Callable[[], Iterable[object]]) -> Taken:
    wall, python = time.perf_counter(), time.process_time()
    for _ in work():
        pass
    return Taken(time.perf_counter() - wall, time.process_time() - python, 0)


def load_file(connection: Connection, path: Path, *, unchanged: bool = False) -> None:
    """As the command ``load`` does it."""
    report = loader.load(connection, sources.read_files([path]), read_ahead=True)
    connection.commit()
    assert report.loaded == report.read == (report.unchanged if unchanged else report.inserted), report


def _plan(connection: Connection, path: Path, documents: int) -> None:
    plan = loader.plan(connection, sources.read_files([path]), read_ahead=True)
    assert plan.count("insert", contracts=True) == documents, plan.refusals


def _copy_out(connection: Connection, directory: Path) -> list[tuple[sql.Composed, Path]]:
    """The rows of every table in a file, with the COPY that reads it.

    Without generated columns, and without created_at: contracts made by this transaction are not sealed yet.
    """
    rows = []
    for table in TABLES:
        name = sql.Identifier(SCHEMA, table)
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname <> 'created_at'"
            " ORDER BY attnum",
            [name.as_string(connection)],
        )
        target = sql.SQL("{} ({})").format(
            name, sql.SQL(", ").join(sql.Identifier(row[0]) for row in columns)
        )
        path = directory / table
        with (
            path.open("wb") as file,
            connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(target)) as copy,
        ):
            file.writelines(copy)
        rows.append((sql.SQL("COPY {} FROM STDIN").format(target), path))
    return rows


def _copy_in(connection: Connection, rows: list[tuple[sql.Composed, Path]]) -> None:
    for statement, path in rows:
        with path.open("rb") as file, connection.cursor().copy(statement) as copy:
            while chunk := file.read(CHUNK):
                copy.write(chunk)
    connection.commit()


def empty(dsn: str) -> None:
    tables = sql.SQL(", ").join(sql.Identifier(SCHEMA, table) for table in TABLES + FOLLOWING)
    with migrations.connect(dsn, autocommit=True) as connection:
        connection.execute("SET pycharter_sql.overwrite = 'yes'")
        connection.execute(sql.SQL("TRUNCATE {}").format(tables))
        connection.execute("CHECKPOINT")


def timed(dsn: str, work: Callable[[Connection], None]) -> Taken:
    """On a connection of its own, as every command has."""
    with migrations.connect(dsn) as connection:
        process = connection.info.backend_pid
        wall, python, server = time.perf_counter(), time.process_time(), _processor_seconds(process)
        work(connection)
        return Taken(
            time.perf_counter() - wall, time.process_time() - python, _processor_seconds(process) - server
        )


def _processor_seconds(process: int) -> float:
    """User and system time, from Linux's proc_pid_stat(5)."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def ratios(these: list[Taken], those: list[Taken]) -> list[float]:
    return [this.wall / that.wall for this, that in zip(these, those, strict=True)]


def spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f}   ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"


def _described(runs: list[Taken]) -> str:
    return (
        f"{median(run.wall for run in runs):.2f} s; busy meanwhile:"
        f" Python {median(run.python / run.wall for run in runs):.0%},"
        f" server {median(run.server / run.wall for run in runs):.0%}"
    )


if __name__ == "__main__":
    main()

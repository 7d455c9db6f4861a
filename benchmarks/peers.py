"""Storing and reading contracts, beside what peers take for the same: pycharter, and an ORM over our tables.

benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.metadata import version
from itertools import chain, cycle, islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import click
import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, joinedload, selectinload

from benchmarks import generate, pycharter_store
from benchmarks.load import spread
from benchmarks.orm import Store, reader
from benchmarks.questions import Way, compare
from benchmarks.server import catalogue, copy_of, pg_bin_option
from pycharter_sql import loader, queries

Documents = list[dict[str, Any]]
# What stores, connected to the database of a URL.
Storing = Callable[[str], AbstractContextManager[Callable[[Documents], None]]]
Seconds = Mapping[str, list[float]]  # of each way

FLUSH = 500  # documents, where the session is flushed and not committed
WARM_UP = 10  # turns before those that count: statements are prepared, caches are full
ORIGINALS = 200  # documents that pycharter's own store takes; SQL copies the rest of its catalogue from them

OURS = "ours"
PYCHARTER = f"pycharter {version('pycharter')}"


@click.command()
@click.option(
    "--documents",
    "sizes",
    type=click.IntRange(min=ORIGINALS),
    multiple=True,
    default=[1_000, 10_000],
    show_default=True,
    help="In the catalogues already; give it several times to see how the cost grows.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=2_000,
    show_default=True,
    help="Documents stored in one transaction.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Of them, where each has a transaction of its own.",
)
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Of bulk stores.")
@click.option(
    "--times", type=click.IntRange(min=1), default=100, show_default=True, help="Of single stores and reads."
)
@click.option(
    "--namespace",
    help="Of pycharter's contracts. Without one no index of it serves its look-ups by name.",
)
@pg_bin_option
def main(
    sizes: tuple[int, ...],
    batch: int,
    sample: int,
    runs: int,
    times: int,
    namespace: str | None,
    pg_bin: Path | None,
) -> None:
    """Store and read contracts by each, in turns, and print how many times longer than ours it takes."""
    many = max(batch + WARM_UP, sample + WARM_UP, 2 * (times + WARM_UP))
    source = generate.documents(max(sizes) + many)
    by_pycharter = partial(_by_pycharter, namespace=namespace)
    loaded = 0
    first: dict[str, list[float]] = {}  # what each way took at the first size
    with catalogue(pg_bin) as ours:
        theirs = pycharter_store.install(ours)
        for size in sorted(sizes):
            with psycopg.connect(ours) as connection:
                loader.load(connection, islice(source, size - loaded), read_ahead=True)
            loaded = size
            pycharter_store.fill(theirs, list(generate.documents(ORIGINALS)), size, namespace)
            for dsn in (ours, theirs):
                with psycopg.connect(dsn, autocommit=True) as connection:
                    # As autovacuum, which is off, would have done since.
                    connection.execute("VACUUM (ANALYZE)")
            # Neither catalogue has these. They come next, where there is a next size.
            new = list(islice(source, many))
            source = chain(new, source)
            for title, taken in (
                ("bulk store", bulk_store(ours, theirs, by_pycharter, new, batch, sample, runs)),
                ("single store", single_store(ours, theirs, by_pycharter, new, times)),
                ("whole read", whole_read(ours, theirs, namespace, times)),
            ):
                click.echo(f"\n{title}, {size} contracts there already")
                for name, seconds in taken.items():
                    ratios = [this / that for this, that in zip(seconds, taken[OURS], strict=True)]
                    ratio = spread(ratios) if ratios[1:] else f"{ratios[0]:.2f}"
                    before = first.setdefault(f"{title}: {name}", seconds)
                    growth = f"   {median(seconds) / median(before):.2f} times its cost at {min(sizes)}"
                    click.echo(f"  {name:40} {ratio:30}{growth if size > min(sizes) else ''}".rstrip())


def bulk_store(
    ours: str, theirs: str, by_pycharter: Storing, new: Documents, batch: int, sample: int, runs: int
) -> Seconds:
    """For each document. In each run each way stores the first of ``new`` into a copy of its catalogue."""
    ways: dict[str, tuple[str, Storing, int]] = {
        OURS: (ours, _by_load, batch),
        "ORM, entities cached, one transaction": (ours, _by_orm_tuned, batch),
        "ORM, get or create, a transaction each": (ours, _by_orm, sample),
        PYCHARTER: (theirs, by_pycharter, sample),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, (original, storing, count) in ways.items():
            with copy_of(original) as dsn, storing(dsn) as store:
                store(new[:WARM_UP])
                before = len(_contracts(dsn))
                start = time.perf_counter()
                store(new[WARM_UP : WARM_UP + count])
                taken[name].append((time.perf_counter() - start) / count)
                assert len(_contracts(dsn)) == before + count
    return taken


def single_store(ours: str, theirs: str, by_pycharter: Storing, new: Documents, times: int) -> Seconds:
    """Into one copy of each catalogue, and so ours and the ORM store different ones of ``new``."""
    with (
        copy_of(ours) as our_copy,
        copy_of(theirs) as their_copy,
        _by_register(our_copy) as register,
        _by_orm(our_copy) as get_or_create,
        by_pycharter(their_copy) as save,
    ):

        def way(store: Callable[[Documents], None], documents: Documents) -> Way:
            left = iter(documents)
            return lambda turn: store([next(left)])

        return _in_turns(
            {
                OURS: way(register, new[0::2]),
                "ORM, get or create": way(get_or_create, new[1::2]),
                PYCHARTER: way(save, new[0::2]),
            },
            times,
        )


def whole_read(ours: str, theirs: str, namespace: str | None, times: int) -> Seconds:
    """By name and version, chosen at random. None opens or ends a transaction for a read."""
    with (
        psycopg.connect(ours, autocommit=True) as connection,
        _engine(ours, isolation_level="AUTOCOMMIT") as engine,
        pycharter_store.connected(theirs) as store,
    ):

        def way(read: Callable[[str, str], object], dsn: str) -> Way:
            left = cycle(Random(1).choices(_contracts(dsn), k=times))
            return lambda turn: read(*next(left))

        def by_orm(load: Callable[..., Any]) -> Way:
            whole = reader(load)

            def read(name: str, version: str) -> object:
                with Session(engine) as session:
                    return whole(session, name, version)

            return way(read, ours)

        return _in_turns(
            {
                OURS: way(lambda name, version: queries.get_contract(connection, name, version), ours),
                "ORM, selectinload": by_orm(selectinload),
                "ORM, joinedload": by_orm(joinedload),
                PYCHARTER: way(partial(store.get_contract, namespace=namespace), theirs),
            },
            times,
        )


def _in_turns(ways: Mapping[str, Way], times: int) -> Seconds:
    for work in ways.values():
        for turn in range(WARM_UP):
            work(turn)
    return {name: [seconds] for name, seconds in compare(ways, times, None).items()}


def _contracts(dsn: str) -> list[Any]:
    """Name and version; the table is called so in both catalogues."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT name, version FROM pycharter.data_contracts ORDER BY 1, 2"
        ).fetchall()


@contextmanager
def _engine(dsn: str, **options: Any) -> Iterator[Engine]:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), **options)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _by_load(dsn: str) -> Iterator[Callable[[Documents], None]]:
    with psycopg.connect(dsn) as connection:

        def store(documents: Documents) -> None:
            loader.load(connection, documents, read_ahead=True)
            connection.commit()

        yield store


@contextmanager
def _by_register(dsn: str) -> Iterator[Callable[[Documents], None]]:
    with psycopg.connect(dsn) as connection:

        def store(documents: Documents) -> None:
            for document in documents:
                loader.register_contract(connection, document)
                connection.commit()

        yield store


@contextmanager
def _by_orm_tuned(dsn: str) -> Iterator[Callable[[Documents], None]]:
    with _engine(dsn) as engine:

        def store(documents: Documents) -> None:
            with Session(engine, autoflush=False) as session:
                catalogue = Store(session, cached=True)
                for number, document in enumerate(documents, 1):
                    catalogue.add(document)
                    if number % FLUSH == 0:
                        session.flush()
                session.commit()

        yield store


@contextmanager
def _by_orm(dsn: str) -> Iterator[Callable[[Documents], None]]:
    with _engine(dsn) as engine:

        def store(documents: Documents) -> None:
            for document in documents:
                with Session(engine) as session:
                    Store(session, cached=False).add(document)
                    session.commit()

        yield store


@contextmanager
def _by_pycharter(dsn: str, namespace: str | None) -> Iterator[Callable[[Documents], None]]:
    with pycharter_store.connected(dsn) as catalogue:

        def store(documents: Documents) -> None:
            for document in documents:
                pycharter_store.save(catalogue, document, namespace)

        yield store


if __name__ == "__main__":
    main()

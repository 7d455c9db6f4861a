"""Writing and reading one contract at a time, beside the least that each can cost.

benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import click
import orjson

from benchmarks import generate
from benchmarks.server import catalogue, pg_bin_option
from pycharter_sql import loader, migrations, queries


@click.command()
@click.option(
    "--documents",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="In the catalogue already.",
)
@click.option("--times", type=click.IntRange(min=1), default=300, show_default=True, help="For each way.")
@click.option(
    "--durable",
    is_flag=True,
    help="Data in the directory for temporary files; every COMMIT waits for its disk.",
)
@pg_bin_option
def main(documents: int, times: int, durable: bool, pg_bin: Path | None) -> None:
    """Write and read one contract in several ways, in turns, and print how many times longer each takes."""
    with (
        catalogue(pg_bin, durable=durable) as dsn,
        migrations.connect(dsn) as connection,
        migrations.connect(dsn) as pooled,
    ):
        connection.execute(
            "CREATE TABLE public.whole (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), document jsonb)"
        )
        source = generate.documents(documents + 3 * times)
        loader.load(connection, islice(source, documents))
        connection.commit()
        # As autovacuum, which is off, would have done since.
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE)")
        connection.autocommit = False
        # What a connection pool in transaction mode, such as an older pgbouncer, asks of its clients.
        pooled.prepare_threshold = None

        def insert_whole(document: dict[str, Any]) -> None:
            statement = "INSERT INTO public.whole (document) VALUES (%s)"
            connection.execute(statement, [orjson.dumps(document).decode()], prepare=True)
            connection.commit()

        def register_in_sql(document: dict[str, Any]) -> None:
            statement = "SELECT pycharter.register_contract(%s)"
            connection.execute(statement, [orjson.dumps(document).decode()], prepare=True)
            connection.commit()

        def register_in_python(document: dict[str, Any]) -> None:
            loader.register_contract(connection, document)
            connection.commit()

        # Each way writes contracts of its own.
        new = [(document,) for document in source]
        compare(
            "writing one contract",
            {
                "INSERT of the whole document, COMMIT": (insert_whole, new[0::3]),
                "register_contract() in SQL, COMMIT": (register_in_sql, new[1::3]),
                "register_contract() in Python, commit": (register_in_python, new[2::3]),
            },
        )

        def look_up(contract_id: object) -> None:
            statement = "SELECT name, version, status FROM pycharter.data_contracts WHERE id = %s"
            assert connection.execute(statement, [contract_id], prepare=True).fetchone()

        def read_view(name: str, version: str) -> None:
            statement = "SELECT * FROM pycharter.contract_full WHERE name = %s AND version = %s"
            assert connection.execute(statement, [name, version], prepare=True).fetchone()

        def get_contract(name: str, version: str) -> None:
            queries.get_contract(connection, name, version)

        def get_contract_unprepared(name: str, version: str) -> None:
            queries.get_contract(pooled, name, version)

        keys = connection.execute(
            "SELECT id, name, version FROM pycharter.data_contracts ORDER BY id"
        ).fetchall()
        chosen = Random(1).choices(keys, k=times)
        names = [(name, version) for _, name, version in chosen]
        compare(
            "reading one contract by name and version",
            {
                "contract's own row by primary key, prepared": (look_up, [(key,) for key, *_ in chosen]),
                "contract_full, prepared": (read_view, names),
                "get_contract()": (get_contract, names),
                "get_contract(), never prepared": (get_contract_unprepared, names),
            },
        )

        def get_one_after_another(hundred: list[tuple[str, str]]) -> None:
            contracts = [queries.get_contract(connection, name, version) for name, version in hundred]
            assert len(contracts) == len(hundred)

        def get_at_once(hundred: list[tuple[str, str]]) -> None:
            assert len(queries.get_contracts(connection, hundred)) == len(hundred)

        hundreds = [(Random(turn).choices(names, k=100),) for turn in range(max(times // 10, 1))]
        compare(
            "reading 100 contracts",
            {
                "get_contract(), 100 times": (get_one_after_another, hundreds),
                "get_contracts(), once": (get_at_once, hundreds),
            },
        )


Way = tuple[Callable[..., None], list[tuple[Any, ...]]]  # what to do, with which arguments each time


def compare(title: str, ways: Mapping[str, Way]) -> None:
    """Prints the median time of each way over that of the first; the ways take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(len(next(iter(ways.values()))[1])):
        for name, (work, arguments) in ways.items():
            start = time.perf_counter()
            work(*arguments[turn])
            seconds[name].append(time.perf_counter() - start)
    medians = {name: median(taken) for name, taken in seconds.items()}
    floor = next(iter(medians.values()))
    click.echo(title)
    for name, taken in medians.items():
        click.echo(f"  {name:44} {taken / floor:6.2f}")


if __name__ == "__main__":
    main()

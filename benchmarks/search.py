"""Searching contracts and fields, beside one look-up by primary key.

benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import click
import psycopg

from benchmarks import generate
from benchmarks.load import Taken, empty, load_file, ratios, spread, timed
from benchmarks.one import Way, compare
from benchmarks.server import catalogue, pg_bin_option
from pycharter_sql import loader, migrations, queries

RARE, FIELD = "quagga", "tarpan_aurochs"  # words in no generated document
LOADED, LOADS = 2_000, 5  # documents, and how often, to see what search adds to a load
SCHEMA = {"type": "object", "properties": {FIELD: {"type": "integer"}}}


@click.command()
@click.option(
    "--documents",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="In the catalogue beforehand.",
)
@click.option("--times", type=click.IntRange(min=1), default=300, show_default=True, help="For each way.")
@pg_bin_option
def main(documents: int, times: int, pg_bin: Path | None) -> None:
    """Search in several ways, in turns, and print how many times longer each takes than a look-up by key."""
    with catalogue(pg_bin) as dsn, migrations.connect(dsn, autocommit=True) as connection:
        _what_it_adds_to_a_load(dsn, connection)
        with connection.transaction():
            loader.load(connection, generate.documents(documents))
            rare = {"name": f"{RARE} register", "version": "1.0.0", "status": "active", "schema": SCHEMA}
            loader.register_contract(connection, rare)
        # Statistics, without the VACUUM that would empty the pending lists of the indexes.
        connection.execute("ANALYZE")
        keys = connection.execute(
            "SELECT id, name, version FROM pycharter.data_contracts ORDER BY id"
        ).fetchall()
        chosen = Random(1).choices(keys, k=times)
        ids = [(key,) for key, *_ in chosen]

        def look_up(contract_id: object) -> None:
            statement = "SELECT name, version, status FROM pycharter.data_contracts WHERE id = %s"
            assert connection.execute(statement, [contract_id], prepare=True).fetchone()

        def search(words: str) -> None:
            assert queries.search_contracts(connection, words)

        def fields_named(name: str) -> None:
            assert queries.fields_named(connection, name)

        def fields_of(name: str, version: str) -> None:
            assert queries.contract_fields(connection, name, version)

        def rare_ways() -> dict[str, Way]:
            return {
                "contract's own row by primary key, prepared": (look_up, ids),
                "search_contracts(), a rare word": (search, [(RARE,)] * times),
                "search_contracts(), two rare words": (search, [(f"{RARE} aurochs",)] * times),
                "fields_named(), a rare name": (fields_named, [(FIELD,)] * times),
                "contract_fields(), one contract": (
                    fields_of,
                    [(name, version) for _, name, version in chosen],
                ),
            }

        compare("searching, right after the load", rare_ways())
        connection.execute("VACUUM (ANALYZE)")
        compare("searching, after VACUUM", rare_ways())
        few = max(times // 30, 1)
        compare(
            "searching for what is in very many contracts",
            {
                "contract's own row by primary key, prepared": (look_up, ids[:few]),
                "search_contracts(), 'flight'": (search, [("flight",)] * few),
                "search_contracts(), a rare word and 'register'": (search, [(f"{RARE} register",)] * few),
                "search_contracts(), 'order code snapshot'": (search, [("order code snapshot",)] * few),
                "fields_named(), 'order_code'": (fields_named, [("order_code",)] * few),
            },
        )


def _what_it_adds_to_a_load(dsn: str, connection: psycopg.Connection[Any]) -> None:
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indexrelid::regclass::text LIKE 'pycharter.%search_vector_idx'"
    ).fetchall()
    with_search, without = list[Taken](), list[Taken]()
    with TemporaryDirectory() as directory:
        path = Path(directory, "documents.ndjson")
        generate.write_ndjson(path, LOADED)
        for _ in range(LOADS):
            empty(dsn)
            with_search.append(timed(dsn, lambda loading: load_file(loading, path)))
            empty(dsn)
            for index, _ in indexes:
                connection.execute(f"DROP INDEX {index}".encode())
            without.append(timed(dsn, lambda loading: load_file(loading, path)))
            empty(dsn)
            for _, definition in indexes:
                connection.execute(definition.encode())
    server = [a.server / b.server for a, b in zip(with_search, without, strict=True)]
    click.echo(f"a load of {LOADED} documents with the indexes for search/without them")
    click.echo(f"  by the clock                  {spread(ratios(with_search, without))}")
    click.echo(f"  processor time of the server  {spread(server)}")


if __name__ == "__main__":
    main()

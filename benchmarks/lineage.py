"""Everything that a feed is made from, and everything made from it, beside one flat read of the same edges.

benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import click
import psycopg

from benchmarks.server import catalogue, pg_bin_option
from pycharter_sql import migrations

FLOOR = "flat read of the edges"
Connection = psycopg.Connection[Any]

VERSIONS = 4  # of each contract; the last is the current one
AREAS = 5  # of the business, with no dependency between them
START = 0.5  # of the way from the first feed to the last: much lies on either side


@click.command()
@click.option("--feeds", type=click.IntRange(min=100), multiple=True, default=[25_000], show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=7, show_default=True)
@pg_bin_option
def main(feeds: Sequence[int], runs: int, pg_bin: Path | None) -> None:
    """Follow the lineage of one feed both ways, in turns with the flat read, at each of the sizes given."""
    for count in feeds:
        with catalogue(pg_bin) as dsn, migrations.connect(dsn, autocommit=True) as connection:
            connection.execute("SET search_path = pycharter, pg_temp")
            _fill(connection, count)
            click.echo(f"{count} feeds, {count * VERSIONS} contracts; quiet: one question after the other")
            feed = _feed_in_between(connection, int(count * START))
            for direction in ("upstream", "downstream"):
                _compare(connection, direction, feed, runs)
            start = time.perf_counter()
            found = connection.execute("SELECT size FROM dependency_cycles").fetchall()
            taken = time.perf_counter() - start
            read = _seconds(connection, "SELECT feed_number, dependency_number FROM lineage_edges", [])
            click.echo(
                f"  dependency_cycles: {len(found)}, the largest of {max(found)[0]} feeds;"
                f" {taken / read:.1f} times a read of all edges"
            )


def _fill(connection: Connection, count: int) -> None:
    """Contracts of nothing but dependencies, within an area: most on feeds not long before, a few on any."""
    random = Random(1)
    edges = set()
    for feed in range(1, count + 1):
        for _ in range(random.randint(0, 4)):
            place, area = divmod(feed, AREAS)
            other = random.randint(0, place)
            if random.random() < 0.97:
                other = place - 1 - int(random.random() ** 2 * min(place, 800))
            elif random.random() < 0.05:
                other = random.randint(0, count // AREAS)  # one that comes later closes a cycle
            edges.add((feed, other * AREAS + area, "required" if random.random() < 0.8 else "optional"))
    connection.execute("CREATE TEMP TABLE edge (feed integer, other integer, dependency_type text)")
    with connection.cursor().copy("COPY edge FROM STDIN") as copy:
        for edge in edges:
            copy.write_row(edge)
    with connection.transaction():
        connection.execute(
            "INSERT INTO data_feeds (name) SELECT 'Feed ' || n FROM generate_series(1, %s) AS n", [count]
        )
        connection.execute(
            """
            WITH schema AS (
                INSERT INTO schemas (name, version, schema_data)
                SELECT 'Feed', '1', '{}' FROM generate_series(1, %s::integer * %s::integer)
                RETURNING id
            )
            INSERT INTO data_contracts (name, version, status, schema_id, data_feed_id)
            SELECT f.name, v.version::text,
                CASE v.version WHEN %s::integer THEN 'active' ELSE 'deprecated' END, s.id, f.id
            FROM (SELECT id, row_number() OVER () - 1 AS place FROM schema) AS s
            JOIN data_feeds AS f ON f.number = 1 + s.place / %s::integer
            CROSS JOIN LATERAL (SELECT 1 + s.place %% %s::integer AS version) AS v
            """,
            [count, VERSIONS, VERSIONS, VERSIONS, VERSIONS],
        )
        connection.execute(
            """
            INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id, dependency_type)
            SELECT c.id, other.id, min(e.dependency_type)
            FROM edge AS e
            JOIN data_feeds AS own ON own.number = e.feed
            JOIN data_feeds AS other ON other.number = e.other
            JOIN data_contracts AS c ON c.data_feed_id = own.id
            WHERE e.feed <> e.other
            GROUP BY c.id, other.id
            """
        )
    connection.execute("VACUUM (ANALYZE)")


def _feed_in_between(connection: Connection, number: int) -> str:
    """Of the twenty feeds from this number on the one with the most feeds on both sides."""
    row = connection.execute(
        """
        SELECT f.name FROM data_feeds AS f WHERE f.number BETWEEN %s::integer AND %s::integer + 19
        ORDER BY least(
            (SELECT count(*) FROM upstream_feeds(f.name)), (SELECT count(*) FROM downstream_feeds(f.name))
        ) DESC, f.number LIMIT 1
        """,
        [number, number],
    ).fetchone()
    assert row
    return str(row[0])


def _compare(connection: Connection, direction: str, feed: str, runs: int) -> None:
    start, end = ("feed_number", "dependency_number")[:: 1 if direction == "upstream" else -1]
    numbers = [
        number
        for (number,) in connection.execute(
            "SELECT number FROM data_feeds"
            f" WHERE name IN (SELECT %s UNION ALL SELECT * FROM {direction}_feeds(%s))".encode(),
            [feed, feed],
        )
    ]
    questions: dict[str, tuple[str, list[Any]]] = {
        FLOOR: (f"SELECT {start}, {end} FROM lineage_edges WHERE {start} = ANY (%s)", [numbers]),
        f"{direction}_feeds": (f"SELECT * FROM {direction}_feeds(%s)", [feed]),
        direction: (f"SELECT * FROM {direction}(%s)", [feed]),
    }
    seconds: dict[str, list[float]] = {question: [] for question in questions}
    for _ in range(runs):
        for question, (statement, parameters) in questions.items():
            seconds[question].append(_seconds(connection, statement, parameters))
    row = connection.execute(f"SELECT max(distance) FROM {direction}(%s)".encode(), [feed]).fetchone()
    click.echo(f"  {direction} of {feed}: {len(numbers) - 1} feeds, up to {row and row[0]} steps away")
    floor = median(seconds[FLOOR])
    for question, taken in seconds.items():
        each = 1e6 * median(taken) / len(numbers)
        click.echo(f"    {question:24} {median(taken) / floor:6.2f}   {each:.1f} us a feed")


def _seconds(connection: Connection, statement: str, parameters: list[Any]) -> float:
    start = time.perf_counter()
    connection.execute(statement.encode(), parameters, prepare=True).fetchall()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

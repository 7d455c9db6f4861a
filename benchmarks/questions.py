"""Reading: one contract, all that pull from a system, everything; beside the best queries written by hand.

benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, LiteralString

import click
import psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, joinedload, lazyload, selectinload

from benchmarks import generate
from benchmarks.orm import reader
from benchmarks.server import catalogue, pg_bin_option
from pycharter_sql import loader, migrations, queries

Connection = psycopg.Connection[Any]
Way = Callable[[int], object]  # what to do in the n-th turn
Medians = dict[str, float]  # seconds

SYSTEMS = 60  # of those there are, for how many it is asked who pulls from them
ORM_TURNS = 60

# The columns of contract_full, found in the fewest steps that we know: for one contract by its keys,
COMPONENTS: LiteralString = """
    (SELECT d.name FROM domains AS d WHERE d.id = c.domain_id),
    (SELECT s.schema_data FROM schemas AS s WHERE s.id = c.schema_id),
    (SELECT r.rules FROM coercion_rules AS r WHERE r.id = c.coercion_rules_id),
    (SELECT r.rules FROM validation_rules AS r WHERE r.id = c.validation_rules_id),
    (SELECT g.rule_definition FROM governance_rules AS g WHERE g.id = c.governance_rules_id),
    (SELECT m.metadata_data FROM metadata_record AS m WHERE m.id = c.metadata_id),
    (SELECT jsonb_build_object(
        'resource_id', o.resource_id, 'owner', o.owner, 'team', o.team, 'additional_info', o.additional_info)
     FROM ownership AS o WHERE o.resource_id = c.ownership_id)"""
ONE_BY_HAND: LiteralString = f"""
SELECT c.id, c.name, c.version, c.status, c.description, c.is_data_feed, feed.name, feed.feed_type,
    {COMPONENTS},
    ARRAY(SELECT s.name FROM data_contract_system_pulls AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name),
    ARRAY(SELECT s.name FROM data_contract_system_pushes AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name),
    ARRAY(SELECT s.name FROM data_contract_system_sources AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name),
    (SELECT coalesce(array_agg(b.name ORDER BY b.name) FILTER (WHERE l.role = 'business_owner'), '{{}}')
     FROM data_contract_business_owners AS l JOIN business_owners AS b ON b.id = l.business_owner_id
     WHERE l.data_contract_id = c.id),
    access.read_teams, access.write_teams,
    ARRAY(SELECT f.name FROM data_feed_dependencies AS l JOIN data_feeds AS f ON f.id = l.dependency_feed_id
        WHERE l.data_contract_id = c.id ORDER BY f.name),
    c.created_at, c.updated_at, c.created_by, c.updated_by,
    c.revision
FROM data_contracts AS c
JOIN data_feeds AS feed ON feed.id = c.data_feed_id
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(DISTINCT t.name ORDER BY t.name), '{{}}') AS read_teams,
        coalesce(array_agg(t.name ORDER BY t.name) FILTER (WHERE l.permission = 'write'), '{{}}')
            AS write_teams
    FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id
    WHERE l.data_contract_id = c.id
) AS access
WHERE c.name = %s AND c.version = %s"""


def _names(links: LiteralString, entities: LiteralString, key: LiteralString) -> LiteralString:
    return (
        f"LEFT JOIN (SELECT l.data_contract_id, array_agg(e.name ORDER BY e.name) AS names FROM {links} AS l"
        f" JOIN {entities} AS e ON e.id = l.{key} GROUP BY l.data_contract_id)"
    )


# and for all of them by whole tables.
ALL_BY_HAND: LiteralString = f"""
SELECT c.id, c.name, c.version, c.status, c.description, c.is_data_feed, feed.name, feed.feed_type,
    domain.name, s.schema_data, cr.rules, vr.rules, g.rule_definition, m.metadata_data,
    CASE WHEN o.resource_id IS NOT NULL THEN jsonb_build_object(
        'resource_id', o.resource_id, 'owner', o.owner, 'team', o.team, 'additional_info', o.additional_info)
    END,
    coalesce(pulls.names, '{{}}'), coalesce(pushes.names, '{{}}'), coalesce(sources.names, '{{}}'),
    coalesce(owners.names, '{{}}'), coalesce(access.read_teams, '{{}}'), coalesce(access.write_teams, '{{}}'),
    coalesce(dependencies.names, '{{}}'), c.created_at, c.updated_at, c.created_by, c.updated_by,
    c.revision
FROM data_contracts AS c
JOIN data_feeds AS feed ON feed.id = c.data_feed_id
LEFT JOIN domains AS domain ON domain.id = c.domain_id
JOIN schemas AS s ON s.id = c.schema_id
LEFT JOIN coercion_rules AS cr ON cr.id = c.coercion_rules_id
LEFT JOIN validation_rules AS vr ON vr.id = c.validation_rules_id
LEFT JOIN governance_rules AS g ON g.id = c.governance_rules_id
LEFT JOIN metadata_record AS m ON m.id = c.metadata_id
LEFT JOIN ownership AS o ON o.resource_id = c.ownership_id
{_names("data_contract_system_pulls", "systems", "system_id")} AS pulls ON pulls.data_contract_id = c.id
{_names("data_contract_system_pushes", "systems", "system_id")} AS pushes ON pushes.data_contract_id = c.id
{_names("data_contract_system_sources", "systems", "system_id")} AS sources ON sources.data_contract_id = c.id
LEFT JOIN (
    SELECT l.data_contract_id, array_agg(b.name ORDER BY b.name) AS names
    FROM data_contract_business_owners AS l JOIN business_owners AS b ON b.id = l.business_owner_id
    WHERE l.role = 'business_owner' GROUP BY l.data_contract_id
) AS owners ON owners.data_contract_id = c.id
LEFT JOIN (
    SELECT l.data_contract_id, array_agg(DISTINCT t.name ORDER BY t.name) AS read_teams,
        array_agg(t.name ORDER BY t.name) FILTER (WHERE l.permission = 'write') AS write_teams
    FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id GROUP BY l.data_contract_id
) AS access ON access.data_contract_id = c.id
{_names("data_feed_dependencies", "data_feeds", "dependency_feed_id")} AS dependencies
    ON dependencies.data_contract_id = c.id"""


@click.command()
@click.option(
    "--documents",
    "sizes",
    type=click.IntRange(min=100),
    multiple=True,
    default=[1_000, 10_000],
    show_default=True,
    help="In the catalogue, ascending; give it several times to see how the ratios grow.",
)
@click.option("--times", type=click.IntRange(min=10), default=500, show_default=True, help="For each way.")
@click.option(
    "--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Of reading everything."
)
@click.option("--shuffled", is_flag=True, help="The ways in random order at every turn, not in a fixed one.")
@click.option("--orm", is_flag=True, help="Also read one contract by way of an ORM.")
@click.option(
    "--random-page-cost",
    type=float,
    default=1.1,
    show_default=True,
    help="PostgreSQL's setting for its connections. Its own default, 4, is for spinning disks.",
)
@pg_bin_option
def main(
    sizes: tuple[int, ...],
    times: int,
    runs: int,
    shuffled: bool,
    orm: bool,
    random_page_cost: float,
    pg_bin: Path | None,
) -> None:
    """Ask questions in several ways, in turns, and print how many times longer each takes than the first."""
    options = f"-c search_path=pycharter,pg_temp -c random_page_cost={random_page_cost}"
    source = generate.documents(max(sizes))
    loaded = 0
    found: dict[str, list[float]] = {}  # the ratios of each way, by size
    with catalogue(pg_bin) as dsn:
        order = "shuffled: in random order" if shuffled else "quiet: few ways at a time, to and fro"
        click.echo(f"{order}; random_page_cost {random_page_cost}")
        for size in sorted(sizes):
            with migrations.connect(dsn) as connection:
                loader.load(connection, islice(source, size - loaded), read_ahead=False)
                connection.commit()
                connection.autocommit = True
                connection.execute("VACUUM (ANALYZE)")  # as autovacuum, which is off, would have done since
            loaded = size
            asked = Questions(dsn, options, times, Random(1) if shuffled else None)
            for title, medians in asked.ask(runs, orm=orm):
                floor = next(iter(medians.values()))
                click.echo(f"\n{title}, {size} contracts")
                for name, taken in medians.items():
                    ratios = found.setdefault(f"{title}: {name}", [])
                    ratios.append(taken / floor)
                    growth = f"{ratios[-1] / ratios[0]:8.2f} times that at {min(sizes)}" if ratios[1:] else ""
                    click.echo(f"  {name:48} {taken / floor:7.2f} {taken * 1e3:11.3f} ms {growth}")


class Questions:
    """What is asked of one catalogue."""

    def __init__(self, dsn: str, options: str, times: int, random: Random | None) -> None:
        self.dsn = dsn
        self.options = options
        self.times = times
        self.random = random

    def ask(self, runs: int, *, orm: bool) -> Iterator[tuple[str, Medians]]:
        with self.connection() as connection:
            keys = connection.execute(
                "SELECT contract_id, name, version FROM contract_current ORDER BY 1"
            ).fetchall()
            chosen = Random(1).choices(keys, k=self.times)
            by_hand = connection.execute(ONE_BY_HAND, keys[0][1:]).fetchall()
            by_view = "SELECT * FROM contract_full WHERE contract_id = %s"
            assert by_hand == connection.execute(by_view, keys[0][:1]).fetchall()
            yield "one contract, in SQL", self.one_in_sql(connection, chosen)
            yield "one contract, by get_contract()", self.one_in_python(connection, chosen)
            if orm:
                yield "one contract, by an ORM", self.one_by_orm(connection, chosen)
            yield "all that pull from one system", self.pulling(connection)
            yield "everything in contract_full", self.everything(connection, runs)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with psycopg.connect(self.dsn, options=self.options, autocommit=True) as connection:
            yield connection

    def one_in_sql(self, connection: Connection, chosen: list[Any]) -> Medians:
        """Prepared; a row that arrives is not made into Python's values."""

        random = Random(2)

        def way(query: LiteralString, *columns: int) -> Way:
            # Each way reads contracts of its own: the first to read one would read it for all others.
            own = random.sample(chosen, len(chosen))

            def ask(turn: int) -> None:
                parameters = [own[turn][column] for column in columns]
                assert connection.execute(query, parameters, prepare=True).rowcount == 1

            return ask

        return self.compare(
            {
                "name, version, status by primary key": way(
                    "SELECT name, version, status FROM data_contracts WHERE id = %s", 0
                ),
                "the best query by hand": way(ONE_BY_HAND, 1, 2),
                "contract_full by name and version": way(
                    "SELECT * FROM contract_full WHERE name = %s AND version = %s", 1, 2
                ),
                "contract_latest": way("SELECT * FROM contract_latest WHERE name = %s", 1),
                "contract_current": way("SELECT * FROM contract_current WHERE name = %s", 1),
                "get_contract(name, version)": way("SELECT * FROM get_contract(%s, %s)", 1, 2),
                "get_latest_contract(name)": way("SELECT * FROM get_latest_contract(%s)", 1),
                "get_current_contract(name)": way("SELECT * FROM get_current_contract(%s)", 1),
            },
            self.times,
        )

    def one_in_python(self, connection: Connection, chosen: list[Any]) -> Medians:
        """Beside a connection that is new at every turn, of which each step counts by itself."""
        new: list[Connection] = []

        def get(connection: Connection, turn: int) -> object:
            return queries.get_contract(connection, chosen[turn][1], chosen[turn][2])

        def connect(turn: int) -> None:
            new.append(psycopg.connect(self.dsn, options=self.options, autocommit=True))

        def read_anew(turn: int) -> None:
            get(new[-1], turn)

        steps: dict[str, Way] = {
            "prepared": lambda turn: get(connection, turn),
            "new connection: connecting": connect,
            "new connection: first call": read_anew,
            "new connection: second call": read_anew,
            "new connection: third call": read_anew,
        }
        for turn in range(20):  # psycopg prepares from the fifth on
            get(connection, turn)

        # In this order whatever the order of others: each step goes on from the one before.
        def between() -> None:
            new.pop().close()
            get(connection, 0)  # else what comes next would find its server process cold

        medians = compare(steps, max(self.times // 5, 10), None, between)
        # The same on one connection that has been read from, and never prepares: as behind some poolers.
        with self.connection() as pooled:
            pooled.prepare_threshold = None
            prepared = "prepared"
            warm = self.compare(
                {
                    prepared: lambda turn: get(connection, turn),
                    "never prepared": lambda turn: get(pooled, turn),
                },
                self.times,
            )
        return medians | {"never prepared": warm["never prepared"] * medians[prepared] / warm[prepared]}

    def one_by_orm(self, connection: Connection, chosen: list[Any]) -> Medians:
        """All that contract_full tells, loaded in three ways; a session each, its connection kept."""
        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(self.dsn))

        def way(load: Callable[..., Any]) -> Way:
            read = reader(load)

            def ask(turn: int) -> object:
                with Session(engine) as session:
                    return read(session, chosen[turn][1], chosen[turn][2])

            return ask

        medians = self.compare(
            {
                "get_contract(), prepared": lambda turn: queries.get_contract(
                    connection, chosen[turn][1], chosen[turn][2]
                ),
                "ORM, selectinload": way(selectinload),
                "ORM, joinedload": way(joinedload),
                "ORM, lazy": way(lazyload),
            },
            min(ORM_TURNS, self.times),
        )
        engine.dispose()
        return medians

    def pulling(self, connection: Connection) -> Medians:
        systems = connection.execute(
            "SELECT s.name, array_agg(l.data_contract_id) FROM systems AS s"
            " JOIN data_contract_system_pulls AS l ON l.system_id = s.id GROUP BY s.name ORDER BY s.name"
        ).fetchall()
        chosen = Random(1).choices(systems, k=SYSTEMS)

        def by_key(turn: int) -> None:
            name, ids = chosen[turn]
            query = "SELECT id, name, version, status, %s::text FROM data_contracts WHERE id = ANY (%s)"
            assert connection.execute(query, [name, ids]).rowcount == len(ids)

        def by_view(turn: int) -> None:
            name, ids = chosen[turn]
            query = (
                "SELECT contract_id, contract, version, status, system FROM contract_systems"
                " WHERE system = %s AND direction = 'pulls_from'"
            )
            assert connection.execute(query, [name]).rowcount == len(ids)

        return self.compare({"the same rows by primary key": by_key, "contract_systems": by_view}, SYSTEMS)

    def everything(self, connection: Connection, runs: int) -> Medians:
        """Both on one processor core; the query by hand also with parallel workers."""

        def way(query: LiteralString, workers: int = 0) -> Way:
            setting = f"SET max_parallel_workers_per_gather = {workers}"
            return lambda turn: connection.execute(f"{setting}; COPY ({query}) TO '/dev/null'".encode())

        ways = {
            "the best query by hand": way(ALL_BY_HAND),
            "contract_full": way("SELECT * FROM contract_full"),
            "the best query by hand, in parallel": way(ALL_BY_HAND, workers=2),
        }
        return self.compare(ways, runs, warm_up=1)

    def compare(self, ways: Mapping[str, Way], turns: int, warm_up: int = 10) -> Medians:
        for work in ways.values():
            for turn in range(min(warm_up, turns)):
                work(turn)
        return compare(ways, turns, self.random)


def compare(
    ways: Mapping[str, Way], turns: int, random: Random | None, between: Callable[[], object] | None = None
) -> Medians:
    """The median time of each way; they take turns, to and fro, with ``random`` in another order each time.

    Those with something to do ``between`` turns go on from one another, and always in their order.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(turns):
        if random:
            random.shuffle(names)
        elif not between:
            names.reverse()
        for name in names:
            start = time.perf_counter()
            ways[name](turn)
            seconds[name].append(time.perf_counter() - start)
        if between:
            between()
    return {name: median(taken) for name, taken in seconds.items()}


if __name__ == "__main__":
    main()

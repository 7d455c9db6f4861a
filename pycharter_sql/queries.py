"""One typed function a question, on the caller's connection.

Every function takes a ``psycopg.Connection`` first and the catalogue's schema as the keyword ``schema``. It
reads inside the caller's transaction, never commits, changes no setting of the session, and works whatever
search_path, row_factory and cursor_factory the connection has.

Every function raises CatalogueMissing where the schema does not hold the catalogue, and psycopg.Error where
the database itself fails.

Source: sections "Queryability" and "Versioning" of the design's "Benefits of This Design".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, LiteralString, TypedDict, TypeVar, Unpack, overload
from uuid import uuid4

import orjson
import psycopg
from psycopg import Connection, Cursor, NotSupportedError, ServerCursor
from psycopg.adapt import AdaptersMap
from psycopg.rows import RowFactory, class_row, scalar_row, tuple_row
from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.types.json import set_json_loads

from pycharter_sql.errors import ContractNotFound, FeedNotFound, NoActiveVersion, expecting_catalogue
from pycharter_sql.rows import (
    CatalogueIssue,
    Contract,
    ContractChange,
    ContractDependency,
    ContractField,
    ContractSummary,
    DependencyCycle,
    FeedDependency,
    ReachableFeed,
    SearchResult,
    Status,
    SystemFlow,
)
from pycharter_sql.transactions import settle

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row")

Versions = Literal["all", "latest", "current"]
"""Which versions of each contract: all; the highest whatever its status; the highest that is active."""


Direction = Literal["upstream", "downstream"]
"""Against the flow of the data, to what a feed is made from, or with it, to what is made from the feed."""


class Filters(TypedDict, total=False):
    """What narrows ``list_contracts`` and ``stream_documents``: contract versions must pass all filters.

    A filter that is None does not narrow. Names are matched exactly; one that the catalogue does not hold
    matches nothing.
    """

    name: str | None
    status: Status | Literal["proposed", "draft", "active", "deprecated", "retired"] | None
    domain: str | None
    include_subdomains: bool
    """With ``domain``: also the domains below it. Default True."""
    data_feed: str | None
    """The feed that the contract describes."""
    pulls_from: str | None
    """A system, as in ``pushes_to`` and ``sourced_from``."""
    pushes_to: str | None
    sourced_from: str | None
    owner: str | None
    role: str | None
    """With ``owner``: what the owner is to the contract; None is any role. Default business_owner."""
    readable_by: str | None
    """A team; one that may write may also read."""
    writable_by: str | None
    depends_on: str | None
    """A data feed."""
    versions: Versions
    """Default all. The latest or current version is chosen first, then held against the other filters."""


@overload
def get_contract(
    conn: Connection[Any],
    name: str,
    version: str | None = None,
    *,
    missing_ok: Literal[False] = False,
    schema: str = "pycharter",
) -> Contract: ...


@overload
def get_contract(
    conn: Connection[Any],
    name: str,
    version: str | None = None,
    *,
    missing_ok: bool,
    schema: str = "pycharter",
) -> Contract | None: ...


def get_contract(
    conn: Connection[Any],
    name: str,
    version: str | None = None,
    *,
    missing_ok: bool = False,
    schema: str = "pycharter",
) -> Contract | None:
    """The whole of one contract version: the named one, or with None the current one (the highest active).

    Raises NoActiveVersion where there is no current one, ContractNotFound where there is no such contract or
    version; with ``missing_ok`` it is None instead.
    """
    # Functions, since the server keeps their plans even where psycopg or a pooler prepares nothing.
    query = SQL("SELECT {columns} FROM {schema}.{function} AS f").format(
        columns=_columns(Contract),
        schema=Identifier(schema),
        function=SQL(
            "get_current_contract(%(name)s::text)"
            if version is None
            else "get_contract(%(name)s::text, %(version)s::text)"
        ),
    )
    with _cursor(conn, class_row(Contract), schema) as cursor:
        contract = cursor.execute(query, {"name": name, "version": version}).fetchone()
    if contract is None and not missing_ok:
        raise _not_found(conn, name, version, schema)
    return contract


@overload
def get_contracts(
    conn: Connection[Any],
    wanted: Iterable[str | tuple[str, str | None]],
    *,
    missing_ok: Literal[False] = False,
    schema: str = "pycharter",
) -> list[Contract]: ...


@overload
def get_contracts(
    conn: Connection[Any],
    wanted: Iterable[str | tuple[str, str | None]],
    *,
    missing_ok: bool,
    schema: str = "pycharter",
) -> list[Contract | None]: ...


def get_contracts(
    conn: Connection[Any],
    wanted: Iterable[str | tuple[str, str | None]],
    *,
    missing_ok: bool = False,
    schema: str = "pycharter",
) -> list[Contract] | list[Contract | None]:
    """Many contract versions in one round trip, in the order asked for.

    ``wanted`` are names, for the current versions, or pairs of a name and a version as in ``get_contract``.
    Raises as ``get_contract`` does for the first that is missing; with ``missing_ok`` there is None in its
    place.
    """
    if isinstance(wanted, str):
        raise TypeError(f"a list of names, not one: [{wanted!r}]")
    keys = [(key, None) if isinstance(key, str) else key for key in wanted]
    query = SQL(
        "SELECT f.place, {columns} FROM {schema}.get_contracts(%(names)s::text[], %(versions)s::text[]) AS f"
    ).format(columns=_columns(Contract), schema=Identifier(schema))
    parameters = {"names": [name for name, _ in keys], "versions": [version for _, version in keys]}
    with _cursor(conn, tuple_row, schema) as cursor:
        # Decoded while the server sends the next, which a pipeline cannot. Closed, since a stream holds the
        # connection's lock until it has ended.
        read: Any = cursor.execute if conn.info.pipeline_status else cursor.stream
        with closing(read(query, parameters)) as rows:
            found = {place: Contract(*values) for place, *values in rows}
    contracts = [found.get(place) for place in range(1, len(keys) + 1)]
    if not missing_ok and None in contracts:
        raise _not_found(conn, *keys[contracts.index(None)], schema)
    return contracts


@overload
def get_document(
    conn: Connection[Any],
    name: str,
    version: str | None = None,
    *,
    missing_ok: Literal[False] = False,
    schema: str = "pycharter",
) -> dict[str, Any]: ...


@overload
def get_document(
    conn: Connection[Any],
    name: str,
    version: str | None = None,
    *,
    missing_ok: bool,
    schema: str = "pycharter",
) -> dict[str, Any] | None: ...


def get_document(
    conn: Connection[Any],
    name: str,
    version: str | None = None,
    *,
    missing_ok: bool = False,
    schema: str = "pycharter",
) -> dict[str, Any] | None:
    """The contract document of one contract version, chosen as in ``get_contract``.

    Loading it changes nothing. Its shape is that of contract-document.schema.json in this package. Raises as
    ``get_contract`` does, or with ``missing_ok`` is None.
    """
    query = SQL("SELECT {schema}.contract_document(({chosen}))").format(
        schema=Identifier(schema), chosen=_chosen(version, schema)
    )
    with _cursor(conn, scalar_row, schema) as cursor:
        document: dict[str, Any] | None = cursor.execute(query, {"name": name, "version": version}).fetchone()
    if document is None and not missing_ok:
        raise _not_found(conn, name, version, schema)
    return document


def dependencies_of(
    conn: Connection[Any], name: str, version: str | None = None, *, schema: str = "pycharter"
) -> list[ContractDependency]:
    """The feeds that one contract version, chosen as in ``get_contract``, itself depends on, sorted by name.

    Raises as ``get_contract`` does.
    """
    chosen = _chosen(version, schema)
    query = SQL(
        "SELECT {columns} FROM {schema}.contract_dependencies AS f"
        " WHERE f.contract_id = ({chosen}) ORDER BY f.dependency"
    ).format(columns=_columns(ContractDependency), schema=Identifier(schema), chosen=chosen)
    parameters = {"name": name, "version": version}
    with _cursor(conn, class_row(ContractDependency), schema) as cursor:
        dependencies = cursor.execute(query, parameters).fetchall()
    _expect_contract(conn, dependencies, name, version, schema)
    return dependencies


def contract_fields(
    conn: Connection[Any], name: str, version: str | None = None, *, schema: str = "pycharter"
) -> list[ContractField]:
    """The fields of one contract version, chosen as in ``get_contract``, nested ones too, sorted by path.

    Raises as ``get_contract`` does.
    """
    chosen = _chosen(version, schema)
    query = SQL(
        "SELECT {columns} FROM {schema}.contract_fields AS f"
        " WHERE f.contract_id = ({chosen}) ORDER BY f.path, f.pointer"
    ).format(columns=_columns(ContractField), schema=Identifier(schema), chosen=chosen)
    parameters = {"name": name, "version": version}
    with _cursor(conn, class_row(ContractField), schema) as cursor:
        found = cursor.execute(query, parameters).fetchall()
    _expect_contract(conn, found, name, version, schema)
    return found


def fields_named(conn: Connection[Any], field: str, *, schema: str = "pycharter") -> list[ContractField]:
    """The fields that have exactly this name, in all contract versions and however deep; sorted by contract,
    version, path."""
    query = SQL(
        "SELECT {columns} FROM {schema}.fields_named(%(field)s) AS f"
        ' ORDER BY f.contract COLLATE "C", {schema}.version_sort_key(f.version) COLLATE "C",'
        ' f.version COLLATE "C", f.path COLLATE "C", f.pointer COLLATE "C"'
    ).format(columns=_columns(ContractField), schema=Identifier(schema))
    with _cursor(conn, class_row(ContractField), schema) as cursor:
        return cursor.execute(query, {"field": field}).fetchall()


def search_contracts(
    conn: Connection[Any], query: str, *, max_rows: int | None = 50, schema: str = "pycharter"
) -> list[SearchResult]:
    """The contracts in which every word of the query stands somewhere or begins a word, best first.

    Looked at are names, titles, descriptions, fields, systems, owners, teams, data feeds, domains and tags of
    each contract's current version or, where none is active, of its latest. Any text is a query: capitals, _
    and punctuation do not matter. One without a word finds nothing. ``max_rows`` None is all.
    """
    statement = SQL("SELECT {columns} FROM {schema}.search_contracts(%(query)s, %(max_rows)s) AS f").format(
        columns=_columns(SearchResult), schema=Identifier(schema)
    )
    # A zero byte, which PostgreSQL's text cannot hold, separates words as well as any other.
    parameters = {"query": query.replace("\0", " "), "max_rows": max_rows}
    with _cursor(conn, class_row(SearchResult), schema) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def list_contracts(
    conn: Connection[Any], *, schema: str = "pycharter", **filters: Unpack[Filters]
) -> list[ContractSummary]:
    """The contract versions that pass all filters (see ``Filters``), sorted by name, then version."""
    query, parameters = _selection(_columns(ContractSummary), schema, filters)
    with _cursor(conn, class_row(ContractSummary), schema) as cursor:
        return cursor.execute(query, parameters).fetchall()


def stream_documents(
    conn: Connection[Any], *, schema: str = "pycharter", **filters: Unpack[Filters]
) -> Iterator[dict[str, Any]]:
    """The contract documents of the contract versions that ``list_contracts`` would list, in the same order.

    They stream through a server-side cursor in the caller's transaction, however many they are: the
    transaction must last until the last is read, and an autocommit connection needs
    ``with conn.transaction()`` around the loop (else psycopg.errors.NoActiveSqlTransaction). Raises
    psycopg.NotSupportedError in pipeline mode.
    """
    if conn.info.pipeline_status:
        raise NotSupportedError("stream_documents needs a cursor of the server, and pipeline mode has none")
    columns = SQL("{schema}.contract_document(c.id)").format(schema=Identifier(schema))
    query, parameters = _selection(columns, schema, filters)
    # Named anew each time, so that two can be read side by side.
    with (
        expecting_catalogue(schema),
        ServerCursor(conn, f"documents_{uuid4().hex}", row_factory=scalar_row) as cursor,
    ):
        yield from cursor.execute(query, parameters)


def versions_of(conn: Connection[Any], name: str, *, schema: str = "pycharter") -> list[ContractSummary]:
    """All versions of a contract, lowest first by SemVer precedence; none where there is no such contract."""
    return list_contracts(conn, schema=schema, name=name)


def contract_diff(
    conn: Connection[Any],
    name: str,
    from_version: str | None = None,
    to_version: str | None = None,
    *,
    schema: str = "pycharter",
) -> list[ContractChange]:
    """What has changed from one version of a contract to another, sorted by part, then by place.

    Without ``to_version`` it is the current one (the highest active), without ``from_version`` the version
    before the other. Metadata, the copy of what was loaded, comes last.

    Raises NoActiveVersion where there is no current version, ContractNotFound where there is no such contract
    or version, or none before the other.
    """
    # Looked up here first: an error in the database would end the caller's transaction.
    versions = versions_of(conn, name, schema=schema)
    places = {row.version: place for place, row in enumerate(versions)}
    if to_version is None:
        to_version = next((row.version for row in reversed(versions) if row.status == "active"), None)
    if to_version is None or to_version not in places:
        raise _not_found(conn, name, to_version, schema)
    if from_version is None and places[to_version] == 0:
        raise ContractNotFound(
            f'contract "{name}" has no version before {to_version}',
            remedy="See all of it: get_contract(conn, name, version), or pycharter-sql show NAME VERSION.",
        )
    if from_version is None:
        from_version = versions[places[to_version] - 1].version
    if from_version not in places:
        raise _not_found(conn, name, from_version, schema)
    query = SQL("SELECT {columns} FROM {schema}.contract_diff(%s, %s, %s) AS f").format(
        columns=_columns(ContractChange), schema=Identifier(schema)
    )
    with _cursor(conn, class_row(ContractChange), schema) as cursor:
        return cursor.execute(query, [name, from_version, to_version]).fetchall()


def contracts_pulling_from(
    conn: Connection[Any], system: str, *, versions: Versions = "all", schema: str = "pycharter"
) -> list[ContractSummary]:
    """The contract versions that pull from a system, sorted by name, then version."""
    return list_contracts(conn, schema=schema, pulls_from=system, versions=versions)


def contracts_pushing_to(
    conn: Connection[Any], system: str, *, versions: Versions = "all", schema: str = "pycharter"
) -> list[ContractSummary]:
    """The contract versions that push to a system, sorted by name, then version."""
    return list_contracts(conn, schema=schema, pushes_to=system, versions=versions)


def contracts_sourced_from(
    conn: Connection[Any], system: str, *, versions: Versions = "all", schema: str = "pycharter"
) -> list[ContractSummary]:
    """The contract versions that a system is a source of, sorted by name, then version."""
    return list_contracts(conn, schema=schema, sourced_from=system, versions=versions)


def contracts_owned_by(
    conn: Connection[Any],
    owner: str,
    *,
    role: str | None = "business_owner",
    versions: Versions = "all",
    schema: str = "pycharter",
) -> list[ContractSummary]:
    """The contract versions owned in this role, with None in any role, sorted by name, then version."""
    return list_contracts(conn, schema=schema, owner=owner, role=role, versions=versions)


def contracts_in_domain(
    conn: Connection[Any],
    domain: str,
    *,
    include_subdomains: bool = True,
    versions: Versions = "all",
    schema: str = "pycharter",
) -> list[ContractSummary]:
    """The contract versions in a domain and, unless told otherwise, in those below it, sorted by name, then
    version."""
    return list_contracts(
        conn, schema=schema, domain=domain, include_subdomains=include_subdomains, versions=versions
    )


def contracts_readable_by(
    conn: Connection[Any], team: str, *, versions: Versions = "all", schema: str = "pycharter"
) -> list[ContractSummary]:
    """The contract versions that a team may read; write implies read. Sorted by name, then version."""
    return list_contracts(conn, schema=schema, readable_by=team, versions=versions)


def contracts_writable_by(
    conn: Connection[Any], team: str, *, versions: Versions = "all", schema: str = "pycharter"
) -> list[ContractSummary]:
    """The contract versions that a team may write, sorted by name, then version."""
    return list_contracts(conn, schema=schema, writable_by=team, versions=versions)


def upstream(conn: Connection[Any], feed: str, *, schema: str = "pycharter") -> list[ReachableFeed]:
    """Every feed that a feed is made from by current contracts, once, the nearest first, then by name.

    The feed itself is among them where it lies on a cycle. Raises FeedNotFound.
    """
    return _reachable(conn, "upstream", feed, schema)


def downstream(conn: Connection[Any], feed: str, *, schema: str = "pycharter") -> list[ReachableFeed]:
    """Every feed that is made from a feed, as in ``upstream``: what a change of it can reach."""
    return _reachable(conn, "downstream", feed, schema)


def feed_lineage(
    conn: Connection[Any], feed: str, direction: Direction, *, schema: str = "pycharter"
) -> list[FeedDependency]:
    """The dependencies on all ways from a feed upstream or downstream, sorted by feed, then dependency.

    Raises FeedNotFound.
    """
    near = {"upstream": "data_feed", "downstream": "depends_on"}[direction]
    query = SQL(
        "SELECT {columns} FROM {schema}.feed_lineage AS f WHERE f.{near} = ANY (ARRAY("
        " SELECT d.name FROM {schema}.data_feeds AS d WHERE d.name = %(feed)s UNION ALL SELECT r.data_feed"
        " FROM {schema}.data_feeds AS d CROSS JOIN LATERAL {reached}(d.name) AS r WHERE d.name = %(feed)s))"
        ' ORDER BY f.data_feed COLLATE "C", f.depends_on COLLATE "C", f.contract'
    ).format(
        columns=_columns(FeedDependency),
        schema=Identifier(schema),
        near=Identifier(near),
        reached=Identifier(schema, f"{direction}_feeds"),
    )
    with _cursor(conn, class_row(FeedDependency), schema) as cursor:
        found = cursor.execute(query, {"feed": feed}).fetchall()
    _expect_feed(conn, found, feed, schema)
    return found


def system_flow(
    conn: Connection[Any], system: str | None = None, *, schema: str = "pycharter"
) -> list[SystemFlow]:
    """Which current contracts take data from which system to which: all, or those from or to one system.

    Sorted by contract, then systems.
    """
    query = SQL(
        "SELECT {columns} FROM {schema}.system_flow AS f"
        " WHERE %(system)s::text IS NULL OR f.from_system = %(system)s OR f.to_system = %(system)s"
        " ORDER BY f.contract, f.from_system, f.relation, f.to_system"
    ).format(columns=_columns(SystemFlow), schema=Identifier(schema))
    with _cursor(conn, class_row(SystemFlow), schema) as cursor:
        return cursor.execute(query, {"system": system}).fetchall()


def dependency_cycles(conn: Connection[Any], *, schema: str = "pycharter") -> list[DependencyCycle]:
    """The groups of feeds each of which is made from every other, the largest first."""
    query = SQL(
        "SELECT {columns} FROM {schema}.dependency_cycles AS f ORDER BY f.size DESC, f.data_feeds"
    ).format(columns=_columns(DependencyCycle), schema=Identifier(schema))
    with _cursor(conn, class_row(DependencyCycle), schema) as cursor:
        return cursor.execute(query).fetchall()


def catalogue_issues(conn: Connection[Any], *, schema: str = "pycharter") -> list[CatalogueIssue]:
    """What is not well in the catalogue: errors first, then warnings, then the rest; by contract."""
    query = SQL(
        "SELECT {columns} FROM {schema}.catalogue_issues AS f"
        " ORDER BY array_position('{{error,warning,info}}', f.severity), f.contract, f.issue, f.what"
    ).format(columns=_columns(CatalogueIssue), schema=Identifier(schema))
    with _cursor(conn, class_row(CatalogueIssue), schema) as cursor:
        return cursor.execute(query).fetchall()


def _reachable(conn: Connection[Any], direction: Direction, feed: str, schema: str) -> list[ReachableFeed]:
    # By way of the feed's row: without one the function would raise, and end the caller's transaction.
    query = SQL(
        "SELECT {columns} FROM {schema}.data_feeds AS d CROSS JOIN LATERAL {reached}(d.name) AS f"
        ' WHERE d.name = %(feed)s ORDER BY f.distance, f.data_feed COLLATE "C"'
    ).format(
        columns=_columns(ReachableFeed), schema=Identifier(schema), reached=Identifier(schema, direction)
    )
    with _cursor(conn, class_row(ReachableFeed), schema) as cursor:
        found = cursor.execute(query, {"feed": feed}).fetchall()
    _expect_feed(conn, found, feed, schema)
    return found


def _expect_feed(conn: Connection[Any], found: list[Any], feed: str, schema: str) -> None:
    if found:
        return
    query = SQL("SELECT FROM {}.data_feeds WHERE name = %s").format(Identifier(schema))
    with _cursor(conn, tuple_row, schema) as cursor:
        if cursor.execute(query, [feed]).fetchone() is None:
            raise FeedNotFound(
                f'there is no data feed "{feed}"',
                remedy=f"Names are exact: SELECT name FROM {schema}.data_feeds.",
            )


# Filter -> condition on the contract version c. Each starts from what the filter names and comes to the
# contracts by an index; the arrays of contract_full would have to be built for every contract first.
_CONDITIONS: dict[str, LiteralString] = {
    "name": "c.name = %(name)s",
    "status": "c.status = %(status)s",
    "domain": """c.domain_id IN (
        WITH RECURSIVE within AS (
            SELECT d.id FROM {schema}.domains AS d WHERE d.name = %(domain)s
            UNION
            SELECT d.id FROM within AS w JOIN {schema}.domains AS d ON d.parent_domain_id = w.id
            WHERE %(include_subdomains)s
        )
        SELECT id FROM within)""",
    "data_feed": "c.data_feed_id = (SELECT d.id FROM {schema}.data_feeds AS d WHERE d.name = %(data_feed)s)",
    "pulls_from": """c.id IN (
        SELECT contract_id FROM {schema}.contract_systems
        WHERE system = %(pulls_from)s AND direction = 'pulls_from')""",
    "pushes_to": """c.id IN (
        SELECT contract_id FROM {schema}.contract_systems
        WHERE system = %(pushes_to)s AND direction = 'pushes_to')""",
    "sourced_from": """c.id IN (
        SELECT contract_id FROM {schema}.contract_systems
        WHERE system = %(sourced_from)s AND direction = 'system_sources')""",
    "owner": """c.id IN (
        SELECT contract_id FROM {schema}.contract_owners
        WHERE business_owner = %(owner)s AND (role = %(role)s OR %(role)s::text IS NULL))""",
    "readable_by": "c.id IN (SELECT contract_id FROM {schema}.contract_access WHERE team = %(readable_by)s)",
    "writable_by": """c.id IN (
        SELECT contract_id FROM {schema}.contract_access WHERE team = %(writable_by)s AND can_write)""",
    "depends_on": """c.id IN (
        SELECT contract_id FROM {schema}.contract_dependencies WHERE dependency = %(depends_on)s)""",
}
_DEFAULTS: Filters = {"include_subdomains": True, "role": "business_owner", "versions": "all"}
_VIEWS: dict[str, str] = {"all": "contract_full", "latest": "contract_latest", "current": "contract_current"}


def _selection(columns: Composable, schema: str, filters: Filters) -> tuple[Composed, dict[str, Any]]:
    """The query, with its parameters, for these columns of the contract versions that pass the filters."""
    if unknown := filters.keys() - Filters.__annotations__:
        raise TypeError(f"no such filter: {', '.join(sorted(unknown))}")
    parameters: dict[str, Any] = {**_DEFAULTS, **filters}
    if parameters.get("status") is not None:
        parameters["status"] = Status(parameters["status"])
    conditions: list[Composable] = [
        SQL(condition).format(schema=Identifier(schema))
        for key, condition in _CONDITIONS.items()
        if parameters.get(key) is not None
    ]
    query = SQL(
        "SELECT {columns} FROM {schema}.{view} AS f JOIN {schema}.data_contracts AS c ON c.id = f.contract_id"
        " WHERE {conditions} ORDER BY c.name, c.version_sort_key, c.version"
    ).format(
        columns=columns,
        schema=Identifier(schema),
        view=Identifier(_VIEWS[parameters["versions"]]),
        conditions=SQL(" AND ").join(conditions or [SQL("true")]),
    )
    return query, parameters


def _chosen(version: str | None, schema: str) -> Composed:
    """A query for the id of the one contract version that a caller means by a name and this version."""
    return SQL(
        "SELECT contract_id FROM {schema}.contract_current WHERE name = %(name)s"
        if version is None
        else "SELECT contract_id FROM {schema}.contract_full WHERE name = %(name)s AND version = %(version)s"
    ).format(schema=Identifier(schema))


@cache
def _columns(row: type[DataclassInstance]) -> SQL:
    # By name, not *: a later catalogue may have further columns. The names are ours, and quoted once for all.
    return SQL(", ".join(f'f."{field.name}"' for field in fields(row)))


def _expect_contract(
    conn: Connection[Any], found: list[Any], name: str, version: str | None, schema: str
) -> None:
    """None of a contract that exists is an answer; none of one that does not is an error."""
    if found:
        return
    with _cursor(conn, scalar_row, schema) as cursor:
        parameters = {"name": name, "version": version}
        if cursor.execute(_chosen(version, schema), parameters).fetchone() is None:
            raise _not_found(conn, name, version, schema)


def _not_found(conn: Connection[Any], name: str, version: str | None, schema: str) -> ContractNotFound:
    versions = versions_of(conn, name, schema=schema)
    if not versions:
        return ContractNotFound(
            f'there is no contract "{name}"',
            remedy="See which there are: list_contracts(conn), or pycharter-sql list.",
        )
    latest = f"its latest is {versions[-1].version} ({versions[-1].status})"
    if version is None:
        return NoActiveVersion(
            f'contract "{name}" has no active version; {latest}',
            remedy="Say which version you want, or make one active.",
        )
    return ContractNotFound(
        f'contract "{name}" has no version "{version}"; {latest}',
        remedy="See which there are: versions_of(conn, name), or pycharter-sql list --name NAME.",
    )


# json.loads is a sixth of what reading a contract costs. orjson makes a float of an integer beyond 64 bits,
# which has at least nineteen digits; a text with so many in a row is left to json.
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"0" * 9)


def _json(text: Any) -> Any:
    if b"0" * 19 in text.translate(_DIGITS_ALIKE):
        return json.loads(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # nested deeper than it goes
        return json.loads(text)


# The rows have the types that they say, whatever the caller's connection makes of them.
_ADAPTERS = AdaptersMap(psycopg.adapters)
set_json_loads(_json, SimpleNamespace(adapters=_ADAPTERS, connection=None))


class _Cursor(Cursor[Row]):
    @property
    def adapters(self) -> AdaptersMap:
        return _ADAPTERS


@contextmanager
def _cursor(conn: Connection[Any], row_factory: RowFactory[Row], schema: str) -> Iterator[Cursor[Row]]:
    # Not conn.cursor(): that is of whatever class the caller has set.
    settle(conn)
    with expecting_catalogue(schema), _Cursor(conn, row_factory=row_factory) as cursor:
        yield cursor

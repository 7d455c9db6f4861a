"""An old PyCharter database -> raw documents, read in place.

Three layouts are known: that of the original design, of 0.0.10 and of 0.0.67. Each has one query that makes a
JSON object of every contract version, and one for the entities that no contract names. JSON passes through
them as text (json, never jsonb): what jsonb cannot hold is refused here, with its place, and not by a query
that fails as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from pycharter_sql.documents import Place, Raw, normalise
from pycharter_sql.errors import CatalogueError, DocumentRefused, Refusal
from pycharter_sql.sources.parsing import Malformed, parse_json

# Rows a round trip: few, since one contract may be megabytes.
ROWS_AT_A_TIME = 100


def read_database(dsn: str, *, schema: str = "pycharter") -> Iterator[Raw | Refusal]:
    """The contract versions of an old PyCharter database, then its entities that no contract names.

    ``dsn`` is a ``postgresql://`` URL, key=value pairs, or "" for libpq's PG* variables; ``schema`` is where
    the old tables are now, whatever it was called. Takes USAGE on it and SELECT on its tables, writes nothing
    and sees one moment of it: a READ ONLY transaction at REPEATABLE READ. Memory does not grow with the
    number of rows.

    Places name a table and an id: ``postgresql:pycharter.data_contracts id 17``. An entity's Raw has its
    table in ``table`` (business_owners under the later name, owners) and the keys of a seed set's row.

    * What columns and links of a contract say leads; where they are silent its metadata document speaks,
      which is kept under ``metadata``. In the original design a schema is a contract too where no row of
      data_contracts names it: the software of its day never wrote such rows. In 0.0.67 links count only where
      there is no document: that release no longer wrote them.
    * What else the rows of a contract and its components say is kept in ``metadata`` under ``old_rows``:
      times, titles, rules that are not in use, a document's status that is no longer the contract's. Ids are
      not: they differ between copies of one database, and would make its contracts differ.
    * Left behind: ids and times of links and entities, components that belong to no contract, and what is not
      about contracts (quality measurements, pipelines, storage locations, concepts, ...).

    Raises CatalogueError where the database cannot be read or the schema holds none of the layouts. Nor is
    a layout in between read in part: tables that hang on contracts and are not known are an error.
    """
    from pycharter_sql import migrations  # and with it yoyo, which nobody else needs who reads documents

    with migrations.connect(dsn) as connection, _explained(connection, schema):
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        layout = _layout(connection, schema)
        # A time in JSON has the session's offset: what is read must not depend on who reads it.
        connection.execute("SET LOCAL TimeZone TO 'UTC'")
        for place, row in _rows(connection, layout.contracts, schema):
            yield row if isinstance(row, Refusal) else _contract(row, place, schema)
        for place, row in _rows(connection, layout.entities, schema):
            yield row if isinstance(row, Refusal) else Raw(_attributes(row["row"]), place, table=row["table"])


def _rows(
    connection: psycopg.Connection[Any], query: LiteralString, schema: str
) -> Iterator[tuple[Place, dict[str, Any] | Refusal]]:
    with connection.cursor(name="old_rows") as cursor:
        cursor.itersize = ROWS_AT_A_TIME
        for where, row in cursor.execute(sql.SQL(query).format(old=sql.Identifier(schema))):
            place = _place(schema, where)
            try:
                yield place, parse_json(row.encode(), place).content
            except Malformed as malformed:
                yield place, malformed.refusal(place.source)


def _place(schema: str, where: str) -> Place:
    return Place(f"postgresql:{schema}.{where}", "")


# ---------------------------------------------------------------------------------------------------------
# Rows -> raw documents

# Where a document contradicts one of these columns, its word for it goes to old_rows: the old software
# changed the column alone, as in deprecating a contract.
_LEADING = ("namespace", "status", "is_data_feed", "created_by", "updated_by")


def _contract(found: dict[str, Any], place: Place, schema: str) -> Raw | Refusal:
    """One contract version: what a query below returns, put together."""
    old_rows: dict[str, Any] = {table: _known(row) for table, row in found["old_rows"].items()}
    rows = _known(found["row"])
    for key in ("data_feed", "domain"):
        if key in rows:
            items = _items(rows[key], key, old_rows)
            # A contract has one; that several are too many is for normalise to say.
            rows[key] = items[0] if len(items) == 1 else items
    for relation, linked in _known(found["relations"]).items():
        rows[relation] = _items(linked, relation, old_rows)
    if access := found["team_access"]:
        rows["team_access"] = {word: _items(teams, "team_access", old_rows) for word, teams in access.items()}

    parts: dict[str, Place] = {}
    for key, candidates in _known(found["components"]).items():
        used = [each for each in candidates if each["in_use"]] or candidates
        if len(used) > 1:
            where = ", ".join(each["place"] for each in used)
            remedy = f"name the one in use in data_contracts.{key}_id, or remove the others"
            return Refusal(place.source, f"/{key}", f"nothing says which of these is in use: {where}", remedy)
        for each in candidates:
            content = _known(each["content"]) if key == "ownership" else each["content"]
            beside = _known(each["beside"])
            if each is used[0]:
                rows[key], parts[key], old_rows[key] = content, _place(schema, each["place"]), beside
            else:
                old_rows.setdefault(f"{key}_not_in_use", []).append({"content": content} | beside)
    if isinstance(rows.get("schema"), dict) and (version := old_rows["schema"].pop("version", None)):
        # A schema without a version had its row's, to the old stores too.
        rows["schema"] = {"version": version} | rows["schema"]
        if rows["schema"]["version"] != version:
            old_rows["schema"]["version"] = version

    document = {} if found["document"] is None else found["document"]
    if isinstance(document, dict):
        columns = _known(found["document_columns"])
        otherwise = {key: value for key, value in columns.items() if document.get(key, value) != value}
        otherwise |= {key: value for key, value in old_rows["metadata"].items() if document.get(key) != value}
        document = columns | document
        for key in _LEADING:
            if key in rows and key in document and not _same_word(rows[key], document[key]):
                otherwise[key] = document.pop(key)
        old_rows["metadata"] = otherwise
        if old_rows := {table: row for table, row in old_rows.items() if row}:
            document["old_rows"] = old_rows
    if document != {}:
        parts["metadata"] = _place(schema, found["document_place"]) if found["document_place"] else place
    return _led_by_rows(rows, document, place, parts)


def _led_by_rows(rows: dict[str, Any], document: Any, place: Place, parts: dict[str, Place]) -> Raw:
    """Rows and metadata document as one raw document, in which the rows lead."""
    both = Raw(rows if document == {} else rows | {"metadata": document}, place, parts)
    if not isinstance(document, dict) or _normalised(both):
        return both
    # Two words for one thing are refused. So what the document says is read by itself, with the policy of the
    # rows, since access may be told by that; and what the rows say is put over it.
    alone = {key: rows[key] for key in ("name", "version") if key in rows}
    policy = {key: rows[key] for key in ("governance_rules",) if key in rows}
    derived = _normalised(Raw(alone | {"metadata": document | policy}, place, {"metadata": place}))
    led = Raw((derived or {}) | rows | {"metadata": document}, place)
    # Where that is refused as well it is for another reason, of which `both` tells the exact place.
    return led if derived and _normalised(led) else both


def _same_word(column: Any, word: Any) -> bool:
    return str(column).lower() == str(word).strip().lower()


def _normalised(raw: Raw) -> dict[str, Any] | None:
    try:
        return normalise(raw).content
    except DocumentRefused:
        return None


def _items(rows: list[dict[str, Any]], relation: str, old_rows: dict[str, Any]) -> list[Any]:
    """Items of a relation; what an entity's row says beyond that goes to ``old_rows``."""
    items = []
    for row in rows:
        item = _attributes(row)
        if further := _known(item.pop("further", {})):
            old_rows.setdefault(relation, {})[item["name"]] = further
        items.append(item["name"] if item.keys() == {"name"} else item)
    return items


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    """What an entity's row says, with the types that contract documents have."""
    known = _known(row)
    if isinstance(word := known.get("is_active"), str):
        known["is_active"] = {"true": True, "false": False}.get(word.strip().lower(), word)
    if isinstance(text := known.get("connection_info"), str):
        try:
            details = parse_json(text.encode(), Place("", "")).content
        except Malformed:
            details = text
        # Text such as `5432` is JSON too, but no more than text.
        known["connection_info"] = details if isinstance(details, dict) else text
    return known


def _known(row: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (row or {}).items() if value is not None and value != ""}


# ---------------------------------------------------------------------------------------------------------
# Layouts


@dataclass(frozen=True, slots=True)
class _Layout:
    """``column``, a table's with its type, tells the layout from the others; ``tables`` are all that hang on
    its contracts or on their metadata.

    ``contracts`` returns the place of a contract version and a JSON object: ``row``, ``relations`` and
    ``team_access`` in the words of the contract document, an entity's attributes without a place there in
    ``further``; ``components``, candidates of each; ``document``, the metadata, with columns that repeat or
    complete it in ``document_columns``; ``old_rows``, what else there is. ``entities`` returns place and
    {table, row}.
    """

    release: str
    column: tuple[str, str, str]
    tables: frozenset[str]
    contracts: LiteralString
    entities: LiteralString


def _layout(connection: psycopg.Connection[Any], schema: str) -> _Layout:
    columns = set(
        connection.execute(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
            FROM pg_catalog.pg_class AS c
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
            WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
                AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
            """,
            [schema],
        )
    )
    known = ", ".join(layout.release for layout in _LAYOUTS)
    remedy = (
        f"Name the schema of the old tables. Layouts that are read: {known}. A database of an older release "
        "is first upgraded by one of these, with its `pycharter db upgrade`."
    )
    hanging = {table for table, column, _ in columns if column in ("data_contract_id", "metadata_record_id")}
    for layout in _LAYOUTS:
        if layout.column in columns:
            if unknown := ", ".join(sorted(hanging - layout.tables)):
                raise CatalogueError(
                    f'schema "{schema}" is near to the layout of {layout.release}, but what is in {unknown} '
                    "would be lost",
                    remedy=f"{remedy} Tables that are not PyCharter's go to another schema.",
                )
            return layout
    if ("metadata_record", "metadata_data", "jsonb") in columns:
        raise CatalogueError(
            f'schema "{schema}" holds the new catalogue, not an old PyCharter database',
            remedy="Name the schema of the old one; the new one is exported by: pycharter-sql export",
        )
    found = "no layout of PyCharter that is known here" if columns else "no table"
    raise CatalogueError(f'schema "{schema}" holds {found}', remedy=remedy)


@contextmanager
def _explained(connection: psycopg.Connection[Any], schema: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        role = sql.Identifier(connection.info.user).as_string()
        name = sql.Identifier(schema).as_string()
        raise CatalogueError(
            f'cannot read the old database in schema "{schema}": {error.diag.message_primary}',
            remedy=f"Its owner may: GRANT USAGE ON SCHEMA {name} TO {role}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {role};",
        ) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise CatalogueError(
            f'schema "{schema}" lacks a part of its layout: {error.diag.message_primary}',
            remedy="Upgrade it with its own release (`pycharter db upgrade`), or restore what is missing.",
        ) from error
    except psycopg.Error as error:
        raise CatalogueError(
            f'cannot read the old database in schema "{schema}": {error.diag.message_primary or error}',
            remedy=error.diag.message_hint or "",
        ) from error


_ORIGINAL_DESIGN = _Layout(
    "the original design",
    ("metadata_record", "metadata_data", "json"),
    frozenset(
        {
            "data_contract_system_pulls",
            "data_contract_system_pushes",
            "data_contract_system_sources",
            "data_contract_business_owners",
            "data_contract_team_access",
            "data_feed_dependencies",
        }
    ),
    """
    WITH policies AS (
        SELECT schema_id, json_agg(json_build_object(
            'place', 'governance_rules id ' || id, 'in_use', false, 'content', rule_definition,
            'beside', json_build_object('name', name, 'created_at', created_at)) ORDER BY id) AS candidates
        FROM {old}.governance_rules
        GROUP BY schema_id
    )
    SELECT coalesce('data_contracts id ' || c.id, 'schemas id ' || s.id), json_build_object(
        'row', json_build_object(
            'name', coalesce(c.name, s.name),
            'version', coalesce(c.version, s.version),
            'status', lower(trim(c.status)),
            'description', c.description,
            'is_data_feed', c.is_data_feed,
            'created_by', c.created_by,
            'updated_by', c.updated_by,
            'data_feed', CASE WHEN f.id IS NOT NULL THEN json_build_array(json_build_object(
                'name', f.name, 'title', f.title, 'description', f.description, 'feed_type', f.feed_type,
                'is_active', f.is_active)) END,
            'domain', CASE WHEN d.id IS NOT NULL THEN json_build_array(json_build_object(
                'name', d.name, 'description', d.description, 'parent_domain', parent.name,
                'is_active', d.is_active)) END
        ),
        'relations', (
            SELECT json_object_agg(relation, items)
            FROM (
                SELECT relation, json_agg(json_build_object(
                    'name', y.name, 'description', y.description, 'system_type', y.system_type,
                    'connection_info', y.connection_info, 'is_active', y.is_active) ORDER BY l.id) AS items
                FROM (
                    SELECT 'pulls_from' AS relation, * FROM {old}.data_contract_system_pulls
                    UNION ALL SELECT 'pushes_to', * FROM {old}.data_contract_system_pushes
                    UNION ALL SELECT 'system_sources', * FROM {old}.data_contract_system_sources
                ) AS l
                JOIN {old}.systems AS y ON y.id = l.system_id
                WHERE l.data_contract_id = c.id
                GROUP BY relation
                UNION ALL
                SELECT 'business_owners', json_agg(json_build_object(
                    'name', o.name, 'description', o.description, 'contact_email', o.contact_email,
                    'department', o.department, 'is_active', o.is_active) ORDER BY l.id)
                FROM {old}.data_contract_business_owners AS l
                JOIN {old}.business_owners AS o ON o.id = l.business_owner_id
                WHERE l.data_contract_id = c.id
                UNION ALL
                SELECT 'dependencies', json_agg(json_build_object(
                    'name', f.name, 'dependency_type', lower(trim(l.dependency_type)), 'title', f.title,
                    'description', f.description, 'feed_type', f.feed_type, 'is_active', f.is_active)
                    ORDER BY l.id)
                FROM {old}.data_feed_dependencies AS l
                JOIN {old}.data_feeds AS f ON f.id = l.dependency_feed_id
                WHERE l.data_contract_id = c.id
            ) AS related
        ),
        'team_access', (
            SELECT json_object_agg(permission, teams)
            FROM (
                SELECT lower(trim(l.permission)) AS permission, json_agg(json_build_object(
                    'name', t.name, 'description', t.description, 'team_type', t.team_type,
                    'is_active', t.is_active) ORDER BY l.id) AS teams
                FROM {old}.data_contract_team_access AS l
                JOIN {old}.teams AS t ON t.id = l.team_id
                WHERE l.data_contract_id = c.id
                GROUP BY lower(trim(l.permission))
            ) AS permitted
        ),
        'components', json_build_object(
            'schema', json_build_array(json_build_object(
                'place', 'schemas id ' || s.id, 'in_use', true, 'content', s.schema_data,
                'beside', json_build_object(
                    'name', CASE WHEN s.name <> c.name THEN s.name END, 'version', s.version,
                    'created_at', s.created_at))),
            'coercion_rules', (
                SELECT json_agg(json_build_object(
                    'place', 'coercion_rules id ' || r.id,
                    'in_use', coalesce(
                        r.id = c.coercion_rules_id, r.version = coalesce(c.version, s.version)),
                    'content', json_build_object('version', r.version, 'rules', r.rules),
                    'beside', json_build_object('created_at', r.created_at)) ORDER BY r.id)
                FROM {old}.coercion_rules AS r
                WHERE r.id = c.coercion_rules_id OR r.schema_id = s.id
            ),
            'validation_rules', (
                SELECT json_agg(json_build_object(
                    'place', 'validation_rules id ' || r.id,
                    'in_use', coalesce(
                        r.id = c.validation_rules_id, r.version = coalesce(c.version, s.version)),
                    'content', json_build_object('version', r.version, 'rules', r.rules),
                    'beside', json_build_object('created_at', r.created_at)) ORDER BY r.id)
                FROM {old}.validation_rules AS r
                WHERE r.id = c.validation_rules_id OR r.schema_id = s.id
            ),
            'governance_rules', CASE WHEN g.id IS NULL THEN policies.candidates ELSE json_build_array(
                json_build_object(
                    'place', 'governance_rules id ' || g.id, 'in_use', true, 'content', g.rule_definition,
                    'beside', json_build_object('name', g.name, 'created_at', g.created_at))) END,
            'ownership', CASE WHEN o.resource_id IS NOT NULL THEN json_build_array(json_build_object(
                'place', 'ownership id ' || o.resource_id, 'in_use', true,
                'content', json_build_object(
                    'owner', o.owner, 'team', o.team, 'additional_info', o.additional_info),
                'beside', json_build_object(
                    'resource_id', nullif(o.resource_id, s.id::text), 'created_at', o.created_at,
                    'updated_at', o.updated_at))) END
        ),
        'document', m.metadata_data,
        'document_place', 'metadata_record id ' || m.id,
        'document_columns', NULL,
        'old_rows', json_build_object(
            'data_contracts', json_build_object('created_at', c.created_at, 'updated_at', c.updated_at),
            'metadata', json_build_object(
                'resource_id', nullif(m.resource_id, s.id::text), 'resource_type', m.resource_type,
                'created_at', m.created_at)
        )
    )::text
    FROM {old}.schemas AS s
    LEFT JOIN {old}.data_contracts AS c ON c.schema_id = s.id
    LEFT JOIN {old}.data_feeds AS f ON f.id = c.data_feed_id
    LEFT JOIN {old}.domains AS d ON d.id = c.domain_id
    LEFT JOIN {old}.domains AS parent ON parent.id = d.parent_domain_id
    LEFT JOIN {old}.governance_rules AS g ON g.id = c.governance_rules_id
    LEFT JOIN policies ON policies.schema_id = s.id
    LEFT JOIN {old}.ownership AS o ON o.resource_id = coalesce(c.ownership_id, s.id::text)
    LEFT JOIN {old}.metadata_record AS m ON m.id = coalesce(c.metadata_id, (
        SELECT id FROM {old}.metadata_record WHERE resource_id = s.id::text AND resource_type = 'schema'))
    ORDER BY s.id, c.id
    """,
    """
    SELECT 'systems id ' || y.id, json_build_object('table', 'systems', 'row', json_build_object(
        'name', y.name, 'description', y.description, 'system_type', y.system_type,
        'connection_info', y.connection_info, 'is_active', y.is_active))::text
    FROM {old}.systems AS y
    WHERE NOT EXISTS (SELECT FROM {old}.data_contract_system_pulls WHERE system_id = y.id)
        AND NOT EXISTS (SELECT FROM {old}.data_contract_system_pushes WHERE system_id = y.id)
        AND NOT EXISTS (SELECT FROM {old}.data_contract_system_sources WHERE system_id = y.id)
    UNION ALL
    SELECT 'data_feeds id ' || f.id, json_build_object('table', 'data_feeds', 'row', json_build_object(
        'name', f.name, 'title', f.title, 'description', f.description, 'feed_type', f.feed_type,
        'is_active', f.is_active))::text
    FROM {old}.data_feeds AS f
    WHERE NOT EXISTS (SELECT FROM {old}.data_contracts WHERE data_feed_id = f.id)
        AND NOT EXISTS (SELECT FROM {old}.data_feed_dependencies WHERE dependency_feed_id = f.id)
    UNION ALL
    SELECT 'business_owners id ' || o.id, json_build_object('table', 'owners', 'row', json_build_object(
        'id', o.name, 'description', o.description, 'email', o.contact_email, 'team', o.department,
        'is_active', o.is_active))::text
    FROM {old}.business_owners AS o
    WHERE NOT EXISTS (SELECT FROM {old}.data_contract_business_owners WHERE business_owner_id = o.id)
    UNION ALL
    -- A parent's own description and parent stand in no contract of its children.
    SELECT 'domains id ' || d.id, json_build_object('table', 'domains', 'row', json_build_object(
        'name', d.name, 'description', d.description, 'parent_domain', parent.name,
        'is_active', d.is_active))::text
    FROM {old}.domains AS d
    LEFT JOIN {old}.domains AS parent ON parent.id = d.parent_domain_id
    WHERE NOT EXISTS (SELECT FROM {old}.data_contracts WHERE domain_id = d.id)
    UNION ALL
    SELECT 'teams id ' || t.id, json_build_object('table', 'teams', 'row', json_build_object(
        'name', t.name, 'description', t.description, 'team_type', t.team_type,
        'is_active', t.is_active))::text
    FROM {old}.teams AS t
    WHERE NOT EXISTS (SELECT FROM {old}.data_contract_team_access WHERE team_id = t.id)
    """,
)

_CONTRACT_TABLES = frozenset(
    {
        "data_contracts",
        "metadata_records",
        "coercion_rules",
        "validation_rules",
        "quality_metrics",
        "quality_violations",
    }
)
_LINKS = frozenset(
    {
        "metadata_record_system_pulls",
        "metadata_record_system_pushes",
        "metadata_record_system_sources",
        "metadata_record_domains",
    }
)

_0_0_10 = _Layout(
    "0.0.10",
    ("schemas", "data_contract_id", "uuid"),
    _CONTRACT_TABLES
    | _LINKS
    | {
        "schemas",
        "metadata_record_business_owners",
        "metadata_record_bu_sme",
        "metadata_record_it_application_owners",
        "metadata_record_it_sme",
        "metadata_record_support_lead",
    },
    """
    SELECT 'data_contracts id ' || c.id, json_build_object(
        'row', json_build_object(
            'name', c.name,
            'version', c.version,
            'status', lower(trim(c.status)),
            'description', c.description,
            'created_by', c.created_by,
            'updated_by', c.updated_by,
            'domain', (
                SELECT json_agg(
                    json_build_object('name', d.name, 'description', d.description) ORDER BY d.name)
                FROM {old}.metadata_record_domains AS l
                JOIN {old}.domains AS d ON d.id = l.domain_id
                WHERE l.metadata_record_id = m.id
            )
        ),
        'relations', (
            SELECT json_object_agg(relation, items)
            FROM (
                SELECT relation, json_agg(json_build_object(
                    'name', y.name, 'description', y.description,
                    'further', json_build_object('app_id', y.app_id)) ORDER BY y.name) AS items
                FROM (
                    SELECT 'pulls_from' AS relation, * FROM {old}.metadata_record_system_pulls
                    UNION ALL SELECT 'pushes_to', * FROM {old}.metadata_record_system_pushes
                    UNION ALL SELECT 'system_sources', * FROM {old}.metadata_record_system_sources
                ) AS l
                JOIN {old}.systems AS y ON y.id = l.system_id
                WHERE l.metadata_record_id = m.id
                GROUP BY relation
                UNION ALL
                SELECT 'business_owners', json_agg(json_build_object(
                    'name', o.id, 'role', l.role, 'description', nullif(o.name, o.id),
                    'contact_email', o.email, 'department', o.team,
                    'further', json_build_object('additional_info', o.additional_info)) ORDER BY l.role, o.id)
                FROM (
                    -- business_owner is the role of an owner without one.
                    SELECT '' AS role, * FROM {old}.metadata_record_business_owners
                    UNION ALL SELECT 'business_sme', * FROM {old}.metadata_record_bu_sme
                    UNION ALL SELECT 'technical_owner', * FROM {old}.metadata_record_it_application_owners
                    UNION ALL SELECT 'technical_sme', * FROM {old}.metadata_record_it_sme
                    UNION ALL SELECT 'support_lead', * FROM {old}.metadata_record_support_lead
                ) AS l
                JOIN {old}.owners AS o ON o.id = l.owner_id
                WHERE l.metadata_record_id = m.id
            ) AS related
        ),
        'team_access', NULL,
        'components', json_build_object(
            'schema', (
                SELECT json_agg(json_build_object(
                    'place', 'schemas id ' || s.id, 'in_use', s.id = c.schema_id, 'content', s.schema_data,
                    'beside', json_build_object(
                        'title', nullif(s.title, c.name), 'version', s.version, 'created_at', s.created_at,
                        'updated_at', s.updated_at)) ORDER BY s.version)
                FROM {old}.schemas AS s
                WHERE s.id = c.schema_id OR s.data_contract_id = c.id
            ),
            'coercion_rules', (
                SELECT json_agg(json_build_object(
                    'place', 'coercion_rules id ' || r.id, 'in_use', r.id = c.coercion_rules_id,
                    'content', json_build_object('version', r.version, 'rules', r.rules),
                    'beside', json_build_object(
                        'title', r.title, 'description', r.description, 'created_at', r.created_at,
                        'updated_at', r.updated_at)) ORDER BY r.version)
                FROM {old}.coercion_rules AS r
                WHERE r.id = c.coercion_rules_id OR r.data_contract_id = c.id
            ),
            'validation_rules', (
                SELECT json_agg(json_build_object(
                    'place', 'validation_rules id ' || r.id, 'in_use', r.id = c.validation_rules_id,
                    'content', json_build_object('version', r.version, 'rules', r.rules),
                    'beside', json_build_object(
                        'title', r.title, 'description', r.description, 'created_at', r.created_at,
                        'updated_at', r.updated_at)) ORDER BY r.version)
                FROM {old}.validation_rules AS r
                WHERE r.id = c.validation_rules_id OR r.data_contract_id = c.id
            )
        ),
        'document', NULL,
        'document_place', 'metadata_records id ' || m.id,
        'document_columns', json_build_object(
            'title', m.title, 'version', m.version, 'status', m.status, 'type', m.type,
            'description', m.description, 'governance_rules', m.governance_rules,
            'created_by', m.created_by, 'updated_by', m.updated_by),
        'old_rows', json_build_object(
            'data_contracts', json_build_object(
                'schema_version', c.schema_version, 'coercion_rules_version', c.coercion_rules_version,
                'validation_rules_version', c.validation_rules_version,
                'metadata_version', c.metadata_version, 'created_at', c.created_at,
                'updated_at', c.updated_at),
            'metadata', json_build_object('created_at', m.created_at, 'updated_at', m.updated_at)
        )
    )::text
    FROM {old}.data_contracts AS c
    LEFT JOIN {old}.metadata_records AS m ON m.id = c.metadata_record_id
    ORDER BY c.name, c.version
    """,
    """
    SELECT 'systems id ' || y.id, json_build_object('table', 'systems', 'row', json_build_object(
        'name', y.name, 'description', y.description, 'app_id', y.app_id))::text
    FROM {old}.systems AS y
    WHERE NOT EXISTS (SELECT FROM {old}.metadata_record_system_pulls WHERE system_id = y.id)
        AND NOT EXISTS (SELECT FROM {old}.metadata_record_system_pushes WHERE system_id = y.id)
        AND NOT EXISTS (SELECT FROM {old}.metadata_record_system_sources WHERE system_id = y.id)
    UNION ALL
    SELECT 'domains id ' || d.id, json_build_object('table', 'domains', 'row', json_build_object(
        'name', d.name, 'description', d.description))::text
    FROM {old}.domains AS d
    WHERE NOT EXISTS (SELECT FROM {old}.metadata_record_domains WHERE domain_id = d.id)
    UNION ALL
    SELECT 'owners id ' || o.id, json_build_object('table', 'owners', 'row', json_build_object(
        'id', o.id, 'name', nullif(o.name, o.id), 'email', o.email, 'team', o.team,
        'additional_info', o.additional_info))::text
    FROM {old}.owners AS o
    WHERE NOT EXISTS (SELECT FROM {old}.metadata_record_business_owners WHERE owner_id = o.id)
        AND NOT EXISTS (SELECT FROM {old}.metadata_record_bu_sme WHERE owner_id = o.id)
        AND NOT EXISTS (SELECT FROM {old}.metadata_record_it_application_owners WHERE owner_id = o.id)
        AND NOT EXISTS (SELECT FROM {old}.metadata_record_it_sme WHERE owner_id = o.id)
        AND NOT EXISTS (SELECT FROM {old}.metadata_record_support_lead WHERE owner_id = o.id)
    """,
)

_0_0_67 = _Layout(
    "0.0.67",
    ("metadata_records", "payload", "json"),
    _CONTRACT_TABLES
    | _LINKS
    | {
        "json_schemas",
        "field_bindings",
        "metadata_record_ownership",
        "metadata_record_data_feeds",
        "metadata_record_environments",
        "metadata_record_storage_locations",
        "metadata_record_compliance_frameworks",
        "api_endpoints",
        "data_contract_tags",
        "pipeline_configs",
    },
    """
    SELECT 'data_contracts id ' || c.id, json_build_object(
        'row', json_build_object(
            'name', c.name,
            'namespace', c.namespace,
            'version', c.version,
            'status', lower(trim(c.status)),
            'description', c.description,
            'created_by', c.created_by,
            'updated_by', c.updated_by,
            'data_feed', (
                SELECT json_agg(json_build_object(
                    'name', f.name, 'title', f.title, 'description', f.description, 'feed_type', f.feed_type,
                    'is_active', f.is_active,
                    'further', json_build_object('additional_metadata', f.additional_metadata))
                    ORDER BY f.name)
                FROM {old}.metadata_record_data_feeds AS l
                JOIN {old}.data_feeds AS f ON f.id = l.data_feed_id
                WHERE l.metadata_record_id = linked.id
            ),
            'domain', (
                SELECT json_agg(
                    json_build_object('name', d.name, 'description', d.description) ORDER BY d.name)
                FROM {old}.metadata_record_domains AS l
                JOIN {old}.domains AS d ON d.id = l.domain_id
                WHERE l.metadata_record_id = linked.id
            )
        ),
        'relations', (
            SELECT json_object_agg(relation, items)
            FROM (
                SELECT relation, json_agg(json_build_object(
                    'name', y.name, 'description', y.description,
                    'further', json_build_object('app_id', y.app_id)) ORDER BY y.name) AS items
                FROM (
                    SELECT 'pulls_from' AS relation, * FROM {old}.metadata_record_system_pulls
                    UNION ALL SELECT 'pushes_to', * FROM {old}.metadata_record_system_pushes
                    UNION ALL SELECT 'system_sources', * FROM {old}.metadata_record_system_sources
                ) AS l
                JOIN {old}.systems AS y ON y.id = l.system_id
                WHERE l.metadata_record_id = linked.id
                GROUP BY relation
                UNION ALL
                SELECT 'business_owners', json_agg(json_build_object(
                    'name', o.id, 'role', nullif(lower(trim(l.role)), 'business_owner'),
                    'description', nullif(o.name, o.id), 'contact_email', o.email, 'department', o.team,
                    'further', json_build_object('additional_info', o.additional_info)) ORDER BY l.role, o.id)
                FROM {old}.metadata_record_ownership AS l
                JOIN {old}.owners AS o ON o.id = l.owner_id
                WHERE l.metadata_record_id = linked.id
            ) AS related
        ),
        'team_access', NULL,
        'components', json_build_object(
            'schema', CASE WHEN s.id IS NOT NULL THEN json_build_array(json_build_object(
                'place', 'json_schemas id ' || s.id, 'in_use', true, 'content', s.schema_data,
                'beside', json_build_object(
                    'name', nullif(s.name, c.name), 'version', s.version, 'created_at', s.created_at,
                    'updated_at', s.updated_at))) END,
            'coercion_rules', CASE WHEN cr.id IS NOT NULL THEN json_build_array(json_build_object(
                'place', 'coercion_rules id ' || cr.id, 'in_use', true,
                'content', json_build_object('version', cr.version, 'rules', cr.rules),
                'beside', json_build_object(
                    'name', cr.name, 'description', cr.description, 'created_at', cr.created_at,
                    'updated_at', cr.updated_at))) END,
            'validation_rules', CASE WHEN vr.id IS NOT NULL THEN json_build_array(json_build_object(
                'place', 'validation_rules id ' || vr.id, 'in_use', true,
                'content', json_build_object('version', vr.version, 'rules', vr.rules),
                'beside', json_build_object(
                    'name', vr.name, 'description', vr.description, 'created_at', vr.created_at,
                    'updated_at', vr.updated_at))) END
        ),
        'document', m.payload,
        'document_place', 'metadata_records id ' || m.id,
        'document_columns', json_build_object(
            'type', m.type, 'description', m.description,
            'governance_rules', m.governance_rules, 'data_quality', c.data_quality,
            'sla_default_element', c.sla_default_element, 'sla_properties', c.sla_properties,
            'field_bindings', b.mapping_data,
            'tags', (
                SELECT json_agg(t.name ORDER BY t.name)
                FROM {old}.data_contract_tags AS l
                JOIN {old}.tags AS t ON t.id = l.tag_id
                WHERE l.data_contract_id = c.id
            ),
            'data_dependencies', (
                SELECT json_agg(json_build_object(
                    'name', target.name, 'namespace', target.namespace, 'version', target.version,
                    'dependency_type', l.dependency_type, 'description', l.description,
                    'is_critical', l.is_critical) ORDER BY target.name, target.version, target.namespace)
                FROM {old}.data_dependencies AS l
                JOIN {old}.data_contracts AS target ON target.id = l.target_contract_id
                WHERE l.source_contract_id = c.id
            )),
        'old_rows', json_build_object(
            'data_contracts', json_build_object(
                'revision', c.revision, 'created_at', c.created_at, 'updated_at', c.updated_at),
            'metadata', json_build_object(
                'status', m.status, 'created_by', m.created_by, 'updated_by', m.updated_by,
                'created_at', m.created_at, 'updated_at', m.updated_at),
            'field_bindings', json_build_object(
                'name', b.name, 'version', b.version, 'description', b.description,
                'created_at', b.created_at, 'updated_at', b.updated_at),
            'further', json_build_object(
                'environments', (
                    SELECT json_agg(e.name ORDER BY e.name)
                    FROM {old}.metadata_record_environments AS l
                    JOIN {old}.environments AS e ON e.id = l.environment_id
                    WHERE l.metadata_record_id = m.id
                ),
                'storage_locations', (
                    SELECT json_agg(
                        json_build_object('name', y.name, 'usage_type', l.usage_type) ORDER BY y.name, y.id)
                    FROM {old}.metadata_record_storage_locations AS l
                    JOIN {old}.storage_locations AS y ON y.id = l.storage_location_id
                    WHERE l.metadata_record_id = m.id
                ),
                'compliance_frameworks', (
                    SELECT json_agg(json_build_object(
                        'name', f.name, 'compliance_status', l.compliance_status, 'notes', l.notes)
                        ORDER BY f.name)
                    FROM {old}.metadata_record_compliance_frameworks AS l
                    JOIN {old}.compliance_frameworks AS f ON f.id = l.compliance_framework_id
                    WHERE l.metadata_record_id = m.id
                ),
                'api_endpoints', (
                    SELECT json_agg(json_build_object(
                        'path', e.path, 'method', e.method, 'rate_limit', e.rate_limit,
                        'cache_ttl', e.cache_ttl, 'documentation_url', e.documentation_url,
                        'is_active', e.is_active, 'additional_metadata', e.additional_metadata)
                        ORDER BY e.path, e.method)
                    FROM {old}.api_endpoints AS e
                    WHERE e.metadata_record_id = m.id
                )
            )
        )
    )::text
    FROM {old}.data_contracts AS c
    LEFT JOIN {old}.json_schemas AS s ON s.id = c.json_schema_id
    LEFT JOIN {old}.coercion_rules AS cr ON cr.id = c.coercion_rules_id
    LEFT JOIN {old}.validation_rules AS vr ON vr.id = c.validation_rules_id
    LEFT JOIN {old}.field_bindings AS b ON b.id = c.field_bindings_id
    LEFT JOIN {old}.metadata_records AS m ON m.id = c.metadata_record_id
    -- Where there is no document the links of an earlier layout, from which this one was upgraded, are left.
    LEFT JOIN {old}.metadata_records AS linked
        ON linked.id = c.metadata_record_id AND coalesce(m.payload::text, '') IN ('', 'null', '{{}}')
    ORDER BY c.name, c.version, c.namespace
    """,
    """
    SELECT 'systems id ' || id, json_build_object('table', 'systems', 'row', json_build_object(
        'name', name, 'description', description, 'app_id', app_id))::text
    FROM {old}.systems
    UNION ALL
    SELECT 'data_feeds id ' || id, json_build_object('table', 'data_feeds', 'row', json_build_object(
        'name', name, 'title', title, 'description', description, 'feed_type', feed_type,
        'is_active', is_active, 'additional_metadata', additional_metadata))::text
    FROM {old}.data_feeds
    UNION ALL
    SELECT 'domains id ' || id, json_build_object('table', 'domains', 'row', json_build_object(
        'name', name, 'description', description))::text
    FROM {old}.domains
    UNION ALL
    SELECT 'owners id ' || id, json_build_object('table', 'owners', 'row', json_build_object(
        'id', id, 'name', nullif(name, id), 'email', email, 'team', team,
        'additional_info', additional_info))::text
    FROM {old}.owners
    UNION ALL
    SELECT 'tags id ' || id, json_build_object('table', 'tags', 'row', json_build_object(
        'name', name, 'description', description, 'category', category, 'color', color,
        'additional_metadata', additional_metadata))::text
    FROM {old}.tags
    UNION ALL
    SELECT 'environments id ' || id, json_build_object('table', 'environments', 'row', json_build_object(
        'name', name, 'description', description, 'environment_type', environment_type,
        'is_production', is_production, 'additional_metadata', additional_metadata))::text
    FROM {old}.environments
    UNION ALL
    SELECT 'compliance_frameworks id ' || id, json_build_object(
        'table', 'compliance_frameworks', 'row', json_build_object(
            'name', name, 'code', code, 'description', description, 'framework_type', framework_type,
            'is_active', is_active, 'additional_metadata', additional_metadata))::text
    FROM {old}.compliance_frameworks
    """,
)

_LAYOUTS = (_ORIGINAL_DESIGN, _0_0_67, _0_0_10)

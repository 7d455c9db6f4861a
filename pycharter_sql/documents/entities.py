"""Entity documents, and the rows of a seed set's tables of entities."""

from __future__ import annotations

from typing import Any

from pycharter_sql.documents.model import (
    CONTAINERS,
    DOCUMENT_SCHEMA,
    ENTITY_KEYS,
    Document,
    Raw,
    lower,
    says_nothing,
    trim_item,
)
from pycharter_sql.documents.shapes import MARKS, refusal_of
from pycharter_sql.errors import DocumentRefused

# Table of a seed set -> key of the entity document.
_TABLES = {
    "owners": "business_owners",
    "systems": "systems",
    "data_feeds": "data_feeds",
    "domains": "domains",
    "teams": "teams",
}

# Tables of a seed set that the catalogue has no place for.
_PLACELESS = frozenset({"tags", "environments", "compliance_frameworks"})

TABLES_OF_ENTITIES = _PLACELESS | _TABLES.keys()

_DEFINITIONS = {
    "business_owners": "business_owner",
    "systems": "system",
    "data_feeds": "data_feed",
    "domains": "domain",
    "teams": "team",
}

# Attributes of an owner -> what a seed set calls them; contracts name an owner by its id.
_OWNER_WORDS = {
    "name": ("id", "name"),
    "description": ("description", "name"),
    "contact_email": ("contact_email", "email"),
    "department": ("department", "team"),
}


def entity_document(raw: Raw) -> Document | None:
    """The entity document that ``raw`` is, or describes; None where it describes a contract.

    Raises DocumentRefused for a row that may be either.
    """
    keys = raw.content.keys()
    if keys and keys <= ENTITY_KEYS and not raw.parts:
        return Document({key: _tidied(items) for key, items in raw.content.items()}, {"": raw.place})
    if raw.table not in TABLES_OF_ENTITIES or keys & (CONTAINERS | MARKS):
        return None
    if "version" in keys:
        # A file of contracts may have the name of one of these tables.
        raise DocumentRefused(
            [
                refusal_of(
                    raw,
                    "/version",
                    f"a row of the table {raw.table}, or a contract, which alone has a version",
                    "drop the version, or rename the file",
                )
            ]
        )
    if raw.table in _PLACELESS:
        return Document({}, {"": raw.place}, left_out=(raw.table,))
    return _from_row(raw, raw.table)


def _tidied(items: Any) -> Any:
    if items is None:
        return []
    return [trim_item(item) for item in items] if isinstance(items, list) else items


def _from_row(raw: Raw, table: str) -> Document:
    key = _TABLES[table]
    definition = DOCUMENT_SCHEMA["$defs"][_DEFINITIONS[key]]["anyOf"][1]
    item: dict[str, Any] = {}
    origins = {"": raw.place, f"/{key}/0": raw.place}
    unused = {word: value for word, value in raw.content.items() if not says_nothing(value)}
    for attribute in definition["properties"]:
        if attribute == "role":
            continue  # the link's, not the owner's
        words = _OWNER_WORDS.get(attribute, (attribute,)) if table == "owners" else (attribute,)
        word = next((word for word in words if word in unused), None)
        if word is not None:
            item[attribute] = unused.pop(word)
            origins[f"/{key}/0/{attribute}"] = raw.place.child(f"/{word}")
    # Old databases and what was exported from them hold flags as text.
    if (flag := lower(item.get("is_active"))) in ("true", "false"):
        item["is_active"] = flag == "true"
    return Document({key: [trim_item(item)]}, origins, left_out=tuple(f"{table}.{word}" for word in unused))

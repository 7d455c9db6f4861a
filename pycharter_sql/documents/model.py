"""What a document is: its content, where its values came from, and the words its shape is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, NamedTuple

# Deeper documents are mistakes or attacks; the limit keeps every recursion here far from Python's own.
MAX_DEPTH = 100


DOCUMENT_SCHEMA: dict[str, Any] = json.loads(
    resources.files("pycharter_sql").joinpath("contract-document.schema.json").read_text("utf-8")
)


DOCUMENT_KEYS = frozenset(DOCUMENT_SCHEMA["properties"])


# The keys of an entity document, each a list of items.
ENTITY_KEYS = frozenset(DOCUMENT_SCHEMA["$defs"]["entities"]["properties"])


SYSTEMS = ("pulls_from", "pushes_to", "system_sources")


RELATIONS = (*SYSTEMS, "business_owners", "dependencies")


RULES = ("coercion_rules", "validation_rules")


# Keys that make a mapping a contract file rather than one metadata file.
CONTAINERS = frozenset({"schema", "json_schema", "metadata", "versions", *RULES})


# What an owner is called in legacy metadata -> role.
OWNER_ROLES = {
    "business_owners": "business_owner",
    "business_owner": "business_owner",
    "bu_sme": "business_sme",
    "business_sme": "business_sme",
    "it_application_owners": "technical_owner",
    "technical_owner": "technical_owner",
    "it_sme": "technical_sme",
    "technical_sme": "technical_sme",
    "support_lead": "support_lead",
    "contract_owners": "contract_owner",
    "contract_owner": "contract_owner",
    "data_steward": "data_steward",
}


# What a list of links is called anywhere in a document, legacy metadata included -> the relation it means.
LINK_LISTS = (
    {key: key for key in RELATIONS}
    | dict.fromkeys(OWNER_ROLES, "business_owners")
    | dict.fromkeys(("read", "write"), "team_access")
)


class Place(NamedTuple):
    """Where a value stands: ``source`` is the file (or whatever the caller calls it), ``pointer`` the JSON
    Pointer in it, "" for the whole document."""

    source: str
    pointer: str

    def child(self, pointer: str) -> Place:
        """The place ``pointer`` ("/a/0") below this one."""
        return Place(self.source, self.pointer + pointer) if pointer else self

    def __str__(self) -> str:
        return f"{self.source}#{self.pointer}" if self.pointer else self.source


@dataclass(frozen=True, slots=True)
class Raw:
    """One document as its source gave it.

    ``content`` is any JSON value. ``parts`` is filled where component files were put together into one
    mapping ({"metadata": ..., "schema": ...}): it says where each of these keys stands. ``storable`` says
    that the content comes from JSON text without NUL characters, so that only its depth needs looking at.
    ``table`` names the table of a seed set or of an old database that the content is a row of ("contracts",
    "schemas", "metadata", "coercion_rules", "validation_rules", "owners", "systems", ...).
    """

    content: Any
    place: Place
    parts: Mapping[str, Place] = field(default_factory=dict)
    storable: bool = False
    table: str | None = None


@dataclass(slots=True)
class Document:
    """A contract document or an entity document, and where its values came from.

    ``content`` has exactly the shape of contract-document.schema.json, or that of ``$defs/entities`` in it:
    then it has no name. ``origins`` maps JSON Pointers into ``content`` ("/pulls_from", "/business_owners/2",
    "" for the whole) to the places their values came from; the longest pointer that leads to a value tells
    its place. Values are shared with the raw document: treat both as read-only.

    ``kept`` holds dotted paths ("data_quality", "runtime.serve") of what a legacy document says that lives on
    in ``metadata`` alone, because no column has a place for it; ``left_out`` those ("tags", "systems.app_id")
    of what lives on nowhere. ``namespace`` is that of a document of PyCharter 0.0.67.
    """

    content: dict[str, Any]
    origins: dict[str, Place]
    kept: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    namespace: str | None = None

    @property
    def name(self) -> str:
        return str(self.content["name"])

    @property
    def version(self) -> str:
        return str(self.content["version"])

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"

    def place(self, pointer: str) -> Place:
        """The place in the source that the JSON Pointer ``pointer`` into ``content`` came from."""
        return place_in(self.origins, pointer)


def place_in(origins: Mapping[str, Place], pointer: str) -> Place:
    """The place that the value at ``pointer`` of a document with these origins came from."""
    known = pointer
    while known and known not in origins:
        known = known.rpartition("/")[0]
    return origins[known].child(pointer[len(known) :])


def ordered(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same contract document, its keys in the order of contract-document.schema.json: for people."""
    return {key: content[key] for key in DOCUMENT_SCHEMA["properties"] if key in content}


def label_of(content: Mapping[str, Any]) -> str | None:
    name, version = content.get("name"), content.get("version")
    return f"{name}@{version}" if isinstance(name, str) and isinstance(version, str) else None


def pointer_step(key: str) -> str:
    """One step of a JSON Pointer."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def origins_below(document: Document, pointer: str) -> dict[str, Place]:
    """The origins of the value at ``pointer``, with pointers that start there."""
    deeper = {
        at[len(pointer) :]: place for at, place in document.origins.items() if at.startswith(f"{pointer}/")
    }
    return {"": document.place(pointer)} | deeper


def origins_above(document: Document, pointer: str) -> dict[str, Place]:
    """The origins of a document that is filed at ``pointer`` of another."""
    return {pointer + below: place for below, place in document.origins.items()}


def lifted(item: Any) -> dict[str, Any] | None:
    if isinstance(item, str):
        return {"name": item}
    return item if isinstance(item, dict) and "name" in item else None


def collapsed(item: dict[str, Any]) -> Any:
    return item["name"] if item.keys() == {"name"} else item


def identity_of(key: str, item: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes two items of a relation the same link: the catalogue's own key."""
    name = str(item["name"])
    return (name, str(item.get("role", "business_owner"))) if key == "business_owners" else (name,)


_KINDS: Iterable[tuple[type, str]] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "a mapping"),
)


def kind_of(value: Any) -> str:
    return next((name for type_, name in _KINDS if isinstance(value, type_)), "null")


def shown(value: Any) -> str:
    """A value for a message. Connection details are left out: they may hold a secret by mistake."""
    return shortened(json.dumps(_without_secrets(value), ensure_ascii=False))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "..." if key == "connection_info" else _without_secrets(inner)
            for key, inner in value.items()
        }
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def trim(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def trim_item(item: Any) -> Any:
    """An item of a relation with no white space around its name; the same for a domain's parents."""
    if not isinstance(item, dict):
        return trim(item)
    return {key: _TIDY[key](value) if key in _TIDY else value for key, value in item.items()}


_TIDY: Mapping[str, Callable[[Any], Any]] = {
    "name": trim,
    "role": trim,
    "dependency_type": lower,
    "parent_domain": trim_item,
}


def says_nothing(value: Any) -> bool:
    """Whether leaving the value out loses nothing: null, and what is empty."""
    return value is None or (isinstance(value, str | list | dict) and not value)

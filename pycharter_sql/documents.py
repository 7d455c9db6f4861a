"""Every legacy shape of a data contract -> the one contract document. Pure: no file, no database.

``normalise`` turns one raw document into a contract document (contract-document.schema.json beside this
module says what that is), ``merge`` joins two sources of one contract version. Both keep track of where each
value came from, so that whatever is wrong later is reported with the file and the JSON Pointer (RFC 6901)
that a person can open.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind

from pycharter_sql.errors import DocumentRefused, Refusal

# Deeper documents are mistakes or attacks; the limit keeps every recursion here far from Python's own.
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Place:
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
    mapping ({"metadata": ..., "schema": ...}): it says where each of these keys stands.
    """

    content: Any
    place: Place
    parts: Mapping[str, Place] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """A contract document, and where its values came from.

    ``content`` has exactly the shape of contract-document.schema.json. ``origins`` maps JSON Pointers into
    ``content`` ("/pulls_from", "/business_owners/2", "" for the whole) to the places their values came from;
    the longest pointer that leads to a value tells its place. Values are shared with the raw document: treat
    both as read-only.
    """

    content: dict[str, Any]
    origins: dict[str, Place]

    @property
    def name(self) -> str:
        return str(self.content["name"])

    @property
    def version(self) -> str:
        return str(self.content["version"])

    def place(self, pointer: str) -> Place:
        """The place in the source that the JSON Pointer ``pointer`` into ``content`` came from."""
        end = len(pointer)
        while (known := pointer[:end]) not in self.origins and end > 0:
            end = pointer.rindex("/", 0, end)
        return self.origins[known].child(pointer[end:])


def normalise(raw: Raw) -> Document:
    """The contract document that ``raw`` describes.

    Reads contract documents themselves, metadata files, contract files (metadata, schema, rules, ownership
    and governance side by side), component files put together, and JSON Schemas with contract keys beside
    their own. Legacy metadata is kept whole under ``metadata``; the other keys are derived from it.

    Rules written inline in the schema's properties (``coercion``, ``validations``) move to ``coercion_rules``
    and ``validation_rules``; a nested property's rule is filed under its dotted path ("address.city"). Rules
    elsewhere in the schema (below ``items``, ``anyOf``, ...) have no field name and stay where they are.

    Raises DocumentRefused, and nothing else whatever the content, with every refusal of this document.
    """
    problems = [] if _is_storable(raw.content) else list(_unstorable(raw.content))
    if not problems and not isinstance(raw.content, dict):
        reason = f"a contract is a mapping, not {_kind(raw.content)}"
        problems.append(("", reason, "write `key: value` pairs"))
    if problems:
        raise DocumentRefused([_refusal(raw, *problem) for problem in problems])
    _refuse_unread_shapes(raw)
    refusals: list[Refusal] = []
    keys = raw.content.keys()
    if keys <= _DOCUMENT_KEYS and "name" in keys and "version" in keys and not raw.parts:
        document = _from_contract_document(raw, refusals)
    else:
        document = _from_legacy(raw, refusals)
    refusals += [
        Refusal(place.source, place.pointer, reason, remedy)
        for pointer, reason, remedy in _invalid(document.content)
        for place in [document.place(pointer)]
    ]
    if refusals:
        label = _label(document.content)
        raise DocumentRefused([replace(refusal, contract=label) for refusal in dict.fromkeys(refusals)])
    return document


def merge(a: Document, b: Document) -> Document:
    """Two sources of one contract version, joined where they complement each other.

    Mappings are joined key by key. Relations (``pulls_from``, ``team_access.read``, ...) must name the same
    things, in any order; the attributes of their items are joined. A schema and a set of rules are equal or
    disagree as a whole, apart from their version, which one of the two may leave out. Associative,
    idempotent, and commutative but for ``origins``, where ``a`` leads.

    Raises DocumentRefused where they disagree; each refusal names both places.
    """
    merger = _Merger(a, b)
    content = {}
    for key in [*a.content, *(key for key in b.content if key not in a.content)]:
        content[key] = merger.key(key)
    if merger.refusals:
        label = _label(a.content)
        raise DocumentRefused([replace(refusal, contract=label) for refusal in merger.refusals])
    return Document(content, merger.origins)


def ordered(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same contract document, its keys in the order of contract-document.schema.json: for people."""
    return {key: content[key] for key in _SCHEMA["properties"] if key in content}


# ---------------------------------------------------------------------------------------------------------
# What the words of legacy metadata mean. A further word is a further row.

_SCHEMA: dict[str, Any] = json.loads(
    resources.files("pycharter_sql").joinpath("contract-document.schema.json").read_text("utf-8")
)
_DOCUMENT = jsonschema_rs.validator_for(_SCHEMA)
_DOCUMENT_KEYS = frozenset(_SCHEMA["properties"])

_SYSTEMS = ("pulls_from", "pushes_to", "system_sources")
_RELATIONS = (*_SYSTEMS, "business_owners", "dependencies")
_RULES = ("coercion_rules", "validation_rules")
_INLINE_RULES = {"coercion": "coercion_rules", "validations": "validation_rules"}

# Keys that make a mapping a contract file rather than one metadata file.
_CONTAINERS = frozenset({"schema", "json_schema", "metadata", "versions", *_RULES})

# versions.<key> -> the component whose version it is.
_VERSIONS = {"schema": "schema", "json_schema": "schema", "metadata": "metadata"} | {
    key: key for key in _RULES
}

# What an owner is called in legacy metadata -> role.
_ROLES = {
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

# A key that only a shape not read yet has -> what that shape is.
_UNREAD_SHAPES = {
    "contract_name": "a row of a PyCharter seed set (contract_name, contract_version)",
    "contract_version": "a row of a PyCharter seed set (contract_name, contract_version)",
    "api_version": "a PyCharter manifest (api_version, kind)",
    "format_version": "a stored PyCharter manifest (format_version)",
    "apiVersion": "an Open Data Contract Standard document (apiVersion, kind)",
}

# The vocabulary of JSON Schema, drafts 4 to 2020-12 (and `version`, which PyCharter adds): in a file that is
# a JSON Schema as a whole, these and x-... are the schema's, all other keys the contract's.
# fmt: off
_SCHEMA_WORDS = frozenset({
    "$schema", "$id", "id", "$ref", "$defs", "definitions", "$anchor", "$dynamicRef", "$dynamicAnchor",
    "$recursiveRef", "$recursiveAnchor", "$vocabulary", "$comment", "title", "description", "default",
    "examples", "deprecated", "readOnly", "writeOnly", "format", "version", "type", "enum", "const",
    "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength",
    "pattern", "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains", "maxContains",
    "minContains", "maxItems", "minItems", "uniqueItems", "properties", "patternProperties",
    "additionalProperties", "unevaluatedProperties", "propertyNames", "maxProperties", "minProperties",
    "required", "dependencies", "dependentRequired", "dependentSchemas", "allOf", "anyOf", "oneOf", "not",
    "if", "then", "else", "contentEncoding", "contentMediaType", "contentSchema",
})
# fmt: on

_PERMISSIONS = ("read", "write")
_ACCESS_NOTES = frozenset({"level", "description"})
_OWNERSHIP = tuple(_SCHEMA["properties"]["ownership"]["properties"])


def _attributes(definition: Mapping[str, Any]) -> frozenset[str]:
    """The attributes that an object of this definition may have."""
    return frozenset(definition["anyOf"][1]["properties"])


_ITEM_ATTRIBUTES = {
    **dict.fromkeys(_SYSTEMS, _attributes(_SCHEMA["$defs"]["systems"]["items"])),
    "business_owners": _attributes(_SCHEMA["properties"]["business_owners"]["items"]),
    "dependencies": _attributes(_SCHEMA["properties"]["dependencies"]["items"]),
    "team_access": _attributes(_SCHEMA["$defs"]["teams"]["items"]),
    "data_feed": _attributes(_SCHEMA["$defs"]["data_feed"]),
}


@dataclass(frozen=True, slots=True)
class _Alias:
    """``path`` in legacy metadata holds the contract document's ``key``; ``read`` makes it canonical."""

    key: str
    path: tuple[str, ...]
    read: Callable[[_Found, _Alias], Document | None]
    role: str | None = None
    # The contract's own value, at the top of a contract file, silences the metadata's: the two describe
    # different things. Everything else must agree wherever it is said.
    first_wins: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """A value of a legacy document: ``holder.content`` at ``pointer``."""

    value: Any
    holder: Document
    pointer: str

    def at(self, pointer: str = "") -> Place:
        return self.holder.place(self.pointer + pointer)

    def refusal(self, reason: str, remedy: str, pointer: str = "") -> Refusal:
        place = self.at(pointer)
        return Refusal(place.source, place.pointer, reason, remedy)

    def refused(self, reason: str, remedy: str, pointer: str = "") -> DocumentRefused:
        return DocumentRefused([self.refusal(reason, remedy, pointer)])


def _value(found: _Found, alias: _Alias) -> Document:
    return Document({alias.key: found.value}, {f"/{alias.key}": found.at()})


def _value_unless_null(found: _Found, alias: _Alias) -> Document | None:
    return None if found.value is None else _value(found, alias)


def _status(found: _Found, alias: _Alias) -> Document | None:
    return _value_unless_null(replace(found, value=_lower(found.value)), alias)


def _mapping(found: _Found, alias: _Alias) -> Document:
    if not isinstance(found.value, dict | None):
        raise found.refused(f"{alias.key} is {_kind(found.value)}, not a mapping", "write `key: value` pairs")
    return _value(found, alias)


def _items(found: _Found, key: str, target: str, role: str | None = None) -> Document:
    """A list of names, in any form legacy files write it, as the relation at the pointer ``target``."""
    whole = Document({}, {target: found.at()})
    if isinstance(found.value, str):
        values, pointers = [found.value], [""]
    elif isinstance(found.value, list | None):
        values = found.value or []
        pointers = [f"/{index}" for index in range(len(values))]
    else:
        raise found.refused(f"{_kind(found.value)} is not a list of names", "write a list: [name, ...]")
    items: dict[Any, Document] = {}
    for value, pointer in zip(values, pointers, strict=True):
        item = _item(replace(found, value=value, pointer=found.pointer + pointer), key, role)
        identity = _identity(key, item.content)
        items[identity] = merge(items[identity], item) if identity in items else item
    for index, item in enumerate(items.values()):
        whole.origins |= {f"{target}/{index}{pointer}": place for pointer, place in item.origins.items()}
    whole.content = {"items": [_collapsed(item.content) for item in items.values()]}
    return whole


def _item(found: _Found, key: str, role: str | None = None) -> Document:
    """One name, or a mapping that holds it as name, id or title, as {"name": ..., attributes}."""
    content: dict[str, Any]
    if isinstance(found.value, str):
        content, origins = {"name": found.value.strip()}, {"": found.at(), "/name": found.at()}
    elif isinstance(found.value, dict):
        names = [word for word in ("name", "id", "title") if found.value.get(word) is not None]
        # An item with a name may have a title as well; without one, id and title both claim to be it.
        if not names or (len(names) > 1 and names[0] != "name"):
            raise found.refused(
                "the item has no name" if not names else "the item has an id and a title, but no name",
                "write the name itself, or {name: ...}",
            )
        # Attributes without a column stay where they are: in the metadata, which is kept whole.
        known = {
            word: found.value[word] for word in _ITEM_ATTRIBUTES[key] - {names[0]} if word in found.value
        }
        content = {"name": _trim(found.value[names[0]])} | known
        origins = {"": found.at(), "/name": found.at(f"/{names[0]}")}
    else:
        raise found.refused(f"{_kind(found.value)} is not a name", "write the name as text")
    # business_owner is the role of an owner without one.
    if role not in (None, "business_owner") and content.setdefault("role", role) != role:
        reason = f"the role {_show(content['role'])} stands in the list of the role {role!r}"
        raise found.refused(reason, "move the owner to the list of its role, or drop `role`", "/role")
    return Document(content, origins)


def _names(found: _Found, alias: _Alias) -> Document:
    listed = _items(found, alias.key, f"/{alias.key}", alias.role)
    return Document({alias.key: listed.content["items"]}, listed.origins)


def _data_feed(found: _Found, alias: _Alias) -> Document | None:
    """The first association is the contract's feed; the others have no column and stay in the metadata."""
    if isinstance(found.value, list):
        if not found.value:
            return None
        found = replace(found, value=found.value[0], pointer=f"{found.pointer}/0")
    if found.value is None:
        return None
    item = _item(found, "data_feed")
    if isinstance(found.value, dict) and "type" in found.value and "feed_type" not in item.content:
        item.content["feed_type"] = found.value["type"]
        item.origins["/feed_type"] = found.at("/type")
    origins = {f"/data_feed{pointer}": place for pointer, place in item.origins.items()}
    return Document({"data_feed": _collapsed(item.content)}, origins)


def _domain(found: _Found, alias: _Alias) -> Document:
    if isinstance(found.value, list):
        if len(found.value) > 1:
            raise found.refused(
                f"{len(found.value)} domains; a contract belongs to one",
                "keep one; write the others as its parent_domain, or leave them out",
            )
        found = replace(found, value=found.value[0], pointer=f"{found.pointer}/0") if found.value else found
    domain = _trim_item(found.value) if found.value != [] else None
    return Document({"domain": domain}, {"/domain": found.at()})


def _team_access(found: _Found, alias: _Alias) -> Document | None:
    if found.value is None:
        return None
    if not isinstance(found.value, dict):
        raise found.refused(
            f"{_kind(found.value)} does not say who may read and write",
            "write {read: [team, ...], write: [team, ...]}",
        )
    access: dict[str, Any] = {}
    origins = {"/team_access": found.at()}
    refusals: list[Refusal] = []
    for word, teams in found.value.items():
        permission, pointer = _lower(word), _step(word)
        if permission in _ACCESS_NOTES:
            continue
        if permission not in _PERMISSIONS or permission in access:
            what = "stands twice" if permission in access else "is an unknown permission"
            place = found.at(pointer)
            refusals.append(
                Refusal(place.source, place.pointer, f"{word!r} {what}", "permissions are read and write")
            )
            continue
        below = replace(found, value=teams, pointer=found.pointer + pointer)
        with _collecting(refusals):
            listed = _items(below, "team_access", f"/team_access/{permission}")
            access[permission] = listed.content["items"]
            origins |= listed.origins
    if refusals:
        raise DocumentRefused(refusals)
    return Document({"team_access": access}, origins) if access else None


def _ownership(found: _Found, alias: _Alias) -> Document | None:
    """The keys that have a column; the roles have rows of their own in the table."""
    if found.value is None:
        return _value(found, alias)
    if not isinstance(found.value, dict):
        raise found.refused(f"ownership is {_kind(found.value)}, not a mapping", "write `key: value` pairs")
    known = {key: value for key, value in found.value.items() if key in _OWNERSHIP}
    return _value(replace(found, value=known), alias) if known else None


def _ownership_field(found: _Found, alias: _Alias) -> Document:
    word = alias.path[-1]
    return Document(
        {"ownership": {word: found.value}}, {"/ownership": found.at(), f"/ownership/{word}": found.at()}
    )


_ALIASES = (
    _Alias("status", ("status",), _status),
    _Alias("description", ("description",), _value, first_wins=True),
    _Alias("is_data_feed", ("is_data_feed",), _value_unless_null),
    _Alias("data_feed", ("data_feed",), _data_feed),
    _Alias("data_feed", ("data_feed_association",), _data_feed),
    _Alias("data_feed", ("governance_rules", "data_feed_association"), _data_feed),
    _Alias("domain", ("domain",), _domain),
    _Alias("domain", ("domains",), _domain),
    *(_Alias(key, (*path, key), _names) for key in _SYSTEMS for path in [(), ("lineage",)]),
    *(
        _Alias("business_owners", (*path, word), _names, role)
        for word, role in _ROLES.items()
        for path in [(), ("ownership",), ("ownership", "roles")]
    ),
    _Alias("team_access", ("team_access",), _team_access),
    _Alias("team_access", ("governance_rules", "access_control"), _team_access),
    _Alias("dependencies", ("dependencies",), _names),
    _Alias("dependencies", ("governance_rules", "dependencies"), _names),
    _Alias("governance_rules", ("governance_rules",), _mapping),
    _Alias("ownership", ("ownership",), _ownership),
    _Alias("ownership", ("owner",), _ownership_field),
    _Alias("ownership", ("team",), _ownership_field),
    _Alias("created_by", ("created_by",), _value),
    _Alias("updated_by", ("updated_by",), _value),
)


# ---------------------------------------------------------------------------------------------------------
# Shapes


def _refuse_unread_shapes(raw: Raw) -> None:
    for pointer, holder in [("", raw.content), *((_step(key), raw.content[key]) for key in raw.parts)]:
        for word, shape in _UNREAD_SHAPES.items():
            if isinstance(holder, dict) and word in holder:
                remedy = "write it as a contract document, with the contract's `name` and `version`"
                refusal = _refusal(raw, f"{pointer}/{word}", f"{shape} is not read yet", remedy)
                raise DocumentRefused([refusal])


def _from_contract_document(raw: Raw, refusals: list[Refusal]) -> Document:
    """A contract document already: taken as it is, but for untrimmed names, capitals and inline rules."""
    content = raw.content if _DOCUMENT.is_valid(raw.content) else _tidied(raw.content)
    document = Document(dict(content), {"": raw.place})
    _take_inline_rules(document, refusals)
    return document


def _tidied(content: dict[str, Any]) -> dict[str, Any]:
    tidy = dict(content)
    for key in ("name", "version"):
        tidy[key] = _trim(tidy[key])
    if "status" in tidy:
        tidy["status"] = _lower(tidy["status"])
    for key in ("data_feed", "domain"):
        if key in tidy:
            tidy[key] = _trim_item(tidy[key])
    for key in _RELATIONS:
        if isinstance(tidy.get(key), list):
            tidy[key] = [_trim_item(item) for item in tidy[key]]
    if isinstance(access := tidy.get("team_access"), dict):
        lowered = {_lower(permission): teams for permission, teams in access.items()}
        tidy["team_access"] = {
            permission: [_trim_item(team) for team in teams] if isinstance(teams, list) else teams
            # Two spellings of one permission: left as they are, for the validation to refuse.
            for permission, teams in (lowered if len(lowered) == len(access) else access).items()
        }
    return tidy


def _from_legacy(raw: Raw, refusals: list[Refusal]) -> Document:
    root = Document(raw.content, {"": raw.place} | {_step(key): place for key, place in raw.parts.items()})
    if not (root.content.keys() & _CONTAINERS) and _is_json_schema(root.content):
        schema: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for word, value in root.content.items():
            # Draft 7's `dependencies` is a mapping, the contract's a list.
            is_schema = word in _SCHEMA_WORDS and not (word == "dependencies" and not isinstance(value, dict))
            (schema if is_schema or word.startswith("x-") else rest)[word] = value
        root = Document({"schema": schema, **rest}, {**root.origins, "/schema": raw.place})

    # One metadata file is all metadata; a contract file has metadata in it, and keys beside.
    metadata: Document | None = root
    beside = Document({}, {})
    if root.content.keys() & _CONTAINERS:
        metadata = _component(root, "metadata", refusals)
        beside = replace(root, content={k: v for k, v in root.content.items() if k not in _CONTAINERS})

    document = Document({}, {"": root.place("")})
    _take_schema(root, document, refusals)
    leftovers = _take_rules(root, document, refusals)
    _take_inline_rules(document, refusals)
    _take_versions(root, document, metadata, leftovers, refusals)
    _take_identity(root, document, metadata, beside)
    holders = [holder for holder in (beside, metadata) if holder is not None]
    _take_known_keys(document, holders, refusals)

    # Whatever the document's keys cannot hold as it was written is kept in the metadata, under its own key.
    for key, value in beside.content.items():
        if key not in _DOCUMENT_KEYS or (
            isinstance(value, dict | list) and value != document.content.get(key)
        ):
            _adopt(leftovers, key, beside, _step(key))
    if metadata is not None or leftovers.content:
        _keep_metadata(document, metadata or Document({}, {"": root.place("")}), leftovers, refusals)
    elif "metadata" in root.content and root.content["metadata"] is None:
        _adopt(document, "metadata", root, "/metadata")
    return document


def _is_json_schema(content: Mapping[str, Any]) -> bool:
    # Metadata files say `type: object` and `properties: []` too.
    return "$schema" in content or isinstance(content.get("properties"), dict)


def _component(root: Document, key: str, refusals: list[Refusal]) -> Document | None:
    """The mapping at ``key``, standing for itself; None where it is absent or null."""
    value = root.content.get(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        found = _Found(value, root, _step(key))
        refusals.append(found.refusal(f"{key} is {_kind(value)}, not a mapping", "write `key: value` pairs"))
        return None
    return Document(value, _below(root, _step(key)))


def _take_schema(root: Document, document: Document, refusals: list[Refusal]) -> None:
    """The schema, under either of its names; under both where they are the same."""
    for key in ("schema", "json_schema"):
        if key in root.content and "schema" not in document.content:
            document.content["schema"] = root.content[key]
            document.origins |= {
                f"/schema{below}": place for below, place in _below(root, _step(key)).items()
            }
        elif key in root.content and not _same(document.content["schema"], root.content[key]):
            place = root.place(_step(key))
            reason = f"disagrees with {document.place('/schema')}"
            refusals.append(Refusal(place.source, place.pointer, reason, _MAKE_AGREE))


def _take_rules(root: Document, document: Document, refusals: list[Refusal]) -> Document:
    """Fills in both sets of rules; returns what rule files say beside, to be kept in the metadata."""
    leftovers = Document({}, {})
    for key in _RULES:
        if key not in root.content:
            continue
        value = root.content[key]
        component: dict[str, Any] | None = None
        origins = _below(root, _step(key))
        if isinstance(value, dict) and "rules" in value:
            component = {"rules": {} if value["rules"] is None else value["rules"]}
            if "version" in value:
                component["version"] = value["version"]
            beside = {word: value[word] for word in value if word not in ("rules", "version")}
            if beside:
                leftovers.content[key] = beside
                leftovers.origins |= {_step(key) + pointer: place for pointer, place in origins.items()}
        elif value is not None and _component(root, key, refusals) is not None:
            component = {"rules": value}
            origins["/rules"] = origins[""]
        document.content[key] = component
        document.origins |= {_step(key) + pointer: place for pointer, place in origins.items()}
    return leftovers


def _take_versions(
    root: Document,
    document: Document,
    metadata: Document | None,
    leftovers: Document,
    refusals: list[Refusal],
) -> None:
    """``versions`` fills in the versions that components leave out, and must agree with those they have."""
    components = {key: document for key in ("schema", *_RULES)}
    if metadata is not None:
        components["metadata"] = Document({"metadata": metadata.content}, _above(metadata, "/metadata"))
        version = metadata.content.get("version")
        if not isinstance(version, str | None):
            refusals.append(_Found(version, metadata, "/version").refusal(*_version_type(version)))
    versions = _component(root, "versions", refusals)
    homeless = versions is None and "versions" in root.content
    for word, version in versions.content.items() if versions else ():
        target = _VERSIONS.get(word, "")
        part = components[target].content.get(target) if target in components else None
        found = _Found(version, root, f"/versions{_step(word)}")
        if not isinstance(part, dict) or version is None:
            homeless = True
        elif not isinstance(version, str):
            refusals.append(found.refusal(*_version_type(version)))
        elif part.get("version") is None:
            if target == "metadata":
                leftovers.content["version"] = version
                leftovers.origins["/version"] = found.at()
            else:
                document.content[target] = part | {"version": version}
                document.origins[f"/{target}/version"] = found.at()
        elif part["version"] != version:
            place = components[target].place(f"/{target}/version")
            reason = f"says {_show(version)}, but {place} says {_show(part['version'])}"
            refusals.append(found.refusal(reason, _MAKE_AGREE))
    if homeless:
        _adopt(leftovers, "versions", root, "/versions")


def _take_inline_rules(document: Document, refusals: list[Refusal]) -> None:
    if not isinstance(document.content.get("schema"), dict):
        return
    inline = list(_inline_rules(document.content["schema"], "/schema", ""))
    if not inline:
        return
    document.content["schema"] = _without_inline_rules(document.content["schema"])
    for pointer, rule_set, name, rule in inline:
        place = document.place(pointer)
        component = document.content.get(rule_set, {"rules": {}})
        rules = component.get("rules") if isinstance(component, dict) else None
        at = f"/{rule_set}/rules{_step(name)}"
        if not isinstance(rules, dict) or (name in rules and not _same(rules[name], rule)):
            reason = f"this rule and {document.place(at)} disagree"
            refusals.append(Refusal(place.source, place.pointer, reason, _MAKE_AGREE))
        elif name not in rules:
            document.content[rule_set] = component | {"rules": rules | {name: rule}}
            document.origins[at] = place
            document.origins.setdefault(f"/{rule_set}", document.place("/schema"))


def _inline_rules(schema: Mapping[str, Any], pointer: str, path: str) -> Iterator[tuple[str, str, str, Any]]:
    """(pointer, "coercion_rules" or "validation_rules", dotted path of the property, rule), nested ones too.

    Looks only at what ``properties`` holds: a property may itself be named coercion or validations.
    """
    properties = schema.get("properties")
    for name, property_ in properties.items() if isinstance(properties, dict) else ():
        if isinstance(property_, dict):
            at = f"{pointer}/properties{_step(name)}"
            for word, rule_set in _INLINE_RULES.items():
                if word in property_:
                    yield f"{at}/{word}", rule_set, path + name, property_[word]
            yield from _inline_rules(property_, at, f"{path}{name}.")


def _without_inline_rules(schema: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(schema.get("properties"), dict):
        return schema
    return schema | {
        "properties": {
            name: _without_inline_rules({k: v for k, v in property_.items() if k not in _INLINE_RULES})
            if isinstance(property_, dict)
            else property_
            for name, property_ in schema["properties"].items()
        }
    }


def _take_identity(root: Document, document: Document, metadata: Document | None, beside: Document) -> None:
    """Name and version: the contract's own, else the metadata's, else the schema's."""
    about = metadata or Document({}, {})
    versions = _component(root, "versions", []) or Document({}, {})
    schema = _component(document, "schema", []) or Document({}, {})
    candidates = {
        "name": [(beside, "name"), (about, "name"), (about, "title"), (beside, "title"), (schema, "title")],
        "version": [(beside, "version"), (about, "version"), (versions, "metadata"), (schema, "version")],
    }
    for key, holders in candidates.items():
        for holder, word in holders:
            if holder.content.get(word) is not None:
                document.content[key] = _trim(holder.content[word])
                document.origins[f"/{key}"] = holder.place(f"/{word}")
                break


def _take_known_keys(document: Document, holders: list[Document], refusals: list[Refusal]) -> None:
    """Applies the table of aliases to what stands beside the metadata, and to the metadata."""
    slots: dict[tuple[str, str | None], Document] = {}
    for holder in holders:
        for alias in _ALIASES:
            slot = (alias.key, alias.role)
            with _collecting(refusals):
                found = _look_up(holder, alias.path)
                if found is None or (alias.first_wins and slot in slots):
                    continue
                part = alias.read(found, alias)
                if part is not None:
                    slots[slot] = merge(slots[slot], part) if slot in slots else part
    for (key, role), part in slots.items():
        if role is None:
            document.content |= part.content
            document.origins |= part.origins
            continue
        # One list a role becomes one list.
        owners = document.content.setdefault(key, [])
        document.origins.setdefault(f"/{key}", part.origins[f"/{key}"])
        for index, owner in enumerate(part.content[key]):
            at = f"/{key}/{len(owners)}"
            document.origins |= {
                at + below: place for below, place in _below(part, f"/{key}/{index}").items()
            }
            owners.append(owner)


def _look_up(holder: Document, path: tuple[str, ...]) -> _Found | None:
    value: Any = holder.content
    pointer = ""
    for word in path:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _Found(value, holder, pointer).refused(
                f"{pointer.rpartition('/')[2]} is {_kind(value)}, not a mapping", "write `key: value` pairs"
            )
        if word not in value:
            return None
        value, pointer = value[word], f"{pointer}/{word}"
    return _Found(value, holder, pointer)


def _keep_metadata(
    document: Document, metadata: Document, leftovers: Document, refusals: list[Refusal]
) -> None:
    if metadata.content.get("version") is None and "version" in leftovers.content:
        metadata = replace(metadata, content={k: v for k, v in metadata.content.items() if k != "version"})
    merger = _Merger(metadata, leftovers)
    document.content["metadata"] = merger.value(metadata.content, leftovers.content, "")
    document.origins |= {f"/metadata{pointer}": place for pointer, place in merger.origins.items()}
    refusals += merger.refusals


# ---------------------------------------------------------------------------------------------------------
# Validity


def _is_storable(value: Any) -> bool:
    """Whether ``_unstorable`` has surely nothing to say. Several times as fast, and for every document."""
    strings: list[str] = []
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                strings.append(item)
            elif kind is dict:
                strings += item
                below += item.values()
            elif kind is list:
                below += item
            elif kind is float:
                if not math.isfinite(item):
                    return False
            elif item is not None and kind is not int and kind is not bool:
                return False
        if not below:
            break
        level = below
    else:
        return False
    try:
        return b"\0" not in "".join(strings).encode()
    except (TypeError, UnicodeEncodeError):  # a key that is no text, half of a surrogate pair
        return False


def _unstorable(value: Any, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """What keeps a value from being JSON that PostgreSQL can store: (pointer, reason, remedy)."""
    if isinstance(value, str):
        if "\0" in value:
            yield pointer, "a NUL character, which PostgreSQL cannot store", "remove the character \\u0000"
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            yield pointer, "half of a surrogate pair, which is no character", "write the whole character"
    elif isinstance(value, dict | list):
        if depth == MAX_DEPTH:
            yield pointer, f"nested more than {MAX_DEPTH} levels deep", "flatten the document"
        elif isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    yield pointer, f"the key {key!r} is not text", f'quote it: "{key}"'
                    continue
                yield from ((pointer + _step(key), reason, remedy) for _, reason, remedy in _unstorable(key))
                yield from _unstorable(item, pointer + _step(key), depth + 1)
        else:
            for index, item in enumerate(value):
                yield from _unstorable(item, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield pointer, f"{value} is not a JSON number", "write null, or a number"
    elif not isinstance(value, int | None):
        yield pointer, f"a {type(value).__name__} is not JSON", "write it as text"


def _invalid(content: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What the contract document's JSON Schema, or that of its ``schema``, has against it."""
    if not _DOCUMENT.is_valid(content):
        for error in _DOCUMENT.iter_errors(content):
            yield from _explained(error, content)
    if isinstance(schema := content.get("schema"), dict):
        dialect = schema.get("$schema", _DEFAULT_DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") not in _DIALECTS:
            known = ", ".join(_DIALECTS)
            yield (
                "/schema/$schema",
                f"{_show(dialect)} is no JSON Schema dialect that is known here",
                f"use one of: {known}",
            )
        elif not _dialect(dialect.rstrip("#")).is_valid(schema):
            for error in _dialect(dialect.rstrip("#")).iter_errors(schema):
                for pointer, reason, remedy in _explained(error, content):
                    yield f"/schema{pointer}", f"not a valid JSON Schema: {reason}", remedy


_DEFAULT_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DIALECTS = (
    _DEFAULT_DIALECT,
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)


@cache
def _dialect(uri: str) -> jsonschema_rs.Validator:
    """The meta-schema of a known dialect, compiled; others would be asked of the network."""
    return jsonschema_rs.validator_for({"$schema": uri, "$ref": uri})


def _explained(
    error: jsonschema_rs.ValidationError, content: dict[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """A validator's error in the words of somebody who has the file open: (pointer, reason, remedy)."""
    pointer = "".join(_step(str(step)) for step in error.instance_path)
    value = error.instance
    match error.kind:
        case Kind.AnyOf(branches):
            # The branch meant for this type of value is the one with something to say.
            mistyped = [[e for e in branch if _is_mistyped(e, error.instance_path)] for branch in branches]
            meant = [branch for branch, wrong in zip(branches, mistyped, strict=True) if not wrong]
            if meant:
                for inner in meant[0]:
                    yield from _explained(inner, content)
            else:
                types = [type_ for wrong in mistyped for e in wrong for type_ in e.kind.as_dict()["types"]]
                yield pointer, _wrong_type(value, types), "write it as that type"
        case Kind.Required("name") if not pointer:
            no_schema = "" if "schema" in content else " and has no schema"
            yield (
                pointer,
                f"names no contract{no_schema}",
                "add `name: ...` (or `title: ...` in a metadata file)",
            )
        case Kind.Required(key):
            yield pointer, f"has no {key}", f"add `{key}: ...`"
        case Kind.AdditionalProperties(keys):
            for key in keys:
                reason = f"the contract document has no place for {key!r}{' here' if pointer else ''}"
                yield pointer + _step(key), reason, "correct the spelling, or move it under `metadata`"
        case Kind.Enum(options):
            yield pointer, f"{_show(value)} is not allowed", f"use one of: {', '.join(map(str, options))}"
        case Kind.Type() if pointer.endswith("/version"):
            yield pointer, *_version_type(value)
        case Kind.Type(types):
            yield pointer, _wrong_type(value, types), "write it as that type"
        case Kind.MaxLength(limit):
            yield pointer, f"{len(str(value))} characters, at most {limit} are allowed", "shorten it"
        case Kind.MinLength():
            yield pointer, "empty text", "fill it in, or leave the key out"
        case Kind.Pattern() if value:
            yield pointer, f"{_show(value)} is blank, or begins or ends with white space", "trim it"
        case Kind.Pattern():
            pass  # empty text, of which minLength speaks
        case _:
            yield pointer, _short(error.message), "see the JSON Schema specification"


def _is_mistyped(error: jsonschema_rs.ValidationError, path: list[str | int]) -> bool:
    return isinstance(error.kind, Kind.Type) and error.instance_path == path


def _wrong_type(value: Any, types: Iterable[str]) -> str:
    return f"{_kind(value)}, expected {' or '.join(dict.fromkeys(types))}"


def _version_type(version: Any) -> tuple[str, str]:
    """Reason and remedy for a version that is not text: YAML reads 1.10 as the number 1.1."""
    return f"the version {_show(version)} is {_kind(version)}, not text", 'quote it: version: "1.10"'


# ---------------------------------------------------------------------------------------------------------
# Merging

_MAKE_AGREE = "make the two agree, or remove one of them"


class _Merger:
    """Joins values of ``b`` into values of ``a``; collects origins and disagreements."""

    def __init__(self, a: Document, b: Document) -> None:
        self.a = a
        self.b = b
        self.origins = dict(a.origins)
        self.refusals: list[Refusal] = []

    def key(self, key: str) -> Any:
        """The joined value of one key of the contract document."""
        pointer = _step(key)
        if key not in self.b.content:
            return self.a.content[key]
        x, y = self.a.content.get(key), self.b.content[key]
        if key not in self.a.content:
            self._take(pointer)
            return y
        if key in _RELATIONS:
            return self._relation(key, x, y, pointer)
        if key == "team_access" and isinstance(x, dict) and isinstance(y, dict):
            return self._mapping(x, y, pointer, lambda x, y, at: self._relation("team_access", x, y, at))
        if key in ("data_feed", "domain"):
            return self._named(x, y, pointer)
        if key == "schema" and isinstance(x, dict) and isinstance(y, dict):
            # As if it were {version, schema}: the version may be missing on one side, the rest is one value.
            return self._versioned(x, y, pointer)
        if key in _RULES and isinstance(x, dict) and isinstance(y, dict):
            return self._versioned(x, y, pointer)
        return self.value(x, y, pointer)

    def value(self, x: Any, y: Any, pointer: str) -> Any:
        if isinstance(x, dict) and isinstance(y, dict):
            return self._mapping(x, y, pointer, self.value)
        return self._equal(x, y, pointer)

    def _equal(self, x: Any, y: Any, pointer: str) -> Any:
        if not _same(x, y):
            place, other = self.a.place(pointer), self.b.place(pointer)
            reason = f"says {_show(x)}, but {other} says {_show(y)}"
            self.refusals.append(Refusal(place.source, place.pointer, reason, _MAKE_AGREE))
        return x

    def _mapping(
        self, x: dict[str, Any], y: dict[str, Any], pointer: str, join: Callable[[Any, Any, str], Any]
    ) -> dict[str, Any]:
        result = dict(x)
        for key, value in y.items():
            below = pointer + _step(key)
            if key in x:
                result[key] = join(x[key], value, below)
            else:
                result[key] = value
                self._take(below)
        return result

    def _versioned(self, x: dict[str, Any], y: dict[str, Any], pointer: str) -> dict[str, Any]:
        # A missing version and, for rules, a null one say the same: nothing.
        versions = [side.get("version") for side in (x, y)]
        rest = [{k: v for k, v in side.items() if k != "version"} for side in (x, y)]
        self._equal(rest[0], rest[1], pointer)
        if versions[0] is None and versions[1] is not None:
            self._take(f"{pointer}/version")
            return x | {"version": versions[1]}
        if versions[1] is not None:
            self._equal(versions[0], versions[1], f"{pointer}/version")
        return x if "version" in x or "version" not in y else x | {"version": y["version"]}

    def _named(self, x: Any, y: Any, pointer: str) -> Any:
        """A name, or an object with one: equal names, attributes joined."""
        if _same(x, y):
            return x
        left, right = _lifted(x), _lifted(y)
        if left is None or right is None or not _same(left["name"], right["name"]):
            return self._equal(x, y, pointer)

        def join(x: Any, y: Any, at: str) -> Any:
            return self._named(x, y, at) if at.endswith("/parent_domain") else self._equal(x, y, at)

        return _collapsed(self._mapping(left, right, pointer, join))

    def _relation(self, key: str, x: Any, y: Any, pointer: str) -> Any:
        if _same(x, y):
            return x
        left, right = _by_identity(key, x), _by_identity(key, y)
        if left is None or right is None or left.keys() != right.keys():
            return self._equal(x, y, pointer)
        # Relations are sets. Where the two orders differ neither may lead, or merging would not commute.
        ordered = left if list(left) == list(right) else sorted(left)
        result = []
        origins: dict[str, Place] = {}
        for index, identity in enumerate(ordered):
            merged: dict[str, Any] = {}
            at = f"{pointer}/{index}"
            sides = [(self.a, item) for item in left[identity]] + [(self.b, item) for item in right[identity]]
            for side, (position, item) in sides:
                place = side.place(f"{pointer}/{position}")
                origins.setdefault(at, place)
                for attribute, value in item.items():
                    if attribute not in merged:
                        merged[attribute] = value
                        origins[at + _step(attribute)] = side.place(f"{pointer}/{position}{_step(attribute)}")
                    elif not _same(merged[attribute], value):
                        first = origins[at + _step(attribute)]
                        other = place.child(_step(attribute))
                        reason = f"says {_show(merged[attribute])}, but {other} says {_show(value)}"
                        self.refusals.append(Refusal(first.source, first.pointer, reason, _MAKE_AGREE))
            result.append(_collapsed(merged))
        self.origins = {
            at: place for at, place in self.origins.items() if not at.startswith(f"{pointer}/")
        } | origins
        return result

    def _take(self, pointer: str) -> None:
        """The value at ``pointer`` is b's."""
        self.origins |= {pointer + below: place for below, place in _below(self.b, pointer).items()}


def _identity(key: str, item: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes two items of a relation the same link: the catalogue's own key."""
    name = str(item["name"])
    return (name, str(item.get("role", "business_owner"))) if key == "business_owners" else (name,)


def _by_identity(key: str, items: Any) -> dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] | None:
    if not isinstance(items, list | None):
        return None
    result: dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] = {}
    for position, item in enumerate(items or ()):
        lifted = _lifted(item)
        if lifted is None:
            return None
        result.setdefault(_identity(key, lifted), []).append((position, lifted))
    return result


def _lifted(item: Any) -> dict[str, Any] | None:
    if isinstance(item, str):
        return {"name": item}
    return item if isinstance(item, dict) and "name" in item else None


def _collapsed(item: dict[str, Any]) -> Any:
    return item["name"] if item.keys() == {"name"} else item


def _same(x: Any, y: Any) -> bool:
    """Equal as JSON values: Python's True == 1 does not count."""
    if isinstance(x, dict) and isinstance(y, dict):
        return x.keys() == y.keys() and all(_same(x[key], y[key]) for key in x)
    if isinstance(x, list) and isinstance(y, list):
        return len(x) == len(y) and all(map(_same, x, y))
    return bool(x == y) and isinstance(x, bool) == isinstance(y, bool)


# ---------------------------------------------------------------------------------------------------------
# Small things


@contextmanager
def _collecting(refusals: list[Refusal]) -> Iterator[None]:
    """A block whose refusals are collected rather than raised, so that all are reported at once."""
    try:
        yield
    except DocumentRefused as error:
        refusals += error.refusals


def _adopt(target: Document, key: str, holder: Document, pointer: str) -> None:
    """Files ``holder``'s top-level value at ``pointer`` under ``key``."""
    target.content[key] = holder.content[key]
    target.origins |= {_step(key) + below: place for below, place in _below(holder, pointer).items()}


def _below(document: Document, pointer: str) -> dict[str, Place]:
    """The origins of the value at ``pointer``, with pointers that start there."""
    deeper = {
        at[len(pointer) :]: place for at, place in document.origins.items() if at.startswith(f"{pointer}/")
    }
    return {"": document.place(pointer)} | deeper


def _above(document: Document, pointer: str) -> dict[str, Place]:
    """The origins of a document that is filed at ``pointer`` of another."""
    return {pointer + below: place for below, place in document.origins.items()}


def _refusal(raw: Raw, pointer: str, reason: str, remedy: str) -> Refusal:
    parts = {_step(key): place for key, place in raw.parts.items()}
    place = Document({}, {"": raw.place} | parts).place(pointer)
    return Refusal(place.source, place.pointer, reason, remedy)


def _label(content: Mapping[str, Any]) -> str | None:
    name, version = content.get("name"), content.get("version")
    return f"{name}@{version}" if isinstance(name, str) and isinstance(version, str) else None


def _step(key: str) -> str:
    """One step of a JSON Pointer."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _trim(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _trim_item(item: Any) -> Any:
    """A name, or an object with one, without white space around it; the same for a domain's parents."""
    if not isinstance(item, dict):
        return _trim(item)
    trimmed = {key: _trim(value) if key in ("name", "role") else value for key, value in item.items()}
    if "parent_domain" in trimmed:
        trimmed["parent_domain"] = _trim_item(trimmed["parent_domain"])
    return trimmed


_KINDS: Iterable[tuple[type, str]] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "a mapping"),
)


def _kind(value: Any) -> str:
    return next((name for type_, name in _KINDS if isinstance(value, type_)), "null")


def _show(value: Any) -> str:
    return _short(json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."

"""Every legacy shape of a data contract -> the one contract document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pycharter_sql.documents.merging import MAKE_AGREE, Merger, merge, same_json
from pycharter_sql.documents.model import (
    DOCUMENT_KEYS,
    DOCUMENT_SCHEMA,
    OWNER_ROLES,
    RELATIONS,
    RULES,
    SYSTEMS,
    Document,
    Place,
    Raw,
    collapsed,
    identity_of,
    kind_of,
    label_of,
    origins_above,
    origins_below,
    place_in,
    pointer_step,
    shown,
)
from pycharter_sql.documents.validity import (
    invalid,
    is_storable,
    is_too_deep,
    unstorable,
    version_type,
)
from pycharter_sql.errors import DocumentRefused, Refusal


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
    if raw.storable and isinstance(raw.content, dict):
        storable = not is_too_deep(raw.content)
    else:
        storable = is_storable(raw.content)
    problems = [] if storable else list(unstorable(raw.content))
    if not problems and not isinstance(raw.content, dict):
        reason = f"a contract is a mapping, not {kind_of(raw.content)}"
        problems.append(("", reason, "write `key: value` pairs"))
    if problems:
        raise DocumentRefused([_refusal(raw, *problem) for problem in problems])
    _refuse_unread_shapes(raw)
    refusals: list[Refusal] = []
    keys = raw.content.keys()
    if keys <= DOCUMENT_KEYS and "name" in keys and "version" in keys and not raw.parts:
        document = _from_contract_document(raw, refusals)
    else:
        document = _from_legacy(raw, refusals)
    refusals += [
        Refusal(place.source, place.pointer, reason, remedy)
        for pointer, reason, remedy in invalid(document.content)
        for place in [document.place(pointer)]
    ]
    if refusals:
        label = label_of(document.content)
        raise DocumentRefused([replace(refusal, contract=label) for refusal in dict.fromkeys(refusals)])
    return document


_INLINE_RULES = {"coercion": "coercion_rules", "validations": "validation_rules"}


_WITH_INLINE_RULES = (*_INLINE_RULES, "properties")

# Keys that make a mapping a contract file rather than one metadata file.
_CONTAINERS = frozenset({"schema", "json_schema", "metadata", "versions", *RULES})


# versions.<key> -> the component whose version it is.
_VERSIONS = {"schema": "schema", "json_schema": "schema", "metadata": "metadata"} | {
    key: key for key in RULES
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


_OWNERSHIP = tuple(DOCUMENT_SCHEMA["properties"]["ownership"]["properties"])


def _attributes(definition: Mapping[str, Any]) -> frozenset[str]:
    """The attributes that an object of this definition may have."""
    return frozenset(definition["anyOf"][1]["properties"])


_ITEM_ATTRIBUTES = {
    **dict.fromkeys(SYSTEMS, _attributes(DOCUMENT_SCHEMA["$defs"]["system"])),
    "business_owners": _attributes(DOCUMENT_SCHEMA["$defs"]["business_owner"]),
    "dependencies": _attributes(DOCUMENT_SCHEMA["properties"]["dependencies"]["items"]),
    "team_access": _attributes(DOCUMENT_SCHEMA["$defs"]["team"]),
    "data_feed": _attributes(DOCUMENT_SCHEMA["$defs"]["data_feed"]),
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
        raise found.refused(
            f"{alias.key} is {kind_of(found.value)}, not a mapping", "write `key: value` pairs"
        )
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
        raise found.refused(f"{kind_of(found.value)} is not a list of names", "write a list: [name, ...]")
    items: dict[Any, Document] = {}
    for value, pointer in zip(values, pointers, strict=True):
        item = _item(replace(found, value=value, pointer=found.pointer + pointer), key, role)
        identity = identity_of(key, item.content)
        items[identity] = merge(items[identity], item) if identity in items else item
    for index, item in enumerate(items.values()):
        whole.origins |= {f"{target}/{index}{pointer}": place for pointer, place in item.origins.items()}
    whole.content = {"items": [collapsed(item.content) for item in items.values()]}
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
        raise found.refused(f"{kind_of(found.value)} is not a name", "write the name as text")
    # business_owner is the role of an owner without one.
    if role not in (None, "business_owner") and content.setdefault("role", role) != role:
        reason = f"the role {shown(content['role'])} stands in the list of the role {role!r}"
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
    return Document({"data_feed": collapsed(item.content)}, origins)


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
            f"{kind_of(found.value)} does not say who may read and write",
            "write {read: [team, ...], write: [team, ...]}",
        )
    access: dict[str, Any] = {}
    origins = {"/team_access": found.at()}
    refusals: list[Refusal] = []
    for word, teams in found.value.items():
        permission, pointer = _lower(word), pointer_step(word)
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
        raise found.refused(f"ownership is {kind_of(found.value)}, not a mapping", "write `key: value` pairs")
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
    *(_Alias(key, (*path, key), _names) for key in SYSTEMS for path in [(), ("lineage",)]),
    *(
        _Alias("business_owners", (*path, word), _names, role)
        for word, role in OWNER_ROLES.items()
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


def _refuse_unread_shapes(raw: Raw) -> None:
    for pointer, holder in [("", raw.content), *((pointer_step(key), raw.content[key]) for key in raw.parts)]:
        for word, shape in _UNREAD_SHAPES.items():
            if isinstance(holder, dict) and word in holder:
                remedy = "write it as a contract document, with the contract's `name` and `version`"
                refusal = _refusal(raw, f"{pointer}/{word}", f"{shape} is not read yet", remedy)
                raise DocumentRefused([refusal])


def _from_contract_document(raw: Raw, refusals: list[Refusal]) -> Document:
    """A contract document already: taken as it is, but for untrimmed names, capitals and inline rules."""
    document = Document(_tidied(raw.content), {"": raw.place})
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
    for key in RELATIONS:
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
    root = Document(
        raw.content, {"": raw.place} | {pointer_step(key): place for key, place in raw.parts.items()}
    )
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
        if key not in DOCUMENT_KEYS or (
            isinstance(value, dict | list) and value != document.content.get(key)
        ):
            _adopt(leftovers, key, beside, pointer_step(key))
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
        found = _Found(value, root, pointer_step(key))
        refusals.append(
            found.refusal(f"{key} is {kind_of(value)}, not a mapping", "write `key: value` pairs")
        )
        return None
    return Document(value, origins_below(root, pointer_step(key)))


def _take_schema(root: Document, document: Document, refusals: list[Refusal]) -> None:
    """The schema, under either of its names; under both where they are the same."""
    for key in ("schema", "json_schema"):
        if key in root.content and "schema" not in document.content:
            document.content["schema"] = root.content[key]
            document.origins |= {
                f"/schema{below}": place for below, place in origins_below(root, pointer_step(key)).items()
            }
        elif key in root.content and not same_json(document.content["schema"], root.content[key]):
            place = root.place(pointer_step(key))
            reason = f"disagrees with {document.place('/schema')}"
            refusals.append(Refusal(place.source, place.pointer, reason, MAKE_AGREE))


def _take_rules(root: Document, document: Document, refusals: list[Refusal]) -> Document:
    """Fills in both sets of rules; returns what rule files say beside, to be kept in the metadata."""
    leftovers = Document({}, {})
    for key in RULES:
        if key not in root.content:
            continue
        value = root.content[key]
        component: dict[str, Any] | None = None
        origins = origins_below(root, pointer_step(key))
        if isinstance(value, dict) and "rules" in value:
            component = {"rules": {} if value["rules"] is None else value["rules"]}
            if "version" in value:
                component["version"] = value["version"]
            beside = {word: value[word] for word in value if word not in ("rules", "version")}
            if beside:
                leftovers.content[key] = beside
                leftovers.origins |= {
                    pointer_step(key) + pointer: place for pointer, place in origins.items()
                }
        elif value is not None and _component(root, key, refusals) is not None:
            component = {"rules": value}
            origins["/rules"] = origins[""]
        document.content[key] = component
        document.origins |= {pointer_step(key) + pointer: place for pointer, place in origins.items()}
    return leftovers


def _take_versions(
    root: Document,
    document: Document,
    metadata: Document | None,
    leftovers: Document,
    refusals: list[Refusal],
) -> None:
    """``versions`` fills in the versions that components leave out, and must agree with those they have."""
    components = {key: document for key in ("schema", *RULES)}
    if metadata is not None:
        components["metadata"] = Document(
            {"metadata": metadata.content}, origins_above(metadata, "/metadata")
        )
        version = metadata.content.get("version")
        if not isinstance(version, str | None):
            refusals.append(_Found(version, metadata, "/version").refusal(*version_type(version)))
    versions = _component(root, "versions", refusals)
    homeless = versions is None and "versions" in root.content
    for word, version in versions.content.items() if versions else ():
        target = _VERSIONS.get(word, "")
        part = components[target].content.get(target) if target in components else None
        found = _Found(version, root, f"/versions{pointer_step(word)}")
        if not isinstance(part, dict) or version is None:
            homeless = True
        elif not isinstance(version, str):
            refusals.append(found.refusal(*version_type(version)))
        elif part.get("version") is None:
            if target == "metadata":
                leftovers.content["version"] = version
                leftovers.origins["/version"] = found.at()
            else:
                document.content[target] = part | {"version": version}
                document.origins[f"/{target}/version"] = found.at()
        elif part["version"] != version:
            place = components[target].place(f"/{target}/version")
            reason = f"says {shown(version)}, but {place} says {shown(part['version'])}"
            refusals.append(found.refusal(reason, MAKE_AGREE))
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
        at = f"/{rule_set}/rules{pointer_step(name)}"
        if not isinstance(rules, dict) or (name in rules and not same_json(rules[name], rule)):
            reason = f"this rule and {document.place(at)} disagree"
            refusals.append(Refusal(place.source, place.pointer, reason, MAKE_AGREE))
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
        # Most properties have none of these: no pointer is built for them.
        if isinstance(property_, dict) and not property_.keys().isdisjoint(_WITH_INLINE_RULES):
            at = f"{pointer}/properties{pointer_step(name)}"
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
                at + below: place for below, place in origins_below(part, f"/{key}/{index}").items()
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
                f"{pointer.rpartition('/')[2]} is {kind_of(value)}, not a mapping", "write `key: value` pairs"
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
    merger = Merger(metadata, leftovers)
    document.content["metadata"] = merger.value(metadata.content, leftovers.content, "")
    document.origins |= {f"/metadata{pointer}": place for pointer, place in merger.origins.items()}
    refusals += merger.refusals


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
    target.origins |= {
        pointer_step(key) + below: place for below, place in origins_below(holder, pointer).items()
    }


def _refusal(raw: Raw, pointer: str, reason: str, remedy: str) -> Refusal:
    parts = {pointer_step(key): place for key, place in raw.parts.items()}
    place = place_in({"": raw.place} | parts, pointer)
    return Refusal(place.source, place.pointer, reason, remedy)


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

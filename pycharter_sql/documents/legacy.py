"""Every legacy shape of a data contract -> the one contract document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from pycharter_sql.documents.aliases import OWNERSHIP, Found, take_known_keys
from pycharter_sql.documents.entities import entity_document
from pycharter_sql.documents.merging import MAKE_AGREE, Merger, same_json
from pycharter_sql.documents.model import (
    CONTAINERS,
    DOCUMENT_KEYS,
    RELATIONS,
    RULES,
    Document,
    Raw,
    kind_of,
    label_of,
    lower,
    origins_above,
    origins_below,
    pointer_step,
    says_nothing,
    shown,
    trim,
    trim_item,
)
from pycharter_sql.documents.shapes import as_contract_file, refusal_of
from pycharter_sql.documents.validity import (
    MAX_PROBLEMS,
    contract_validator,
    entities_validator,
    invalid,
    is_storable,
    is_too_deep,
    unstorable,
    version_type,
)
from pycharter_sql.errors import DocumentRefused, Refusal


def normalise(raw: Raw, *, prefix_namespace: bool = False) -> Document:
    """The contract document, or the entity document, that ``raw`` describes.

    Reads contract documents themselves, metadata files, contract files (metadata, schema, rules, ownership
    and governance side by side), component files put together, JSON Schemas with contract keys beside their
    own, PyCharter manifests and what its stores hold, entity documents, and rows of seed sets; a row of a
    seed set describes its part of the contract alone, and ``merge`` joins them. Legacy metadata is kept whole
    under ``metadata``; the other keys are derived from it.

    Rules written inline in the schema's properties (``coercion``, ``validations``) move to ``coercion_rules``
    and ``validation_rules``; a nested property's rule is filed under its dotted path ("address.city"). Rules
    elsewhere in the schema (below ``items``, ``anyOf``, ...) have no field name and stay where they are.

    With ``prefix_namespace`` a legacy document that has a namespace is named "<namespace>.<name>".

    Raises DocumentRefused, and nothing else whatever the content, with every refusal of this document.
    """
    if raw.storable and isinstance(raw.content, dict):
        storable = not is_too_deep(raw.content)
    else:
        storable = is_storable(raw.content)
    problems = [] if storable else list(islice(unstorable(raw.content), MAX_PROBLEMS))
    if not problems and not isinstance(raw.content, dict):
        reason = f"a contract is a mapping, not {kind_of(raw.content)}"
        problems.append(("", reason, "write `key: value` pairs"))
    if problems:
        raise DocumentRefused([refusal_of(raw, *problem) for problem in problems])
    refusals: list[Refusal] = []
    keys = raw.content.keys()
    validator = contract_validator
    if keys <= DOCUMENT_KEYS and "name" in keys and "version" in keys and not raw.parts:
        document = _from_contract_document(raw, refusals)
    elif (entities := entity_document(raw)) is not None:
        document, validator = entities, entities_validator
    else:
        document = _from_legacy(raw, prefix_namespace, refusals)
    refusals += [
        Refusal(place.source, place.pointer, reason, remedy)
        for pointer, reason, remedy in invalid(document.content, validator())
        for place in [document.place(pointer)]
    ]
    if refusals:
        label = label_of(document.content)
        raise DocumentRefused([replace(refusal, contract=label) for refusal in dict.fromkeys(refusals)])
    return document


_INLINE_RULES = {"coercion": "coercion_rules", "validations": "validation_rules"}


_WITH_INLINE_RULES = (*_INLINE_RULES, "properties")


# versions.<key> -> the component whose version it is.
_VERSIONS = {"schema": "schema", "json_schema": "schema", "metadata": "metadata"} | {
    key: key for key in RULES
}


# What the metadata says of the contract's identity.
_IDENTITY = {"name": "name", "title": "name", "version": "version"}


# Mappings of the metadata that only group what they hold.
_GROUPS = frozenset({"lineage", "ownership", "ownership.roles", "runtime", "versions", *RULES})


def _from_contract_document(raw: Raw, refusals: list[Refusal]) -> Document:
    """A contract document already: taken as it is, but for untrimmed names, capitals and inline rules."""
    document = Document(_tidied(raw.content), {"": raw.place})
    _take_inline_rules(document, refusals)
    return document


def _tidied(content: dict[str, Any]) -> dict[str, Any]:
    tidy = dict(content)
    for key in ("name", "version"):
        tidy[key] = trim(tidy[key])
    if "status" in tidy:
        tidy["status"] = lower(tidy["status"])
    for key in ("data_feed", "domain"):
        if key in tidy:
            tidy[key] = trim_item(tidy[key])
    for key in RELATIONS:
        if isinstance(tidy.get(key), list):
            tidy[key] = [trim_item(item) for item in tidy[key]]
    if isinstance(access := tidy.get("team_access"), dict):
        lowered = {lower(permission): teams for permission, teams in access.items()}
        tidy["team_access"] = {
            permission: [trim_item(team) for team in teams] if isinstance(teams, list) else teams
            # Two spellings of one permission: left as they are, for the validation to refuse.
            for permission, teams in (lowered if len(lowered) == len(access) else access).items()
        }
    return tidy


def _from_legacy(raw: Raw, prefix_namespace: bool, refusals: list[Refusal]) -> Document:
    file = as_contract_file(raw)
    root = file.root
    metadata = _component(root, "metadata", refusals)
    beside = replace(root, content={k: v for k, v in root.content.items() if k not in CONTAINERS})

    document = Document({}, {"": root.place("")})
    _take_schema(root, document, refusals)
    leftovers = _take_rules(root, document, refusals)
    _take_inline_rules(document, refusals)
    taken = _take_versions(root, document, metadata, leftovers, refusals)
    _take_identity(root, document, metadata, beside)
    identity = {word: document.content.get(key) for word, key in _IDENTITY.items()}
    _take_namespace(document, metadata, beside, prefix_namespace, refusals)
    holders = [holder for holder in (beside, metadata) if holder is not None]
    taken |= take_known_keys(document, holders, file.silent, refusals)

    # Whatever the document's keys cannot hold as it was written is kept in the metadata, under its own key.
    for key, value in beside.content.items():
        if key not in DOCUMENT_KEYS or (
            isinstance(value, dict | list) and value != document.content.get(key)
        ):
            _adopt(leftovers, key, beside)
    if metadata is not None or leftovers.content:
        _keep_metadata(document, metadata or Document({}, {"": root.place("")}), leftovers, refusals)
        kept = document.content["metadata"]
        taken |= {f"ownership.{word}" for word in OWNERSHIP}
        taken |= {word for word, value in identity.items() if trim(kept.get(word)) == value}
        paths = (path for path in _paths(kept) if path not in taken)
        document.kept = tuple(dict.fromkeys([*paths, *document.kept]))
    elif "metadata" in root.content and root.content["metadata"] is None:
        _adopt(document, "metadata", root)
    return document


def _paths(content: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted paths of what the metadata says, groups taken apart."""
    for word, value in content.items():
        path = above + word
        if path in _GROUPS and isinstance(value, dict):
            yield from _paths(value, f"{path}.")
        elif not says_nothing(value):
            yield path


def _component(root: Document, key: str, refusals: list[Refusal]) -> Document | None:
    """The mapping at ``key``, standing for itself; None where it is absent or null."""
    value = root.content.get(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        found = Found(value, root, pointer_step(key))
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
) -> set[str]:
    """``versions`` fills in the versions that components leave out, and must agree with those they have.

    Returns the dotted paths of those that were taken.
    """
    taken: set[str] = set()
    components = {key: document for key in ("schema", *RULES)}
    if metadata is not None:
        components["metadata"] = Document(
            {"metadata": metadata.content}, origins_above(metadata, "/metadata")
        )
        version = metadata.content.get("version")
        if not isinstance(version, str | None):
            refusals.append(Found(version, metadata, "/version").refusal(*version_type(version)))
    versions = _component(root, "versions", refusals)
    homeless = versions is None and "versions" in root.content
    for word, version in versions.content.items() if versions else ():
        target = _VERSIONS.get(word, "")
        part = components[target].content.get(target) if target in components else None
        found = Found(version, root, f"/versions{pointer_step(word)}")
        if not isinstance(part, dict) or version is None:
            homeless = True
            continue
        taken.add(f"versions.{word}")
        if not isinstance(version, str):
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
        _adopt(leftovers, "versions", root)
    return taken


def _take_inline_rules(document: Document, refusals: list[Refusal]) -> None:
    if not isinstance(document.content.get("schema"), dict):
        return
    inline = list(_inline_rules(document.content["schema"], "/schema", ""))
    if not inline:
        return
    document.content["schema"] = _without_inline_rules(document.content["schema"])
    rule_sets: dict[str, dict[str, Any] | None] = {}
    for rule_set in {rule_set for _, rule_set, _, _ in inline}:
        component = document.content.get(rule_set, {"rules": {}})
        rules = component.get("rules") if isinstance(component, dict) else None
        rule_sets[rule_set] = dict(rules) if isinstance(rules, dict) else None
        if isinstance(rules, dict):
            document.content[rule_set] = component | {"rules": rule_sets[rule_set]}
            document.origins.setdefault(f"/{rule_set}", document.place("/schema"))
    for pointer, rule_set, name, rule in inline:
        place = document.place(pointer)
        rules = rule_sets[rule_set]
        at = f"/{rule_set}/rules{pointer_step(name)}"
        if rules is not None and name not in rules:
            rules[name] = rule
            document.origins[at] = place
        elif rules is not None and _complement(rules[name], rule):
            # Checks of one property may stand in both places.
            for check in rule.keys() - rules[name].keys():
                document.origins[at + pointer_step(check)] = place.child(pointer_step(check))
            rules[name] = rules[name] | rule
        elif rules is None or not same_json(rules[name], rule):
            reason = f"this rule and {document.place(at)} disagree"
            refusals.append(Refusal(place.source, place.pointer, reason, MAKE_AGREE))


def _complement(x: Any, y: Any) -> bool:
    """Whether both are mappings that agree where they speak of the same."""
    return (
        isinstance(x, dict)
        and isinstance(y, dict)
        and all(same_json(x[key], y[key]) for key in x.keys() & y.keys())
    )


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
                document.content[key] = trim(holder.content[word])
                document.origins[f"/{key}"] = holder.place(f"/{word}")
                break


def _take_namespace(
    document: Document,
    metadata: Document | None,
    beside: Document,
    prefix: bool,
    refusals: list[Refusal],
) -> None:
    """The namespace has no column: it stays in the metadata, and where wanted goes before the name."""
    for holder in (beside, metadata):
        if holder is None or says_nothing(value := holder.content.get("namespace")):
            continue
        namespace = trim(value)
        if not isinstance(namespace, str) or not namespace:
            found = Found(value, holder, "/namespace")
            refusals.append(found.refusal(f"{shown(value)} is no namespace", "write it as text"))
        else:
            # Where both say it they agree, or keeping the metadata refuses them.
            document.namespace = namespace
    name = document.content.get("name")
    if prefix and document.namespace is not None and isinstance(name, str):
        document.content["name"] = f"{document.namespace}.{name}"


def _keep_metadata(
    document: Document, metadata: Document, leftovers: Document, refusals: list[Refusal]
) -> None:
    if metadata.content.get("version") is None and "version" in leftovers.content:
        metadata = replace(metadata, content={k: v for k, v in metadata.content.items() if k != "version"})
    if metadata.content.keys().isdisjoint(leftovers.content):
        document.content["metadata"] = metadata.content | leftovers.content
        document.origins |= origins_above(metadata, "/metadata") | origins_above(leftovers, "/metadata")
        return
    merger = Merger(metadata, leftovers)
    document.content["metadata"] = merger.value(metadata.content, leftovers.content, "")
    document.origins |= {f"/metadata{pointer}": place for pointer, place in merger.origins.items()}
    refusals += merger.refusals


def _adopt(target: Document, key: str, holder: Document) -> None:
    """Files a key of one document under the same key of another."""
    target.content[key] = holder.content[key]
    target.origins[pointer_step(key)] = holder.place(pointer_step(key))

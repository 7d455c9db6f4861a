"""Which legacy shape a document has; every shape as a contract file.

A contract file has the schema, the rules and the metadata of one contract each under its own key
(``model.CONTAINERS``), and what is said of the contract itself beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pycharter_sql.documents.model import (
    CONTAINERS,
    RULES,
    Document,
    Raw,
    kind_of,
    place_in,
    pointer_step,
    shown,
)
from pycharter_sql.errors import DocumentRefused, Refusal

MANIFEST_VERSION, MANIFEST_KIND, STORE_VERSION = "pycharter.io/v2", "DataContract", "1"

# A row of a seed set says with these which contract it belongs to.
ROW_KEYS = ("contract_name", "contract_version")

# Keys that only these shapes have.
MARKS = frozenset({*ROW_KEYS, "api_version", "format_version", "apiVersion"})

# Table of a seed set -> the part of a contract that its rows hold.
_PARTS = {"metadata": "metadata", "schemas": "schema"} | {key: key for key in RULES}

# Tables of a seed set that belong to a contract, but are no part of it: they are kept in its metadata.
_ANNEXES = frozenset({"ontology_mappings"})

TABLES_OF_CONTRACTS = frozenset({"contracts", *_PARTS, *_ANNEXES})

# A manifest says these of the contract in its metadata, and nowhere else.
_IDENTITY = frozenset({"name", "namespace", "version"})

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


@dataclass(frozen=True, slots=True)
class ContractFile:
    """A document as a contract file: ``root`` holds its parts and what stands beside them.

    ``silent`` keys of the metadata describe the metadata record itself, not the contract.
    """

    root: Document
    silent: frozenset[str] = frozenset()


def as_contract_file(raw: Raw) -> ContractFile:
    """The document as a contract file. Raises DocumentRefused for a shape that is not read."""
    content, place = raw.content, raw.place
    if raw.parts:
        origins = {"": place} | {pointer_step(key): part for key, part in raw.parts.items()}
        return ContractFile(Document(content, origins))
    if "apiVersion" in content:
        raise _refused(
            raw,
            "/apiVersion",
            "an Open Data Contract Standard document is not read",
            "write it as a contract document, with the contract's `name` and `version`",
        )
    if "api_version" in content:
        return ContractFile(_manifest(raw))
    if "format_version" in content:
        return ContractFile(_stored(raw))
    if not content.keys().isdisjoint(ROW_KEYS):
        return _row(raw)
    if _is_json_schema(content):
        return ContractFile(_apart(content, raw))
    if content.keys() & CONTAINERS:
        return ContractFile(Document(content, {"": place}))
    return ContractFile(Document({"metadata": content}, {"": place, "/metadata": place}))


def _manifest(raw: Raw) -> Document:
    """{api_version, kind, metadata, spec}: what the spec holds stands beside the metadata."""
    content = raw.content
    if content["api_version"] != MANIFEST_VERSION:
        raise _refused(
            raw,
            "/api_version",
            f"manifests of {shown(content['api_version'])} are not read",
            f"write it as one of {MANIFEST_VERSION}",
        )
    if content.get("kind") != MANIFEST_KIND:
        raise _refused(
            raw,
            "/kind" if "kind" in content else "",
            f"a manifest of kind {shown(content.get('kind'))} is no data contract",
            f"leave it out; only kind: {MANIFEST_KIND} is read",
        )
    spec = content.get("spec")
    if not isinstance(spec, dict | None):
        raise _refused(raw, "/spec", f"spec is {kind_of(spec)}, not a mapping", "write `key: value` pairs")
    spec = spec or {}
    beside = {key: value for key, value in content.items() if key != "spec"}
    for key in spec:
        if key in beside or key in _IDENTITY:
            raise _refused(
                raw,
                f"/spec{pointer_step(key)}",
                f"{key!r} does not belong in spec",
                "move it to metadata, or rename it",
            )
    origins = {pointer_step(key): raw.place.child(f"/spec{pointer_step(key)}") for key in spec}
    return Document(beside | spec, {"": raw.place} | origins)


def _stored(raw: Raw) -> Document:
    """{format_version, json_schema, metadata, ...}: a contract file, once it is known to be a contract."""
    version = raw.content["format_version"]
    if isinstance(version, bool) or str(version) != STORE_VERSION:
        raise _refused(
            raw,
            "/format_version",
            f"documents of format_version {shown(version)} are not read",
            f'write it as one of format_version: "{STORE_VERSION}"',
        )
    # Pipelines, concept schemes and others are stored with the same mark.
    if "json_schema" not in raw.content:
        raise _refused(raw, "", "a stored document without json_schema is no data contract", "leave it out")
    return Document(raw.content, {"": raw.place})


def _row(raw: Raw) -> ContractFile:
    """A row of a seed set, which says with contract_name and contract_version to what it belongs."""
    content, place = raw.content, raw.place
    for word in ROW_KEYS:
        if content.get(word) is None:
            raise _refused(raw, "", f"the row has no {word}", f"add `{word}: ...`")
    rest: dict[str, Any] = {key: value for key, value in content.items() if key not in ROW_KEYS}
    origins = {
        "": place,
        "/name": place.child("/contract_name"),
        "/version": place.child("/contract_version"),
    }
    table = raw.table or ""
    part = _PARTS.get(table)
    if part in RULES and "rules" not in rest:
        raise _refused(raw, "", "the row has no rules", "add `rules: {...}`")
    if table in _ANNEXES:
        part, rest = "metadata", {table: rest}
        origins[f"/metadata/{table}"] = place
    if part is None:
        raise _refused(
            raw,
            "/contract_name",
            "a row of a seed set, but of no table that holds parts of contracts",
            f"name its file after its table: {', '.join(_PARTS)}; leave rows of other tables out",
        )
    root = Document(
        {"name": content["contract_name"], "version": content["contract_version"], part: rest},
        origins | {f"/{part}": place},
    )
    # The contract's own description stands in the table contracts.
    return ContractFile(root, silent=frozenset({"description"}))


def _is_json_schema(content: Mapping[str, Any]) -> bool:
    if "schema" in content or "json_schema" in content:
        return False
    # Metadata files say `type: object` and `properties: []` too; contract files may name their own $schema.
    return isinstance(content.get("properties"), dict) or (
        "$schema" in content and not content.keys() & CONTAINERS
    )


def _apart(content: Mapping[str, Any], raw: Raw) -> Document:
    """A JSON Schema with contract keys beside its own: the schema, and the contract keys."""
    schema: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for word, value in content.items():
        # Draft 7's `dependencies` is a mapping, the contract's a list.
        is_schema = word in _SCHEMA_WORDS and not (word == "dependencies" and not isinstance(value, dict))
        (schema if is_schema or word.startswith("x-") else rest)[word] = value
    return Document({"schema": schema, **rest}, {"": raw.place, "/schema": raw.place})


def _refused(raw: Raw, pointer: str, reason: str, remedy: str) -> DocumentRefused:
    return DocumentRefused([refusal_of(raw, pointer, reason, remedy)])


def refusal_of(raw: Raw, pointer: str, reason: str, remedy: str) -> Refusal:
    """A refusal of what stands at ``pointer`` of the raw document."""
    parts = {pointer_step(key): place for key, place in raw.parts.items()}
    place = place_in({"": raw.place} | parts, pointer)
    return Refusal(place.source, place.pointer, reason, remedy)

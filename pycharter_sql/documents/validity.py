"""What is wrong with a document: what PostgreSQL cannot store, and what its JSON Schema forbids."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind

from pycharter_sql.documents.model import (
    DOCUMENT_SCHEMA,
    MAX_DEPTH,
    kind_of,
    pointer_step,
    shortened,
    shown,
)

# Python refuses to write out longer integers, so that nobody can make it spend its time on that.
MAX_BITS = 14_000

# Of a document with more to say against it, these are enough.
MAX_PROBLEMS = 100

# In a document of more values, only the first error is looked for: the validator collects all others at once,
# and millions of them do not fit into the memory.
_MAX_VALUES = 100_000


@cache
def contract_validator() -> jsonschema_rs.Validator:
    """The contract document's schema, compiled."""
    return jsonschema_rs.validator_for(DOCUMENT_SCHEMA)


@cache
def entities_validator() -> jsonschema_rs.Validator:
    """The entity document's schema, compiled."""
    return jsonschema_rs.validator_for(
        {
            **DOCUMENT_SCHEMA["$defs"]["entities"],
            "$schema": DOCUMENT_SCHEMA["$schema"],
            "$defs": DOCUMENT_SCHEMA["$defs"],
        }
    )


def is_storable(value: Any) -> bool:
    """Whether ``unstorable`` has surely nothing to say. Several times as fast, and for every document."""
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
            elif kind is int:
                if item.bit_length() > MAX_BITS:
                    return False
            elif item is not None and kind is not bool:
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


def is_too_deep(value: dict[str, Any] | list[Any]) -> bool:
    """Whether mappings and lists are nested more than MAX_DEPTH levels deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            for inner in (item.values() if type(item) is dict else item)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def unstorable(value: Any, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, str, str]]:
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
                yield from (
                    (pointer + pointer_step(key), reason, remedy) for _, reason, remedy in unstorable(key)
                )
                yield from unstorable(item, pointer + pointer_step(key), depth + 1)
        else:
            for index, item in enumerate(value):
                yield from unstorable(item, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield pointer, f"{value} is not a JSON number", "write null, or a number"
    elif isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            yield pointer, "a number of thousands of digits", "write it as text"
    elif value is not None:
        yield pointer, f"a {type(value).__name__} is not JSON", "write it as text"


def invalid(content: dict[str, Any], validator: jsonschema_rs.Validator) -> Iterator[tuple[str, str, str]]:
    """What the validator, or the JSON Schema of its ``schema``, has against a document."""
    if not validator.is_valid(content):
        for error in _errors(validator, content):
            yield from _explained(error, content)
    if isinstance(schema := content.get("schema"), dict):
        dialect = schema.get("$schema", _DEFAULT_DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") not in _DIALECTS:
            known = ", ".join(_DIALECTS)
            yield (
                "/schema/$schema",
                f"{shown(dialect)} is no JSON Schema dialect that is known here",
                f"use one of: {known}",
            )
        elif not _dialect(dialect.rstrip("#")).is_valid(schema):
            for error in _errors(_dialect(dialect.rstrip("#")), schema):
                for pointer, reason, remedy in _explained(error, content):
                    yield f"/schema{pointer}", f"not a valid JSON Schema: {reason}", remedy


def _errors(
    validator: jsonschema_rs.Validator, value: dict[str, Any]
) -> Iterable[jsonschema_rs.ValidationError]:
    values, level = 0, [value]
    while level and values <= _MAX_VALUES:
        values += len(level)
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    if values <= _MAX_VALUES:
        return islice(validator.iter_errors(value), MAX_PROBLEMS)
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return [error]
    return []


_DEFAULT_DIALECT = "https://json-schema.org/draft/2020-12/schema"


_DIALECTS = (
    _DEFAULT_DIALECT,
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)


_BOUNDS = ("/exclusiveMinimum", "/exclusiveMaximum")


@cache
def _dialect(uri: str) -> jsonschema_rs.Validator:
    """The meta-schema of a known dialect, compiled; others would be asked of the network."""
    return jsonschema_rs.validator_for({"$schema": uri, "$ref": uri})


def _explained(
    error: jsonschema_rs.ValidationError, content: dict[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """A validator's error in the words of somebody who has the file open: (pointer, reason, remedy)."""
    pointer = "".join(pointer_step(str(step)) for step in error.instance_path)
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
                yield pointer + pointer_step(key), reason, "correct the spelling, or move it under `metadata`"
        case Kind.FalseSchema():
            key = str(error.instance_path[-1])
            yield pointer, f"an entity has no {key}", "say it in the contract that names the entity"
        case Kind.Enum(options):
            yield pointer, f"{shown(value)} is not allowed", f"use one of: {', '.join(map(str, options))}"
        case Kind.Type() if pointer.endswith("/version"):
            yield pointer, *version_type(value)
        case Kind.Type() if isinstance(value, bool) and pointer.endswith(_BOUNDS):
            # Meant for draft 4, which nobody guesses: the draft decides what the whole schema means.
            reason = "a boolean, expected the limit itself; only draft 4 has it as a boolean"
            yield pointer, reason, f"write the limit, or name the draft: $schema: {_DIALECTS[-1]}#"
        case Kind.Type(types):
            yield pointer, _wrong_type(value, types), "write it as that type"
        case Kind.MaxLength(limit):
            yield pointer, f"{len(str(value))} characters, at most {limit} are allowed", "shorten it"
        case Kind.MinLength():
            yield pointer, "empty text", "fill it in, or leave the key out"
        case Kind.Pattern() if value:
            yield pointer, f"{shown(value)} is blank, or begins or ends with white space", "trim it"
        case Kind.Pattern():
            pass  # empty text, of which minLength speaks
        case _:
            yield pointer, shortened(error.message), "see the JSON Schema specification"


def _is_mistyped(error: jsonschema_rs.ValidationError, path: list[str | int]) -> bool:
    return isinstance(error.kind, Kind.Type) and error.instance_path == path


def _wrong_type(value: Any, types: Iterable[str]) -> str:
    return f"{kind_of(value)}, expected {' or '.join(dict.fromkeys(types))}"


def version_type(version: Any) -> tuple[str, str]:
    """Reason and remedy for a version that is not text: YAML reads 1.10 as the number 1.1."""
    return f"the version {shown(version)} is {kind_of(version)}, not text", 'quote it: version: "1.10"'

"""What a JSON Schema has within itself: every schema in it, and the value that it describes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pycharter_sql.documents.model import pointer_step

Steps = tuple[tuple[str, str | int | None], ...]
"""The way to a value, in keywords of JSON Schema: (("properties", "lines"), ("items", None), ...)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A schema within a schema: where it is written, the value that it describes, as people and as steps."""

    pointer: str
    path: str
    steps: Steps
    schema: dict[str, Any]


# As subschemas() of the migration 0014-create-field-views has it.
MAPS = ("properties", "patternProperties", "dependentSchemas")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
SINGLE = (
    "items",
    "additionalItems",
    "unevaluatedItems",
    "additionalProperties",
    "unevaluatedProperties",
    "then",
    "else",
)
# And what only tests, or counts where a $ref names it.
ALL_MAPS = (*MAPS, "$defs", "definitions", "dependencies")
ALL_SINGLE = (*SINGLE, "if", "not", "contains", "propertyNames", "contentSchema")
# Those whose schemas describe another value than the schema that they are in.
_INTO = {
    "properties",
    "patternProperties",
    "prefixItems",
    "items",
    "additionalItems",
    "unevaluatedItems",
    "additionalProperties",
    "unevaluatedProperties",
}
# The limit of schema_fields(): what is reached by way of a $ref may be without end.
_MAX_REFERRED = 10_000


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[str, str | int | None, Any]]:
    """(keyword, key, subschema) of the schemas right within one that describe what is allowed."""
    for keyword, value in schema.items():
        if keyword in MAPS and isinstance(value, dict):
            yield from ((keyword, key, subschema) for key, subschema in value.items())
        elif keyword in LISTS and isinstance(value, list):
            yield from ((keyword, index, subschema) for index, subschema in enumerate(value))
        elif keyword in SINGLE and isinstance(value, dict):
            yield keyword, None, value


def _path_within(path: str, keyword: str, key: str | int | None) -> str:
    match keyword, key:
        case "properties", _:
            return f"{path}.{key}" if path else str(key)
        case (("prefixItems" | "items"), int()):
            return f"{path}[{key}]"
        case (("items" | "additionalItems" | "unevaluatedItems"), _):
            return f"{path}[]"
        case (("patternProperties" | "additionalProperties" | "unevaluatedProperties"), _):
            return f"{path}.*" if path else "*"
        case _:
            return path


def referred_to(root: Mapping[str, Any], reference: Any) -> dict[str, Any] | None:
    """What a $ref to a place of the same schema names."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    found: Any = root
    for step in reference.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            return None
    return found if isinstance(found, dict) else None


def places_of(root: dict[str, Any]) -> Iterator[Place]:
    """All that describes values, the nearest first; each $ref is followed, but none within itself."""
    queue = deque([(Place("", "", (), root), frozenset({"#"}))])
    referred = 0
    while queue:
        place, seen = queue.popleft()
        if len(seen) > 1:
            referred += 1
            if referred > _MAX_REFERRED:
                continue
        yield place
        for keyword, key, subschema in _subschemas(place.schema):
            if isinstance(subschema, dict):
                step = "" if key is None else pointer_step(str(key))
                steps = (*place.steps, (keyword, key)) if keyword in _INTO else place.steps
                path = _path_within(place.path, keyword, key)
                queue.append((Place(f"{place.pointer}/{keyword}{step}", path, steps, subschema), seen))
        reference = place.schema.get("$ref")
        target = referred_to(root, reference)
        if isinstance(reference, str) and target is not None and reference not in seen:
            queue.append((Place(reference[1:], place.path, place.steps, target), seen | {reference}))

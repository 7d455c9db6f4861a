"""A contract as a JSON Schema."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import cache
from typing import Any

import jsonschema_rs

from pycharter_sql.documents.merging import same_json
from pycharter_sql.enforcement.places import ALL_MAPS, ALL_SINGLE, LISTS, Steps, places_of
from pycharter_sql.enforcement.rules import INLINE, Rule, Rules
from pycharter_sql.rows import Contract


def to_jsonschema(contract: Contract) -> dict[str, Any]:
    """The contract as a JSON Schema for any validator, in the draft that its ``$schema`` names, else 2020-12.

    What the schema says and the validation rules hold, both. PyCharter's own keywords are taken out. JSON
    Schema cannot change a value: coercions are not in it, nor rules that only warn, and ``$comment`` of the
    schema names each that was left out. Rules that look at text look at the value as it is in JSON; true is
    not 1 there.

    Raises NotEnforceable for each rule that JSON Schema cannot say, such as one that PyCharter does not know.
    """
    return _JsonSchema(contract).schema()


_DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"


class _JsonSchema:
    def __init__(self, contract: Contract) -> None:
        self.rules = Rules(contract)
        self.out = _without_inline_rules(deepcopy(contract.schema))
        self.out.pop("version", None)
        self.is_draft_4 = "draft-04" in self.out.get("$schema", "")
        self.is_closed = any(
            not place.schema.keys().isdisjoint({"unevaluatedProperties", "unevaluatedItems"})
            for place in places_of(contract.schema)
        )
        self.left_out = [
            f"{self.rules.pointers[steps, 'coercion']}: {', '.join(names)}"
            for steps, names in self.rules.coercions.items()
        ]

    def schema(self) -> dict[str, Any]:
        for steps, rules in self.rules.validations.items():
            holding = []
            for rule in rules.values():
                pointer = self.rules.pointers[steps, rule.name]
                if rule.is_warning:
                    self.left_out.append(f"{pointer}: only warns")
                elif rule.name == "only_allow_if":
                    self._add_condition(steps, rule, pointer)
                else:
                    holding.append((rule, pointer))
            if holding:
                self._add_rules(steps, holding)
        self.rules.raise_refusals()
        comments = [comment] if (comment := self.out.pop("$comment", None)) else []
        if self.left_out:
            comments.append("Not in this schema: " + "; ".join(dict.fromkeys(self.left_out)))
        notes = {"$comment": "\n".join(comments)} if comments else {}
        return {"$schema": self.out.pop("$schema", _DRAFT_2020_12)} | notes | self.out

    def _add_rules(self, steps: Steps, rules: list[tuple[Rule, str]]) -> None:
        schema = self._at(steps, rules[0][1])
        types = schema.get("type", ["string", "array", "object"])
        for rule, pointer in rules:
            if rule.name == "matches_regex" and (why := _not_portable(rule.arguments["pattern"])):
                self.rules.refuse(
                    pointer, f"not a regular expression of JSON Schema: {why}", "write it without"
                )
                continue
            _add(schema, self._keywords(rule, [types] if isinstance(types, str) else types))

    def _keywords(self, rule: Rule, types: list[str]) -> dict[str, Any]:
        match rule.name, rule.arguments:
            case ("min_length" | "max_length") as name, {"threshold": threshold}:
                kinds = {"string": "Length", "array": "Items", "object": "Properties"}
                return {name[:3] + kinds[type_]: int(threshold) for type_ in types if type_ in kinds}
            case "only_allow", {"allowed_values": values}:
                return {"enum": _distinct(values)}
            case "greater_than_or_equal_to", {"threshold": threshold}:
                return {"minimum": threshold}
            case "less_than_or_equal_to", {"threshold": threshold}:
                return {"maximum": threshold}
            case "between", {"min_value": least, "max_value": most}:
                return {"minimum": least, "maximum": most}
            case "is_positive", {"threshold": threshold}:
                if self.is_draft_4:
                    return {"minimum": threshold, "exclusiveMinimum": True}
                return {"exclusiveMinimum": threshold}
            case "matches_regex", {"pattern": pattern}:
                return {"pattern": f"^(?:{pattern})"}
            case "is_unique", _:
                return {"uniqueItems": True}
            case name, _:
                return deepcopy(_text(name))

    def _add_condition(self, steps: Steps, rule: Rule, pointer: str) -> None:
        """only_allow_if, of the object: the condition does not hold, or the value is allowed."""
        (*above, (_, key)) = steps
        field, value = rule.arguments["condition_field"], rule.arguments["condition_value"]
        other: dict[str, Any] = {"properties": {field: {"not": {"enum": [value]}}}}
        if value is None:
            # PyCharter takes what is absent as null.
            other["required"] = [field]
        allowed = {"properties": {key: {"enum": _distinct(rule.arguments["allowed_values"])}}}
        _add(self._at(tuple(above), pointer), {"anyOf": [other, allowed]})

    def _at(self, steps: Steps, pointer: str) -> dict[str, Any]:
        """The schema that surely holds for a value: where it stands, else one added beside what is there.

        What is reached by way of a $ref, anyOf and the like holds elsewhere too, or not always.
        """
        schema = self.out
        for number, (keyword, key) in enumerate(steps):
            inner = None if "$ref" in schema else schema.get(keyword)
            if isinstance(inner, dict) and key is not None:
                inner = inner.get(str(key))
            elif isinstance(inner, list) and isinstance(key, int):
                inner = inner[key]
            if not isinstance(inner, dict):
                return self._beside(schema, steps[number:], pointer)
            schema = inner
        return self._beside(schema, (), pointer) if "$ref" in schema else schema

    def _beside(self, schema: dict[str, Any], steps: Steps, pointer: str) -> dict[str, Any]:
        added: dict[str, Any] = {}
        innermost = added
        for keyword, key in steps:
            inner: dict[str, Any] = {}
            if keyword == "properties":
                innermost[keyword] = {key: inner}
            elif keyword == "items" and key is None:
                innermost[keyword] = inner
            else:
                self.rules.refuse(
                    pointer,
                    f"the value is described by {keyword} in a part of the schema that does not always hold",
                    "write the rule as keywords of JSON Schema, there",
                )
            innermost = inner
        parts = schema.setdefault("allOf", [])
        if "$ref" in schema:
            # Before draft 2019-09 a $ref hides what is beside it.
            parts.append({"$ref": schema.pop("$ref")})
        # What is said within a not leaves unevaluated what was so before.
        parts.append({"not": {"not": added}} if self.is_closed else added)
        return innermost


def _add(schema: dict[str, Any], keywords: dict[str, Any]) -> None:
    if any(key in schema and not same_json(schema[key], value) for key, value in keywords.items()):
        schema.setdefault("allOf", []).append(keywords)
    else:
        schema |= keywords


def _distinct(values: list[Any]) -> list[Any]:
    """Each once: older drafts forbid more. 1 and 1.0 are one number, true is another value."""
    distinct: list[Any] = []
    for value in values:
        if not any(same_json(value, other) for other in distinct):
            distinct.append(deepcopy(value))
    return distinct


def _without_inline_rules(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` itself, PyCharter's keywords taken out of it, though not properties of their names."""
    for keyword in INLINE:
        schema.pop(keyword, None)
    for keyword, value in schema.items():
        inner: Iterable[Any] = ()
        if keyword in ALL_MAPS and isinstance(value, dict):
            inner = value.values()
        elif keyword in LISTS and isinstance(value, list):
            inner = value
        elif keyword in ALL_SINGLE:
            inner = [value]
        for subschema in inner:
            if isinstance(subschema, dict):
                _without_inline_rules(subschema)
    return schema


# What Python has and ECMA 262, the regular expressions of JSON Schema, has not.
_PYTHON_ONLY = re.compile(r"\\[\\\[\](){}]|(\\[AZzaN]|\(\?(?!:|=|!|<=|<!)..?|[*+?}]\+)")


def _not_portable(pattern: str) -> str | None:
    """What in a regular expression not all validators understand; None where there is nothing."""
    for match in _PYTHON_ONLY.finditer(pattern):
        if match[1]:
            return match[1]
    try:
        jsonschema_rs.validator_for({"pattern": f"^(?:{pattern})"})
    except jsonschema_rs.ValidationError as error:
        return error.message
    return None


@cache
def _characters(test: Callable[[str], bool]) -> str:
    """The characters that pass, as ranges for a character class: \\w, \\d and \\s mean others elsewhere."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if test(chr(code)):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])

    def written(code: int) -> str:
        return chr(code) if code > 0xFFFF or chr(code).isalnum() else f"\\u{code:04x}"

    return "".join(
        written(first) if first == last else f"{written(first)}-{written(last)}" for first, last in ranges
    )


# Python's $ also matches before a line feed at the end: so these rules take one there, as does the pattern of
# a validator in Python, which would take two.
_NOT_TWO = {"not": {"type": "string", "pattern": r"\n\n"}}


@cache
def _text(name: str) -> dict[str, Any]:
    """The keywords of a rule without arguments, in characters that mean the same to every validator."""
    space, digit = _characters(str.isspace), _characters(str.isdecimal)
    match name:
        case "non_empty_string":
            return {"pattern": f"[^{space}]"}
        case "no_capital_characters":
            return {"pattern": f"^[^{_characters(str.isupper)}]*$"}
        case "no_special_characters":
            return {"pattern": f"^[a-zA-Z0-9{space}]*$"}
        case "is_alphanumeric":
            no_line_feed = {"not": {"type": "string", "pattern": r"\n"}}
            return {"pattern": f"^[{_characters(str.isalnum)}]+$"} | no_line_feed
        case "is_numeric_string":
            return {"pattern": rf"^-?[{digit}]+(\.[{digit}]+)?\n?$"} | _NOT_TWO
        case "is_email":
            return {"pattern": r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}\n?$"} | _NOT_TWO
        case "is_url":
            return {"pattern": rf"^https?://[^{space}/$.?#][^\n][^{space}]*\n?$"} | _NOT_TWO
    raise ValueError(name)

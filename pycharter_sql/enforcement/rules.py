"""The rules of a contract, from all forms in which they are written, by the value that they are for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pycharter_sql.documents.model import pointer_step, shown
from pycharter_sql.documents.validity import DOCUMENT, invalid
from pycharter_sql.enforcement.places import Place, Steps, places_of
from pycharter_sql.errors import NotEnforceable, Refusal
from pycharter_sql.rows import Contract

COERCIONS = (
    "coerce_to_string",
    "coerce_to_integer",
    "coerce_to_float",
    "coerce_to_boolean",
    "coerce_to_datetime",
    "coerce_to_date",
    "coerce_to_uuid",
    "coerce_to_lowercase",
    "coerce_to_uppercase",
    "coerce_to_stripped_string",
    "coerce_to_list",
    "coerce_empty_to_null",
    "coerce_to_none",
    "coerce_to_json",
    "coerce_to_nullable_string",
    "coerce_to_nullable_integer",
    "coerce_to_nullable_float",
    "coerce_to_nullable_boolean",
    "coerce_to_nullable_datetime",
    "coerce_to_nullable_uuid",
    "coerce_to_nullable_json",
)
"""The coercions that PyCharter knows."""

RENAMED_COERCIONS = {
    "uppercase": "coerce_to_uppercase",
    "lowercase": "coerce_to_lowercase",
    "strip": "coerce_to_stripped_string",
    "to_integer": "coerce_to_integer",
    "to_float": "coerce_to_float",
    "empty_to_null": "coerce_empty_to_null",
    "to_timestamp": "coerce_to_datetime",
}
"""Short names that PyCharter had for a while, and no longer reads."""

VALIDATIONS: dict[str, tuple[str, ...]] = {
    "min_length": ("threshold",),
    "max_length": ("threshold",),
    "only_allow": ("allowed_values",),
    "only_allow_if": ("condition_field", "condition_value", "allowed_values"),
    "greater_than_or_equal_to": ("threshold",),
    "less_than_or_equal_to": ("threshold",),
    "between": ("min_value", "max_value"),
    "is_positive": ("threshold",),
    "matches_regex": ("pattern",),
    "no_capital_characters": (),
    "no_special_characters": (),
    "non_empty_string": (),
    "is_email": (),
    "is_url": (),
    "is_alphanumeric": (),
    "is_numeric_string": (),
    "is_unique": (),
}
"""The validation rules that PyCharter knows, with their arguments: the 16 of its beginnings, and between."""

INLINE = ("coercion", "validations", "x-validators")
"""The keywords of a schema that hold rules."""

# What may stand beside the arguments of a rule.
_NOTES = {"id", "description", "severity"}


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    arguments: dict[str, Any]
    is_warning: bool


class Rules:
    """The rules of a contract by the value that they are for, and all that is to be said against them.

    ``coercions`` has the names of each field's coercions, in their order; ``pointers`` where each rule
    stands in the contract, by value and name ("coercion" for these). ``values`` are all that the schema
    describes.
    """

    def __init__(self, contract: Contract) -> None:
        self._label = f"{contract.name}@{contract.version}"
        self._refusals: dict[Refusal, None] = {}
        self.coercions: dict[Steps, list[str]] = {}
        self.validations: dict[Steps, dict[str, Rule]] = {}
        self.pointers: dict[tuple[Steps, str], str] = {}
        document = {"name": contract.name, "version": contract.version, "schema": contract.schema}
        for problem in invalid(document, DOCUMENT):
            self.refuse(*problem)
        self.raise_refusals()

        self._by_path: dict[str, dict[Steps, None]] = {}
        self._by_name: dict[str, dict[Steps, None]] = {}
        inline: list[tuple[Place, str]] = []
        for place in places_of(contract.schema):
            self._by_path.setdefault(place.path, {})[place.steps] = None
            if place.steps and place.steps[-1][0] == "properties":
                self._by_name.setdefault(place.path.replace("[]", ""), {})[place.steps] = None
            inline += [(place, word) for word in INLINE if word in place.schema]
        self.values = {steps for found in self._by_path.values() for steps in found}

        for place, word in inline:
            add = self._add_coercion if word == "coercion" else self._add_validations
            add(place.steps, place.schema[word], f"/schema{place.pointer}/{word}")
        for field, given in (contract.coercion_rules or {}).items():
            # What the schema does not describe can be coerced too.
            for steps in self._named_by(field) or [(("properties", _bare(field)),)]:
                self._add_coercion(steps, given, f"/coercion_rules{pointer_step(field)}")
        for field, given in (contract.validation_rules or {}).items():
            found, pointer = self._named_by(field), f"/validation_rules{pointer_step(field)}"
            for steps in found:
                self._add_validations(steps, given, pointer)
            if given and not found:
                close = get_close_matches(field, self._by_name, 1)
                otherwise = "describe the field in the schema, or take the rule out"
                remedy = f'did you mean "{close[0]}"?' if close else otherwise
                self.refuse(pointer, f'the schema has no field "{field}"', remedy)

    def refuse(self, pointer: str, reason: str, remedy: str) -> None:
        self._refusals[Refusal(self._label, pointer, reason, remedy)] = None

    def raise_refusals(self) -> None:
        """Raises NotEnforceable where anything was refused."""
        if self._refusals:
            raise NotEnforceable(list(self._refusals))

    def _named_by(self, field: str) -> list[Steps]:
        """The values that a key of the rules names, as contract_fields has it; also as $field or $.field."""
        for name in (field, _bare(field)):
            if found := self._by_path.get(name) or self._by_name.get(name):
                return list(found)
        return []

    def _add_coercion(self, steps: Steps, given: Any, pointer: str) -> None:
        names = []
        for item in given if isinstance(given, list) else [given]:
            name = item.get("operation") if isinstance(item, dict) and not item.get("parameters") else item
            if isinstance(name, str):
                names.append(RENAMED_COERCIONS.get(name, name))
            elif item is not None:
                self.refuse(pointer, f"{shown(item)} names no coercion", "write its name: coerce_to_...")
        if not names:
            return
        at = self.pointers.setdefault((steps, "coercion"), pointer)
        if self.coercions.setdefault(steps, names) != names:
            self.refuse(pointer, f"says {shown(given)}, and {at} says otherwise", "keep one of the two")

    def _add_validations(self, steps: Steps, given: Any, pointer: str) -> None:
        for index, item in enumerate(given) if isinstance(given, list) else ():
            if _is_coercion(item):
                self._add_coercion(steps, item["name"], f"{pointer}/{index}")
        for name, arguments, written in self._each(given, pointer):
            rule = self._rule(name, arguments, written)
            if rule is not None and self._has_sibling(steps, rule, written):
                at = self.pointers.setdefault((steps, name), written)
                if self.validations.setdefault(steps, {}).setdefault(name, rule) != rule:
                    self.refuse(written, f"differs from what {at} says", "keep one of the two")

    def _has_sibling(self, steps: Steps, rule: Rule, pointer: str) -> bool:
        """False, and a refusal, where a rule depends on a field that is not there."""
        if rule.name != "only_allow_if":
            return True
        field = rule.arguments["condition_field"]
        if steps and steps[-1][0] == "properties" and (*steps[:-1], ("properties", field)) in self.values:
            return True
        self.refuse(
            pointer,
            f'there is no field "{field}" in the same object',
            "name one that the schema describes there",
        )
        return False

    def _each(self, given: Any, pointer: str) -> Iterator[tuple[str, Any, str]]:
        """(rule, what is given as its arguments, pointer), from all forms in which a field's rules stand."""
        match given:
            case None:
                return
            case str():
                yield given, None, pointer
            case list():
                for index, item in enumerate(given):
                    if not _is_coercion(item):
                        yield from self._each(item, f"{pointer}/{index}")
            case {"assertion": str(name), **rest} | {"name": str(name), **rest}:
                # As PyCharter's editor writes them, and its x-validators.
                arguments = rest.get("parameters", rest.get("params")) or {}
                if isinstance(arguments, dict) and "severity" in rest:
                    yield name, arguments | {"severity": rest["severity"]}, pointer
                else:
                    yield name, arguments, pointer
            case dict():
                for name, arguments in given.items():
                    yield name, arguments, f"{pointer}{pointer_step(name)}"
            case _:
                self.refuse(pointer, f"{shown(given)} is no rule", "write `rule: {argument: value}`")

    def _rule(self, name: str, given: Any, pointer: str) -> Rule | None:
        """The rule with its arguments under their names; None, and a refusal, where they are not right."""
        if name not in VALIDATIONS:
            self.refuse(pointer, f'PyCharter has no rule "{name}"', one_of(name, VALIDATIONS))
            return None
        parameters = VALIDATIONS[name]
        if given is None or (given is True and (name == "is_positive" or not parameters)):
            given = {}
        if not isinstance(given, dict):
            given = {"value": given}
        severity = given.get("severity", "error")
        arguments = {key: value for key, value in given.items() if key not in _NOTES}
        if name == "only_allow_if" and len(arguments) == 1 and arguments.keys() <= {"condition", "value"}:
            (inner,) = arguments.values()
            arguments = inner if isinstance(inner, dict) else arguments
        elif len(parameters) == 1 and arguments.keys() == {"value"}:
            arguments = {parameters[0]: arguments["value"]}
        if name == "is_positive":
            arguments = {"threshold": 0} | arguments
        if arguments.keys() != set(parameters):
            wanted = f"{{{', '.join(f'{key}: ...' for key in parameters)}}}" if parameters else "null"
            self.refuse(pointer, f"{shown(given)} is not what {name} takes", f"write `{name}: {wanted}`")
            return None
        for key, value in arguments.items():
            is_right, remedy = _ARGUMENTS[key]
            if not is_right(value):
                self.refuse(pointer, f"{key} of {name} cannot be {shown(value)}", remedy)
                return None
        if name.endswith("_length") and (arguments["threshold"] < 0 or arguments["threshold"] % 1):
            self.refuse(pointer, f"no length is {shown(arguments['threshold'])}", "write a whole number")
            return None
        if severity not in ("error", "warning"):
            self.refuse(pointer, f"severity cannot be {shown(severity)}", "use error or warning")
            return None
        return Rule(name, arguments, severity == "warning")


def _is_coercion(item: Any) -> bool:
    """Whether an item of x-validators changes the value, before it is validated."""
    return isinstance(item, dict) and item.get("pre") is True and isinstance(item.get("name"), str)


def one_of(name: str, known: dict[str, Any] | tuple[str, ...]) -> str:
    """What to write instead of a name that is not known."""
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"use one of: {', '.join(known)}"


def _bare(field: str) -> str:
    # PyCharter once wrote fields as $field and $.field.
    return field.removeprefix("$").removeprefix(".") if field.startswith("$") else field


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_regex(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError, OverflowError, RecursionError):
        return False
    return isinstance(value, str)


# Argument -> whether a value will do, and what to write instead.
_ARGUMENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "threshold": (_is_number, "write a number"),
    "min_value": (_is_number, "write a number"),
    "max_value": (_is_number, "write a number"),
    "allowed_values": (lambda value: isinstance(value, list) and value != [], "write a list of the values"),
    "condition_field": (lambda value: isinstance(value, str), "write the name of a field"),
    "condition_value": (lambda value: True, ""),
    "pattern": (_is_regex, "write a regular expression as Python reads it"),
}

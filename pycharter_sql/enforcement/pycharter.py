"""A contract as PyCharter's Validator takes it."""

from __future__ import annotations

import re
from copy import deepcopy
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pycharter_sql.documents.model import pointer_step, shown
from pycharter_sql.enforcement.places import ALL_MAPS, ALL_SINGLE, LISTS, Steps, referred_to
from pycharter_sql.enforcement.rules import COERCIONS, INLINE, Rule, Rules, one_of
from pycharter_sql.rows import Contract


def to_pycharter(contract: Contract) -> dict[str, Any]:
    """What PyCharter's Validator takes: ``pycharter.Validator(to_pycharter(contract))``, PyCharter 0.0.67.

    A dict with json_schema, coercion_rules and validation_rules. Legacy forms that PyCharter reads no longer,
    or has never enforced, are translated: renamed coercions, rules inline and of nested fields, arguments
    without their name, $ref and anyOf, types that are left out, Draft 4's bounds.

    Of the schema PyCharter looks at type, format date and date-time, enum, const, pattern and bounds, in
    properties, nested objects and lists of objects, once where these are within themselves, and at no other
    keyword: ``to_jsonschema`` has them all.

    Raises NotEnforceable for each rule that PyCharter cannot carry out as it stands: an unknown one, a
    coercion of a nested field, more than one coercion of a field, ...
    """
    return _PyCharter(contract).contract()


_TYPES = ["array", "boolean", "integer", "number", "object", "string"]
_BOUNDS = {
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
}
# What PyCharter does not look at, but follows each $ref in, without end where they go in circles.
_UNREAD = ({*LISTS, *ALL_MAPS, *ALL_SINGLE} | {"$schema"}) - {"properties", "items"}
# Which type PyCharter gives text of these formats.
_DATES = ("date", "date-time")
_COERCED_TO = {
    "coerce_to_date": "date",
    "coerce_to_datetime": "date-time",
    "coerce_to_nullable_datetime": "date-time",
}
# PyCharter reads rules of fields of such names alone; those of a field title it passes over.
_FIELD_NAME = re.compile(r"(?!(?:title|version|rules)$)[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

_UNSEEN = "PyCharter does not look at this part of the schema"
_BEFORE = "coerce it before PyCharter sees it, and take the rule out"
_ELSEWHERE = "check it by to_jsonschema(contract), or take the rule out"


class _PyCharter:
    def __init__(self, contract: Contract) -> None:
        self.version = contract.version
        self.rules = Rules(contract)
        self.root = contract.schema
        # Of the fields of the contract itself.
        self.coercions: dict[str, str] = {}
        self.validation_rules: dict[str, Any] = {}

    def contract(self) -> dict[str, Any]:
        for steps, names in self.rules.coercions.items():
            self._take_coercion(steps, names)
        schema = {"type": "object"} if self.root.keys().isdisjoint({"type", "$ref", "allOf"}) else {}
        schema = self._read(schema | self.root, (), frozenset({"#"}))
        if schema["type"] != "object":
            self.rules.refuse("/schema/type", "PyCharter validates objects alone", _ELSEWHERE)
        for steps, rules in self.rules.validations.items():
            for name in rules:
                pointer = self.rules.pointers[steps, name]
                self.rules.refuse(pointer, _UNSEEN, _ELSEWHERE)
        self._put_odd_coercions(schema)
        self.rules.raise_refusals()
        # A copy: what the caller does to it must not reach the contract.
        return deepcopy(
            {
                "json_schema": {"version": self.version} | schema,
                "coercion_rules": {"rules": self.coercions},
                "validation_rules": {"rules": self.validation_rules},
            }
        )

    def _take_coercion(self, steps: Steps, names: list[str]) -> None:
        pointer = self.rules.pointers[steps, "coercion"]
        for name in names:
            if name not in COERCIONS:
                self.rules.refuse(pointer, f'PyCharter has no coercion "{name}"', one_of(name, COERCIONS))
        ((keyword, key), *further) = steps or ((None, None),)
        if keyword != "properties" or further:
            reason = "PyCharter coerces the fields of the contract itself, none within"
            self.rules.refuse(pointer, reason, _BEFORE)
        elif len(set(names)) > 1:
            self.rules.refuse(pointer, f"PyCharter coerces once, not by {', '.join(names)}", _BEFORE)
        else:
            self.coercions[str(key)] = names[0]

    def _put_odd_coercions(self, schema: dict[str, Any]) -> None:
        """Coercions of fields that have no name for coercion_rules go into the schema, as they once did."""
        properties = schema.get("properties", {})
        for name in [name for name in self.coercions if not _FIELD_NAME.fullmatch(name)]:
            if name in properties and name == name.strip() and name[:1] != "$" and name != "rules":
                properties[name]["coercion"] = self.coercions.pop(name)
            else:
                pointer = self.rules.pointers[(("properties", name),), "coercion"]
                self.rules.refuse(pointer, "PyCharter cannot coerce a field of this name", _BEFORE)

    def _read(self, given: dict[str, Any] | bool, steps: Steps, seen: frozenset[str]) -> dict[str, Any]:
        """A schema with all that PyCharter looks at where PyCharter looks for it, its rules in it."""
        if given is False:
            reason = "PyCharter cannot say that no value is allowed"
            self.rules.refuse(f"/schema{_pointer(steps)}", reason, _ELSEWHERE)
        schema, seen = self._plain({} if isinstance(given, bool) else given, steps, seen)
        types = schema.pop("type")
        items = schema.pop("items", {}) if "prefixItems" not in schema else {}
        for keyword in (*_UNREAD, *INLINE):
            if keyword != "additionalProperties" or schema.get(keyword) is not False:
                schema.pop(keyword, None)
        for side in ("inimum", "aximum"):
            # In draft 4 it says whether the bound itself is out.
            if isinstance(is_out := schema.get(f"exclusiveM{side}"), bool):
                del schema[f"exclusiveM{side}"]
                if is_out:
                    schema[f"exclusiveM{side}"] = schema.pop(f"m{side}")
        others = [type_ for type_ in types if type_ != "null"]
        if others == ["object"]:
            properties = schema.pop("properties", {})
            schema |= {"type": "object", "properties": self._read_properties(properties, steps, seen)}
        elif others == ["array"]:
            items = self._read({} if isinstance(items, list) else items, (*steps, ("items", None)), seen)
            schema |= {"type": "array", "items": items}
        else:
            schema.pop("properties", None)
            schema["type"] = types if len(types) > 1 else types[0]
            coerced = self.coercions.get(str(steps[0][1]), "") if len(steps) == 1 else ""
            if "string" in others and coerced in _COERCED_TO:
                # Else PyCharter would refuse what its own coercion makes.
                schema.setdefault("format", _COERCED_TO[coerced])
            elif coerced.endswith("_uuid"):
                pointer = self.rules.pointers[steps, "coercion"]
                self.rules.refuse(pointer, f"PyCharter takes no UUID, as {coerced} makes, for text", _BEFORE)
            bounds = sorted(_BOUNDS & schema.keys())
            if bounds and (len(others) > 1 or schema.get("format") in _DATES):
                reason = f"PyCharter cannot hold a value of this type to {', '.join(bounds)}"
                self.rules.refuse(f"/schema{_pointer(steps)}", reason, _ELSEWHERE)
        pattern = schema.get("pattern")
        if pattern is not None and (not pattern.startswith("^") or "|" in pattern):
            # It may begin anywhere; PyCharter looks at the beginning alone.
            schema["pattern"] = rf"^[\s\S]*?(?:{pattern})"
        return schema

    def _read_properties(
        self, properties: dict[str, Any], steps: Steps, seen: frozenset[str]
    ) -> dict[str, Any]:
        read: dict[str, Any] = {}
        # Of its siblings a rule sees those that come before it.
        order: TopologicalSorter[str] = TopologicalSorter({name: () for name in properties})
        for name, given in properties.items():
            at = (*steps, ("properties", name))
            read[name] = schema = self._read(given, at, seen)
            rules = self.rules.validations.pop(at, {})
            in_component = len(at) == 1 and _FIELD_NAME.fullmatch(name) is not None
            for rule in rules.values():
                pointer = self.rules.pointers[at, rule.name]
                self._check(name, rule, schema, pointer, in_component)
                if rule.name == "only_allow_if":
                    if rule.arguments["condition_field"] not in properties:
                        self.rules.refuse(pointer, _UNSEEN, _ELSEWHERE)
                    else:
                        order.add(name, rule.arguments["condition_field"])
            if in_component and rules:
                self.validation_rules[name] = {
                    rule.name: rule.arguments | ({"severity": "warning"} if rule.is_warning else {})
                    for rule in rules.values()
                }
            elif rules:
                schema["validations"] = {rule.name: rule.arguments for rule in rules.values()}
        try:
            return {name: read[name] for name in order.static_order()}
        except CycleError as error:
            circle = ", ".join(dict.fromkeys(error.args[1]))
            reason = f"only_allow_if of {circle} depend on each other"
            self.rules.refuse(f"/schema{_pointer(steps)}", reason, _ELSEWHERE)
            return read

    def _check(self, name: str, rule: Rule, schema: dict[str, Any], pointer: str, in_component: bool) -> None:
        """What PyCharter would take, and not carry out or trip over."""
        items = schema.get("items", {}).get("type", ())
        if name.startswith("_"):
            self.rules.refuse(pointer, "PyCharter does not see fields whose name begins with _", _ELSEWHERE)
        elif rule.is_warning and not in_component:
            self.rules.refuse(pointer, "PyCharter cannot only warn of this field", "take out its severity")
        elif (
            schema.get("format") in _DATES and "string" in schema["type"] and rule.name != "non_empty_string"
        ):
            reason = "PyCharter reads the field as a time, and cannot hold the text to a rule"
            self.rules.refuse(pointer, reason, _ELSEWHERE)
        elif rule.name == "is_unique" and items in ("object", "array"):
            self.rules.refuse(pointer, "PyCharter cannot compare lists or objects", _ELSEWHERE)

    def _plain(
        self, given: dict[str, Any], steps: Steps, seen: frozenset[str]
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """A schema without $ref, anyOf, oneOf, allOf, as plain_property() of 0014-create-field-views has it.

        Its type is a list. PyCharter takes what has no type for text.
        """
        schema, is_nullable = dict(given), False
        while True:
            if "$ref" in schema:
                reference = schema.pop("$ref")
                target = referred_to(self.root, reference)
                if target is None:
                    reason = f"PyCharter cannot follow the $ref {shown(reference)}"
                    remedy = "write what it names into the schema"
                    self.rules.refuse(f"/schema{_pointer(steps)}", reason, remedy)
                elif reference in seen:
                    # PyCharter cannot go in circles: from here on any such value will do.
                    schema = {"type": target.get("type", "object")} | schema
                else:
                    schema, seen = target | schema, seen | {reference}
            elif isinstance(parts := schema.pop("allOf", None), list):
                for part in parts:
                    if isinstance(part, dict):
                        schema, seen = self._joined(schema, part, seen)
            elif keyword := next((word for word in ("anyOf", "oneOf") if word in schema), None):
                members = schema.pop(keyword)
                others = [m for m in members if m not in ({"type": "null"}, {"const": None})]
                is_nullable |= len(others) < len(members)
                if len(others) == 1 and isinstance(others[0], dict):
                    schema = others[0] | schema
                elif "type" not in schema:
                    plain = [
                        self._plain(m, steps, seen)[0] if isinstance(m, dict) else {"type": _TYPES}
                        for m in others
                    ]
                    schema["type"] = sorted({type_ for member in plain for type_ in member["type"]})
            else:
                break
        types = schema.get("type")
        if types is None and not schema.keys().isdisjoint({"enum", "const"}):
            types = _TYPES
        elif types is None:
            types = "object" if "properties" in schema else "array" if "items" in schema else _TYPES
        types = list(types) if isinstance(types, list) else [types]
        if is_nullable and "null" not in types:
            types.append("null")
        return schema | {"type": types}, seen

    def _joined(
        self, schema: dict[str, Any], part: dict[str, Any], seen: frozenset[str]
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """A schema and a part of its allOf, whose properties both hold."""
        if (reference := part.get("$ref")) is not None:
            target = referred_to(self.root, reference)
            if target is not None and reference not in seen:
                part, seen = target | {k: v for k, v in part.items() if k != "$ref"}, seen | {reference}
        joined = part | schema
        for key in ("properties", "required"):
            if key in part and key in schema:
                joined[key] = part[key] | schema[key] if key == "properties" else [*schema[key], *part[key]]
        if "required" in joined:
            joined["required"] = list(dict.fromkeys(joined["required"]))
        return joined, seen


def _pointer(steps: Steps) -> str:
    return "".join(f"/{keyword}" + ("" if key is None else pointer_step(str(key))) for keyword, key in steps)

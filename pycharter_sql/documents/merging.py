"""Two sources of one contract version -> one document, or a refusal that names both places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pycharter_sql.documents.model import (
    LINK_LISTS,
    RELATIONS,
    RULES,
    Document,
    Place,
    collapsed,
    identity_of,
    label_of,
    lifted,
    origins_below,
    pointer_step,
    shown,
)
from pycharter_sql.errors import DocumentRefused, Refusal

MAKE_AGREE = "make the two agree, or remove one of them"

PREFIX_NAMES = "load them with --prefix-namespace, which names a contract <namespace>.<name>"


def merge(a: Document, b: Document) -> Document:
    """Two sources of one contract version, joined where they complement each other.

    Mappings are joined key by key. Relations (``pulls_from``, ``team_access.read``, ...) must name the same
    things, in any order; the attributes of their items are joined. A schema and a set of rules are equal or
    disagree as a whole, apart from their version, which one of the two may leave out. Associative,
    idempotent, and commutative but for ``origins``, where ``a`` leads.

    Raises DocumentRefused where they disagree, or come from two namespaces; each refusal names both places.
    """
    if a.namespace is not None and b.namespace is not None and a.namespace != b.namespace:
        place, other = a.place("/metadata/namespace"), b.place("/metadata/namespace")
        reason = f"namespace {a.namespace!r} has this contract, and so has {b.namespace!r} in {other}"
        raise DocumentRefused(
            [Refusal(place.source, place.pointer, reason, PREFIX_NAMES, label_of(a.content))]
        )
    merger = Merger(a, b)
    content = {}
    for key in [*a.content, *(key for key in b.content if key not in a.content)]:
        content[key] = merger.key(key)
    if merger.refusals:
        label = label_of(a.content)
        raise DocumentRefused([replace(refusal, contract=label) for refusal in merger.refusals])
    return Document(
        content,
        merger.origins,
        kept=tuple(dict.fromkeys(a.kept + b.kept)),
        left_out=tuple(dict.fromkeys(a.left_out + b.left_out)),
        namespace=a.namespace if a.namespace is not None else b.namespace,
    )


class Merger:
    """Joins values of ``b`` into values of ``a``; collects origins and disagreements."""

    def __init__(self, a: Document, b: Document) -> None:
        self.a = a
        self.b = b
        self.origins: dict[str, Place] = dict(a.origins)
        self.refusals: list[Refusal] = []

    def key(self, key: str) -> Any:
        """The joined value of one key of the contract document."""
        pointer = pointer_step(key)
        if key not in self.b.content:
            return self.a.content[key]
        x, y = self.a.content.get(key), self.b.content[key]
        if key not in self.a.content:
            self._take(pointer)
            return y
        if key in RELATIONS:
            return self._relation(key, x, y, pointer)
        if key == "team_access" and isinstance(x, dict) and isinstance(y, dict):
            return self._mapping(x, y, pointer, lambda x, y, at: self._relation("team_access", x, y, at))
        if key in ("data_feed", "domain"):
            return self._named(x, y, pointer)
        if key == "schema" and isinstance(x, dict) and isinstance(y, dict):
            # As if it were {version, schema}: the version may be missing on one side, the rest is one value.
            return self._versioned(x, y, pointer)
        if key in RULES and isinstance(x, dict) and isinstance(y, dict):
            return self._versioned(x, y, pointer)
        return self.value(x, y, pointer)

    def value(self, x: Any, y: Any, pointer: str) -> Any:
        if isinstance(x, dict) and isinstance(y, dict):
            return self._mapping(x, y, pointer, self.value)
        relation = LINK_LISTS.get(pointer.rpartition("/")[2])
        if relation and isinstance(x, list) and isinstance(y, list):
            return self._relation(relation, x, y, pointer)
        return self._equal(x, y, pointer)

    def _equal(self, x: Any, y: Any, pointer: str) -> Any:
        if not same_json(x, y):
            place, other = self.a.place(pointer), self.b.place(pointer)
            reason = f"says {shown(x)}, but {other} says {shown(y)}"
            self.refusals.append(Refusal(place.source, place.pointer, reason, MAKE_AGREE))
        return x

    def _mapping(
        self, x: dict[str, Any], y: dict[str, Any], pointer: str, join: Callable[[Any, Any, str], Any]
    ) -> dict[str, Any]:
        result = dict(x)
        for key, value in y.items():
            below = pointer + pointer_step(key)
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
        if same_json(x, y):
            return x
        left, right = lifted(x), lifted(y)
        if left is None or right is None or not same_json(left["name"], right["name"]):
            return self._equal(x, y, pointer)

        def join(x: Any, y: Any, at: str) -> Any:
            return self._named(x, y, at) if at.endswith("/parent_domain") else self._equal(x, y, at)

        return collapsed(self._mapping(left, right, pointer, join))

    def _relation(self, key: str, x: Any, y: Any, pointer: str) -> Any:
        if same_json(x, y):
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
                        origins[at + pointer_step(attribute)] = side.place(
                            f"{pointer}/{position}{pointer_step(attribute)}"
                        )
                    elif not same_json(merged[attribute], value):
                        first = origins[at + pointer_step(attribute)]
                        other = place.child(pointer_step(attribute))
                        said, otherwise = (shown({attribute: one}) for one in (merged[attribute], value))
                        reason = f"says {said}, but {other} says {otherwise}"
                        self.refusals.append(Refusal(first.source, first.pointer, reason, MAKE_AGREE))
            result.append(collapsed(merged))
        self.origins = {
            at: place for at, place in self.origins.items() if not at.startswith(f"{pointer}/")
        } | origins
        return result

    def _take(self, pointer: str) -> None:
        """The value at ``pointer`` is b's."""
        self.origins |= {pointer + below: place for below, place in origins_below(self.b, pointer).items()}


def _by_identity(key: str, items: Any) -> dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] | None:
    if not isinstance(items, list | None):
        return None
    result: dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] = {}
    for position, item in enumerate(items or ()):
        named = lifted(item)
        if named is None:
            return None
        result.setdefault(identity_of(key, named), []).append((position, named))
    return result


def same_json(x: Any, y: Any) -> bool:
    """Equal as JSON values: Python's True == 1 does not count."""
    if isinstance(x, dict) and isinstance(y, dict):
        return x.keys() == y.keys() and all(same_json(x[key], y[key]) for key in x)
    if isinstance(x, list) and isinstance(y, list):
        return len(x) == len(y) and all(map(same_json, x, y))
    return bool(x == y) and isinstance(x, bool) == isinstance(y, bool)

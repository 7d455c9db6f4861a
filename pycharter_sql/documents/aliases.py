"""What a key of legacy metadata is called in the contract document, and how its value is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pycharter_sql.documents.merging import merge
from pycharter_sql.documents.model import (
    DOCUMENT_SCHEMA,
    OWNER_ROLES,
    SYSTEMS,
    Document,
    Place,
    collapsed,
    identity_of,
    kind_of,
    lower,
    pointer_step,
    says_nothing,
    shown,
    trim_item,
)
from pycharter_sql.errors import DocumentRefused, Refusal

OWNERSHIP = tuple(DOCUMENT_SCHEMA["properties"]["ownership"]["properties"])

_PERMISSIONS = ("read", "write")

_ACCESS_NOTES = frozenset({"level", "description"})

# In a text that stands where a list is expected, these may separate names, or belong to one.
_SEPARATORS = ",;\n"


def _attributes(definition: str) -> frozenset[str]:
    """The attributes that an item of this definition may have."""
    return frozenset(DOCUMENT_SCHEMA["$defs"][definition]["anyOf"][1]["properties"])


_ITEM_ATTRIBUTES = {
    **dict.fromkeys(SYSTEMS, _attributes("system")),
    "business_owners": _attributes("business_owner"),
    "dependencies": _attributes("dependency"),
    "team_access": _attributes("team"),
    "data_feed": _attributes("data_feed"),
    "domain": _attributes("domain"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A value of a legacy document: ``holder.content`` at ``pointer``."""

    value: Any
    holder: Document
    pointer: str

    def at(self, pointer: str = "") -> Place:
        return self.holder.place(self.pointer + pointer)

    def below(self, key: str, value: Any) -> Found:
        return Found(value, self.holder, self.pointer + pointer_step(key))

    def refusal(self, reason: str, remedy: str, pointer: str = "") -> Refusal:
        place = self.at(pointer)
        return Refusal(place.source, place.pointer, reason, remedy)

    def refused(self, reason: str, remedy: str, pointer: str = "") -> DocumentRefused:
        return DocumentRefused([self.refusal(reason, remedy, pointer)])


@dataclass(frozen=True, slots=True)
class Alias:
    """``path`` in legacy metadata holds the contract document's ``key``; ``read`` makes it canonical.

    What ``read`` finds no column for it names in ``kept``: dotted paths from the value on, "" for itself.
    """

    key: str
    path: tuple[str, ...]
    read: Callable[[Found, Alias], Document | None]
    role: str | None = None
    # The contract's own value, at the top of a contract file, silences the metadata's: the two describe
    # different things. Everything else must agree wherever it is said.
    first_wins: bool = False


def take_known_keys(
    document: Document, holders: list[Document], silent: frozenset[str], refusals: list[Refusal]
) -> set[str]:
    """Applies the table of aliases to what stands beside the metadata, and to the metadata.

    ``silent`` keys of the metadata do not speak of the contract. Returns the dotted paths that were taken.
    """
    slots: dict[tuple[str, str | None], Document] = {}
    taken: set[str] = set()
    for holder in holders:
        said = holder.content.keys() - silent
        for alias in ALIASES:
            if alias.path[0] not in said:
                continue
            slot = (alias.key, alias.role)
            try:  # not `collecting`: a hundred aliases a document
                found = _look_up(holder, alias.path)
                if found is None:
                    continue
                path = ".".join(alias.path)
                if alias.first_wins and slot in slots:
                    if slots[slot].content[alias.key] != found.value:
                        taken.discard(path)
                    continue
                taken.add(path)
                part = alias.read(found, alias)
                if part is not None:
                    # The column governance_rules keeps the whole of its value.
                    kept = () if alias.path[0] == "governance_rules" else part.kept
                    part.kept = tuple(".".join(filter(None, (path, word))) for word in kept)
                    slots[slot] = merge(slots[slot], part) if slot in slots else part
            except DocumentRefused as error:
                refusals += error.refusals
    for (key, role), part in slots.items():
        document.kept += part.kept
        if role is None:
            document.content |= part.content
            document.origins |= part.origins
        else:
            _add_owners(document, key, part)
    return taken


def _add_owners(document: Document, key: str, part: Document) -> None:
    """One list a role becomes one list."""
    owners = document.content.setdefault(key, [])
    document.origins.setdefault(f"/{key}", part.origins[f"/{key}"])
    for index in range(len(part.content[key])):
        document.origins[f"/{key}/{len(owners) + index}"] = part.place(f"/{key}/{index}")
    for pointer, place in part.origins.items():
        if len(steps := pointer.split("/", 3)) == 4:  # "", key, index, attribute
            document.origins[f"/{key}/{len(owners) + int(steps[2])}/{steps[3]}"] = place
    owners += part.content[key]


def _look_up(holder: Document, path: tuple[str, ...]) -> Found | None:
    value: Any = holder.content
    pointer = ""
    for word in path:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Found(value, holder, pointer).refused(
                f"{pointer.rpartition('/')[2]} is {kind_of(value)}, not a mapping", "write `key: value` pairs"
            )
        if word not in value:
            return None
        value, pointer = value[word], f"{pointer}/{word}"
    return Found(value, holder, pointer)


@contextmanager
def collecting(refusals: list[Refusal]) -> Iterator[None]:
    """A block whose refusals are collected rather than raised, so that all are reported at once."""
    try:
        yield
    except DocumentRefused as error:
        refusals += error.refusals


# ---------------------------------------------------------------------------------------------------------
# Readers


def _value(found: Found, alias: Alias) -> Document:
    return Document({alias.key: found.value}, {f"/{alias.key}": found.at()})


def _value_unless_null(found: Found, alias: Alias) -> Document | None:
    return None if found.value is None else _value(found, alias)


def _status(found: Found, alias: Alias) -> Document | None:
    return _value_unless_null(replace(found, value=lower(found.value)), alias)


def _mapping(found: Found, alias: Alias) -> Document:
    if not isinstance(found.value, dict | None):
        raise found.refused(
            f"{alias.key} is {kind_of(found.value)}, not a mapping", "write `key: value` pairs"
        )
    return _value(found, alias)


def _items(found: Found, key: str, target: str, role: str | None = None) -> Document:
    """A list of names, in any form legacy files write it, as the relation at the pointer ``target``."""
    whole = Document({}, {target: found.at()})
    if isinstance(found.value, list) and all(isinstance(value, str) for value in found.value):
        names = dict.fromkeys(map(str.strip, found.value))
        if len(names) == len(found.value):
            # Nearly every list. Each name stands where the list's place leads.
            plain = role in (None, "business_owner")
            whole.content = {"items": [name if plain else {"name": name, "role": role} for name in names]}
            return whole
    if isinstance(found.value, str) and any(mark in found.value for mark in _SEPARATORS):
        raise found.refused(f"{shown(found.value)} may be one name or several", "write a list: [name, ...]")
    if isinstance(found.value, list):
        listed = [found.below(str(index), value) for index, value in enumerate(found.value)]
    elif isinstance(found.value, str | dict):
        listed = [found]
    elif found.value is None:
        listed = []
    else:
        raise found.refused(f"{kind_of(found.value)} is not a list of names", "write a list: [name, ...]")
    items: dict[Any, Document] = {}
    for one in listed:
        item = _item(one, key, role)
        identity = identity_of(key, item.content)
        items[identity] = merge(items[identity], item) if identity in items else item
    for index, item in enumerate(items.values()):
        whole.origins |= {f"{target}/{index}{pointer}": place for pointer, place in item.origins.items()}
        whole.kept += item.kept
    whole.content = {"items": [collapsed(item.content) for item in items.values()]}
    return whole


def _item(found: Found, key: str, role: str | None = None) -> Document:
    """One name, or a mapping that holds it as name, id or title, as {"name": ..., attributes}."""
    if isinstance(found.value, str):
        item = Document({"name": found.value.strip()}, {"": found.at(), "/name": found.at()})
    elif isinstance(found.value, dict):
        word = _naming_word(found)
        known = {
            attribute: found.value[attribute]
            for attribute in _ITEM_ATTRIBUTES[key] - {word}
            if attribute in found.value
        }
        item = Document(
            trim_item({"name": found.value[word]} | known),
            {"": found.at(), "/name": found.at(f"/{word}")},
            # Attributes without a column stay where they are: in the metadata.
            kept=tuple(
                other
                for other, value in found.value.items()
                if other != word and other not in known and not says_nothing(value)
            ),
        )
    else:
        raise found.refused(f"{kind_of(found.value)} is not a name", "write the name as text")
    # business_owner is the role of an owner without one.
    if role not in (None, "business_owner") and item.content.setdefault("role", role) != role:
        reason = f"the role {shown(item.content['role'])} stands in the list of the role {role!r}"
        raise found.refused(reason, "move the owner to the list of its role, or drop `role`", "/role")
    return item


def _naming_word(found: Found) -> str:
    """Which of an item's keys holds its name."""
    words = [word for word in ("name", "id", "title") if found.value.get(word) is not None]
    remedy = "write the name itself, or {name: ...}"
    if not words:
        raise found.refused("the item has no name", remedy)
    # A feed with a name may have a title as well, a row of an old database a number.
    word, *others = words
    for other in others:
        value = found.value[other]
        if (word, other) != ("name", "title") and isinstance(value, str) and value != found.value[word]:
            raise found.refused(f"the {word} or the {other} may be the item's name", remedy)
    return word


def _names(found: Found, alias: Alias) -> Document:
    listed = _items(found, alias.key, f"/{alias.key}", alias.role)
    return Document({alias.key: listed.content["items"]}, listed.origins, listed.kept)


def _data_feed(found: Found, alias: Alias) -> Document | None:
    """The first association is the contract's feed; the others have no column and stay in the metadata."""
    others = False
    if isinstance(found.value, list):
        if not found.value:
            return None
        others = len(found.value) > 1
        found = found.below("0", found.value[0])
    if found.value is None:
        return None
    item = _item(found, "data_feed")
    if "type" in item.kept and "feed_type" not in item.content:
        item.content["feed_type"] = found.value["type"]
        item.origins["/feed_type"] = found.at("/type")
        item.kept = tuple(word for word in item.kept if word != "type")
    origins = {f"/data_feed{pointer}": place for pointer, place in item.origins.items()}
    return Document({"data_feed": collapsed(item.content)}, origins, ("",) if others else item.kept)


def _domain(found: Found, alias: Alias) -> Document:
    if isinstance(found.value, list):
        if len(found.value) > 1:
            raise found.refused(
                f"{len(found.value)} domains; a contract belongs to one",
                "keep one; write the others as its parent_domain, or leave them out",
            )
        found = found.below("0", found.value[0]) if found.value else replace(found, value=None)
    if found.value is None:
        return Document({"domain": None}, {"/domain": found.at()})
    item = _item(found, "domain")
    origins = {f"/domain{pointer}": place for pointer, place in item.origins.items()}
    return Document({"domain": collapsed(item.content)}, origins, item.kept)


def _team_access(found: Found, alias: Alias) -> Document | None:
    if found.value is None:
        return None
    if not isinstance(found.value, dict):
        raise found.refused(
            f"{kind_of(found.value)} does not say who may read and write",
            "write {read: [team, ...], write: [team, ...]}",
        )
    access: dict[str, Any] = {}
    origins = {"/team_access": found.at()}
    kept: tuple[str, ...] = ()
    refusals: list[Refusal] = []
    for word, teams in found.value.items():
        permission = lower(word)
        below = found.below(word, teams)
        if permission in _ACCESS_NOTES:
            kept += (word,)
        elif permission not in _PERMISSIONS or permission in access:
            what = "stands twice" if permission in access else "is an unknown permission"
            refusals.append(below.refusal(f"{word!r} {what}", "permissions are read and write"))
        else:
            with collecting(refusals):
                listed = _items(below, "team_access", f"/team_access/{permission}")
                access[permission] = listed.content["items"]
                origins |= listed.origins
                kept += tuple(f"{word}.{attribute}" for attribute in listed.kept)
    if refusals:
        raise DocumentRefused(refusals)
    return Document({"team_access": access}, origins, kept) if access else None


def _ownership(found: Found, alias: Alias) -> Document | None:
    """The keys that have a column; the roles have rows of their own in the table."""
    if found.value is None:
        return _value(found, alias)
    if not isinstance(found.value, dict):
        raise found.refused(f"ownership is {kind_of(found.value)}, not a mapping", "write `key: value` pairs")
    known = {key: value for key, value in found.value.items() if key in OWNERSHIP}
    return _value(replace(found, value=known), alias) if known else None


def _ownership_field(found: Found, alias: Alias) -> Document:
    word = alias.path[-1]
    return Document(
        {"ownership": {word: found.value}}, {"/ownership": found.at(), f"/ownership/{word}": found.at()}
    )


ALIASES = (
    Alias("status", ("status",), _status),
    Alias("description", ("description",), _value, first_wins=True),
    Alias("is_data_feed", ("is_data_feed",), _value_unless_null),
    Alias("data_feed", ("data_feed",), _data_feed),
    Alias("data_feed", ("data_feed_association",), _data_feed),
    Alias("data_feed", ("governance_rules", "data_feed_association"), _data_feed),
    Alias("domain", ("domain",), _domain),
    Alias("domain", ("domains",), _domain),
    *(Alias(key, (*path, key), _names) for key in SYSTEMS for path in [(), ("lineage",)]),
    *(
        Alias("business_owners", (*path, word), _names, role)
        for word, role in OWNER_ROLES.items()
        for path in [(), ("ownership",), ("ownership", "roles")]
    ),
    Alias("team_access", ("team_access",), _team_access),
    Alias("team_access", ("governance_rules", "access_control"), _team_access),
    Alias("dependencies", ("dependencies",), _names),
    Alias("dependencies", ("governance_rules", "dependencies"), _names),
    Alias("governance_rules", ("governance_rules",), _mapping),
    Alias("ownership", ("ownership",), _ownership),
    Alias("ownership", ("owner",), _ownership_field),
    Alias("ownership", ("team",), _ownership_field),
    Alias("created_by", ("created_by",), _value),
    Alias("updated_by", ("updated_by",), _value),
)

"""What a load would do, without doing it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from uuid import UUID

import psycopg

from pycharter_sql.documents import Raw
from pycharter_sql.documents.merging import same_json
from pycharter_sql.documents.model import lifted, place_in, pointer_step
from pycharter_sql.errors import Refusal
from pycharter_sql.loader.intake import Intake, Sendable, mentioned
from pycharter_sql.loader.sending import Run, sent_everything
from pycharter_sql.transactions import atomic

Action = Literal["insert", "update", "unchanged", "dangling"]


@dataclass(frozen=True, slots=True)
class Change:
    """One value that an update changes; a value that is not there, before or after, is None.

    ``pointer`` is a JSON Pointer into the contract document, or into the item that describes an entity;
    ``place`` is where the new value stands: file#pointer. Relations are sets of names: the whole of each.
    """

    pointer: str
    old: Any
    new: Any
    place: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a load would do to one row of ``table``: a contract version (``name@version``) or an entity.

    ``source`` and ``pointer`` say where the document that asks for it stands. An entity is dangling if it
    would be inserted although nothing describes it: no document gives it an attribute, and of a data feed no
    contract in sight is the one that serves it. Often that is a misspelt name.
    """

    action: Action
    table: str
    name: str
    source: str
    pointer: str
    changes: tuple[Change, ...] = ()


@dataclass(slots=True)
class Plan:
    """What a load of the same documents would do; ``refusals`` are the conflicts and what else it refuses."""

    read: int = 0
    merged: int = 0
    refused: int = 0
    steps: list[Step] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def changes_something(self) -> bool:
        return any(step.action != "unchanged" for step in self.steps)

    def count(self, action: str, *, contracts: bool) -> int:
        """How many contract versions, or entities, this would happen to."""
        return sum(
            step.action == action and (step.table == "data_contracts") == contracts for step in self.steps
        )

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON values: documents, steps, refusals."""
        return {
            "documents": {"read": self.read, "merged": self.merged, "refused": self.refused},
            "steps": [asdict(step) for step in self.steps],
            "refusals": [asdict(refusal) for refusal in self.refusals],
        }


def plan(
    conn: psycopg.Connection[Any],
    documents: Iterable[Raw | Refusal | Mapping[str, Any]],
    *,
    schema: str = "pycharter",
    overwrite: bool = False,
    prefix_namespace: bool = False,
    read_ahead: bool = False,
) -> Plan:
    """What ``load`` of the same documents would do now. Arguments are those of ``load``; writes nothing.

    Works in a READ ONLY transaction. Raises psycopg.Error where the database fails.
    """
    with atomic(conn), Intake(documents, prefix_namespace=prefix_namespace) as intake:
        run = sent_everything(intake, lambda: _Plan(conn, schema, overwrite=overwrite), read_ahead)
        return Plan(
            intake.read,
            intake.merged,
            intake.unread + len(intake.refused | run.refused),
            [*run.contracts, *run.entities()],
            intake.refusals + run.refusals,
        )


@dataclass(slots=True)
class _Entity:
    """What batches say of one entity. None of them writes: what is new to one is new to the next."""

    step: Step
    served: bool


class _Plan(Run):
    """The comparing half of the load functions at work; collects what they find."""

    loads = False
    call = """
        SELECT {schema}.plan_documents(
            ARRAY(SELECT line::jsonb FROM string_to_table($1, chr(10)) AS line),
            shape_checked => true,
            overwrite => {overwrite},
            mentions => ARRAY(SELECT line::jsonb FROM string_to_table($2, chr(10)) AS line))
        """

    def __init__(self, conn: psycopg.Connection[Any], schema: str, *, overwrite: bool) -> None:
        super().__init__(conn, schema, overwrite=overwrite)
        self.contracts: list[Step] = []
        self._entities: dict[tuple[str, str], _Entity] = {}

    def parameters(
        self, contracts: Sequence[Sendable], known: Sequence[UUID], others: Sequence[Sendable]
    ) -> tuple[bytes, ...]:
        texts, mentions = (sent.text for sent in contracts), (sent.mentions for sent in others)
        return b"\n".join(texts), b"\n".join(mentions)

    def count(
        self, contracts: Sequence[Sendable], others: Sequence[Sendable], answer: dict[str, Any]
    ) -> None:
        for found in answer["contracts"]:
            sent = contracts[found["document"]]
            changes = [
                Change(pointer, old, new, str(place_in(sent.origins, pointer)))
                for key, value in sorted((found["changes"] or {}).items())
                for pointer, old, new in _differences(value["old"], value["new"], pointer_step(key))
            ]
            self._add_contract(_ACTIONS[found["outcome"]], sent, changes)
        for sent in others:
            if sent.name:
                self._add_contract("unchanged", sent, [])
        places = _Places([*contracts, *others])
        for found in answer["entities"]:
            self._add_entity(found, places)

    def _add_contract(self, action: Action, sent: Sendable, changes: Sequence[Change]) -> None:
        place = place_in(sent.origins, "")
        label = f"{sent.name}@{sent.version}"
        self.contracts.append(
            Step(action, "data_contracts", label, place.source, place.pointer, tuple(changes))
        )

    def _add_entity(self, found: dict[str, Any], places: _Places) -> None:
        key = found["table_name"], found["name"]
        known = self._entities.get(key)
        action = _ACTIONS[found["outcome"]]
        if known is None or (action == "update" and known.step.action == "unchanged"):
            source, pointer = places[key] if action != "unchanged" else ("", "")
            self._entities[key] = known = _Entity(Step(action, *key, source, pointer), False)
        known.served |= found["served"]
        if action != "unchanged":
            said = {change.pointer: change for change in known.step.changes}
            for attribute, value in found["changes"].items():
                pointer = pointer_step(attribute)
                place = f"{known.step.source}#{known.step.pointer}{pointer}"
                said.setdefault(pointer, Change(pointer, value["old"], value["new"], place))
            known.step = _with(known.step, known.step.action, said.values())

    def entities(self) -> Iterator[Step]:
        for _, entity in sorted(self._entities.items()):
            step = entity.step
            if step.action == "insert" and not step.changes and not entity.served:
                yield _with(step, "dangling", ())
            elif step.action != "unchanged":
                yield step


_ACTIONS: dict[str, Action] = {"inserted": "insert", "updated": "update", "unchanged": "unchanged"}
_TABLES = {
    "system": "systems",
    "data feed": "data_feeds",
    "business owner": "business_owners",
    "domain": "domains",
    "team": "teams",
}


class _Places(dict[tuple[str, str], tuple[str, str]]):
    """Where a batch first names an entity: (table, name) -> (source, JSON Pointer). Looked up once asked."""

    def __init__(self, batch: Sequence[Sendable]) -> None:
        super().__init__()
        self.batch = batch

    def __missing__(self, key: tuple[str, str]) -> tuple[str, str]:
        for sent in self.batch:
            for kind, item, pointer in mentioned(json.loads(sent.mentions)):
                name = (lifted(item) or {}).get("name")
                place = place_in(sent.origins, pointer)
                self.setdefault((_TABLES[kind], str(name)), (place.source, place.pointer))
        # The feed that a new contract serves by its own name stands where the contract does.
        for sent in self.batch:
            place = place_in(sent.origins, "")
            self.setdefault(("data_feeds", sent.name), (place.source, place.pointer))
        return dict.get(self, key, ("", ""))


def _differences(old: Any, new: Any, pointer: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), pointer + pointer_step(key))
    elif not same_json(old, new):
        yield pointer, old, new


def _with(step: Step, action: Action, changes: Iterable[Change]) -> Step:
    return Step(action, step.table, step.name, step.source, step.pointer, tuple(changes))

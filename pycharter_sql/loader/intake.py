"""Documents, normalised and held against one another, in batches fit to be sent."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from hashlib import blake2b
from typing import Any

import orjson

from pycharter_sql.documents import Document, Place, Raw, merge, normalise
from pycharter_sql.documents.merging import MAKE_AGREE, same_json
from pycharter_sql.documents.model import RELATIONS, label_of
from pycharter_sql.errors import DocumentRefused, Refusal

# Documents a call: enough that a call's fixed cost does not show, few enough that PostgreSQL keeps reusing
# the memory it parses them in. BATCH_BYTES bounds that memory where documents are large.
BATCH = 250
FIRST_BATCH = 25  # soon there, so that the database has something to do
BATCH_BYTES = 8 << 20

# What the loader's own temporary file keeps in memory before it goes to disk, in bytes.
SPOOL_MEMORY = 16 << 20

BREAK_CYCLE = "choose a parent_domain that does not lie within the domain"


@dataclass(frozen=True, slots=True)
class Sendable:
    """A document on its way: its number in the load, what is sent of it, and what a refusal needs.

    Not the content: taking thousands of documents apart would hold the sender up.
    """

    number: int
    name: str  # "" for an entity document
    version: str
    text: bytes  # JSON; empty for an entity document
    mentions: bytes  # JSON of that part which names entities
    origins: dict[str, Place]
    namespace: str | None = None
    digest: str = ""  # of the text, in hexadecimal digits

    @classmethod
    def of(cls, number: int, document: Document) -> Sendable:
        content = document.content
        if "name" not in content:
            return cls(number, "", "", b"", _json_text(content), document.origins)
        mentions = _json_text({key: content[key] for key in _NAMING if key in content})
        text = _json_text(content)
        return cls(
            number,
            document.name,
            document.version,
            text,
            mentions,
            document.origins,
            document.namespace,
            blake2b(text, digest_size=16).hexdigest(),
        )

    @property
    def document(self) -> Document:
        """As it was, but for what only the report wants to know."""
        return Document(json.loads(self.text), self.origins, namespace=self.namespace)


@dataclass(slots=True)
class _Claim:
    """What documents say of one attribute of an entity: the first value, its place, who speaks of it."""

    value: Any
    place: Place
    contract: str | None  # that of the place
    numbers: list[int] = field(default_factory=list)
    disputed: bool = False


class Intake:
    """Reads documents and holds each against those before it. Iterating yields batches fit to be sent.

    Most loads need no more than that. Where a document turns out to complement or contradict an earlier one
    (``reconsidered``), what was sent is to be rolled back, and ``settled`` yields everything anew, from a
    copy on disk.
    """

    def __init__(
        self, documents: Iterable[Raw | Refusal | Mapping[str, Any]], *, prefix_namespace: bool = False
    ) -> None:
        self.documents = documents
        self.prefix_namespace = prefix_namespace
        self.read: int = 0
        self.unread: int = 0  # documents that were refused before they had a number
        self.refusals: list[Refusal] = []
        self.refused: set[int] = set()
        self.merged: int = 0
        self.kept: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self._copy = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY)  # noqa: SIM115  # closed on exit
        self._offsets: list[int] = []
        self._first: dict[tuple[str, str], int] = {}
        self._same: defaultdict[int, list[int]] = defaultdict(list)
        self._claims: dict[tuple[str, str, str], _Claim] = {}

    def __enter__(self) -> Intake:
        return self

    def __exit__(self, *_: object) -> None:
        self._copy.close()

    @property
    def reconsidered(self) -> bool:
        return bool(self._same or self.refused)

    def __iter__(self) -> Iterator[list[Sendable]]:
        for batch in _batches(self._accepted()):
            yield [sent for sent in batch if sent.number not in self.refused]

    def _accepted(self) -> Iterator[Sendable]:
        for found in self.documents:
            self.read += 1
            if isinstance(found, Refusal):
                self.unread += 1
                self.refusals.append(found)
                continue
            raw = found if isinstance(found, Raw) else Raw(dict(found), Place(f"document {self.read}", ""))
            try:
                document = normalise(raw, prefix_namespace=self.prefix_namespace)
            except DocumentRefused as error:
                self.unread += 1
                self.refusals += error.refusals
                continue
            number = len(self._offsets)
            sendable = Sendable.of(number, document)
            self.kept.update(document.kept)
            self.left_out.update(document.left_out)
            self._keep(sendable)
            self._hold_against_others(number, document)
            self._hold_resource_id(number, document)
            if not sendable.name:
                self._first["", str(number)] = number
                yield sendable
                continue
            first = self._first.setdefault((document.name, document.version), number)
            if first == number:
                yield sendable
            else:
                self._same[first].append(number)

    def settled(self) -> Iterator[list[Sendable]]:
        """Every document anew: sources of one contract merged, what disagrees refused."""
        return _batches(self._settled())

    def _settled(self) -> Iterator[Sendable]:
        for first in sorted(self._first.values()):
            numbers = [first, *self._same.get(first, ())]
            if self.refused.intersection(numbers):
                self.refused.update(numbers)
                continue
            sources = map(self._kept, numbers)
            if len(numbers) == 1:
                yield from sources
                continue
            try:
                document = reduce(merge, (source.document for source in sources))
            except DocumentRefused as error:
                self.refusals += error.refusals
                self.refused.update(numbers)
                continue
            self.merged += len(numbers) - 1
            yield Sendable.of(first, document)

    def _keep(self, sendable: Sendable) -> None:
        self._copy.seek(0, 2)
        self._offsets.append(self._copy.tell())
        pickle.dump(sendable, self._copy, pickle.HIGHEST_PROTOCOL)

    def _kept(self, number: int) -> Sendable:
        self._copy.seek(self._offsets[number])
        kept: Sendable = pickle.load(self._copy)
        return kept

    def _hold_against_others(self, number: int, document: Document) -> None:
        """Refuses all documents that describe something of an entity in more than one way."""
        for kind, name, attribute, value, pointer in _descriptions(document.content):
            place = document.place(pointer)
            said = _Claim(value, place, label_of(document.content))
            claim = self._claims.setdefault((kind, name, attribute), said)
            claim.numbers.append(number)
            disagree = f"documents disagree on the {attribute} of {kind} {name!r}; see also"
            if not claim.disputed and not same_json(claim.value, value):
                claim.disputed = True
                self._refuse(claim, f"{disagree} {place}", MAKE_AGREE)
            if claim.disputed:
                self._refuse(said, f"{disagree} {claim.place}", MAKE_AGREE)
                self.refused.update(claim.numbers)
            elif attribute == "parent_domain" and (others := self._ancestry_back_to(name)):
                for other in others:
                    reason = f"domain {name!r} would be its own ancestor"
                    if elsewhere := ", ".join(str(one.place) for one in others if one is not other):
                        reason += f"; see also {elsewhere}"
                    self._refuse(other, reason, BREAK_CYCLE)
                    self.refused.update(other.numbers)

    def _hold_resource_id(self, number: int, document: Document) -> None:
        """Refuses all contracts that claim one resource_id."""
        resource_id = (document.content.get("ownership") or {}).get("resource_id")
        if resource_id is not None:
            place = document.place("/ownership/resource_id")
            said = _Claim((document.name, document.version), place, label_of(document.content), [number])
            claim = self._claims.setdefault(("ownership", resource_id, "resource_id"), said)
            if claim.value != said.value:
                for one, other in ((said, claim), (claim, said)):
                    reason = f"another contract has the resource_id {resource_id!r}; see also {other.place}"
                    self._refuse(one, reason, "choose another resource_id, or leave it out")
                    self.refused.update(one.numbers)

    def _refuse(self, claim: _Claim, reason: str, remedy: str) -> None:
        place = claim.place
        self.refusals.append(Refusal(place.source, place.pointer, reason, remedy, claim.contract))

    def _ancestry_back_to(self, domain: str) -> list[_Claim]:
        """What documents say of the domain's parent, of that one's, ..., where this leads back to it."""
        claims: list[_Claim] = []
        at: Any = domain
        while (claim := self._claims.get(("domain", at, "parent_domain"))) and claim not in claims:
            claims.append(claim)
            at = claim.value
            if at == domain:
                return claims
        return []


# The keys of a contract document that name entities; its name tells it from an entity document.
_NAMING = ("name", "data_feed", "domain", *RELATIONS, "team_access")
_LISTS = {
    "pulls_from": "system",
    "pushes_to": "system",
    "system_sources": "system",
    "business_owners": "business owner",
    "dependencies": "data feed",
    # of an entity document
    "systems": "system",
    "data_feeds": "data feed",
    "teams": "team",
    "domains": "domain",
}
_OF_THE_LINK = ("name", "role", "dependency_type")


def mentioned(content: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """The entities that a contract or entity document names: kind, item, JSON Pointer."""
    domains = [(content["domain"], "/domain")] if content.get("domain") else []
    if "data_feed" in content:
        yield "data feed", content["data_feed"], "/data_feed"
    for key, kind in _LISTS.items():
        for index, item in enumerate(content.get(key) or ()):
            if kind == "domain":
                domains.append((item, f"/{key}/{index}"))
            else:
                yield kind, item, f"/{key}/{index}"
    for permission, teams in (content.get("team_access") or {}).items():
        for index, item in enumerate(teams or ()):
            yield "team", item, f"/team_access/{permission}/{index}"
    for domain, pointer in domains:
        while domain is not None:
            yield "domain", domain, pointer
            domain = domain.get("parent_domain") if isinstance(domain, dict) else None
            pointer += "/parent_domain"


def _descriptions(content: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any, str]]:
    """What a document says of entities: kind, name, attribute, value, JSON Pointer."""
    for kind, item, pointer in mentioned(content):
        if isinstance(item, dict):
            for attribute, value in item.items():
                if attribute == "parent_domain" and isinstance(value, dict):
                    value = value["name"]
                if attribute not in _OF_THE_LINK and value not in (None, ""):
                    yield kind, item["name"], attribute, value, f"{pointer}/{attribute}"


def _batches(documents: Iterator[Sendable]) -> Iterator[list[Sendable]]:
    batch: list[Sendable] = []
    size = 0
    most = min(FIRST_BATCH, BATCH)
    for sent in documents:
        if batch and (len(batch) == most or size + len(sent.text) > BATCH_BYTES):
            yield batch
            batch, size, most = [], 0, BATCH
        batch.append(sent)
        size += len(sent.text)
    if batch:
        yield batch


def _json_text(content: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits, which JSON and jsonb have and orjson has not.
        return json.dumps(content, ensure_ascii=False).encode()

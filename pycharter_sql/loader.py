"""Documents into the catalogue: a stream of contract documents through the load functions of the database.

This is the design's "Migration Path". Its four steps are SQL (``load_entities``, ``load_data_feeds``,
``load_contracts``, ``load_relations``, called by ``load_documents``). Here documents are normalised, held
against one another and sent in batches, and what the database says of them becomes one report.
"""

from __future__ import annotations

import json
import pickle
import tempfile
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import reduce
from hashlib import blake2b
from typing import Any, Literal
from uuid import UUID

import orjson
import psycopg
from psycopg import generators, sql
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.rows import scalar_row, tuple_row
from psycopg.types.json import Jsonb

from pycharter_sql.documents import Document, Place, Raw, merge, normalise
from pycharter_sql.documents.merging import MAKE_AGREE, same_json
from pycharter_sql.documents.model import RELATIONS, place_in
from pycharter_sql.errors import CatalogueError, DocumentRefused, Refusal, expecting_catalogue

# Documents a call: enough that a call's fixed cost does not show, few enough that PostgreSQL keeps reusing
# the memory it parses them in. BATCH_BYTES bounds that memory where documents are large.
BATCH = 250
BATCH_BYTES = 8 << 20

# What the loader's own temporary file keeps in memory before it goes to disk, in bytes.
SPOOL_MEMORY = 16 << 20

BREAK_CYCLE = "choose a parent_domain that does not lie within the domain"

# What the database may have against a single document, rather than against the load.
_DOCUMENT_ERRORS = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.errors.RaiseException,
    psycopg.errors.ProgramLimitExceeded,  # such as a text of more than 256 MB
)

# Where in a contract document stands what a constraint complains of, and what to do about it.
_CONSTRAINTS = {"ownership_pkey": ("/ownership/resource_id", "Choose another resource_id, or leave it out.")}


@dataclass(slots=True)
class Counts:
    """Rows of one table."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0


@dataclass(slots=True)
class Report:
    """What a load did.

    ``read`` counts source documents, ``merged`` those of them that were joined to another source of the same
    contract version, ``refused`` those that were left out. ``inserted``, ``updated`` and ``unchanged`` count
    contract versions, ``tables`` the rows of every table. Where a load wrote nothing because a document was
    refused, the counts of contracts and tables are 0.
    """

    read: int = 0
    merged: int = 0
    refused: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    tables: dict[str, Counts] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def loaded(self) -> int:
        """Contract versions that are in the catalogue as their documents say."""
        return self.inserted + self.updated + self.unchanged

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values: documents, contracts, tables, refusals."""
        return {
            "documents": {"read": self.read, "merged": self.merged, "refused": self.refused},
            "contracts": {
                "loaded": self.loaded,
                "inserted": self.inserted,
                "updated": self.updated,
                "unchanged": self.unchanged,
            },
            "tables": {name: asdict(counts) for name, counts in sorted(self.tables.items())},
            "refusals": [asdict(refusal) for refusal in self.refusals],
        }


class LoadRefused(DocumentRefused):
    """At least one document was refused, and so nothing was written; ``report`` tells the whole of it."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.refusals)
        self.report = report


def load(
    conn: psycopg.Connection[Any],
    documents: Iterable[Raw | Refusal | Mapping[str, Any]],
    *,
    schema: str = "pycharter",
    skip_invalid: bool = False,
    overwrite: bool = False,
    read_ahead: bool = False,
) -> Report:
    """Load legacy metadata or contract documents, all or nothing; loading them again changes nothing.

    ``documents`` are what ``sources.read`` yields, or mappings of any shape that ``documents.normalise``
    reads. They are taken one at a time. With ``read_ahead`` the next ones are taken while the database works
    on those before, which saves a third of the time; only where reading them does not itself use ``conn``.

    Two sources of one (name, version) are merged where they complement each other. Where they disagree, or
    two documents describe an entity differently, both are refused. With ``skip_invalid`` refused documents
    are left out and reported; otherwise one of them means that nothing is written. A document that differs
    from a published version (active, deprecated, retired) is refused unless ``overwrite``.

    Works inside the caller's transaction and never commits it; on an autocommit connection that is outside a
    transaction the load is one transaction of its own.

    Raises LoadRefused, and psycopg.Error where the database itself fails. Design: "Migration Path".
    """
    with _atomic(conn), _Intake(documents) as intake:
        run = _Run(conn, schema, overwrite)
        batches = iter(intake)
        again = False
        try:
            with conn.transaction():
                run.send_all(batches, read_ahead)
                again = intake.reconsidered
                if again:
                    raise psycopg.Rollback
        except _BatchRefused:
            again = True
            for _ in batches:
                pass  # only reads what is left
        if again:
            run = _Run(conn, schema, overwrite)
            for batch in intake.settled():
                run.send_carefully(batch)
        report = run.finished()
        report.read, report.merged = intake.read, intake.merged
        report.refusals = intake.refusals + run.refusals
        report.refused = intake.unread + len(intake.refused | run.refused)
        if report.refusals and not skip_invalid:
            raise LoadRefused(_nothing_written(report))
        return report


def register_contract(
    conn: psycopg.Connection[Any], document: Mapping[str, Any], *, schema: str = "pycharter"
) -> Literal["inserted", "updated", "unchanged"]:
    """Load one contract document in one round trip, and say what that did to its contract version.

    ``document`` has any shape that ``documents.normalise`` reads. Never commits. Raises DocumentRefused, and
    then has written nothing. Design: "Creating a Data Contract".
    """
    single = normalise(Raw(dict(document), Place("document", "")))
    with _atomic(conn):
        run = _Run(conn, schema, digesting=False)
        run.send_carefully([_Sendable.of(0, single)])
        if run.refusals:
            raise DocumentRefused(run.refusals)
    if run.report.inserted:
        return "inserted"
    return "updated" if run.report.updated else "unchanged"


@dataclass(frozen=True, slots=True)
class _Sendable:
    """A document on its way: its number in the load, what is sent of it, and what a refusal needs.

    Not the content: taking thousands of documents apart would hold the sender up.
    """

    number: int
    name: str
    version: str
    text: bytes  # JSON
    mentions: bytes  # JSON of that part which names entities
    origins: dict[str, Place]

    @classmethod
    def of(cls, number: int, document: Document) -> _Sendable:
        content = document.content
        mentions = {key: content[key] for key in _NAMING if key in content}
        return cls(
            number,
            document.name,
            document.version,
            _json_text(content),
            _json_text(mentions),
            document.origins,
        )

    @property
    def digest(self) -> str:
        return blake2b(self.text, digest_size=16).hexdigest()


@dataclass(slots=True)
class _Claim:
    """What documents say of one attribute of an entity: the first value, its place, who speaks of it."""

    value: Any
    place: Place
    contract: str  # that of the place
    numbers: list[int] = field(default_factory=list)
    disputed: bool = False


class _Intake:
    """Reads documents and holds each against those before it. Iterating yields batches fit to be sent.

    Most loads need no more than that. Where a document turns out to complement or contradict an earlier one
    (``reconsidered``), what was sent is to be rolled back, and ``settled`` yields everything anew, from a
    copy on disk.
    """

    def __init__(self, documents: Iterable[Raw | Refusal | Mapping[str, Any]]) -> None:
        self.documents = documents
        self.read = 0
        self.unread = 0  # documents that were refused before they had a number
        self.refusals: list[Refusal] = []
        self.refused: set[int] = set()
        self.merged = 0
        self._copy = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY)  # noqa: SIM115  # closed on exit
        self._offsets: list[int] = []
        self._first: dict[tuple[str, str], int] = {}
        self._same: defaultdict[int, list[int]] = defaultdict(list)
        self._claims: dict[tuple[str, str, str], _Claim] = {}

    def __enter__(self) -> _Intake:
        return self

    def __exit__(self, *_: object) -> None:
        self._copy.close()

    @property
    def reconsidered(self) -> bool:
        return bool(self._same or self.refused)

    def __iter__(self) -> Iterator[list[_Sendable]]:
        for batch in _batches(self._accepted()):
            yield [sent for sent in batch if sent.number not in self.refused]

    def _accepted(self) -> Iterator[_Sendable]:
        for found in self.documents:
            self.read += 1
            if isinstance(found, Refusal):
                self.unread += 1
                self.refusals.append(found)
                continue
            raw = found if isinstance(found, Raw) else Raw(dict(found), Place(f"document {self.read}", ""))
            try:
                document = normalise(raw)
            except DocumentRefused as error:
                self.unread += 1
                self.refusals += error.refusals
                continue
            number = len(self._offsets)
            sendable = _Sendable.of(number, document)
            self._keep(sendable)
            self._hold_against_others(number, document)
            first = self._first.setdefault((document.name, document.version), number)
            if first == number:
                yield sendable
            else:
                self._same[first].append(number)

    def settled(self) -> Iterator[list[_Sendable]]:
        """Every document anew: sources of one contract merged, what disagrees refused."""
        return _batches(self._settled())

    def _settled(self) -> Iterator[_Sendable]:
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
                document = reduce(merge, (Document(json.loads(one.text), one.origins) for one in sources))
            except DocumentRefused as error:
                self.refusals += error.refusals
                self.refused.update(numbers)
                continue
            self.merged += len(numbers) - 1
            yield _Sendable.of(first, document)

    def _keep(self, sendable: _Sendable) -> None:
        self._copy.seek(0, 2)
        self._offsets.append(self._copy.tell())
        pickle.dump(sendable, self._copy, pickle.HIGHEST_PROTOCOL)

    def _kept(self, number: int) -> _Sendable:
        self._copy.seek(self._offsets[number])
        kept: _Sendable = pickle.load(self._copy)
        return kept

    def _hold_against_others(self, number: int, document: Document) -> None:
        """Refuses all documents that describe something of an entity in more than one way."""
        for kind, name, attribute, value, pointer in _descriptions(document.content):
            place = document.place(pointer)
            said = _Claim(value, place, document.label)
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
_RELATIONS = {
    "pulls_from": "system",
    "pushes_to": "system",
    "system_sources": "system",
    "business_owners": "business owner",
    "dependencies": "data feed",
}
_OF_THE_LINK = ("name", "role", "dependency_type")


def _descriptions(content: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any, str]]:
    """What a contract document says of entities: kind, name, attribute, value, JSON Pointer."""
    items = [("data feed", content.get("data_feed"), "/data_feed")]
    for key, kind in _RELATIONS.items():
        items += [(kind, item, f"/{key}/{index}") for index, item in enumerate(content.get(key) or ())]
    for permission, teams in (content.get("team_access") or {}).items():
        items += [
            ("team", item, f"/team_access/{permission}/{index}") for index, item in enumerate(teams or ())
        ]
    domain, pointer = content.get("domain"), "/domain"
    while domain is not None:
        items.append(("domain", domain, pointer))
        domain = domain.get("parent_domain") if isinstance(domain, dict) else None
        pointer += "/parent_domain"
    for kind, item, pointer in items:
        if isinstance(item, dict):
            for attribute, value in item.items():
                if attribute == "parent_domain" and isinstance(value, dict):
                    value = value["name"]
                if attribute not in _OF_THE_LINK and value not in (None, ""):
                    yield kind, item["name"], attribute, value, f"{pointer}/{attribute}"


class _BatchRefused(Exception):
    """What the database has against a batch. Tells it from what the source of the documents may raise."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(str(error))
        self.error = error


class _Run:
    """Sends batches and adds up what the database reports."""

    def __init__(
        self, conn: psycopg.Connection[Any], schema: str, overwrite: bool = False, digesting: bool = True
    ) -> None:
        if conn.info.encoding != "utf-8":
            raise CatalogueError(
                f"the connection's client_encoding is {conn.info.parameter_status('client_encoding')}, and "
                "documents are UTF-8",
                remedy="SET client_encoding TO 'UTF8'",
            )
        self.conn = conn
        self.schema = schema
        # One document a line: JSON text has no line breaks of its own.
        self.call = sql.SQL(
            """
            SELECT {}.load_documents(
                ARRAY(SELECT line::jsonb FROM string_to_table($1, chr(10)) AS line),
                shape_checked => true,
                overwrite => {},
                digests => ARRAY(SELECT decode(line, 'hex') FROM string_to_table($2, chr(10)) AS line),
                known => ARRAY(SELECT line::uuid FROM string_to_table($3, chr(10)) AS line),
                mentions => ARRAY(SELECT line::jsonb FROM string_to_table($4, chr(10)) AS line))
            """
        ).format(sql.Identifier(schema), sql.Literal(overwrite))
        self.digesting = digesting  # a single document is not worth it
        # In an empty catalogue, and for a single document, there is nothing to ask for.
        self.knowing = digesting and self._has_digests()
        self.report = Report()
        self.entities: defaultdict[str, dict[str, str]] = defaultdict(dict)  # table -> name -> outcome
        self.refusals: list[Refusal] = []
        self.refused: set[int] = set()

    def send_carefully(self, batch: list[_Sendable]) -> None:
        """As ``send``, but refuses a document that the database fails with, rather than failing with it.

        Each batch is a savepoint. Thousands of those in one transaction slow other sessions' snapshots down:
        hence only once an error has shown that it is needed.
        """
        try:
            with self.conn.transaction():
                self.send(batch)
        except _BatchRefused as refused:
            if len(batch) > 1:
                # Halves, to find the documents that the others need not fail with.
                middle = len(batch) // 2
                self.send_carefully(batch[:middle])
                self.send_carefully(batch[middle:])
                return
            said = refused.error.diag
            pointer, remedy = _CONSTRAINTS.get(said.constraint_name or "", ("", "Correct the document."))
            reason = said.message_primary or str(refused.error)
            found = self._findings(batch[0]) or [(pointer, reason, said.message_hint or remedy)]
            for pointer, reason, remedy in found:
                self._refuse(batch[0], pointer, reason, remedy)

    def send_all(self, batches: Iterator[list[_Sendable]], read_ahead: bool) -> None:
        batch = next(batches, None)
        while batch is not None:
            if read_ahead:
                with self._sent(batch):
                    batch = next(batches, None)
            else:
                self.send(batch)
                batch = next(batches, None)

    def send(self, batch: list[_Sendable]) -> None:
        with self._sent(batch):
            pass

    @contextmanager
    def _sent(self, batch: list[_Sendable]) -> Iterator[None]:
        """A block in which the database works on the batch; at its end the answer is there."""
        if not batch:
            yield
            return
        known = self._known(batch) if self.knowing else {}
        unknown = [sent for sent in batch if sent.number not in known]
        answer = self._ask(
            b"\n".join(sent.text for sent in unknown),
            "\n".join(sent.digest for sent in unknown).encode() if self.digesting else b"",
            "\n".join(map(str, known.values())).encode(),
            b"\n".join(sent.mentions for sent in batch if sent.number in known),
        )
        next(answer)
        try:
            yield
        except BaseException:
            # Whatever it was, the connection must not be left in the middle of a query.
            self.conn.cancel_safe()
            with suppress(_BatchRefused, psycopg.Error):
                next(answer)
            raise
        self._count(unknown, next(answer))

    def _has_digests(self) -> bool:
        query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(
            sql.Identifier(self.schema, "document_digests")
        )
        with expecting_catalogue(self.schema), psycopg.Cursor(self.conn, row_factory=scalar_row) as cursor:
            return bool(cursor.execute(query).fetchone())

    def _known(self, batch: list[_Sendable]) -> dict[int, UUID]:
        """The documents, by number, of which the database knows that they would change nothing."""
        query = sql.SQL("SELECT {}.known_contracts(%s, %s, %s)").format(sql.Identifier(self.schema))
        columns = zip(*((sent.name, sent.version, bytes.fromhex(sent.digest)) for sent in batch), strict=True)
        with psycopg.Cursor(self.conn, row_factory=scalar_row) as cursor:
            ids: Any = cursor.execute(query, [list(column) for column in columns]).fetchone()
        return {sent.number: id for sent, id in zip(batch, ids, strict=True) if id}

    def _ask(self, *parameters: bytes) -> Generator[Any]:
        """Asks, yields; waits, yields the answer. Between the two the connection is not free."""
        conn = self.conn
        if conn.info.pipeline_status:
            texts = [parameter.decode() for parameter in parameters]
            cursor = psycopg.RawCursor(conn, row_factory=scalar_row).execute(self.call, texts)
            yield
            yield cursor.fetchone()
            return
        with conn.lock:
            conn.pgconn.send_query_params(self.call.as_bytes(conn), parameters)
            conn.wait(generators.send(conn.pgconn))
        yield
        with conn.lock:
            (result,) = conn.wait(generators.fetch_many(conn.pgconn))
        if result.status == ExecStatus.TUPLES_OK:
            yield json.loads(result.get_value(0, 0) or b"")
            return
        error = psycopg.errors.error_from_result(result, encoding=conn.info.encoding)
        with expecting_catalogue(self.schema):
            raise _BatchRefused(error) if isinstance(error, _DOCUMENT_ERRORS) else error

    def _count(self, batch: list[_Sendable], said: dict[str, Any]) -> None:
        for refusal in said["refusals"]:
            sent = batch[refusal["document"]]
            self._refuse(sent, refusal["pointer"], refusal["reason"], refusal["remedy"])
        self.report.inserted += said["documents"]["inserted"]
        self.report.updated += said["documents"]["updated"]
        self.report.unchanged += said["documents"]["unchanged"]
        for table, counts in said["tables"].items():
            total = self.report.tables.setdefault(table, Counts())
            for count, rows in counts.items():
                setattr(total, count, getattr(total, count) + rows)
        for table, outcomes in said["entities"].items():
            known = self.entities[table]
            for outcome in ("inserted", "updated", "unchanged"):
                for name in outcomes[outcome]:
                    if name not in known or (outcome == "updated" and known[name] == "unchanged"):
                        known[name] = outcome

    def finished(self) -> Report:
        """The report. A row of an entity counts once, however many batches named it."""
        for table, outcomes in self.entities.items():
            self.report.tables[table] = Counts(**Counter(outcomes.values()))
        return self.report

    def _findings(self, sent: _Sendable) -> list[tuple[str, str, str]]:
        """What the database's own look at one document finds: pointer, reason, remedy."""
        query = sql.SQL("SELECT pointer, reason, remedy FROM {}.check_document(%b::jsonb)").format(
            sql.Identifier(self.schema)
        )
        with psycopg.Cursor(self.conn, row_factory=tuple_row) as cursor:
            return cursor.execute(query, [Jsonb(sent.text, bytes)]).fetchall()

    def _refuse(self, sent: _Sendable, pointer: str, reason: str, remedy: str) -> None:
        place = place_in(sent.origins, pointer)
        contract = f"{sent.name}@{sent.version}"
        self.refusals.append(Refusal(place.source, place.pointer, reason, remedy, contract))
        self.refused.add(sent.number)


def _batches(documents: Iterator[_Sendable]) -> Iterator[list[_Sendable]]:
    batch: list[_Sendable] = []
    size = 0
    for sent in documents:
        if batch and (len(batch) == BATCH or size + len(sent.text) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(sent)
        size += len(sent.text)
    if batch:
        yield batch


@contextmanager
def _atomic(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """A block that is written whole or not at all, and leaves committing to the caller."""
    if not conn.autocommit and conn.info.transaction_status == TransactionStatus.IDLE:
        # Begins the caller's transaction, so that the block is a savepoint in it.
        conn.execute("SELECT")
    with conn.transaction():
        yield


def _json_text(content: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits, which JSON and jsonb have and orjson has not.
        return json.dumps(content, ensure_ascii=False).encode()


def _nothing_written(report: Report) -> Report:
    return Report(report.read, report.merged, report.refused, refusals=report.refusals)

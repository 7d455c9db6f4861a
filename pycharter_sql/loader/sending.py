"""Batches to the database and its answers back."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg import generators, sql
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.rows import scalar_row, tuple_row
from psycopg.types.json import Jsonb, JsonbLoader

from pycharter_sql.documents.model import place_in
from pycharter_sql.errors import CatalogueError, Refusal, expecting_catalogue, explanation
from pycharter_sql.loader.intake import Intake, Sendable
from pycharter_sql.transactions import settle

# What the database may have against a single document, rather than against the load.
DOCUMENT_ERRORS = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.errors.RaiseException,
    psycopg.errors.ProgramLimitExceeded,  # such as a text of more than 256 MB
)

# Where in a contract document stands what a constraint complains of.
POINTERS = {"ownership_pkey": "/ownership/resource_id"}


class BatchRefused(Exception):
    """What the database has against a batch. Tells it from what the source of the documents may raise."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(str(error))
        self.error = error


class Run(ABC):
    """Sends batches to a function of the database and collects what it answers."""

    # The call, {schema} and {overwrite} to be filled in. One document a line: JSON text has no line breaks.
    call: LiteralString
    loads: bool  # or only looks
    alone: bool = False  # a single document, which is not worth a digest

    def __init__(self, conn: psycopg.Connection[Any], schema: str, *, overwrite: bool = False) -> None:
        if conn.info.encoding != "utf-8":
            raise CatalogueError(
                f"the connection's client_encoding is {conn.info.parameter_status('client_encoding')}, and "
                "documents are UTF-8",
                remedy="SET client_encoding TO 'UTF8'",
            )
        self.conn = conn
        self.schema = schema
        query = sql.SQL(self.call).format(schema=sql.Identifier(schema), overwrite=sql.Literal(overwrite))
        self.query: bytes = query.as_bytes(conn)
        # In an empty catalogue there is nothing to ask for.
        self.knowing: bool = not self.alone and self._has_digests()
        self.refusals: list[Refusal] = []
        self.refused: set[int] = set()

    @abstractmethod
    def parameters(
        self, contracts: Sequence[Sendable], known: Sequence[UUID], others: Sequence[Sendable]
    ) -> tuple[bytes, ...]:
        """Of the call: contracts to look at, those known to be as they are, and what only names entities."""

    @abstractmethod
    def count(
        self, contracts: Sequence[Sendable], others: Sequence[Sendable], answer: dict[str, Any]
    ) -> None:
        """Takes down what the database says of a batch; its refusals are taken down already."""

    def send_carefully(self, batch: list[Sendable]) -> None:
        """As ``send``, but refuses a document that the database fails with, rather than failing with it.

        Each batch is a savepoint. Thousands of those in one transaction slow other sessions' snapshots down:
        hence only once an error has shown that it is needed.
        """
        try:
            with self.conn.transaction():
                self.send(batch)
        except BatchRefused as refused:
            if len(batch) > 1:
                # Halves, to find the documents that the others need not fail with.
                middle = len(batch) // 2
                self.send_carefully(batch[:middle])
                self.send_carefully(batch[middle:])
                return
            self.refuse(batch[0], refused)

    def refuse(self, sent: Sendable, refused: BatchRefused) -> None:
        """Takes down why the database failed with this document."""
        if found := self._findings(sent):
            for pointer, reason, remedy in found:
                self._refuse(sent, pointer, reason, remedy)
            return
        said = refused.error.diag
        pointer = POINTERS.get(said.constraint_name or "", "")
        if broken := explanation(refused.error, schema=self.schema):
            self._refuse(sent, pointer, broken.reason, broken.remedy, broken.constraint)
        else:
            reason = said.message_primary or str(refused.error)
            self._refuse(sent, pointer, reason, said.message_hint or "Correct the document.")

    def send_all(self, batches: Iterator[list[Sendable]], read_ahead: bool) -> None:
        batch = next(batches, None)
        while batch is not None:
            if read_ahead:
                with self._sent(batch):
                    batch = next(batches, None)
            else:
                self.send(batch)
                batch = next(batches, None)

    def send(self, batch: list[Sendable]) -> None:
        with self._sent(batch):
            pass

    @contextmanager
    def _sent(self, batch: list[Sendable]) -> Iterator[None]:
        """A block in which the database works on the batch; at its end the answer is there."""
        if not batch:
            yield
            return
        known = self._known(batch) if self.knowing else {}
        contracts = [sent for sent in batch if sent.name and sent.number not in known]
        others = [sent for sent in batch if not sent.name or sent.number in known]
        answer = self._ask(*self.parameters(contracts, list(known.values()), others))
        next(answer)
        try:
            yield
        except BaseException:
            # Whatever it was, the connection must not be left in the middle of a query.
            self.conn.cancel_safe()
            with suppress(BatchRefused, psycopg.Error):
                next(answer)
            raise
        said = next(answer)
        for refusal in said["refusals"]:
            sent = contracts[refusal["document"]]
            self._refuse(
                sent, refusal["pointer"], refusal["reason"], refusal["remedy"], refusal["constraint"]
            )
        self.count(contracts, others, said)

    def _has_digests(self) -> bool:
        query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(
            sql.Identifier(self.schema, "document_digests")
        )
        with expecting_catalogue(self.schema), psycopg.Cursor(self.conn, row_factory=scalar_row) as cursor:
            return bool(cursor.execute(query).fetchone())

    def _known(self, batch: list[Sendable]) -> dict[int, UUID]:
        """The documents, by number, of which the database knows that they would change nothing."""
        query = sql.SQL("SELECT {}.known_contracts(%s, %s, %s, %s)").format(sql.Identifier(self.schema))
        columns = zip(*((sent.name, sent.version, bytes.fromhex(sent.digest)) for sent in batch), strict=True)
        with psycopg.Cursor(self.conn, row_factory=scalar_row) as cursor:
            ids: Any = cursor.execute(query, [*map(list, columns), self.loads]).fetchone()
        return {sent.number: id for sent, id in zip(batch, ids, strict=True) if id}

    def _ask(self, *parameters: bytes) -> Generator[Any]:
        """Asks, yields; waits, yields the answer. Between the two the connection is not free."""
        conn = self.conn
        # Of a single document there is nothing to do meanwhile, and psycopg can prepare the query.
        if self.alone or conn.info.pipeline_status:
            texts = [parameter.decode() for parameter in parameters]
            cursor = psycopg.RawCursor(conn, row_factory=scalar_row)
            settle(conn)
            # Whatever the caller's connection makes of jsonb.
            cursor.adapters.register_loader("jsonb", JsonbLoader)
            try:
                with expecting_catalogue(self.schema):
                    cursor.execute(self.query, texts)
                    yield
                    answer = cursor.fetchone()
            except DOCUMENT_ERRORS as refused:
                raise BatchRefused(refused) from refused
            yield answer
            return
        try:
            with conn.lock:
                conn.pgconn.send_query_params(self.query, parameters)
                conn.wait(generators.send(conn.pgconn))
            yield
            with conn.lock:
                (result,) = conn.wait(generators.fetch_many(conn.pgconn))
        except KeyboardInterrupt:
            # One that comes while it waits has ended the query; one between sending and waiting has not.
            if conn.info.transaction_status == TransactionStatus.ACTIVE:
                conn.cancel_safe()
                conn.wait(generators.fetch_many(conn.pgconn))
            raise
        if result.status == ExecStatus.TUPLES_OK:
            yield json.loads(result.get_value(0, 0) or b"")
            return
        error = psycopg.errors.error_from_result(result, encoding=conn.info.encoding)
        with expecting_catalogue(self.schema):
            raise BatchRefused(error) if isinstance(error, DOCUMENT_ERRORS) else error

    def _findings(self, sent: Sendable) -> list[tuple[str, str, str]]:
        """What the database's own look at one document finds: pointer, reason, remedy."""
        if not sent.text:
            return []
        query = sql.SQL("SELECT pointer, reason, remedy FROM {}.check_document(%b::jsonb)").format(
            sql.Identifier(self.schema)
        )
        try:
            with self.conn.transaction(), psycopg.Cursor(self.conn, row_factory=tuple_row) as cursor:
                return cursor.execute(query, [Jsonb(sent.text, bytes)]).fetchall()
        except psycopg.errors.ProgramLimitExceeded:  # too long even to be looked at
            return []

    def _refuse(
        self, sent: Sendable, pointer: str, reason: str, remedy: str, constraint: str | None = None
    ) -> None:
        place = place_in(sent.origins, pointer)
        contract = f"{sent.name}@{sent.version}" if sent.name else None
        self.refusals.append(Refusal(place.source, place.pointer, reason, remedy, contract, constraint))
        self.refused.add(sent.number)


Kind = TypeVar("Kind", bound=Run)


def sent_everything(intake: Intake, new_run: Callable[[], Kind], read_ahead: bool) -> Kind:
    """Sends all documents, from the beginning where some turn out to need another look (see ``Intake``)."""
    run = new_run()
    batches = iter(intake)
    # A source that reads from this very connection opens its cursor before the savepoint, and so outlives it.
    first = list(islice(batches, 1))
    try:
        with run.conn.transaction():
            run.send_all(chain(first, batches), read_ahead)
            if not intake.reconsidered:
                return run
            raise psycopg.Rollback
    except BatchRefused:
        for _ in batches:
            pass  # only reads what is left
    run = new_run()
    for batch in intake.settled():
        run.send_carefully(batch)
    return run

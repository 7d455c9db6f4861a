"""Every error a caller can meet: one small tree, each error saying what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg.errors import InvalidSchemaName, UndefinedColumn, UndefinedFunction, UndefinedTable


class CatalogueError(Exception):
    """Base of all errors raised here.

    ``remedy`` says what to do about it; it is part of ``str(error)``.
    """

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"{reason}\n  {remedy}" if remedy else reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one document, or one value of it, was not loaded.

    ``source`` is the file (or ``-``, or whatever name the caller gave the document), ``pointer`` the
    JSON Pointer (RFC 6901) of the value in that file, ``contract`` is ``name@version`` where known.
    """

    source: str
    pointer: str
    reason: str
    remedy: str
    contract: str | None = None

    def __str__(self) -> str:
        place = f"{self.source}#{self.pointer}" if self.pointer else self.source
        contract = f" ({self.contract})" if self.contract else ""
        return f"{place}{contract}: {self.reason}\n  {self.remedy}"


class DocumentRefused(CatalogueError):
    """One or more documents cannot be loaded; ``refusals`` holds each with its place and remedy."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("\n".join(map(str, refusals)))
        self.refusals = tuple(refusals)


class NotEnforceable(CatalogueError):
    """A contract says what cannot be carried over to what is to enforce it; ``refusals`` holds each of these
    with its place and remedy. Their ``source`` is the contract, name@version."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("\n".join(map(str, refusals)))
        self.refusals = tuple(refusals)


class CatalogueMissing(CatalogueError):
    """The schema does not hold the catalogue, or one older than this code."""


class ContractNotFound(CatalogueError):
    """There is no contract, or no version of it, as asked for."""


class NoActiveVersion(ContractNotFound):
    """The contract has versions, but none that is active; the message names the latest and its status."""


class FeedNotFound(CatalogueError):
    """There is no data feed of this name."""


@contextmanager
def expecting_catalogue(schema: str) -> Iterator[None]:
    """Turns what a missing catalogue looks like to a query into CatalogueMissing."""
    try:
        yield
    except (InvalidSchemaName, UndefinedTable, UndefinedColumn, UndefinedFunction) as error:
        raise CatalogueMissing(
            f'schema "{schema}" does not hold the catalogue, or an older one',
            remedy="run: pycharter-sql migrate",
        ) from error

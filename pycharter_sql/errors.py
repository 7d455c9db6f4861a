"""Every error a caller can meet: one small tree, each error saying what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
from psycopg.errors import (
    CheckViolation,
    InvalidSchemaName,
    NotNullViolation,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)


class CatalogueError(Exception):
    """Base of all errors raised here.

    ``remedy`` says what to do about it; it is part of ``str(error)``.
    """

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"{reason}\n  {remedy}" if remedy else reason)
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions come back from processes pickled, and would be made anew from their text alone.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[CatalogueError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> CatalogueError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one document, or one value of it, was not loaded.

    ``source`` is the file (or ``-``, or whatever name the caller gave the document), ``pointer`` the
    JSON Pointer (RFC 6901) of the value in that file, ``contract`` is ``name@version`` where known,
    ``constraint`` the rule of the database that forbids it, where it is one (see ``ConstraintBroken``).
    """

    source: str
    pointer: str
    reason: str
    remedy: str
    contract: str | None = None
    constraint: str | None = None

    @property
    def what(self) -> str:
        """The place and the reason in one line, without the remedy."""
        place = f"{self.source}#{self.pointer}" if self.pointer else self.source
        contract = f" ({self.contract})" if self.contract else ""
        return f"{place}{contract}: {self.reason}"

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}"


class _Refused(CatalogueError):
    """``refusals`` holds each of what is refused, with its place and remedy."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("\n".join(map(str, refusals)))
        self.refusals: tuple[Refusal, ...] = tuple(refusals)
        # Each stands behind its reason already.
        self.remedy: str = "\n".join(dict.fromkeys(refusal.remedy for refusal in refusals))


class DocumentRefused(_Refused):
    """One or more documents cannot be loaded; ``refusals`` holds each with its place and remedy."""


class NotEnforceable(_Refused):
    """A contract says what cannot be carried over to what is to enforce it; ``refusals`` holds each of these
    with its place and remedy. Their ``source`` is the contract, name@version."""


class CatalogueMissing(CatalogueError):
    """The schema does not hold the catalogue, or one older than this code."""


class ContractNotFound(CatalogueError):
    """There is no contract, or no version of it, as asked for."""


class NoActiveVersion(ContractNotFound):
    """The contract has versions, but none that is active; the message names the latest and its status."""


class EntityNotFound(CatalogueError):
    """There is no system, data feed, business owner, domain or team of this name."""


class FeedNotFound(EntityNotFound):
    """There is no data feed of this name."""


class ConstraintBroken(CatalogueError):
    """A rule of the database forbids it; each kind of rule has an exception of its own.

    ``constraint`` is its name in the database, ``contract`` the contract version as ``name@version`` where it
    is known. ``refusals`` says which values of a document are to blame, where it was one.
    """

    usual_remedy: ClassVar[str] = "Correct the value, and try again."
    """What to do where the database itself does not say."""

    def __init__(
        self,
        reason: str,
        *,
        remedy: str = "",
        constraint: str,
        contract: str | None = None,
        refusals: Sequence[Refusal] = (),
    ) -> None:
        super().__init__(reason, remedy=remedy or self.usual_remedy)
        self.constraint = constraint
        self.contract = contract
        self.refusals: tuple[Refusal, ...] = tuple(refusals)


class RevisionConflict(ConstraintBroken):
    """Somebody else has changed the contract version since the revision that was given."""


class VersionPublished(ConstraintBroken):
    """The contract version is active, deprecated or retired: it does not change."""


class StatusOrderBroken(ConstraintBroken):
    """The contract version cannot go from the status that it has to the one asked for."""


class VersionExists(ConstraintBroken):
    """There is this version of the contract already."""

    usual_remedy = "Give the contract a new version, or change this one: register_contract(conn, document)."


class ResourceTaken(ConstraintBroken):
    """Another contract has this resource_id, or this ownership."""

    usual_remedy = "Choose another resource_id, or leave it out."


class ComponentTaken(ConstraintBroken):
    """Another contract has this component: each contract version has components of its own."""

    usual_remedy = "Insert a component of its own for each contract version."


class NameTaken(ConstraintBroken):
    """There is an entity of this name already."""

    usual_remedy = "Choose another name, or use the entity that has it."


class AlreadyLinked(ConstraintBroken):
    """The contract has this relation already, or names it twice in two ways."""

    usual_remedy = "Name each relation once."


class DependsOnItself(ConstraintBroken):
    """The contract would depend on the data feed that it serves."""

    usual_remedy = "Leave the feed out of dependencies, or name another data_feed."


class DomainCycle(ConstraintBroken):
    """The domain would be its own ancestor."""


class CredentialRefused(ConstraintBroken):
    """The connection_info of a system holds a secret."""


class ReferenceBroken(ConstraintBroken):
    """What is referred to is not there, or what is to be deleted is still referred to."""

    usual_remedy = "Insert first what is referred to; delete first what refers to it."


class ValueRefused(ConstraintBroken):
    """A value is not one that its column may have, or it is missing."""

    usual_remedy = "psql: \\d+ TABLE shows what its column may hold."


# What each rule is; the kinds of all others are told by the ends of their names, which are PostgreSQL's.
_NAMED: dict[str, type[ConstraintBroken]] = {
    "data_contracts_revision": RevisionConflict,
    "data_contracts_seal": VersionPublished,
    "data_contracts_status_order": StatusOrderBroken,
    "data_contracts_name_version_key": VersionExists,
    "data_contracts_ownership_id_key": ResourceTaken,
    "ownership_pkey": ResourceTaken,
    "data_contracts_schema_id_key": ComponentTaken,
    "data_contracts_governance_rules_id_key": ComponentTaken,
    "data_contracts_metadata_id_key": ComponentTaken,
    "data_feed_dependencies_data_feed_id_dependency_feed_id_check": DependsOnItself,
    "domains_parent_domain_id_check": DomainCycle,
    "systems_connection_info_credential_check": CredentialRefused,
    "systems_name_key": NameTaken,
    "data_feeds_name_key": NameTaken,
    "business_owners_name_key": NameTaken,
    "domains_name_key": NameTaken,
    "teams_name_key": NameTaken,
}
_LINKS = ("data_contract_", "data_feed_dependencies_")


def constraint_broken(constraint: str) -> type[ConstraintBroken]:
    """The exception of a constraint, by its name in the database."""
    if known := _NAMED.get(constraint):
        return known
    if constraint.endswith("_fkey"):
        return ReferenceBroken
    if constraint.endswith("_pkey") and constraint.startswith(_LINKS):
        return AlreadyLinked
    return ValueRefused


def explanation(
    error: psycopg.Error, contract: str | None = None, *, schema: str = "pycharter"
) -> ConstraintBroken | None:
    """What a rule of the catalogue that the database has enforced means, or None where it is no such rule."""
    said = error.diag
    reason = said.message_primary or str(error)
    constraint = said.constraint_name
    if not constraint and isinstance(error, NotNullViolation):
        constraint = f"{said.table_name}_{said.column_name}_not_null"  # as PostgreSQL 18 names it
    # What a trigger or function raises names no table; anybody's constraints do.
    if not constraint or (said.schema_name != schema if said.schema_name else constraint not in _NAMED):
        return None
    # Of a value the whole row is told, which is nobody's business.
    if said.message_detail and not isinstance(error, (CheckViolation, NotNullViolation)):
        reason = f"{reason}: {said.message_detail}"
    return constraint_broken(constraint)(
        reason, remedy=said.message_hint or "", constraint=constraint, contract=contract
    )


@contextmanager
def explaining(contract: str | None = None, *, schema: str = "pycharter") -> Iterator[None]:
    """A block of SQL of one's own in which a broken rule of the catalogue is raised as ``ConstraintBroken``::

        with explaining("Order@2.1.0"), conn.transaction():
            conn.execute("INSERT INTO pycharter.data_contracts ...")

    ``contract`` is what the exception will name. Other errors of the database pass as they are. Raises
    ConstraintBroken.
    """
    try:
        yield
    except psycopg.Error as error:
        if explained := explanation(error, contract, schema=schema):
            raise explained from error
        raise


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

"""What the catalogue's views and contract_diff return: a frozen dataclass each, its fields named and ordered
as their columns.

The functions of ``queries`` return them, and any SELECT on a view fills them too::

    with conn.cursor(row_factory=class_row(ContractOwner)) as cursor:
        cursor.execute("SELECT * FROM pycharter.contract_owners WHERE role = 'data_steward'")

Values are as psycopg gives them: text[] is a list, jsonb what json.loads makes of it, timestamptz a datetime
in the session's time zone. Text of a closed list is a member of its enum, which is a str too. What a column
means is told by its comment (psql: ``\\d+ contract_full``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Status(StrEnum):
    """Where a contract version is in its life, in the words of the Open Data Contract Standard.

    The last three are published: a consumer may rely on the version, and it does not change.
    """

    PROPOSED = "proposed"
    DRAFT = "draft"
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class SystemRelation(StrEnum):
    """What a system is to a contract."""

    PULLS_FROM = "pulls_from"
    PUSHES_TO = "pushes_to"
    SYSTEM_SOURCES = "system_sources"


class DependencyType(StrEnum):
    """Whether a contract can do without a feed that it depends on."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Severity(StrEnum):
    """How much a finding matters; an error makes ``pycharter-sql check`` fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class ChangeKind(StrEnum):
    """What became of a value from one version of a contract to another."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Outcome(StrEnum):
    """What a call has done to its contract version."""

    INSERTED = "inserted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


def _enumerate(row: object, column: str, enum: type[StrEnum]) -> None:
    # The only way into a frozen dataclass.
    object.__setattr__(row, column, enum(getattr(row, column)))


@dataclass(frozen=True, slots=True)
class Contract:
    """A row of contract_full, contract_latest or contract_current: one contract version, all of it.

    The lists hold names, sorted under COLLATE "C", empty where there are none. ``ownership`` has the keys
    resource_id, owner, team and additional_info. ``revision`` is another number after every
    transaction that has changed the version, its components or links.
    """

    contract_id: UUID
    name: str
    version: str
    status: Status
    description: str | None
    is_data_feed: bool
    data_feed: str
    feed_type: str | None
    domain: str | None
    schema: dict[str, Any]
    coercion_rules: dict[str, Any] | None
    validation_rules: dict[str, Any] | None
    governance_rules: dict[str, Any] | None
    metadata: dict[str, Any] | None
    ownership: dict[str, Any] | None
    pulls_from: list[str]
    pushes_to: list[str]
    system_sources: list[str]
    business_owners: list[str]
    read_teams: list[str]
    write_teams: list[str]
    dependencies: list[str]
    created_at: datetime
    updated_at: datetime
    created_by: str
    updated_by: str
    revision: int

    def __post_init__(self) -> None:
        _enumerate(self, "status", Status)


@dataclass(frozen=True, slots=True)
class ContractSummary:
    """Some columns of contract_full: light enough for a list of 100,000 contract versions."""

    contract_id: UUID
    name: str
    version: str
    status: Status
    description: str | None
    data_feed: str
    domain: str | None
    updated_at: datetime
    revision: int

    def __post_init__(self) -> None:
        _enumerate(self, "status", Status)


@dataclass(frozen=True, slots=True)
class ContractSystem:
    """A row of contract_systems. ``direction`` is pulls_from, pushes_to or system_sources."""

    contract_id: UUID
    contract: str
    version: str
    status: Status
    system: str
    direction: SystemRelation

    def __post_init__(self) -> None:
        _enumerate(self, "status", Status)
        _enumerate(self, "direction", SystemRelation)


@dataclass(frozen=True, slots=True)
class ContractOwner:
    """A row of contract_owners. ``role`` is business_owner, data_steward, ..."""

    contract_id: UUID
    contract: str
    version: str
    status: Status
    business_owner: str
    role: str

    def __post_init__(self) -> None:
        _enumerate(self, "status", Status)


@dataclass(frozen=True, slots=True)
class ContractAccess:
    """A row of contract_access: what one team may do. ``can_write`` implies ``can_read``."""

    contract_id: UUID
    contract: str
    version: str
    status: Status
    team: str
    can_read: bool
    can_write: bool

    def __post_init__(self) -> None:
        _enumerate(self, "status", Status)


@dataclass(frozen=True, slots=True)
class ContractDependency:
    """A row of contract_dependencies: the contract, which describes ``data_feed``, depends on ``dependency``,
    a feed too. ``dependency_type`` is required or optional."""

    contract_id: UUID
    contract: str
    version: str
    status: Status
    data_feed: str
    dependency: str
    dependency_type: DependencyType

    def __post_init__(self) -> None:
        _enumerate(self, "status", Status)
        _enumerate(self, "dependency_type", DependencyType)


@dataclass(frozen=True, slots=True)
class FeedDependency:
    """A row of feed_lineage: by its current contract ``data_feed`` depends on ``depends_on``, a feed too.
    ``dependency_type`` is required or optional."""

    data_feed: str
    depends_on: str
    dependency_type: DependencyType
    contract_id: UUID
    contract: str
    version: str

    def __post_init__(self) -> None:
        _enumerate(self, "dependency_type", DependencyType)


@dataclass(frozen=True, slots=True)
class ReachableFeed:
    """A row of upstream() or downstream(). ``distance`` is the number of steps on the shortest way to it;
    ``all_required`` says whether a way of required dependencies alone leads there."""

    data_feed: str
    distance: int
    all_required: bool


@dataclass(frozen=True, slots=True)
class SystemFlow:
    """A row of system_flow: the current contract takes data from one system to another, where it names both.
    ``relation`` is pulls_from or system_sources, None where ``from_system`` is."""

    from_system: str | None
    relation: SystemRelation | None
    contract_id: UUID
    contract: str
    version: str
    data_feed: str
    to_system: str | None

    def __post_init__(self) -> None:
        if self.relation is not None:
            _enumerate(self, "relation", SystemRelation)


@dataclass(frozen=True, slots=True)
class DependencyCycle:
    """A row of dependency_cycles: each of these feeds is made from every other. ``size`` is their number."""

    data_feeds: list[str]
    size: int


@dataclass(frozen=True, slots=True)
class CatalogueIssue:
    """A row of catalogue_issues: one finding. ``severity`` is error, warning or info, ``issue`` its kind.
    ``contract_id``, ``contract`` and ``version`` are None where it is of no single contract."""

    severity: Severity
    issue: str
    contract_id: UUID | None
    contract: str | None
    version: str | None
    what: str
    remedy: str

    def __post_init__(self) -> None:
        _enumerate(self, "severity", Severity)


@dataclass(frozen=True, slots=True)
class ContractField:
    """A row of contract_fields: a property of the contract's schema, as the rules of the contract see it.

    ``pointer`` is a JSON Pointer into the schema, ``path`` where values stand: address.city, lines[].sku.
    ``type`` is a name of JSON Schema, or several joined by |, without null. ``enum`` is None where the values
    are not listed.
    """

    contract_id: UUID
    contract: str
    version: str
    status: Status
    pointer: str
    path: str
    field: str
    type: str | None
    format: str | None
    is_required: bool
    is_nullable: bool
    enum: list[Any] | None
    description: str | None
    is_pii: bool
    coercion_rules: Any
    validation_rules: Any

    def __post_init__(self) -> None:
        _enumerate(self, "status", Status)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A row of search_contracts: one contract, by its current version or, where none is active, its latest.

    ``title`` is that of its schema. Of two results the one of higher ``rank`` fits better. ``matched_in``
    holds some of name, title, description, field, system, owner, team, data_feed, dependency, domain, tag, in
    this order.
    """

    contract_id: UUID
    contract: str
    version: str
    status: Status
    title: str | None
    description: str | None
    rank: int
    matched_in: list[str]

    def __post_init__(self) -> None:
        _enumerate(self, "status", Status)


@dataclass(frozen=True, slots=True)
class Domain:
    """A row of domain_tree. ``path`` names the domains from the top down to this one, ``depth`` is its
    length. The counts are of contract versions; ``total_contracts`` has those of the domains below too."""

    domain_id: UUID
    domain: str
    parent_domain: str | None
    path: list[str]
    depth: int
    direct_contracts: int
    total_contracts: int


@dataclass(frozen=True, slots=True)
class ContractChange:
    """A row of contract_diff: one change. ``part`` is a key of the contract document, ``pointer`` the JSON
    Pointer (RFC 6901) within it, ``kind`` added, removed or changed. Where something was added, ``before`` is
    None, where it was removed, ``after`` is; a JSON null is None too."""

    part: str
    pointer: str
    kind: ChangeKind
    before: Any
    after: Any

    def __post_init__(self) -> None:
        _enumerate(self, "kind", ChangeKind)

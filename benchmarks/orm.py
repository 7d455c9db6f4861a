"""The catalogue as a straightforward SQLAlchemy model of the design: what a pipeline would use without ours.

Classes over the live tables, relationships between them, a key made by Python (with one made by the database
SQLAlchemy could not send rows in batches). Columns that the database fills in by itself are left to it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Column, ForeignKey, MetaData, Table, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

SCHEMA = "pycharter"


class Base(DeclarativeBase):
    metadata = MetaData(schema=SCHEMA)
    type_annotation_map: ClassVar[Mapping[Any, Any]] = {dict[str, Any]: JSONB}


class Named:
    """What every entity has."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]
    description: Mapped[str | None]


class System(Named, Base):
    __tablename__ = "systems"
    system_type: Mapped[str | None]
    connection_info: Mapped[dict[str, Any] | None]


class DataFeed(Named, Base):
    __tablename__ = "data_feeds"
    title: Mapped[str | None]
    feed_type: Mapped[str | None]


class BusinessOwner(Named, Base):
    __tablename__ = "business_owners"
    contact_email: Mapped[str | None]
    department: Mapped[str | None]


class Domain(Named, Base):
    __tablename__ = "domains"


class Team(Named, Base):
    __tablename__ = "teams"
    team_type: Mapped[str | None]


class Schema(Base):
    __tablename__ = "schemas"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]
    version: Mapped[str | None]
    schema_data: Mapped[dict[str, Any]]


class CoercionRules(Base):
    __tablename__ = "coercion_rules"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    schema_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(Schema.id))
    version: Mapped[str | None]
    rules: Mapped[dict[str, Any]]
    schema: Mapped[Schema] = relationship()


class ValidationRules(Base):
    __tablename__ = "validation_rules"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    schema_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(Schema.id))
    version: Mapped[str | None]
    rules: Mapped[dict[str, Any]]
    schema: Mapped[Schema] = relationship()


class GovernanceRules(Base):
    __tablename__ = "governance_rules"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]
    rule_definition: Mapped[dict[str, Any]]


class MetadataRecord(Base):
    __tablename__ = "metadata_record"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    resource_id: Mapped[str]
    metadata_data: Mapped[dict[str, Any]]


class Ownership(Base):
    __tablename__ = "ownership"
    resource_id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str | None]
    team: Mapped[str | None]
    additional_info: Mapped[dict[str, Any] | None]


def _system_links(table: str) -> Table:
    return Table(
        table,
        Base.metadata,
        Column("data_contract_id", ForeignKey(f"{SCHEMA}.data_contracts.id"), primary_key=True),
        Column("system_id", ForeignKey(System.id), primary_key=True),
    )


class OfContract:
    """What every link has that is more than a pair."""

    data_contract_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey(f"{SCHEMA}.data_contracts.id"), primary_key=True
    )


class BusinessOwnerLink(OfContract, Base):
    __tablename__ = "data_contract_business_owners"
    business_owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(BusinessOwner.id), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    business_owner: Mapped[BusinessOwner] = relationship()


class TeamAccess(OfContract, Base):
    __tablename__ = "data_contract_team_access"
    team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(Team.id), primary_key=True)
    permission: Mapped[str] = mapped_column(primary_key=True)
    team: Mapped[Team] = relationship()


class Dependency(OfContract, Base):
    __tablename__ = "data_feed_dependencies"
    dependency_feed_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(DataFeed.id), primary_key=True)
    dependency_type: Mapped[str]
    dependency_feed: Mapped[DataFeed] = relationship()


class DataContract(Base):
    __tablename__ = "data_contracts"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]
    version: Mapped[str]
    status: Mapped[str]
    description: Mapped[str | None]
    is_data_feed: Mapped[bool]
    created_by: Mapped[str]
    schema_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(Schema.id))
    coercion_rules_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(CoercionRules.id))
    validation_rules_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(ValidationRules.id))
    governance_rules_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(GovernanceRules.id))
    metadata_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(MetadataRecord.id))
    ownership_id: Mapped[str | None] = mapped_column(ForeignKey(Ownership.resource_id))
    data_feed_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(DataFeed.id))
    domain_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(Domain.id))

    schema: Mapped[Schema] = relationship()
    coercion_rules: Mapped[CoercionRules | None] = relationship()
    validation_rules: Mapped[ValidationRules | None] = relationship()
    governance_rules: Mapped[GovernanceRules | None] = relationship()
    metadata_record: Mapped[MetadataRecord | None] = relationship()
    ownership: Mapped[Ownership | None] = relationship()
    data_feed: Mapped[DataFeed] = relationship()
    domain: Mapped[Domain | None] = relationship()
    pulls_from: Mapped[list[System]] = relationship(secondary=_system_links("data_contract_system_pulls"))
    pushes_to: Mapped[list[System]] = relationship(secondary=_system_links("data_contract_system_pushes"))
    system_sources: Mapped[list[System]] = relationship(
        secondary=_system_links("data_contract_system_sources")
    )
    business_owners: Mapped[list[BusinessOwnerLink]] = relationship()
    team_access: Mapped[list[TeamAccess]] = relationship()
    dependencies: Mapped[list[Dependency]] = relationship()


Entity = TypeVar("Entity", System, DataFeed, BusinessOwner, Domain, Team)
Known = dict[type, dict[str, Any]]  # class -> name -> object


class Store:
    """Stores contract documents in a session.

    ``cached``: every entity is fetched once and kept by its name; otherwise each is looked up, and made where
    it is missing, as often as a document names it.
    """

    def __init__(self, session: Session, *, cached: bool) -> None:
        self.session = session
        self.known: Known | None = None
        if cached:
            classes: tuple[type[Any], ...] = (System, DataFeed, BusinessOwner, Domain, Team)
            self.known = {each: {one.name: one for one in session.scalars(select(each))} for each in classes}

    def add(self, document: Mapping[str, Any]) -> None:
        """Adds a contract version that is not there yet, as the generator of the benchmarks writes it."""
        schema = Schema(
            name=document["name"], version=document["schema"].get("version"), schema_data=document["schema"]
        )
        resource_id = f"{document['name']}@{document['version']}"
        feed = dict(document["data_feed"])
        contract = DataContract(
            name=document["name"],
            version=document["version"],
            status=document["status"],
            description=document["description"],
            is_data_feed=document["is_data_feed"],
            created_by=document["created_by"],
            schema=schema,
            coercion_rules=CoercionRules(schema=schema, **document["coercion_rules"]),
            validation_rules=ValidationRules(schema=schema, **document["validation_rules"]),
            governance_rules=GovernanceRules(
                name=document["name"], rule_definition=document["governance_rules"]
            ),
            metadata_record=MetadataRecord(resource_id=resource_id, metadata_data=document["metadata"]),
            ownership=Ownership(resource_id=resource_id, **document["ownership"]),
            data_feed=self._entity(DataFeed, feed.pop("name"), **feed),
            domain=self._entity(Domain, document["domain"]),
            **{
                key: [self._entity(System, name) for name in document[key]]
                for key in ("pulls_from", "pushes_to", "system_sources")
            },
            business_owners=[
                BusinessOwnerLink(business_owner=self._entity(BusinessOwner, name), role="business_owner")
                for name in document["business_owners"]
            ],
            team_access=[
                TeamAccess(team=self._entity(Team, name), permission=permission)
                for permission, teams in document["team_access"].items()
                for name in teams
            ],
            dependencies=[
                Dependency(dependency_feed=self._entity(DataFeed, name), dependency_type="required")
                for name in document["dependencies"]
            ],
        )
        self.session.add(contract)

    def _entity(self, entity_class: type[Entity], name: str, **attributes: Any) -> Entity:
        known = self.known[entity_class] if self.known is not None else {}
        entity: Entity | None = known.get(name)
        if entity is None and self.known is None:
            entity = self.session.scalar(select(entity_class).where(entity_class.name == name))
        if entity is None:
            entity = known[name] = entity_class(name=name)
            self.session.add(entity)
        for attribute, value in attributes.items():
            setattr(entity, attribute, value)
        return entity


COMPONENTS = ("schema", "coercion_rules", "validation_rules", "governance_rules", "metadata_record")
PLAIN = ("ownership", "data_feed", "domain", "pulls_from", "pushes_to", "system_sources")


def reader(load: Callable[..., Any]) -> Callable[[Session, str, str], list[Any]]:
    """What reads one contract by name and version with all that contract_full tells.

    ``load`` is SQLAlchemy's selectinload, joinedload or lazyload.
    """
    how = [load(getattr(DataContract, name)) for name in (*COMPONENTS, *PLAIN)]
    # Of a link its entity too.
    how.append(getattr(load(DataContract.business_owners), load.__name__)(BusinessOwnerLink.business_owner))
    how.append(getattr(load(DataContract.team_access), load.__name__)(TeamAccess.team))
    how.append(getattr(load(DataContract.dependencies), load.__name__)(Dependency.dependency_feed))
    statement = select(DataContract).options(*how)

    def read(session: Session, name: str, version: str) -> list[Any]:
        one = statement.where(DataContract.name == name, DataContract.version == version)
        contract = session.scalars(one).unique().one()
        return [getattr(contract, name) for name in (*COMPONENTS, *PLAIN)] + [
            [link.business_owner.name for link in contract.business_owners],
            [link.team.name for link in contract.team_access],
            [link.dependency_feed.name for link in contract.dependencies],
        ]

    return read

"""The newest pycharter from PyPI with its own contract store on PostgreSQL: a peer.

What its store has no place of its own for, such as the systems that a contract pulls from, goes where its
documentation puts that: into the metadata, one JSON value.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any

import psycopg
from alembic import command
from pycharter.contract_store import PostgresContractStore
from pycharter.db.config import get_alembic_config
from pycharter.db.models import (
    CoercionRuleModel,
    DataContractModel,
    JsonSchemaModel,
    MetadataRecordModel,
    ValidationRuleModel,
)
from pycharter.db.session import get_engine
from sqlalchemy import Column, ColumnElement, Text, Uuid, cast, func, insert, select, text, true

from benchmarks.server import database_url

DATABASE = "pycharter_store"  # its schema has the name of ours and cannot be chosen
MODELS = (DataContractModel, JsonSchemaModel, CoercionRuleModel, ValidationRuleModel, MetadataRecordModel)

# At every store it would warn that no vocabulary is configured to be learnt from the contract.
logging.getLogger("pycharter").setLevel(logging.ERROR)


def install(dsn: str) -> str:
    """Installs it into a database of its own on the same server, and returns the URL of that."""
    own = database_url(dsn, DATABASE)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    with psycopg.connect(own) as connection:
        # Alembic would make this column varchar(32), and its migrations have names of up to 40 characters:
        # `pycharter db init` fails at the second one. With a column that is wide enough they all apply.
        connection.execute("CREATE SCHEMA pycharter")
        connection.execute("CREATE TABLE pycharter.alembic_version (version_num text PRIMARY KEY)")
    command.upgrade(get_alembic_config(own), "head")
    return own


@contextmanager
def connected(dsn: str) -> Iterator[PostgresContractStore]:
    """Its store, with the one connection that it keeps."""
    store = PostgresContractStore(dsn)
    store.connect()
    try:
        yield store
    finally:
        store.disconnect()


def save(store: PostgresContractStore, document: Mapping[str, Any], namespace: str | None) -> None:
    """Stores a whole contract document, in one transaction.

    Its tutorial stores part after part, each in a transaction, which takes it half as long again.
    """
    # Letters in lower case, digits and underscores are all that it takes for a name.
    name = document["name"].lower().replace(" ", "_")
    lineage = ("pulls_from", "pushes_to", "system_sources", "dependencies")
    same = ("status", "description", "is_data_feed", "data_feed", "domain", "team_access", "governance_rules")
    content = {
        "json_schema": document["schema"] | {"title": name},
        "coercion_rules": document["coercion_rules"],
        "validation_rules": document["validation_rules"],
        "metadata": document["metadata"]
        | {key: document[key] for key in same}
        | {
            "lineage": {key: document[key] for key in lineage},
            "ownership": document["ownership"] | {"roles": {"business_owner": document["business_owners"]}},
        },
    }
    store.save(name, document["version"], content, created_by=document["created_by"], namespace=namespace)


def fill(dsn: str, documents: Sequence[Mapping[str, Any]], size: int, namespace: str | None) -> None:
    """Makes it ``size`` contracts, rounded up to a multiple of these documents.

    Its own store takes each document once, and SQL copies their rows, under names and keys of their own:
    by the store alone 100,000 contracts would take an hour.
    """
    with connected(dsn) as store:
        engine = get_engine(dsn)  # that of the store: its connection too ends with the block
        with engine.connect() as connection:
            present = connection.scalar(select(func.count()).select_from(DataContractModel))
        if not present:
            for document in documents:
                save(store, document, namespace)
            present = len(documents)
        copies = present // len(documents), ceil(size / len(documents)) - 1  # first and last
        series = func.generate_series(*copies).table_valued("copy").render_derived()
        with engine.begin() as connection:
            # Contracts refer to their parts, and these to contracts: no order would suit the foreign keys.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for model in MODELS:
                table = model.__table__
                copied = (
                    select(*(_copied(column, series.c.copy) for column in table.c))
                    .select_from(table.join(series, true()))
                    .where(~table.c.name.contains("__", autoescape=True))
                )
                connection.execute(insert(model).from_select(table.c.keys(), copied))


def _copied(column: Column[Any], copy: ColumnElement[Any]) -> ColumnElement[Any]:
    """Of the n-th copy: references lead to the n-th copy too."""
    if isinstance(column.type, Uuid):
        return cast(func.md5(cast(column, Text).concat(cast(copy, Text))), Uuid)
    return column.concat("__").concat(cast(copy, Text)) if column.name == "name" else column

"""Documents into the catalogue."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from pycharter_sql.documents import Place, Raw, normalise
from pycharter_sql.errors import (
    CatalogueError,
    DocumentRefused,
    Refusal,
    constraint_broken,
    expecting_catalogue,
    explaining,
)
from pycharter_sql.loader.intake import Intake, Sendable
from pycharter_sql.loader.report import Counts, LoadRefused, Report, nothing_written
from pycharter_sql.loader.sending import BatchRefused, Run, sent_everything
from pycharter_sql.rows import Outcome
from pycharter_sql.transactions import atomic, settle


def load(
    conn: psycopg.Connection[Any],
    documents: Iterable[Raw | Refusal | Mapping[str, Any]],
    *,
    schema: str = "pycharter",
    skip_invalid: bool = False,
    overwrite: bool = False,
    prefix_namespace: bool = False,
    read_ahead: bool = False,
) -> Report:
    """Load legacy metadata or contract documents, all or nothing; loading them again changes nothing.

    ``documents`` are what ``sources.read_files`` yields, or mappings of any shape that
    ``documents.normalise`` reads. They are taken one at a time. With ``read_ahead`` the next ones are taken
    while the database works on those before, which saves a third of the time; only where reading them does
    not itself use ``conn``.

    Two sources of one (name, version) are merged where they complement each other. Where they disagree, or
    two documents describe an entity differently, both are refused. With ``skip_invalid`` refused documents
    are left out and reported; otherwise one of them means that nothing is written. A document that differs
    from a published version (active, deprecated, retired) is refused unless ``overwrite``; so are contracts
    of one name in two namespaces, unless ``prefix_namespace`` puts the namespace before each name.

    Works inside the caller's transaction and never commits it; on an autocommit connection that is outside a
    transaction the load is one transaction of its own.

    Raises LoadRefused, and psycopg.Error where the database itself fails. Design: "Migration Path".
    """
    with atomic(conn), Intake(documents, prefix_namespace=prefix_namespace) as intake:
        run = sent_everything(intake, lambda: _Load(conn, schema, overwrite=overwrite), read_ahead)
        report = run.finished()
        report.read, report.merged = intake.read, intake.merged
        report.kept, report.left_out = dict(intake.kept), dict(intake.left_out)
        report.refusals = intake.refusals + run.refusals
        report.refused = intake.unread + len(intake.refused | run.refused)
        if report.refusals and not skip_invalid:
            raise LoadRefused(nothing_written(report))
        return report


def register_contract(
    conn: psycopg.Connection[Any],
    document: Mapping[str, Any],
    *,
    revision: int | None = None,
    schema: str = "pycharter",
) -> Outcome:
    """Load one contract document in one call, and say what that did to its contract version.

    ``document`` has any shape that ``documents.normalise`` reads. With ``revision`` it is loaded only where
    the contract version is in that revision, as ``Contract.revision`` tells it, or with 0 is not there yet.

    Never commits. Raises DocumentRefused, or the ConstraintBroken of the one rule that forbids it (such as
    VersionPublished, RevisionConflict), CatalogueMissing, CatalogueError where the connection's
    client_encoding is not UTF-8, psycopg.Error where the database itself fails; and then has written nothing.
    Design: "Creating a Data Contract".
    """
    sent = Sendable.of(0, normalise(Raw(dict(document), Place("document", ""))))
    if not sent.name:
        remedy = "Load what only describes entities with load(conn, [document])."
        raise DocumentRefused([Refusal("document", "", "names no contract", remedy)])
    run = _Registration(conn, schema)
    try:
        with atomic(conn):
            if revision is not None:
                _expect_revision(conn, sent, revision, schema)
            run.send([sent])
            if run.refusals:
                raise _refused(run.refusals)
    except BatchRefused as error:
        run.refuse(sent, error)
        raise _refused(run.refusals) from error.error
    if run.report.inserted:
        return Outcome.INSERTED
    return Outcome.UPDATED if run.report.updated else Outcome.UNCHANGED


def _expect_revision(conn: psycopg.Connection[Any], sent: Sendable, revision: int, schema: str) -> None:
    query = sql.SQL("SELECT {}.expect_revision(%s, %s, %s::bigint)").format(sql.Identifier(schema))
    contract = f"{sent.name}@{sent.version}"
    settle(conn)
    with expecting_catalogue(schema), explaining(contract, schema=schema):
        # Fetched, so that pipeline mode too has the answer here.
        psycopg.Cursor(conn).execute(query, [sent.name, sent.version, revision]).fetchone()


def _refused(refusals: Sequence[Refusal]) -> CatalogueError:
    """Of one document: the exception of the one rule that it breaks, where it is one."""
    constraint = refusals[0].constraint
    if constraint is None or any(refusal.constraint != constraint for refusal in refusals):
        return DocumentRefused(refusals)
    return constraint_broken(constraint)(
        "\n".join(refusal.what for refusal in refusals),
        remedy=refusals[0].remedy,
        constraint=constraint,
        contract=refusals[0].contract,
        refusals=refusals,
    )


class _Load(Run):
    """The load functions at work; adds up what they report."""

    loads = True
    call = """
        SELECT {schema}.load_documents(
            ARRAY(SELECT line::jsonb FROM string_to_table($1, chr(10)) AS line),
            shape_checked => true,
            overwrite => {overwrite},
            digests => ARRAY(SELECT decode(line, 'hex') FROM string_to_table($2, chr(10)) AS line),
            known => ARRAY(SELECT line::uuid FROM string_to_table($3, chr(10)) AS line),
            mentions => ARRAY(SELECT line::jsonb FROM string_to_table($4, chr(10)) AS line))
        """

    def __init__(self, conn: psycopg.Connection[Any], schema: str, *, overwrite: bool = False) -> None:
        super().__init__(conn, schema, overwrite=overwrite)
        self.report = Report()
        self.entities: defaultdict[str, dict[str, str]] = defaultdict(dict)  # table -> name -> outcome

    def parameters(
        self, contracts: Sequence[Sendable], known: Sequence[UUID], others: Sequence[Sendable]
    ) -> tuple[bytes, ...]:
        return (
            b"\n".join(sent.text for sent in contracts),
            "\n".join(sent.digest for sent in contracts).encode(),
            "\n".join(map(str, known)).encode(),
            b"\n".join(sent.mentions for sent in others),
        )

    def count(
        self, contracts: Sequence[Sendable], others: Sequence[Sendable], answer: dict[str, Any]
    ) -> None:
        self.report.inserted += answer["documents"]["inserted"]
        self.report.updated += answer["documents"]["updated"]
        self.report.unchanged += answer["documents"]["unchanged"]
        for table, counts in (answer["tables"] or {}).items():
            total = self.report.tables.setdefault(table, Counts())
            for count, rows in counts.items():
                setattr(total, count, getattr(total, count) + rows)
        for table, outcomes in (answer["entities"] or {}).items():
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


class _Registration(_Load):
    """One contract document: as a load, without what only many documents or a report need."""

    alone = True
    call = "SELECT {schema}.load_documents(ARRAY[$1::jsonb], shape_checked => true, with_report => false)"

    def parameters(
        self, contracts: Sequence[Sendable], known: Sequence[UUID], others: Sequence[Sendable]
    ) -> tuple[bytes, ...]:
        return (contracts[0].text,)

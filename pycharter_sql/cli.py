"""The command ``pycharter-sql``."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import IO, Any, TypeVar, get_args

import click
import psycopg
import yaml
from click.core import ParameterSource

from pycharter_sql import (
    __version__,
    cleanup,
    dictionary,
    documents,
    embedded,
    lineage,
    loader,
    migrations,
    queries,
    sources,
    terminal,
)
from pycharter_sql.errors import CatalogueError, Refusal
from pycharter_sql.rows import Severity, Status

# Any of these names a server to libpq; without one, and without --dsn, the embedded server is meant.
LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")
SECONDS_WITHOUT_PROGRESS_BAR = 1.0

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Target:
    """The catalogue that a command is about."""

    dsn: str | None
    schema: str

    def resolved(self) -> str:
        """What libpq connects to: the DSN, "" for the PG* variables, or the embedded server, started."""
        if self.dsn is not None:
            return self.dsn
        if any(os.environ.get(name) for name in LIBPQ_VARIABLES):
            return ""
        server = embedded.default_server()
        server.start()
        click.echo(f"No server named: using the embedded one at {server.dsn}", err=True)
        return server.dsn

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection to a catalogue that this code fits; commits at the end unless something was raised."""
        with migrations.connect(self.resolved()) as connection:
            migrations.check(connection, schema=self.schema)
            yield connection


class Group(click.Group):
    """Errors that say what is wrong and what to do end a command with exit code 1, not with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except CatalogueError as error:
            raise click.ClickException(str(error)) from error
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise click.ClickException(f"{error.diag.message_primary}\n  {migrations.TO_WRITE}") from error
        except psycopg.Error as error:
            lines = filter(None, [error.diag.message_primary or str(error).strip(), error.diag.message_hint])
            raise click.ClickException("\n  ".join(lines)) from error
        except UnicodeEncodeError as error:
            raise click.ClickException(f"not UTF-8: {error.object!a}") from error
        except ValueError as error:
            # Python's guard: a number that PostgreSQL holds, but that takes long to convert.
            if "integer string conversion" not in str(error):
                raise
            raise click.ClickException("a number of thousands of digits: read it with psql") from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly where nobody reads on
            if error.errno == errno.ENOSPC:
                # What could not be written would be tried again, and fail again, when Python ends.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.ClickException(str(error)) from error


def _schema_name(ctx: click.Context, parameter: click.Parameter, name: str) -> str:
    try:
        migrations.check_name(name)
    except CatalogueError as error:
        raise click.BadParameter(str(error)) from error
    return name


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--dsn",
    envvar="PYCHARTER_DSN",
    show_envvar=True,
    metavar="DSN",
    help="postgresql:// URL or key=value pairs. Without it libpq's PG* variables hold; without those the "
    "embedded server is used.",
)
@click.option(
    "--schema",
    default="pycharter",
    show_default=True,
    callback=_schema_name,
    help="The schema that holds the catalogue.",
)
@click.version_option(__version__, prog_name="pycharter-sql")
@click.pass_context
def main(ctx: click.Context, dsn: str | None, schema: str) -> None:
    """A catalogue of data contracts in PostgreSQL.

    Exit codes: 0 done, 1 refused, 2 wrong usage, 3 a plan that would change something.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # what the terminal cannot show is no reason to fail
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        ctx.color = False
    ctx.obj = Target(dsn, schema)


# ---------------------------------------------------------------------------------------------------------
# What goes out

output_format = click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How to write the result.",
)
output_file = click.option(
    "--output",
    "-o",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    help="File to write; default stdout.",
)


def _write(rows: Any, format_: str) -> None:
    """Rows, or one row, as JSON or YAML."""
    values = json.loads(json.dumps(rows, default=_as_text))
    if format_ == "json":
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        click.echo(_yaml(values), nl=False)


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Also writes what is of a closed list."""


_Dumper.add_multi_representer(StrEnum, lambda dumper, member: dumper.represent_str(member.value))


def _yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


# ---------------------------------------------------------------------------------------------------------
# Migrations

lock_timeout = click.option(
    "--lock-timeout",
    default=migrations.LOCK_TIMEOUT,
    show_default=True,
    metavar="TIME",
    help="How long to wait for a table that others use: 5s, 500ms, 0 for ever.",
)


@main.command()
@lock_timeout
@click.option(
    "--accept",
    is_flag=True,
    help="Then take what is there, whoever made it, as what the migrations made.",
)
@click.pass_obj
def migrate(target: Target, lock_timeout: str, accept: bool) -> None:
    """Install the catalogue, or bring it up to date."""
    dsn = target.resolved()
    _migrate(dsn, target.schema, lock_timeout)
    if accept:
        migrations.accept(dsn, schema=target.schema)


def _migrate(dsn: str, schema: str, lock_timeout: str = migrations.LOCK_TIMEOUT) -> None:
    applied = migrations.apply(dsn, schema=schema, lock_timeout=lock_timeout, notice=_remark)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo(f'Nothing to do: schema "{schema}" is up to date.')


def _remark(text: str) -> None:
    click.echo(text, err=True)


@main.command()
@click.option(
    "--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many, from the last."
)
@click.option("--all", "everything", is_flag=True, help="Roll back every migration.")
@click.option("--drop-data", is_flag=True, help="Also where that destroys rows.")
@lock_timeout
@click.pass_obj
def rollback(target: Target, count: int, everything: bool, drop_data: bool, lock_timeout: str) -> None:
    """Roll back the last migration, or more; refused where that would destroy rows."""
    undone = migrations.rollback(
        target.resolved(),
        schema=target.schema,
        count=None if everything else count,
        drop_data=drop_data,
        lock_timeout=lock_timeout,
        notice=_remark,
    )
    for name in undone:
        click.echo(f"rolled back {name}")
    if not undone:
        click.echo(f'Nothing to do: no migration is applied in schema "{target.schema}".')


@main.command()
@output_format
@click.pass_obj
def status(target: Target, format_: str) -> None:
    """Show which migrations are applied, pending, changed since or missing here, and which objects differ
    from what they made."""
    dsn = target.resolved()
    rows = [asdict(migration) for migration in migrations.status(dsn, schema=target.schema)]
    drift = migrations.drift(dsn, schema=target.schema)
    objects = None if drift is None else [asdict(difference) for difference in drift]
    if format_ != "table":
        _write({"migrations": rows, "objects": objects}, format_)
        return
    terminal.write_table(
        [
            {"migration": row["id"], "state": row["state"], "applied at": row["applied_at"] or ""}
            for row in rows
        ]
    )
    if objects is None:
        click.echo("objects: unknown (not made by `pycharter-sql migrate`, or by it on another PostgreSQL)")
    elif objects:
        terminal.write_table(objects)
    else:
        click.echo("objects: as the migrations made them")


# ---------------------------------------------------------------------------------------------------------
# Loading


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--from-database", metavar="DSN", help="Also read an old PyCharter database, in place.")
@click.option("--from-schema", default="pycharter", show_default=True, help="Where that has its tables.")
@click.option("--prefix-namespace", is_flag=True, help="Name contracts of newer files <namespace>.<name>.")
@click.option("--skip-invalid", is_flag=True, help="Load the rest where documents are refused.")
@click.option("--overwrite", is_flag=True, help="Change published versions too.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Write the report as JSON.",
)
@click.option(
    "--plan", is_flag=True, help="Only print what a load would do. Exit code 3 if it would do something."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="With --plan: how to print it.",
)
@click.pass_obj
def load(
    target: Target,
    paths: tuple[Path, ...],
    from_database: str | None,
    from_schema: str,
    prefix_namespace: bool,
    skip_invalid: bool,
    overwrite: bool,
    report: Path | None,
    plan: bool,
    format_: str,
) -> None:
    """Load legacy metadata and contract documents: YAML, JSON, NDJSON, each also as .gz.

    PATH is a file, a directory, or - for standard input. All or nothing: a refused document means that
    nothing is written, unless --skip-invalid is given, and exit code 1 either way. Loading the same again
    changes nothing.
    """
    if not paths and from_database is None:
        raise click.UsageError("Name a PATH, - for standard input, or --from-database.")
    if plan and (report or skip_invalid):
        raise click.UsageError("--plan takes neither --report nor --skip-invalid: it writes nothing.")
    if format_ != "text" and not plan:
        raise click.UsageError("--format goes with --plan; --report FILE writes JSON of a load.")
    source = Source(paths, from_database, from_schema)
    if plan:
        _show_plan(target, source, format_, overwrite=overwrite, prefix_namespace=prefix_namespace)
        return
    if report and not os.access(report.absolute().parent, os.W_OK):
        raise click.BadParameter(
            f"{report.parent} is no directory that can be written to", param_hint="--report"
        )
    if report and any(path.resolve() in (report.resolve(), *report.resolve().parents) for path in paths):
        raise click.BadParameter(f"{report} lies where documents are read from", param_hint="--report")
    with target.connection() as connection:
        result = _load(
            connection,
            target.schema,
            source,
            skip_invalid=skip_invalid,
            overwrite=overwrite,
            prefix_namespace=prefix_namespace,
        )
    if report:
        text = json.dumps(result.as_json(), indent=2, ensure_ascii=False) + "\n"
        report.write_text(text, encoding="utf-8", errors="backslashreplace")
    _show_report(result)
    if result.refusals:
        sys.exit(1)


@dataclass(frozen=True)
class Source:
    """Where documents are read from."""

    paths: Sequence[Path]
    database: str | None = None
    schema: str = "pycharter"

    @contextmanager
    def documents(self) -> Iterator[Iterator[documents.Raw | Refusal]]:
        with _progress(lambda: sources.size(self.paths)) as on_bytes:
            found = sources.read_files(self.paths, on_bytes=on_bytes)
            if self.database is not None:
                found = chain(found, sources.read_database(self.database, schema=self.schema))
            yield found


def _show_plan(target: Target, source: Source, format_: str, **how: bool) -> None:
    with target.connection() as connection, source.documents() as found:
        connection.read_only = True
        planned = loader.plan(connection, found, schema=target.schema, read_ahead=True, **how)
    if format_ == "json":
        _write(planned.as_json(), format_)
    else:
        for refusal in planned.refusals:
            click.echo(_refusal(refusal), err=True)
        for step in planned.steps:
            if step.action != "unchanged":
                _show_step(step)
        read = f"{planned.read} document{'' if planned.read == 1 else 's'} read, {planned.refused} refused"
        inserts, updates, unchanged = (
            planned.count(action, contracts=True) for action in ("insert", "update", "unchanged")
        )
        click.echo(f"{read}; contracts: {inserts} to insert, {updates} to update, {unchanged} unchanged.")
    if planned.refusals:
        sys.exit(1)
    if planned.changes_something:
        sys.exit(3)


def _show_step(step: loader.Step) -> None:
    what = (
        step.name
        if step.table == "data_contracts"
        else f"{step.table} {json.dumps(step.name, ensure_ascii=False)}"
    )
    place = f"{step.source}#{step.pointer}" if step.pointer else step.source
    click.echo(f"{step.action:9} {what}  {place}")
    for change in step.changes if step.action == "update" else ():
        if change.pointer == "/connection_info":
            click.echo(f"          {change.pointer}: differs")  # never shown: a secret may hide there
            continue
        old, new = (documents.shown(value) for value in (change.old, change.new))
        click.echo(f"          {change.pointer}: {old} -> {new}")


def _load(connection: psycopg.Connection[Any], schema: str, source: Source, **how: bool) -> loader.Report:
    with source.documents() as found:
        try:
            return loader.load(connection, found, schema=schema, read_ahead=True, **how)
        except loader.LoadRefused as refused:
            return refused.report


@contextmanager
def _progress(total: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """Counts bytes; shows a bar on a terminal once that has taken a while."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    started = time.monotonic()
    bar = click.progressbar(length=max(total(), 1), label="Loading", file=sys.stderr)
    shown = False

    def advance(count: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - started > SECONDS_WITHOUT_PROGRESS_BAR:
            shown = True
            bar.__enter__()
        if shown:
            bar.update(count)
        else:
            bar.pos += count

    try:
        yield advance
    finally:
        if shown:
            bar.__exit__(None, None, None)


def _show_report(report: loader.Report) -> None:
    for refusal in report.refusals:
        click.echo(_refusal(refusal), err=True)
    read = f"{report.read} document{'' if report.read == 1 else 's'} read"
    if report.merged:
        read += f" ({report.merged} merged)"
    if report.refusals and not report.tables:
        click.echo(f"Nothing was written: {read}, {report.refused} refused.")
        return
    counts = f"{report.inserted} inserted, {report.updated} updated, {report.unchanged} unchanged"
    click.echo(f"{read}, {report.refused} refused; contracts: {counts}.")
    tables = [
        {"table": name, **asdict(rows)}
        for name, rows in sorted(report.tables.items())
        if rows.inserted or rows.updated or rows.deleted
    ]
    if tables:
        terminal.write_table(tables)
    else:
        click.echo("Nothing changed.")
    for what, counted in (
        ("Kept in metadata only", report.kept),
        ("Has no place in the catalogue", report.left_out),
    ):
        if counted:
            keys = ", ".join(f"{key} ({count})" for key, count in sorted(counted.items()))
            click.echo(f"{what}: {keys}.")


def _refusal(refusal: Refusal) -> str:
    return f"refused: {refusal}"


# ---------------------------------------------------------------------------------------------------------
# Cleaning up

kind = click.argument("kind", type=click.Choice(get_args(cleanup.Kind)))


@main.command()
@kind
@click.argument("old")
@click.argument("new")
@click.pass_obj
def rename(target: Target, kind: cleanup.Kind, old: str, new: str) -> None:
    """Give an entity another name, for all contracts that name it."""
    with target.connection() as connection:
        cleanup.rename(connection, kind, old, new, schema=target.schema)


@main.command()
@kind
@click.argument("from_", metavar="FROM")
@click.argument("into")
@click.pass_obj
def merge(target: Target, kind: cleanup.Kind, from_: str, into: str) -> None:
    """Make two entities one: INTO remains, with all links of both."""
    with target.connection() as connection:
        moved = cleanup.merge(connection, kind, from_, into, schema=target.schema)
    click.echo(f"{moved} link{'' if moved == 1 else 's'} moved.")


# ---------------------------------------------------------------------------------------------------------
# Reading


@main.command()
@click.argument("name")
@click.argument("version", required=False)
@output_format
@click.pass_obj
def show(target: Target, name: str, version: str | None, format_: str) -> None:
    """Show one contract version: the one named, or the current one (the highest active)."""
    with target.connection() as connection:
        contract = asdict(queries.get_contract(connection, name, version, schema=target.schema))
    if format_ == "table":
        terminal.write_fields(contract)
    else:
        _write(contract, format_)


def filters(command: Command) -> Command:
    """One option a filter of ``queries.list_contracts``."""
    options = [
        click.option("--name", help="Contracts of this name."),
        click.option(
            "--status",
            type=click.Choice([status.value for status in Status]),
            help="Versions of this status.",
        ),
        click.option("--domain", help="In this domain or one below it."),
        click.option(
            "--include-subdomains/--no-subdomains",
            default=True,
            show_default=True,
            help="With --domain: also those below it.",
        ),
        click.option("--data-feed", help="Describing this data feed."),
        click.option("--pulls-from", metavar="SYSTEM", help="Pulling from this system."),
        click.option("--pushes-to", metavar="SYSTEM", help="Pushing to this system."),
        click.option("--sourced-from", metavar="SYSTEM", help="With this system as a source."),
        click.option("--owner", help="Owned by this business owner."),
        click.option(
            "--role", default="business_owner", show_default=True, help="With --owner: in this role."
        ),
        click.option("--readable-by", metavar="TEAM", help="That this team may read."),
        click.option("--writable-by", metavar="TEAM", help="That this team may write."),
        click.option("--depends-on", metavar="FEED", help="Depending on this data feed."),
        click.option(
            "--versions",
            type=click.Choice(["all", "latest", "current"]),
            default="all",
            show_default=True,
            help="All versions, or of each contract the highest, or the highest active one.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command("list")
@filters
@output_format
@click.pass_obj
def list_(target: Target, /, format_: str, **chosen: Any) -> None:
    """List contract versions; every option narrows the list."""
    with target.connection() as connection:
        rows = [asdict(row) for row in queries.list_contracts(connection, schema=target.schema, **chosen)]
    if format_ == "table":
        terminal.write_table(
            [
                {key: row[key] for key in ("name", "version", "status", "domain", "description")}
                for row in rows
            ]
        )
    else:
        _write(rows, format_)


@main.command()
@click.argument("name")
@click.argument("from_", metavar="FROM")
@click.argument("to")
@output_format
@click.pass_obj
def diff(target: Target, name: str, from_: str, to: str, format_: str) -> None:
    """Show what has changed from version FROM of a contract to version TO.

    One line a change: added, removed or changed; the part of the contract; the JSON Pointer within it, in
    which - stands for a member of a set; the value before and after.
    """
    with target.connection() as connection:
        changes = queries.contract_diff(connection, name, from_, to, schema=target.schema)
    if format_ != "table":
        _write([asdict(change) for change in changes], format_)
    elif changes:
        terminal.write_table(
            [
                {
                    "kind": change.kind,
                    "part": change.part,
                    "pointer": change.pointer,
                    "before": "" if change.kind == "added" else terminal.as_json(change.before),
                    "after": "" if change.kind == "removed" else terminal.as_json(change.after),
                }
                for change in changes
            ]
        )
    else:
        click.echo("Nothing has changed.")


@main.command("lineage")
@click.argument("feed")
@click.option(
    "--direction",
    type=click.Choice(["upstream", "downstream", "both"]),
    default="both",
    show_default=True,
    help="To what the feed is made from, or to what is made from it.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["tree", "mermaid", "dot", "json", "yaml"]),
    default="tree",
    show_default=True,
    help="How to draw it, or write its dependencies.",
)
@click.pass_obj
def lineage_(target: Target, feed: str, direction: str, format_: str) -> None:
    """Draw what FEED is made from and what is made from it, by current contracts."""
    asked: tuple[queries.Direction, ...] = ("upstream", "downstream")
    with target.connection() as connection:
        ways = {
            way: queries.feed_lineage(connection, feed, way, schema=target.schema)
            for way in asked
            if direction in (way, "both")
        }
    if format_ == "tree":
        for way, dependencies in ways.items():
            click.secho(f"{way}:", bold=True)
            for line in lineage.tree(feed, dependencies, way):
                click.echo(line)
        return
    # On a cycle a dependency lies on both ways.
    dependencies = list(dict.fromkeys(chain.from_iterable(ways.values())))
    if format_ in ("json", "yaml"):
        _write([asdict(dependency) for dependency in dependencies], format_)
        return
    draw = lineage.mermaid if format_ == "mermaid" else lineage.dot
    for line in draw(feed, dependencies):
        click.echo(line)


@main.command()
@output_format
@click.pass_context
def check(ctx: click.Context, format_: str) -> None:
    """Say what is not well in the catalogue; exit with 1 where something is wrong (severity error)."""
    target: Target = ctx.obj
    with target.connection() as connection:
        issues = queries.catalogue_issues(connection, schema=target.schema)
    if format_ != "table":
        _write([asdict(issue) for issue in issues], format_)
    else:
        # Sentences, which a table would cut.
        for issue in issues:
            severity = click.style(f"{issue.severity}:", fg=terminal.COLOURS[issue.severity])
            contract = f" {issue.contract}@{issue.version}:" if issue.contract else ""
            click.echo(f"{severity}{contract} {terminal.brief(issue.what)}\n  {terminal.brief(issue.remedy)}")
        counts = Counter(issue.severity for issue in issues)
        click.echo(
            f"{counts[Severity.ERROR]} error(s), {counts[Severity.WARNING]} warning(s),"
            f" {counts[Severity.INFO]} to look at"
        )
    if any(issue.severity == Severity.ERROR for issue in issues):
        ctx.exit(1)


@main.command()
@filters
@click.option(
    "--format",
    "format_",
    type=click.Choice(["yaml", "ndjson"]),
    default="yaml",
    show_default=True,
    help="YAML documents, or one JSON document a line.",
)
@output_file
@click.pass_obj
def export(target: Target, /, format_: str, output: IO[str], **chosen: Any) -> None:
    """Write contract documents, from which a load changes nothing; every option narrows the choice."""
    with target.connection() as connection:
        for document in queries.stream_documents(connection, schema=target.schema, **chosen):
            ordered = documents.ordered(document)
            if format_ == "yaml":
                output.write("---\n" + _yaml(ordered))
            else:
                output.write(json.dumps(ordered, ensure_ascii=False, separators=(",", ":")) + "\n")


@main.command()
@click.argument("words", nargs=-1, required=True)
@click.option(
    "--max-rows", type=click.IntRange(min=0), default=50, show_default=True, help="At most so many."
)
@output_format
@click.pass_obj
def search(target: Target, words: tuple[str, ...], max_rows: int, format_: str) -> None:
    """Find contracts by words in their name, title, description, fields, systems, owners, teams, feeds,
    domain or tags; all WORDS must be there, each may be the beginning of one."""
    with target.connection() as connection:
        found = queries.search_contracts(connection, " ".join(words), max_rows=max_rows, schema=target.schema)
    rows = [asdict(row) for row in found]
    if format_ == "table":
        shown = ("contract", "version", "status", "description", "matched_in")
        terminal.write_table([{key: row[key] for key in shown} for row in rows])
    else:
        _write(rows, format_)


@main.command()
@click.argument("name", required=False)
@click.argument("version", required=False)
@click.option("--field", metavar="FIELD", help="The fields of this name in all contracts instead.")
@output_format
@click.pass_obj
def fields(target: Target, name: str | None, version: str | None, field: str | None, format_: str) -> None:
    """List the fields of one contract version, the current one unless told, or all fields of a name."""
    if (name is None) == (field is None):
        raise click.UsageError("Name a contract, or a field by --field.")
    with target.connection() as connection:
        if field is not None:
            found = queries.fields_named(connection, field, schema=target.schema)
        else:
            assert name is not None
            found = queries.contract_fields(connection, name, version, schema=target.schema)
    rows = [asdict(row) for row in found]
    if format_ == "table":
        of_contract = ("contract", "version", "status") if field is not None else ()
        shown = (
            *of_contract,
            "path",
            "type",
            "format",
            "is_required",
            "is_nullable",
            "is_pii",
            "description",
        )
        terminal.write_table([{key: row[key] for key in shown} for row in rows])
    else:
        _write(rows, format_)


@main.command("dictionary")
@output_file
@click.pass_obj
def dictionary_(target: Target, output: IO[str]) -> None:
    """Write the data dictionary, Markdown with an ER diagram, from the comments in the database."""
    with target.connection() as connection:
        output.write(dictionary.markdown(connection, schema=target.schema))


# ---------------------------------------------------------------------------------------------------------
# Trying it out


@main.command()
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Load the example legacy metadata and show a contract.

    Uses the embedded server, whatever PYCHARTER_DSN and PG* variables say; another one only by --dsn.
    """
    target: Target = ctx.obj
    parent = ctx.parent
    assert parent is not None
    if parent.get_parameter_source("dsn") is not ParameterSource.COMMANDLINE:
        server = embedded.default_server()
        server.start()
        target = Target(server.dsn, target.schema)
        click.secho(f"Embedded PostgreSQL: {server.dsn}\n", bold=True)
    click.secho("1. Migrations", bold=True)
    _migrate(target.resolved(), target.schema)
    with resources.as_file(resources.files("pycharter_sql.examples").joinpath("legacy")) as examples:
        names = ", ".join(sorted(path.name for path in examples.iterdir()))
        click.secho(f"\n2. Legacy metadata: {names}", bold=True)
        with target.connection() as connection:
            report = _load(connection, target.schema, Source([examples]))
    _show_report(report)
    if report.refusals:
        sys.exit(1)
    question = f"SELECT * FROM {target.schema}.contract_current WHERE name = 'Order'"
    click.secho(f"\n3. {question};", bold=True)
    with target.connection() as connection:
        terminal.write_fields(asdict(queries.get_contract(connection, "Order", schema=target.schema)))
    click.secho("\nNext", bold=True)
    program = sys.argv[0] if os.sep in sys.argv[0] else "pycharter-sql"
    click.echo(f"  {program} list --pulls-from pim\n  {program} show Product 1.9.0 --format yaml")


@main.group()
def server() -> None:
    """Manage the embedded PostgreSQL server."""


@server.command("start")
def server_start() -> None:
    """Start the embedded server and print its DSN."""
    default = embedded.default_server()
    default.start()
    click.echo(default.dsn)


@server.command("stop")
def server_stop() -> None:
    """Stop the embedded server."""
    embedded.default_server().stop()


@server.command("status")
def server_status() -> None:
    """Say whether the embedded server runs, and print its DSN."""
    default = embedded.default_server()
    click.echo(f"{'running' if default.is_running() else 'stopped'}: {default.dsn}")

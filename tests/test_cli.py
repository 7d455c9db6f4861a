"""The command line, as people and scripts meet it: what it prints and where, exit codes, servers, formats."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import yaml
from click.testing import CliRunner, Result

from pycharter_sql import __version__, cli, embedded, loader, migrations, queries
from pycharter_sql.embedded import Server

Conn = psycopg.Connection[Any]

EXAMPLES = Path(__file__).parents[1] / "examples" / "legacy"
PROGRAM = Path(sysconfig.get_path("scripts"), "pycharter-sql")
MIGRATIONS = sorted(
    path.stem
    for path in Path(__file__).parents[1].glob("sql/migrations/*.sql")
    if not path.stem.endswith(".rollback")
)
READING = [
    ["show", "Order"],
    ["diff", "Order", "1", "2"],
    ["list"],
    ["export"],
    ["dictionary"],
    ["load", str(EXAMPLES)],
    ["search", "order"],
    ["fields", "Order"],
    ["fields", "--field", "order_id"],
]


@pytest.fixture(autouse=True)
def no_server_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*cli.LIBPQ_VARIABLES, "PYCHARTER_DSN", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    # A test that named no server by mistake must not reach the developer's own.
    monkeypatch.setenv("PYCHARTER_DATA_DIR", str(tmp_path / "nobody uses this"))


def run(*arguments: str | Path, code: int = 0) -> Result:
    """Run a command in this process; whatever happens, it ends with an exit code, not with a traceback."""
    result = CliRunner().invoke(cli.main, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def catalogue(conn: Conn) -> Callable[..., Result]:
    """Runs commands on an empty catalogue."""

    def run_there(*arguments: str | Path, code: int = 0) -> Result:
        return run("--dsn", conn.info.dsn, *arguments, code=code)

    return run_there


@pytest.fixture
def filled(catalogue: Callable[..., Result]) -> Callable[..., Result]:
    """Runs commands on the examples' catalogue."""
    catalogue("load", EXAMPLES)
    return catalogue


def names(result: Result) -> list[str]:
    return [f"{row['name']} {row['version']}" for row in json.loads(result.stdout)]


def file(path: Path, said: Any) -> Path:
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return path


def contract(name: str, **content: Any) -> dict[str, Any]:
    return {"name": name, "version": "1.0.0", "schema": {"type": "object"}} | content


# ------------------------------------------------------------------------------------------------ the command


def test_version() -> None:
    assert run("--version").stdout == f"pycharter-sql, version {__version__}\n"


def test_help_of_every_command() -> None:
    def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        yield path
        for name, command in group.commands.items():
            yield from (
                commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
            )

    for path in commands(cli.main):
        assert "Usage:" in run(*path, "--help").stdout
        assert run(*path, "-h").stdout == run(*path, "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["--no-such-option"],
        ["load"],
        ["show"],
        ["show", "a", "b", "c"],
        ["show", "a", "--format", "csv"],
        ["list", "--status", "live"],
        ["list", "--versions", "newest"],
        ["export", "--format", "json"],
        ["load", "x.yaml", "--report", "/no/such/directory/file"],
        ["rollback", "--count", "0"],
        ["--schema", "Not-A-Name", "list"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHARTER_DSN", "host=127.0.0.1 port=1")
    result = run(*arguments, code=2)
    assert "Usage:" in result.stderr and "Error:" in result.stderr
    assert result.stdout == ""


def test_every_filter_of_the_queries_is_an_option() -> None:
    for command, own in ((cli.list_, {"format_"}), (cli.export, {"format_", "output"})):
        options = {parameter.name for parameter in command.params}
        assert options - own == queries.Filters.__annotations__.keys()


# ------------------------------------------------------------------------------------------------- migrations


def test_migrate_status_and_rollback(empty_database: str) -> None:
    def on_it(*arguments: str, code: int = 0) -> Result:
        return run("--dsn", empty_database, *arguments, code=code)

    nothing = json.loads(on_it("status", "--format", "json").stdout)
    pending = [{"id": name, "applied_at": None, "state": "pending"} for name in MIGRATIONS]
    assert nothing == {"migrations": pending, "objects": None}
    assert on_it("rollback").stdout == 'Nothing to do: no migration is applied in schema "pycharter".\n'
    assert on_it("migrate").stdout == "".join(f"applied {name}\n" for name in MIGRATIONS)
    assert on_it("migrate").stdout == 'Nothing to do: schema "pycharter" is up to date.\n'

    found = json.loads(on_it("status", "--format", "json").stdout)
    rows = found["migrations"]
    assert [row["id"] for row in rows] == MIGRATIONS and found["objects"] == []
    assert all(datetime.fromisoformat(row["applied_at"]).tzinfo for row in rows)
    assert yaml.safe_load(on_it("status", "--format", "yaml").stdout) == found
    assert on_it("status").stdout.splitlines()[0].split() == ["migration", "state", "applied", "at"]
    assert on_it("status").stdout.splitlines()[-1] == "objects: as the migrations made them"

    assert on_it("rollback").stdout == f"rolled back {MIGRATIONS[-1]}\n"
    assert on_it("status").stdout.splitlines()[-2].split() == [MIGRATIONS[-1], "pending"]
    assert on_it("list", code=1).stderr.endswith("Run: pycharter-sql migrate\n")
    assert on_it("migrate").stdout == f"applied {MIGRATIONS[-1]}\n"
    assert on_it("rollback", "--count", "2").stdout == "".join(
        f"rolled back {name}\n" for name in MIGRATIONS[:-3:-1]
    )
    on_it("migrate")

    on_it("load", str(EXAMPLES))
    refused = on_it("rollback", "--all", code=1)
    assert "rows" in refused.stderr and "drop_data" in refused.stderr
    on_it("migrate")
    assert len(names(on_it("list", "--format", "json"))) == 4
    undone = on_it("rollback", "--all", "--drop-data").stdout
    assert undone == "".join(f"rolled back {name}\n" for name in reversed(MIGRATIONS))


def test_a_refused_rollback_of_all_takes_nothing_away(filled: Callable[..., Result]) -> None:
    filled("rollback", "--all", code=1)
    assert "pending" not in filled("status").stdout


def test_a_refused_rollback_names_the_option(filled: Callable[..., Result]) -> None:
    assert "--drop-data" in filled("rollback", "--all", code=1).stderr


def test_two_catalogues_in_one_database(filled: Callable[..., Result]) -> None:
    assert filled("--schema", "second", "migrate").stdout.startswith("applied 0001")
    product = EXAMPLES / "product.ndjson"
    assert "2 inserted" in filled("--schema", "second", "load", product).stdout
    second = filled("--schema", "second", "list", "--format", "json")
    assert names(second) == ["Product 1.9.0", "Product 1.10.0"]
    assert len(names(filled("list", "--format", "json"))) == 4


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("schema", ["pycharter", "other"])
def test_a_missing_catalogue(empty_database: str, arguments: list[str], schema: str) -> None:
    result = run("--dsn", empty_database, "--schema", schema, *arguments, code=1)
    option = "" if schema == "pycharter" else " --schema other"
    assert f'there is no catalogue in schema "{schema}"' in result.stderr
    assert result.stderr.endswith(f"Run: pycharter-sql migrate{option}\n")
    assert result.stdout == ""


# -------------------------------------------------------------------------------------- which server is meant


def test_every_way_to_name_a_server(
    server: Server, conn: Conn, filled: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = filled("list").stdout
    url = server.url_of(conn.info.dbname)
    assert "host=" in conn.info.dsn and url.startswith("postgresql://")
    for dsn in (conn.info.dsn, url, url.replace("postgresql://", "postgres://")):
        assert run("--dsn", dsn, "list").stdout == expected
    with monkeypatch.context() as environment:
        environment.setenv("PYCHARTER_DSN", url)
        assert run("list").stdout == expected
        # What is written on the command line counts.
        assert "cannot connect" in run("--dsn", "host=127.0.0.1 port=1", "list", code=1).stderr
    with monkeypatch.context() as environment:
        environment.setenv("PGHOST", conn.info.host)
        environment.setenv("PGPORT", str(conn.info.port))
        environment.setenv("PGDATABASE", conn.info.dbname)
        environment.setenv("PGUSER", conn.info.user)
        listed = run("list")
        assert (listed.stdout, listed.stderr) == (expected, "")
        environment.setenv("PYCHARTER_DSN", "host=127.0.0.1 port=1")
        run("list", code=1)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://scott:{SECRET}@127.0.0.1:1/tiger",
        f"host=127.0.0.1 port=1 user=scott password={SECRET}",
        f"postgresql://scott:a@{SECRET}@127.0.0.1:1/tiger",
        f"postgresql://scott:a/{SECRET}@127.0.0.1:1/tiger",
        f"postgresql://scott:{SECRET}@127.0.0.1:one/tiger",
        f"postgresql://scott:{SECRET}%zz@127.0.0.1:1/tiger",
        f"host=127.0.0.1 password='{SECRET}",
        f"postgresql://scott@127.0.0.1:1/tiger?passwort={SECRET}",
        f"mysql://scott:{SECRET}@127.0.0.1/tiger",
        SECRET,
    ],
)
@pytest.mark.parametrize("command", ["list", "migrate", "status", "demo"])
def test_no_password_in_any_message(dsn: str, command: str) -> None:
    result = run("--dsn", dsn, command, code=1)
    assert SECRET not in result.output and "Error: " in result.stderr


@pytest.mark.parametrize("command", ["migrate", "list", "demo"])
def test_no_password_in_any_output(server: Server, conn: Conn, command: str) -> None:
    # The server trusts whoever reaches its socket, and so the password is not looked at.
    url = server.url_of(conn.info.dbname).replace("postgres@", f"postgres:{SECRET}@")
    assert SECRET not in run("--dsn", url, command).output
    assert SECRET not in run("--dsn", f"{conn.info.dsn} password={SECRET}", command).output


# ---------------------------------------------------------------------------------------------------- loading


def test_load(catalogue: Callable[..., Result], tmp_path: Path) -> None:
    first = catalogue("load", EXAMPLES, "--report", tmp_path / "report.json")
    assert first.stderr == ""
    lines = first.stdout.splitlines()
    assert lines[0] == "4 documents read, 0 refused; contracts: 4 inserted, 0 updated, 0 unchanged."
    assert lines[1].split() == ["table", "inserted", "updated", "unchanged", "deleted"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["documents"] == {"read": 4, "merged": 0, "refused": 0}
    assert lines[-1].startswith("Kept in metadata only: ")
    assert {line.split()[0]: int(line.split()[1]) for line in lines[2:-1]} == {
        table: counts["inserted"] for table, counts in report["tables"].items() if counts["inserted"]
    }
    again = catalogue("load", EXAMPLES, "--report", tmp_path / "report.json")
    assert again.stdout.startswith(
        "4 documents read, 0 refused; contracts: 0 inserted, 0 updated, 4 unchanged.\nNothing changed.\nKept"
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["contracts"] == {"loaded": 4, "inserted": 0, "updated": 0, "unchanged": 4}


def test_a_refusal(catalogue: Callable[..., Result], tmp_path: Path) -> None:
    good = file(tmp_path / "good.json", contract("good"))
    bad = file(tmp_path / "bad.json", contract("bad", status="live"))
    report = tmp_path / "report.json"
    refused = catalogue("load", good, bad, "--report", report, code=1)
    assert refused.stdout == "Nothing was written: 2 documents read, 1 refused.\n"
    assert refused.stderr == (
        f'refused: {bad}#/status (bad@1.0.0): "live" is not allowed\n'
        "  use one of: proposed, draft, active, deprecated, retired\n"
    )
    said = json.loads(report.read_text())
    assert said["refusals"] == [
        {
            "source": str(bad),
            "pointer": "/status",
            "reason": '"live" is not allowed',
            "remedy": "use one of: proposed, draft, active, deprecated, retired",
            "contract": "bad@1.0.0",
            "constraint": None,
        }
    ]
    assert (said["contracts"]["loaded"], said["tables"]) == (0, {})
    assert catalogue("list").stdout == ""

    rest = catalogue("load", good, bad, "--skip-invalid", code=1)
    assert rest.stdout.startswith(
        "2 documents read, 1 refused; contracts: 1 inserted, 0 updated, 0 unchanged."
    )
    assert rest.stderr == refused.stderr
    assert names(catalogue("list", "--format", "json")) == ["good 1.0.0"]


def test_a_changed_published_version_is_refused(filled: Callable[..., Result], tmp_path: Path) -> None:
    changed = file(tmp_path / "order.json", {"name": "Order", "version": "2.1.0", "status": "draft"})
    refused = filled("load", changed, code=1)
    assert "#/status (Order@2.1.0): the version is active" in refused.stderr
    assert "new version" in refused.stderr
    assert names(filled("list", "--status", "active", "--name", "Order", "--format", "json")) == [
        "Order 2.1.0"
    ]


@pytest.mark.parametrize(
    ("name", "said", "reason"),
    [
        ("missing.yaml", None, "no such file"),
        ("notes.txt", "x", "not a .yaml"),
        ("empty.yaml", "", "empty"),
        ("broken.json", "{", "invalid JSON"),
        ("deep.json", "[" * 100_000, "nested"),
        ("deep.yaml", "[" * 100_000, "nested"),
        ("nul.json", json.dumps(contract("a\0b")), "NUL"),
        ("surrogate.json", json.dumps(contract("A", description="\ud800")), "surrogate"),
    ],
)
def test_files_that_cannot_be_read(
    catalogue: Callable[..., Result], tmp_path: Path, name: str, said: str | None, reason: str
) -> None:
    path = tmp_path / name
    if said is not None:
        path.write_text(said)
    result = catalogue("load", path, code=1)
    assert result.stderr.startswith(f"refused: {path}") and reason in result.stderr
    assert result.stdout == "Nothing was written: 1 document read, 1 refused.\n"


def test_a_file_name_that_is_no_text(catalogue: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.json")
    path.write_text("{")
    catalogue("load", path, "--report", tmp_path / "report.json", code=1)
    assert json.loads((tmp_path / "report.json").read_text())["refusals"]


# ---------------------------------------------------------------------------------------------------- showing


def test_show(filled: Callable[..., Result]) -> None:
    table = filled("show", "Product").stdout.splitlines()
    assert table[1].split(maxsplit=1) == ["name", "Product"]
    assert table[2].split(maxsplit=1) == ["version", "1.10.0"]
    whole = json.loads(filled("show", "Product", "1.9.0", "--format", "json").stdout)
    assert (whole["version"], whole["status"], whole["pulls_from"]) == ("1.9.0", "deprecated", ["pim"])
    assert list(whole) == [line.split()[0] for line in table]
    assert yaml.safe_load(filled("show", "Product", "1.9.0", "--format", "yaml").stdout) == whole


def test_diff(filled: Callable[..., Result]) -> None:
    table = filled("diff", "Product", "1.9.0", "1.10.0").stdout.splitlines()
    assert table[0].split() == ["kind", "part", "pointer", "before", "after"]
    assert table[1].split() == ["changed", "status", '"deprecated"', '"active"']
    assert table[2].split(maxsplit=3) == [
        "added",
        "schema",
        "/properties/tax_class",
        '{"type": "string"}',
    ]
    changes = json.loads(filled("diff", "Product", "1.9.0", "1.10.0", "--format", "json").stdout)
    assert len(changes) == len(table) - 1
    assert changes[0] == {
        "part": "status",
        "pointer": "",
        "kind": "changed",
        "before": "deprecated",
        "after": "active",
    }
    assert filled("diff", "Order", "2.1.0", "2.1.0").stdout == "Nothing has changed.\n"
    assert filled("diff", "Order", "2.1.0", "2.1.0", "--format", "json").stdout == "[]\n"
    for arguments in (["Product", "1.9", "1.10.0"], ["Product", "1.9.0", "1.10"]):
        result = filled("diff", *arguments, code=1)
        assert "its latest is 1.10.0 (active)" in result.stderr and result.stdout == ""
    filled("diff", "Product", "1.9.0", code=2)


def test_tables_in_a_pipe_are_whole_and_plain(catalogue: Callable[..., Result], tmp_path: Path) -> None:
    long = "word " * 100 + "end"
    catalogue("load", file(tmp_path / "a.json", contract("A", description=long, status="active")))
    for arguments in (["list"], ["show", "A"]):
        printed = catalogue(*arguments).stdout
        assert long in printed and "\x1b" not in printed
    load = catalogue("load", "--overwrite", file(tmp_path / "a.json", contract("A", status="retired"))).stdout
    # Numbers end where their heading ends.
    heading, *lines = [line for line in load.splitlines() if line.startswith(("table", "data_contracts"))]
    assert {line[: heading.index("updated") + len("updated")][-2:] for line in lines} == {" 1"}


def screen(conn: Conn, *arguments: str, **environment: str) -> str:
    """What a command writes to a terminal of 60 columns on its stdout."""
    terminal, its_end = pty.openpty()
    subprocess.run(
        [PROGRAM, "--dsn", conn.info.dsn, *arguments],
        stdout=its_end,
        timeout=60,
        check=True,
        env={**os.environ, "COLUMNS": "60", **environment},
    )
    os.close(its_end)
    return read_screen(terminal).replace("\r\n", "\n")


def test_tables_on_a_terminal(catalogue: Callable[..., Result], conn: Conn, tmp_path: Path) -> None:
    said = contract("A", description="word " * 100, status="active", domain="\x1b[31mdomain")
    catalogue("load", file(tmp_path / "a.json", said))
    catalogue("load", file(tmp_path / "b.json", said | {"version": "1.1.0", "status": "deprecated"}))
    listed = screen(conn, "list")
    assert "\x1b[32mactive\x1b[0m" in listed and "\x1b[33mdeprecated\x1b[0m" in listed
    assert "\x1b[1mname\x1b[0m" in listed and "\x1b[31m" not in listed
    shown = screen(conn, "show", "A")
    assert "\x1b[32mactive\x1b[0m" in shown
    different = screen(conn, "diff", "A", "1.0.0", "1.1.0")
    assert "\x1b[33mchanged\x1b[0m" in different
    for printed, arguments in (
        (listed, ["list"]),
        (shown, ["show", "A"]),
        (different, ["diff", "A", "1.0.0", "1.1.0"]),
    ):
        plain = screen(conn, *arguments, NO_COLOR="1")
        assert plain == click.unstyle(printed)
        assert max(map(len, plain.splitlines())) <= 60
    assert all("word word" in printed and "..." in printed for printed in (listed, shown))
    # Too narrow for anything, but no crash.
    assert screen(conn, "show", "A", COLUMNS="20") and screen(conn, "list", COLUMNS="3")


def test_search(filled: Callable[..., Result]) -> None:
    table = filled("search", "placed", "WAREHOUSE").stdout.splitlines()
    assert table[0].split() == ["contract", "version", "status", "description", "matched_in"]
    assert len(table) == 2 and table[1].split()[:3] == ["Order", "2.1.0", "active"]
    found = json.loads(filled("search", "customer", "--max-rows", "2", "--format", "json").stdout)
    assert [row["contract"] for row in found] == ["Customer", "Order"]
    assert filled("search", "nothing").stdout == ""
    assert json.loads(filled("search", "'", "--format", "json").stdout) == []
    filled("search", code=2)


def test_fields(filled: Callable[..., Result]) -> None:
    table = filled("fields", "Customer").stdout.splitlines()
    assert table[0].split()[:4] == ["path", "type", "format", "is_required"]
    assert table[2].split(maxsplit=2)[:2] == ["address.country", "string"]
    old = json.loads(filled("fields", "Product", "1.9.0", "--format", "json").stdout)
    assert [(row["path"], row["coercion_rules"]) for row in old] == [
        ("price", None),
        ("sku", "coerce_to_string"),
    ]
    named = filled("fields", "--field", "customer_id").stdout.splitlines()
    assert [line.split()[:4] for line in named[1:]] == [
        ["Customer", "1.3.0", "active", "customer_id"],
        ["Order", "2.1.0", "active", "customer_id"],
    ]
    assert 'no version "9"' in filled("fields", "Product", "9", code=1).stderr
    filled("fields", code=2)
    filled("fields", "Product", "--field", "sku", code=2)


def test_a_contract_that_is_not_there(filled: Callable[..., Result], tmp_path: Path) -> None:
    for arguments, reason in [
        (["show", "product"], 'there is no contract "product"'),
        (
            ["show", "Product", "1.10"],
            'contract "Product" has no version "1.10"; its latest is 1.10.0 (active)',
        ),
        (["show", ""], 'there is no contract ""'),
    ]:
        result = filled(*arguments, code=1)
        assert reason in result.stderr and "pycharter-sql list" in result.stderr
        assert result.stdout == ""
    filled("load", file(tmp_path / "a.json", contract("Draft")))
    result = filled("show", "Draft", code=1)
    assert "no active version; its latest is 1.0.0 (draft)" in result.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["Customer 1.3.0", "Order 2.1.0", "Product 1.9.0", "Product 1.10.0"]),
        (["--name", "Product"], ["Product 1.9.0", "Product 1.10.0"]),
        (["--status", "deprecated"], ["Product 1.9.0"]),
        (["--domain", "Merchandising"], ["Product 1.9.0", "Product 1.10.0"]),
        (["--domain", "Merchandising", "--no-subdomains"], []),
        (["--data-feed", "Order"], ["Order 2.1.0"]),
        (["--pulls-from", "price-engine"], ["Product 1.10.0"]),
        (["--pushes-to", "invoicing"], ["Order 2.1.0"]),
        (["--sourced-from", "web-shop"], ["Customer 1.3.0", "Order 2.1.0"]),
        (["--owner", "Sales"], ["Customer 1.3.0", "Order 2.1.0"]),
        (["--owner", "Order Desk"], []),
        (["--owner", "Order Desk", "--role", "business_sme"], ["Order 2.1.0", "Product 1.10.0"]),
        (["--readable-by", "checkout-team"], ["Order 2.1.0", "Product 1.10.0"]),
        (["--writable-by", "checkout-team"], ["Order 2.1.0"]),
        (["--depends-on", "Customer"], ["Order 2.1.0", "Product 1.10.0"]),
        (["--versions", "latest"], ["Customer 1.3.0", "Order 2.1.0", "Product 1.10.0"]),
        (["--versions", "current", "--pulls-from", "pim"], ["Product 1.10.0"]),
        (["--name", "' OR true --"], []),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("-") else None,
)
def test_filters(examples: Callable[..., Result], options: list[str], expected: list[str]) -> None:
    listed = examples("list", *options, "--format", "json")
    assert names(listed) == expected
    assert yaml.safe_load(examples("list", *options, "--format", "yaml").stdout) == json.loads(listed.stdout)
    table = [line.split()[:2] for line in examples("list", *options).stdout.splitlines()]
    assert table == ([["name", "version"]] if expected else []) + [name.split() for name in expected]
    exported = [
        json.loads(line) for line in examples("export", *options, "--format", "ndjson").stdout.splitlines()
    ]
    assert [f"{document['name']} {document['version']}" for document in exported] == expected


@pytest.fixture(scope="module")
def examples(server: Server) -> Iterator[Callable[..., Result]]:
    """Runs commands on a catalogue of the examples that all tests of reading share."""
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE examples")
        url = server.url_of("examples")
        migrations.apply(url)
        run("--dsn", url, "load", EXAMPLES)
        yield lambda *arguments, code=0: run("--dsn", url, *arguments, code=code)
        connection.execute("DROP DATABASE examples")


def test_the_role_of_no_owner(examples: Callable[..., Result]) -> None:
    # Without --owner there is nobody to have a role: every contract version is listed.
    assert len(names(examples("list", "--role", "data_steward", "--format", "json"))) == 4


AWKWARD = [
    "",
    " ",
    "null",
    "~",
    "yes",
    "1.10",
    "1e3",
    "0x1F",
    "0o17",
    "1:30",
    "2024-01-01",
    "2024-01-01 00:00:00 +01:00",
    "<<",
    "=",
    "*a",
    "&a",
    "!!int 3",
    "- x",
    "a: b",
    "# no comment",
    "%TAG",
    "---",
    "...",
    "'quoted\"",
    "back\\slash",
    "tab\tline\nreturn\rend\n\n",
    "\x85\u2028\u2029\ufeff\ufffe\x7f\x01",
    "naïve 数据 😀\U0010ffff",
    "x" * 300 + " " + "y" * 300,
]


@pytest.mark.parametrize("format_", ["yaml", "ndjson"])
def test_an_export_loads_into_the_same(
    catalogue: Callable[..., Result], tmp_path: Path, format_: str
) -> None:
    catalogue("load", EXAMPLES)
    awkward = contract(
        "naïve 数据",
        metadata={"texts": AWKWARD, "keys": dict.fromkeys(AWKWARD, 0)},
        schema={"type": "number", "maximum": 1e30, "minimum": -(2**70), "default": 1e-07},
        description="many\nlines\n",
        pulls_from=[{"name": "1.10", "connection_info": {"port": None, "tls": True}}],
    )
    catalogue("load", file(tmp_path / "awkward.json", awkward))
    exported = tmp_path / f"all.{format_}"
    catalogue("export", "--format", format_, "--output", exported)
    assert catalogue("export", "--format", format_).stdout == exported.read_text("utf-8")

    assert "5 unchanged" in catalogue("load", exported).stdout
    catalogue("--schema", "second", "migrate")
    assert "5 inserted" in catalogue("--schema", "second", "load", exported).stdout
    assert catalogue("--schema", "second", "export", "--format", format_).stdout == exported.read_text(
        "utf-8"
    )


def test_lineage(examples: Callable[..., Result]) -> None:
    assert examples("lineage", "Customer").stdout.splitlines() == [
        "upstream:",
        "Customer",
        "downstream:",
        "Customer",
        "├── Order",
        "└── Product (optional)",
        "    └── Order",
    ]
    drawn = examples("lineage", "Product", "--format", "mermaid", "--direction", "downstream").stdout
    assert drawn.startswith("flowchart LR\n") and "f0 --> f1" in drawn
    assert '"Product" -> "Order";' in examples("lineage", "Product", "--format", "dot").stdout
    links = json.loads(examples("lineage", "Product", "--format", "json").stdout)
    assert [(link["data_feed"], link["depends_on"]) for link in links] == [
        ("Product", "Customer"),
        ("Product", "Tax class"),
        ("Order", "Product"),
    ]
    assert 'there is no data feed "product"' in examples("lineage", "product", code=1).stderr


def test_check(examples: Callable[..., Result], catalogue: Callable[..., Result], tmp_path: Path) -> None:
    what, remedy, summary = examples("check").stdout.splitlines()
    assert what.startswith("warning: Product@1.10.0: depends (required) on the feed")
    assert remedy == "  Register a contract for that feed."
    assert summary == "0 error(s), 1 warning(s), 0 to look at"
    assert catalogue("check").stdout == "0 error(s), 0 warning(s), 0 to look at\n"
    sick = contract("sick", status="active", coercion_rules={"rules": {"gone": "coerce_to_string"}})
    sick["schema"]["properties"] = {"id": {"type": "integer"}}
    catalogue("load", file(tmp_path / "sick.json", sick))
    assert "1 error(s), 2 warning(s), 1 to look at" in catalogue("check", code=1).stdout
    issues = json.loads(catalogue("check", "--format", "json", code=1).stdout)
    assert [issue["issue"] for issue in issues] == [
        "unknown_field",
        "no_owner",
        "no_writer_team",
        "no_reader_team",
    ]


def test_an_export_is_ordered_for_people(examples: Callable[..., Result]) -> None:
    document = yaml.safe_load(examples("export", "--name", "Order").stdout)
    assert list(document)[:4] == ["name", "version", "status", "description"]


@pytest.mark.parametrize("format_", ["json", "yaml"])
def test_show_numbers_beyond_64_bits(catalogue: Callable[..., Result], tmp_path: Path, format_: str) -> None:
    catalogue("load", file(tmp_path / "a.json", contract("A", schema={"type": "number", "maximum": 1e30})))
    shown = yaml.safe_load(catalogue("show", "A", "1.0.0", "--format", format_).stdout)
    assert shown["schema"]["maximum"] == 10**30


def test_an_export_that_fails_leaves_the_file_alone(empty_database: str, tmp_path: Path) -> None:
    backup = file(tmp_path / "backup.yaml", "last week's")
    run("--dsn", empty_database, "export", "--output", backup, code=1)
    assert backup.read_text() == "last week's"


@pytest.mark.parametrize("arguments", [["show", "\udcff"], ["list", "--name", "\udcff"]], ids=" ".join)
def test_an_argument_that_is_no_text(examples: Callable[..., Result], arguments: list[str]) -> None:
    assert examples(*arguments, code=1).stderr


# ----------------------------------------------------------------------------------------- as another process


def execute(*arguments: str | Path, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [str(argument) for argument in (PROGRAM, *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    return done


def test_the_installed_command(filled: Callable[..., Result], conn: Conn) -> None:
    done = execute("--dsn", conn.info.dsn, "load", EXAMPLES)
    assert (done.stdout, done.stderr) == (filled("load", EXAMPLES).stdout, "")
    execute("--dsn", conn.info.dsn, "load", "no-such-file.yaml", code=1)
    execute("lode", code=2)


@pytest.mark.parametrize(
    "arguments", [["list"], ["export"], ["export", "--format", "ndjson"], ["show", "Order"]], ids=" ".join
)
def test_a_reader_that_goes_away(filled: Callable[..., Result], conn: Conn, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [PROGRAM, "--dsn", conn.info.dsn, *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("arguments", [["list"], ["export", "--output", "/dev/full"]], ids=" ".join)
def test_a_full_disk(filled: Callable[..., Result], conn: Conn, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [PROGRAM, "--dsn", conn.info.dsn, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr and "Traceback" not in done.stderr


def test_an_output_that_cannot_hold_every_character(
    filled: Callable[..., Result], conn: Conn, tmp_path: Path
) -> None:
    filled("load", file(tmp_path / "a.json", contract("数据")))
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = execute("--dsn", conn.info.dsn, "list", env=environment, encoding="latin-1")
    assert "Order" in done.stdout


def test_another_encoding(filled: Callable[..., Result], conn: Conn, tmp_path: Path) -> None:
    filled("load", file(tmp_path / "a.json", contract("数据", status="active", domain="naïve")))
    environment = {**os.environ, "LC_ALL": "C", "LANG": "C"}
    for command in (["list"], ["show", "数据"], ["export", "--name", "数据"]):
        assert "数据" in execute("--dsn", conn.info.dsn, *command, env=environment, encoding="utf-8").stdout


def on_a_terminal(conn: Conn, seconds_without: float) -> str:
    """What a load writes to a terminal on its stderr."""
    program = (
        f"from pycharter_sql import cli; cli.SECONDS_WITHOUT_PROGRESS_BAR = {seconds_without}; cli.main()"
    )
    terminal, its_end = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", program, "--dsn", conn.info.dsn, "load", EXAMPLES],
        stdout=subprocess.PIPE,
        stderr=its_end,
        text=True,
        timeout=60,
        check=True,
    )
    os.close(its_end)
    assert done.stdout.startswith("4 documents read")
    return read_screen(terminal)


def read_screen(terminal: int) -> str:
    written = b""
    with open(terminal, "rb", buffering=0) as screen:
        try:
            while some := screen.read(1024):
                written += some
        except OSError:
            pass  # EIO: what Linux says where others say end of file
    return written.decode()


def test_a_progress_bar_on_a_terminal_for_long_work_only(conn: Conn) -> None:
    bar = on_a_terminal(conn, seconds_without=0)
    assert "Loading" in bar and "100%" in bar
    assert on_a_terminal(conn, seconds_without=60) == ""


def test_no_progress_bar_in_a_pipe(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "SECONDS_WITHOUT_PROGRESS_BAR", 0)
    assert run("--dsn", conn.info.dsn, "load", EXAMPLES).stderr == ""


# --------------------------------------------------------------------------------------- the embedded default


@pytest.fixture(scope="module")
def embedded_root() -> Iterator[Path]:
    """A home for lasting servers. Not tmp_path, which is closed to the account that runs root's server."""
    with (
        tempfile.TemporaryDirectory(prefix="pycharter-sql-test-") as directory,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(directory).chmod(0o755)
        patch.setenv("PYCHARTER_DATA_DIR", directory)
        default = embedded.default_server()
        yield Path(directory)
        default.stop()


def test_the_embedded_default(embedded_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHARTER_DATA_DIR", str(embedded_root))
    dsn = embedded.default_server().dsn
    assert run("server", "status").stdout == f"stopped: {dsn}\n"

    # Two commands at once, on a server that is not even there yet.
    both = [
        subprocess.Popen([PROGRAM, "migrate"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(stdout.splitlines()[0] for stdout, _ in said) == [
        'Nothing to do: schema "pycharter" is up to date.',
        f"applied {MIGRATIONS[0]}",
    ]
    notice = f"No server named: using the embedded one at {dsn}"
    assert all(notice in stderr.splitlines() for _, stderr in said)

    result = run("load", EXAMPLES)
    assert result.stderr == f"{notice}\n"
    assert "4 inserted" in result.stdout
    assert run("server", "status").stdout == f"running: {dsn}\n"
    assert run("server", "start").stdout == f"{dsn}\n"
    with psycopg.connect(dsn) as connection:
        assert len(queries.list_contracts(connection)) == 4

    assert run("server", "stop").output == ""
    assert run("server", "status").stdout == f"stopped: {dsn}\n"
    assert run("server", "stop").output == ""
    # Started again on demand, with what it held.
    assert len(names(run("list", "--format", "json"))) == 4


def test_demo(embedded_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHARTER_DATA_DIR", str(embedded_root))
    # Whatever is named in the environment: a demonstration is not for somebody's real catalogue.
    monkeypatch.setenv("PYCHARTER_DSN", "host=127.0.0.1 port=1")
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    schema = ["--schema", "demonstration"]
    first = run(*schema, "demo")
    assert "applied 0001" in first.stdout and "4 inserted" in first.stdout
    assert "Order management" in first.stdout
    second = run(*schema, "demo")
    assert "is up to date" in second.stdout and "4 unchanged" in second.stdout
    assert "Nothing changed." in second.stdout


def test_demo_on_a_server_that_is_named(conn: Conn) -> None:
    assert "4 inserted" in run("--dsn", conn.info.dsn, "demo").stdout
    assert loader.load(conn, []).read == 0
    assert len(queries.list_contracts(conn)) == 4


def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYCHARTER_PG_BIN", str(tmp_path))
    result = run("list", code=1)
    assert "no PostgreSQL server" in result.stderr and "PYCHARTER_PG_BIN" in result.stderr


def test_a_plan(catalogue: Callable[..., Result], tmp_path: Path) -> None:
    said = {"name": "A", "version": "1", "schema": {}, "pulls_from": ["S"], "description": "as it was"}
    path = file(tmp_path / "a.json", said)
    planned = catalogue("load", "--plan", path, code=3).stdout.splitlines()
    assert planned == [
        f"insert    A@1  {path}",
        f'insert    data_feeds "A"  {path}',
        f'dangling  systems "S"  {path}#/pulls_from/0',
        "1 document read, 0 refused; contracts: 1 to insert, 0 to update, 0 unchanged.",
    ]
    catalogue("load", path)
    assert catalogue("load", "--plan", path).stdout == (
        "1 document read, 0 refused; contracts: 0 to insert, 0 to update, 1 unchanged.\n"
    )
    file(path, said | {"description": "another", "status": "active"})
    planned = catalogue("load", "--plan", path, code=3).stdout.splitlines()
    assert planned[:3] == [
        f"update    A@1  {path}",
        '          /description: "as it was" -> "another"',
        '          /status: "draft" -> "active"',
    ]
    found = json.loads(catalogue("load", "--plan", "--format", "json", path, code=3).stdout)
    assert found["documents"] == {"read": 1, "merged": 0, "refused": 0}
    assert found["steps"][0]["changes"][1] == {
        "pointer": "/status",
        "old": "draft",
        "new": "active",
        "place": f"{path}#/status",
    }
    catalogue("load", path)
    file(path, said)
    conflict = catalogue("load", "--plan", path, code=1)
    assert f"refused: {path}#/description (A@1): the version is active" in conflict.stderr


def test_a_plan_shows_no_connection_details(catalogue: Callable[..., Result], tmp_path: Path) -> None:
    path = file(tmp_path / "a.json", {"systems": [{"name": "S", "connection_info": "host=before"}]})
    catalogue("load", path)
    file(path, {"systems": [{"name": "S", "connection_info": "host=after"}]})
    planned = catalogue("load", "--plan", path, code=3).stdout
    assert "/connection_info: differs" in planned and "host=" not in planned


def test_a_report_never_lands_on_what_is_read(catalogue: Callable[..., Result], tmp_path: Path) -> None:
    path = file(tmp_path / "a.json", {"name": "A", "version": "1", "schema": {}})
    for read in (path, tmp_path):
        assert "lies where documents are read" in catalogue("load", "--report", path, read, code=2).stderr
    assert json.loads(path.read_text())["name"] == "A"


def test_options_that_do_not_go_together(catalogue: Callable[..., Result], tmp_path: Path) -> None:
    catalogue("load", "--plan", "--report", tmp_path / "r.json", EXAMPLES, code=2)
    catalogue("load", "--format", "json", EXAMPLES, code=2)
    catalogue("load", code=2)

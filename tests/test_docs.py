"""The documents say what is: every example runs, every link leads somewhere, nothing public goes unmentioned.

A page is followed from top to bottom, as a reader would, in a directory of its own with the repository's
``examples``, ``sql`` and ``yoyo.ini``, libpq's PG* variables naming a fresh, empty database:

* ``sql`` goes through psql, ``python`` runs with what earlier blocks of the page defined. What they print is
  what the ``text`` block right behind them shows.
* ``console``: every line after ``$`` is a command, which must succeed; what it prints is compared where
  anything is shown.
* ``yaml`` is written to the file that its first line names.
* ``sh`` is not run: commands that install, or that speak of a server of the reader's. Nor is ``mermaid``: it
  is looked at.

White space may differ, times and UUIDs too, and ``...`` stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from pycharter_sql import cli, embedded, enforcement, lifecycle, loader, queries
from pycharter_sql.embedded import Server

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += sorted(ROOT.glob("docs/*.md"))
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PAGES}
NAMES = list(TEXTS)

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = ("createdb", "createuser", "export", "git", "make", "pip", "python3")
SECONDS = 60  # until an example counts as hanging, e.g. on a lock that an earlier one still holds

UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::?\d\d)?)?")


@dataclass(frozen=True)
class Block:
    """A fenced example; ``line`` is that of its first line, ``output`` the text block right behind it."""

    page: str
    line: int
    language: str
    text: str
    output: str = ""


def blocks_of(page: str) -> list[Block]:
    text = TEXTS[page]
    blocks: list[Block] = []
    end = -1
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        block = Block(page, line, match[1], match[2])
        if block.language == "text":
            is_output = (
                blocks and blocks[-1].language in ("sql", "python") and not text[end : match.start()].strip()
            )
            assert is_output, f"{page}:{line}: no example right before this text block; indent it instead"
            before = blocks.pop()
            block = Block(page, before.line, before.language, before.text, block.text)
        blocks.append(block)
        end = match.end()
    return blocks


def compare(where: str, shown: str, printed: str, *, ordered: bool = True) -> None:
    shown, printed = (TIME.sub("<time>", UUID.sub("<uuid>", text)) for text in (shown, printed))
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    checker = doctest.OutputChecker()
    if not ordered:
        shown, printed = ("\n".join(sorted(text.strip().splitlines())) for text in (shown, printed))
    if shown.split() != printed.split() and not checker.check_output(shown, printed, options):
        difference = checker.output_difference(doctest.Example("", shown), printed, options)
        pytest.fail(f"{where}: prints something else than is shown\n{difference}", pytrace=False)


@dataclass
class Reader:
    """Somebody who does what a page says. Its commands run in ``directory``; PG* variables are set."""

    directory: Path
    variables: dict[str, Any] = field(default_factory=dict)

    def do(self, block: Block) -> None:
        action = getattr(self, f"do_{block.language}", None)
        where = f"{block.page}:{block.line}"
        assert action, f"{where}: no way to run a block of {block.language or 'no language'}"
        action(block, where)

    def do_sql(self, block: Block, where: str) -> None:
        psql = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
        status, printed = self._run(psql, block.text)
        if status and "ERROR:" not in block.output:
            pytest.fail(f"{where}: {printed}", pytrace=False)
        compare(where, block.output, printed, ordered="ORDER BY" in block.text or "..." in block.output)

    def do_python(self, block: Block, where: str) -> None:
        # Line numbers and file names of tracebacks are those of the page.
        code = compile("\n" * (block.line - 1) + block.text, ROOT / block.page, "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self.variables)
        compare(where, block.output, printed.getvalue())

    def do_console(self, block: Block, where: str) -> None:
        text = block.text.replace("\\\n", "")
        assert text.startswith("$ "), f"{where}: a console block begins with a command: $ ..."
        for example in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = example.partition("\n")
            status, printed = self._run(["bash", "-o", "pipefail", "-c", command])
            if status:
                pytest.fail(f"{where}: exit code {status} of: {command}\n{printed}", pytrace=False)
            if shown.strip():
                compare(f"{where}: {command}", shown, printed)

    def do_yaml(self, block: Block, where: str) -> None:
        name = re.match(r"# ([\w.-]+\.yaml)\n", block.text)
        assert name, f"{where}: the first line of a yaml block names its file: # name.yaml"
        list(yaml.safe_load_all(block.text))
        (self.directory / name[1]).write_text(block.text)

    def do_mermaid(self, block: Block, where: str) -> None:
        """A diagram: tests/test_dictionary.py checks it."""

    def do_sh(self, block: Block, where: str) -> None:
        for line in block.text.replace("\\\n", "").splitlines():
            words = shlex.split(line, comments=True)
            assert not words or words[0] in NOT_RUN, f"{where}: write it as console, so that it runs: {line}"
            if words and words[0] == "make":
                targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
                assert words[1] in targets, f"{where}: the Makefile has no {words[1]}"

    def _run(self, command: list[str], given: str = "") -> tuple[int, str]:
        ran = subprocess.run(
            command,
            input=given,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        return ran.returncode, ran.stdout


@pytest.fixture
def reader(
    empty_database: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    for name in list(os.environ):
        if name.startswith(("PG", "PYCHARTER_DSN", "PYCHARTER_DATA")):
            monkeypatch.delenv(name)
    named = conninfo_to_dict(empty_database)
    for variable, part in {"HOST": "host", "PORT": "port", "USER": "user", "DATABASE": "dbname"}.items():
        monkeypatch.setenv(f"PG{variable}", str(named[part]))
    monkeypatch.setenv("PSQLRC", os.devnull)
    programs = [str(Path(sys.executable).parent), str(server.binaries), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(programs))
    for name in ("examples", "sql", "yoyo.ini"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    # Not tmp_path, which is closed to the account that runs root's server.
    with tempfile.TemporaryDirectory(prefix="pycharter-sql-docs-") as data:
        Path(data).chmod(0o755)
        monkeypatch.setenv("PYCHARTER_DATA_DIR", data)
        reader = Reader(tmp_path)
        try:
            yield reader
        finally:
            for value in reader.variables.values():
                if isinstance(value, psycopg.Connection):
                    value.close()
            embedded.default_server().stop()


@pytest.mark.parametrize("page", NAMES)
def test_examples(page: str, reader: Reader) -> None:
    for block in blocks_of(page):
        reader.do(block)


@pytest.mark.parametrize("page", NAMES)
def test_links(page: str) -> None:
    prose = BLOCK.sub("", TEXTS[page])
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), f"{page}: no such file: {target}"
        if anchor:
            # As GitHub makes them.
            headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", linked.read_text("utf-8")), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, f"{page}: no such heading: {target}"


# ---------------------------------------------------------------------------------------------------------
# Nothing public goes unmentioned


def test_every_column_of_every_view(conn: psycopg.Connection[Any]) -> None:
    views = conn.execute(
        """
        SELECT c.relname, array_agg(a.attname::text)
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'pycharter'::regnamespace AND c.relkind = 'v'
        GROUP BY c.relname
        """
    ).fetchall()
    assert views
    sections = re.split(r"^## ", TEXTS["docs/analyst.md"], flags=re.MULTILINE)
    for view, columns in views:
        # contract_latest and contract_current have the columns of contract_full, and stand in its section.
        section = next(text for text in sections if f"`{view}`" in text.split("\n", 1)[0])
        for column in columns:
            assert f"| `{column}` |" in section, f"docs/analyst.md: {view}.{column} is missing"


def test_every_table_and_migration(conn: psycopg.Connection[Any]) -> None:
    tables = conn.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'pycharter' AND tablename !~ 'yoyo'"
    ).fetchall()
    for (table,) in tables:
        assert f"`{table}`" in TEXTS["docs/dba.md"], f"docs/dba.md: {table} is missing"
    migrations = [
        path.stem for path in ROOT.glob("sql/migrations/????-*.sql") if ".rollback" not in path.name
    ]
    for page in ("docs/dba.md", "CHANGELOG.md"):
        for migration in migrations:
            assert f"`{migration}`" in TEXTS[page], f"{page}: {migration} is missing"


def test_every_command_and_option() -> None:
    def check(command: click.Command, name: str) -> None:
        if isinstance(command, click.Group):
            for word, inner in command.commands.items():
                check(inner, f"{name} {word}")
        else:
            assert f"`{name}" in text, f"docs/pipeline.md: {name} is missing"
        for option in command.params:
            if isinstance(option, click.Option):
                assert f"`{option.opts[0]}" in text, f"docs/pipeline.md: {name} {option.opts[0]} is missing"

    text = TEXTS["docs/pipeline.md"]
    check(cli.main, "pycharter-sql")


@pytest.mark.parametrize(
    "module", [queries, loader, lifecycle, enforcement], ids=["queries", "loader", "lifecycle", "enforcement"]
)
def test_every_public_function(module: Any) -> None:
    functions = [
        name
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if value.__module__.startswith(module.__name__) and not name.startswith("_")
    ]
    assert functions
    for name in functions:
        assert f"`{name}(" in TEXTS["docs/pipeline.md"], f"docs/pipeline.md: {name} is missing"


def test_every_filter() -> None:
    for name in queries.Filters.__annotations__:
        assert f"| `{name}` |" in TEXTS["docs/pipeline.md"], f"docs/pipeline.md: {name} is missing"


def test_every_key_of_the_contract_document() -> None:
    schema = json.loads((ROOT / "pycharter_sql" / "contract-document.schema.json").read_text())
    for key in schema["properties"]:
        row = f"| `{key}` |"
        assert row in TEXTS["docs/contract-document.md"], f"docs/contract-document.md: {key} is missing"


def test_the_layout_in_the_readme() -> None:
    """Every path that is listed exists, and every module is listed."""
    listing = TEXTS["README.md"].partition("\n## Layout\n")[2].partition("\n## ")[0]
    folders: list[tuple[int, Path]] = []
    listed = set()
    for line in re.findall(r"^ {4}( *\S.*)$", listing, re.MULTILINE):
        indent = len(line) - len(line.lstrip())
        folders = [(depth, folder) for depth, folder in folders if depth < indent]
        parent = folders[-1][1] if folders else ROOT
        # One path and what it is for, or several paths.
        for word in re.split(r" {2,}", line.strip())[: 1 if folders else None]:
            path = parent / word
            assert path.exists(), f"README.md: there is no {path.relative_to(ROOT)}"
            listed.add(path)
            if word.endswith("/"):
                folders.append((indent, path))
    modules = {path for path in (ROOT / "pycharter_sql").iterdir() if path.name[0] not in "_."}
    assert {path.name for path in modules - listed} <= {"py.typed"}, "README.md: not in the layout"

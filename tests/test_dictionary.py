"""The data dictionary: current, complete, the same text wherever the catalogue is, and sound Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import errors
from snapshot import DICTIONARY

from pycharter_sql import cli, dictionary, migrations
from pycharter_sql.errors import CatalogueMissing

Conn = psycopg.Connection[Any]


def read(text: str) -> str:
    """As a reader sees it: escapes taken away."""
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)


def cells(text: str, first: str) -> list[str]:
    """The cells of the one row that begins with this code."""
    row = next(line for line in text.splitlines() if line.startswith(f"| `{first}` |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_the_committed_file_is_current(conn: Conn) -> None:
    """On every release of PostgreSQL that the tests run on."""
    assert DICTIONARY.read_text("utf-8") == dictionary.markdown(conn), "run: make snapshot"


# ---------------------------------------------------------------------------------------------------------
# What stands in it


def test_every_table_and_view_in_order(conn: Conn) -> None:
    sections = re.split(r"^## ", dictionary.markdown(conn), flags=re.MULTILINE)[1:]
    relations = {
        section.split("\n", 1)[0]: re.findall(r"^### (.+)$", section, re.MULTILINE) for section in sections
    }
    assert list(relations) == [
        *("Diagram", "Entities", "Components", "Contracts", "Links", "Others", "Views", "Functions")
    ]
    assert relations["Entities"] == ["data_feeds", "domains", "business_owners", "systems", "teams"]
    assert relations["Components"] == [
        *("schemas", "coercion_rules", "validation_rules"),
        *("governance_rules", "metadata_record", "ownership"),
    ]
    assert relations["Contracts"] == ["data_contracts"]
    names = [name for section in relations.values() for name in section]
    there = conn.execute(
        """
        SELECT array_agg(relname::text ORDER BY relname COLLATE "C") FROM pg_class
        WHERE relnamespace = 'pycharter'::regnamespace AND relkind IN ('r', 'v') AND relname !~ '^_?yoyo'
        """
    ).fetchone()
    assert (sorted(names),) == there


def test_every_comment(conn: Conn) -> None:
    text = read(dictionary.markdown(conn))
    comments = conn.execute(
        """
        SELECT d.description FROM pg_description AS d JOIN pg_class AS c
            ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid
        WHERE c.relnamespace = 'pycharter'::regnamespace
        UNION
        SELECT d.description FROM pg_description AS d JOIN pg_proc AS f
            ON d.classoid = 'pg_proc'::regclass AND f.oid = d.objoid
        WHERE f.pronamespace = 'pycharter'::regnamespace
        """
    ).fetchall()
    assert len(comments) > 150
    for (comment,) in comments:
        assert " ".join(comment.split()) in text


def test_every_column_constraint_index_trigger_and_function(conn: Conn) -> None:
    text = dictionary.markdown(conn)
    objects = conn.execute(
        """
        WITH relation AS (
            SELECT * FROM pg_class WHERE relnamespace = 'pycharter'::regnamespace AND relname !~ '^_?yoyo')
        SELECT r.relname, a.attname || '` | `' || format_type(a.atttypid, a.atttypmod)
        FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
        WHERE r.relkind IN ('r', 'v') AND a.attnum > 0
        UNION ALL
        SELECT r.relname, k.conname FROM relation AS r JOIN pg_constraint AS k ON k.conrelid = r.oid
        WHERE k.contype <> 'n'
        UNION ALL
        SELECT r.relname, i.relname FROM relation AS r JOIN pg_index AS x ON x.indrelid = r.oid
        JOIN pg_class AS i ON i.oid = x.indexrelid
        UNION ALL
        SELECT r.relname, t.tgname FROM relation AS r JOIN pg_trigger AS t ON t.tgrelid = r.oid
        WHERE NOT t.tgisinternal
        """
    ).fetchall()
    assert len(objects) > 300
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL))
    for relation, name in objects:
        assert sections[relation].count(f"\n| `{name}` |") == 1, (relation, name)
    functions = conn.execute(
        """
        SELECT proname FROM pg_proc
        WHERE pronamespace = 'pycharter'::regnamespace AND prorettype <> 'trigger'::regtype
        """
    ).fetchall()
    listed = re.findall(r"^\| `(\w+)\(.*\)` \|", text.partition("## Functions")[2], re.MULTILINE)
    assert listed == sorted(name for (name,) in functions)


def test_what_is_said_of_a_column_a_key_an_index_and_a_trigger(conn: Conn) -> None:
    text = dictionary.markdown(conn)
    assert cells(text, "version_sort_key")[1:4] == [
        *("`text`", "no", "`GENERATED ALWAYS AS (version_sort_key(version))`")
    ]
    assert cells(text, "domains_parent_domain_id_fkey")[1] == (
        "`FOREIGN KEY (parent_domain_id) REFERENCES domains(id) ON DELETE RESTRICT`"
    )
    # Control characters as in the migration's own E''.
    assert r"btrim(name, E' \t\n\r\x0c\x0b'::text)" in cells(text, "teams_name_check")[1]
    assert cells(text, "domains_parent_domain_id_idx")[1] == "`btree (parent_domain_id)`"
    assert cells(text, "domains_refuse_cycle")[1:] == [
        "`AFTER INSERT OR UPDATE OF parent_domain_id FOR EACH ROW WHEN ...`",
        "`refuse_domain_cycle`",
        "Trigger: refuses a parent that lies within the domain itself.",
    ]


# ---------------------------------------------------------------------------------------------------------
# The diagram

ATTRIBUTE = re.compile(r" {8}[A-Za-z_]\w* [A-Za-z_]\w*( (PK|FK|UK)(, (FK|UK))*)?")
RELATION = re.compile(r' {4}(\w+) [|}][|o](?:--|\.\.)[o|][|{] (\w+) : "\w+(, \w+)*"')


def diagram(text: str) -> list[str]:
    match = re.search(r"^```mermaid\nerDiagram\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert match
    return match[1].splitlines()


@pytest.mark.parametrize(
    "line",
    [
        'schemas ||..o| data_contracts : "schema_id"',
        'governance_rules |o..o| data_contracts : "governance_rules_id"',
        # One-to-one by the schema alone.
        'coercion_rules |o..o| data_contracts : "schema_id, coercion_rules_id"',
        'data_feeds ||..o{ data_contracts : "data_feed_id"',
        'domains |o..o{ data_contracts : "domain_id"',
        'domains |o..o{ domains : "parent_domain_id"',
        'systems ||--o{ data_contract_system_pulls : "system_id"',
        'data_contracts ||--o{ data_feed_dependencies : "data_feed_id, data_contract_id"',
        'data_contracts ||--o| document_digests : "data_contract_id"',
    ],
)
def test_cardinality(conn: Conn, line: str) -> None:
    assert f"    {line}" in diagram(dictionary.markdown(conn))


def test_every_foreign_key_is_a_line(conn: Conn) -> None:
    lines = diagram(dictionary.markdown(conn))
    relations = [match.groups()[:2] for match in map(RELATION.fullmatch, lines) if match]
    there = conn.execute(
        """
        SELECT p.relname, c.relname FROM pg_constraint AS k
        JOIN pg_class AS p ON p.oid = k.confrelid JOIN pg_class AS c ON c.oid = k.conrelid
        WHERE c.relnamespace = 'pycharter'::regnamespace AND k.contype = 'f'
        """
    ).fetchall()
    assert sorted(relations) == sorted(there)
    # All that is no relation is an entity.
    entities = [line for line in lines if not RELATION.fullmatch(line)]
    assert all(re.fullmatch(r" {4}(\w+ \{|\})", line) or ATTRIBUTE.fullmatch(line) for line in entities)


def test_what_only_looks_unique(conn: Conn) -> None:
    conn.execute(
        """
        SET LOCAL search_path TO pycharter;
        CREATE TABLE "odd name" (
            id integer PRIMARY KEY, "a b" varchar(3)[], note text DEFAULT '',
            team_id uuid NOT NULL REFERENCES teams, system_id uuid NOT NULL REFERENCES systems);
        CREATE UNIQUE INDEX part ON "odd name" (team_id) WHERE id > 0;
        CREATE UNIQUE INDEX expression ON "odd name" (system_id, (id + 1));
        CREATE UNIQUE INDEX "wider `x|y`" ON "odd name" (system_id) INCLUDE (team_id);
        """
    )
    text = dictionary.markdown(conn)
    lines = diagram(text)
    assert '    teams ||..o{ odd_name : "team_id"' in lines
    assert '    systems ||..o| odd_name : "system_id"' in lines
    start = lines.index("    odd_name {")
    assert lines[start : start + 6] == [
        "    odd_name {",
        "        int4 id PK",
        "        _varchar a_b",
        "        uuid team_id FK",
        "        uuid system_id FK",
        "    }",
    ]
    assert cells(text, "part")[1] == "`UNIQUE btree (team_id) WHERE id > 0`"
    assert "| `` wider `x\\|y` `` | `UNIQUE btree (system_id) INCLUDE (team_id)` |" in text


# ---------------------------------------------------------------------------------------------------------
# Wherever it is written


def test_comments_that_look_like_markup(conn: Conn) -> None:
    comment = "a|b\n\n| c \\| `d` <e> *f* _g_ [h](i) snake_case"
    conn.execute(f"COMMENT ON COLUMN pycharter.teams.team_type IS $${comment}$$".encode())
    conn.execute("ALTER TABLE pycharter.teams ADD CONSTRAINT odd CHECK (name !~ E'x|y\\n  z' AND\n id <> id)")
    text = dictionary.markdown(conn)
    row = cells(text, "team_type")
    assert len(row) == 5
    assert row[-1] == r"a\|b \| c \\\| \`d\` \<e> \*f\* \_g\_ \[h](i) snake_case"
    assert read(row[-1]) == " ".join(comment.split())
    assert cells(text, "odd")[1:] == [r"`CHECK (name !~ E'x\|y\n  z'::text AND id <> id)`"]


def test_another_schema(conn: Conn) -> None:
    migrations.apply(conn.info.dsn, schema="other")
    assert dictionary.markdown(conn, schema="other") == dictionary.markdown(conn)


def test_a_reader(conn: Conn) -> None:
    expected = dictionary.markdown(conn)
    conn.execute("CREATE ROLE dictionary_reader; SET LOCAL ROLE dictionary_reader")
    with pytest.raises(errors.InsufficientPrivilege):
        dictionary.markdown(conn)
    conn.execute("RESET ROLE; GRANT USAGE ON SCHEMA pycharter TO dictionary_reader")
    conn.execute("SET LOCAL ROLE dictionary_reader; SET TRANSACTION READ ONLY")
    assert dictionary.markdown(conn) == expected
    conn.rollback()


@pytest.mark.parametrize("autocommit", [False, True])
def test_the_session_is_left_as_it_was(conn: Conn, autocommit: bool) -> None:
    conn.autocommit = autocommit
    conn.execute("SET search_path TO public, pycharter")
    conn.execute("CREATE TEMPORARY TABLE data_contracts (id integer)")
    before = conn.info.transaction_status
    assert dictionary.markdown(conn) == DICTIONARY.read_text("utf-8")
    assert conn.info.transaction_status == before
    assert conn.execute("SHOW search_path").fetchone() == ("public, pycharter",)
    assert conn.execute("SELECT count(*) FROM pg_temp.data_contracts").fetchone() == (0,)


@pytest.mark.parametrize("schema", ["public", "no_such_schema"])
def test_no_catalogue(conn: Conn, schema: str) -> None:
    with pytest.raises(CatalogueMissing, match=schema):
        dictionary.markdown(conn, schema=schema)
    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_the_command(conn: Conn, tmp_path: Path) -> None:
    expected = DICTIONARY.read_text("utf-8")
    command = ["--dsn", conn.info.dsn, "dictionary"]
    printed = CliRunner().invoke(cli.main, command)
    assert (printed.exit_code, printed.stdout, printed.stderr) == (0, expected, "")
    file = tmp_path / "dictionary.md"
    written = CliRunner().invoke(cli.main, [*command, "--output", str(file)])
    assert (written.exit_code, written.output) == (0, "")
    assert file.read_text("utf-8") == expected

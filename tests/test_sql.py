"""The SQL of migrations and rollbacks: what the parser and plpgsql_check find, what yoyo would trip over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlparse
from pglast import ast, parse_plpgsql, parse_sql
from pglast.parser import ParseError, scan

FILES = sorted(Path(__file__).parents[1].glob("sql/migrations/*.sql"))

# yoyo looks for directives in the comments before the first SQL, and there it reads only these.
DIRECTIVES = {"depends": r"[\w-]+( [\w-]+)*", "transactional": r"true|false"}
BEFORE_SQL = re.compile(r"([ \t]*(--.*)?\n)*")


def faults(text: str, migration: str | None = None) -> list[str]:
    """What is forbidden in the text of a migration or, beside that of its migration, of a rollback."""
    found = list(faults_of_directives(text, is_rollback=migration is not None))
    if not text.isascii():
        found.append("not ASCII: yoyo reads its files in the locale's encoding")
    try:
        statements = [statement.stmt for statement in parse_sql(text)]
        # Without catalogues, the parser does not see that the type behind VARIADIC is an array.
        parse_plpgsql(text.replace("VARIADIC ", ""))
    except ParseError as error:
        return [*found, f"does not parse: {error}"]
    for statement in statements:
        if isinstance(statement, ast.TransactionStmt):
            found.append("BEGIN, COMMIT or the like: yoyo's transaction would end")
        if isinstance(statement, ast.CopyStmt) and not statement.filename:
            found.append("COPY from or to the client: yoyo is none that could answer")
    found += faults_of_splitting(text, len(statements))
    found += faults_of_words(text)
    # A rollback runs as its migration does.
    leading = text if migration is None else migration
    transactional = not re.search(r"(?m)^-- transactional: false$", leading)
    if transactional and re.search(r"(?<!VIEW )\bCONCURRENTLY\b", words(text)):
        found.append("CONCURRENTLY in a transaction")
    return found


def faults_of_directives(text: str, is_rollback: bool) -> Iterator[str]:
    head = BEFORE_SQL.match(text)
    assert head
    for directive in re.finditer(r"(?m)^[ \t]*--[ \t]*(\w+)[ \t]*:[ \t]*(.*)$", text):
        key, value = directive.groups()
        if directive.start() >= head.end():
            if key.lower() in DIRECTIVES:
                yield f"directive {key} behind SQL, where yoyo does not look"
        elif is_rollback:
            yield f"directive {key} in a rollback, where yoyo does not look"
        elif key not in DIRECTIVES:
            yield f"directive {key}, which yoyo does not know"
        elif not re.fullmatch(DIRECTIVES[key], value):
            yield f"directive {key} is {value}, which yoyo does not understand"


def faults_of_splitting(text: str, statements: int) -> Iterator[str]:
    pieces = sqlparse.split(text)
    if len(pieces) != statements:
        yield f"yoyo makes {len(pieces)} statements of {statements}"
    for piece in pieces:  # as many as there should be, they may yet be others
        try:
            parse_sql(piece)
        except ParseError:
            yield f"yoyo breaks a statement in two: {piece}"
    for token in scan(text):
        written = text[token.start : token.end + 1]
        if token.name == "C_COMMENT" and "/*" in written[2:]:
            yield "a comment within a comment: yoyo ends both where the inner one ends"
        if token.name.endswith("CONST") and written.endswith("\\'"):
            yield "a string that ends in a backslash: yoyo takes the quote behind it for a part of it"


def faults_of_words(text: str) -> Iterator[str]:
    found = words(text)
    # Somebody's own view on top must stop a migration, not vanish.
    if re.search(r"(?<!\bON DELETE )(?<!\bON UPDATE )\bCASCADE\b", found):
        yield "CASCADE elsewhere than in a foreign key"
    if re.search(r"\bCREATE (ROLE|USER|GROUP)\b", found):
        yield "creates a role"
    if re.search(r'(^| )"?pycharter"? \.', found, re.IGNORECASE):
        yield "names the schema, which is for the user to choose"


def words(text: str) -> str:
    """The tokens of a text, keywords in capitals, without comments, one blank between any two.

    Strings are taken for SQL too, as they are where they are the body of a function or executed; but not what
    RAISE and COMMENT say to people.
    """
    try:
        tokens = scan(text)
    except ParseError:
        return ""
    found = []
    prose = False
    for token in tokens:
        written = text[token.start : token.end + 1]
        prose = (prose or written.upper() in ("RAISE", "COMMENT")) and written != ";"
        if token.name in ("C_COMMENT", "SQL_COMMENT") or (token.name == "SCONST" and prose):
            continue
        if token.name == "SCONST":
            body = re.fullmatch(r"(?s)E?'(.*)'|(\$\w*\$)(.*)\2", written, re.IGNORECASE)
            found.append(words((body[1] or body[3] or "") if body else ""))
        else:
            found.append(written if token.name == "IDENT" else written.upper())
    return " ".join(found)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_nothing_forbidden(path: Path) -> None:
    of_migration = None
    if path.stem.endswith(".rollback"):
        of_migration = path.with_name(path.name.replace(".rollback", "")).read_text()
    assert faults(path.read_text(), of_migration) == []


IN_BODY = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {} END $$;"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("CREATE TABLE t (a text;", "does not parse: syntax error"),
        ("CREATE TABLE t (a text,);", "does not parse: syntax error"),
        (IN_BODY.format("RETRUN;"), 'does not parse: syntax error at or near "RETRUN"'),
        (IN_BODY.format("PERFORM FROM FROM t;"), 'does not parse: syntax error at or near "FROM"'),
        ("DO $$ BEGIN IF true THEN NULL; END $$;", "does not parse"),
        ("\\set name t", "does not parse"),
        ("SELECT 1;\n\\i other.sql", "does not parse"),
        ("SELECT 1 \\gexec", "does not parse"),
        ("SELECT * FROM :name;", "does not parse"),
        ("SELECT :'name';", "does not parse"),
        ('SELECT :"name";', "does not parse"),
        ("\ufeffSELECT 1;", "not ASCII"),
        ("SELECT 'Z\u00fcrich';", "not ASCII"),
        ("BEGIN;\nSELECT 1;\nCOMMIT;", "BEGIN, COMMIT"),
        ("SELECT 1; START TRANSACTION;", "BEGIN, COMMIT"),
        ("SELECT 1;commit", "BEGIN, COMMIT"),
        ("END;", "BEGIN, COMMIT"),
        ("ROLLBACK TO SAVEPOINT s;", "BEGIN, COMMIT"),
        ("COPY t FROM stdin;", "COPY"),
        ("COPY t (a) FROM STDIN WITH (FORMAT csv);", "COPY"),
        ("COPY (SELECT 1) TO stdout;", "COPY"),
        ("SELECT 1;\n-- depends: 0001-a\nSELECT 2;", "directive depends behind SQL"),
        ("/* A header */\n-- depends: 0001-a\nSELECT 1;", "directive depends behind SQL"),
        ("SELECT 1;\n-- Transactional: false\nSELECT 2;", "directive Transactional behind SQL"),
        ("-- Depends: 0001-a\nSELECT 1;", "directive Depends, which"),
        ("-- depend: 0001-a\nSELECT 1;", "directive depend, which"),
        ("-- Makes it.\n\n  --TRANSACTIONAL : false\nSELECT 1;", "directive TRANSACTIONAL, which"),
        ("-- transactional: no\nSELECT 1;", "directive transactional is no, which"),
        ("-- depends: 0001-a, 0002-b\nSELECT 1;", "directive depends is 0001-a, 0002-b, which"),
        ("-- depends:\nSELECT 1;", "directive depends is"),
        ("CREATE INDEX CONCURRENTLY i ON t (a);", "CONCURRENTLY"),
        ("DROP INDEX concurrently i;", "CONCURRENTLY"),
        ("-- transactional: true\nREINDEX TABLE CONCURRENTLY t;", "CONCURRENTLY"),
        ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY;", "CONCURRENTLY"),
        ("/* a; /* b; */ c; */ SELECT 1;", "a comment within a comment"),
        ("SELECT 1 /* /* */ */;", "a comment within a comment"),
        ("SELECT 'a' LIKE 'b' ESCAPE '\\';", "a string that ends in a backslash"),
        ("SELECT E'\\\\';", "a string that ends in a backslash"),
        ("SELECT U&'\\\\';", "a string that ends in a backslash"),
        ("/* a; /* b; */ c; */ SELECT 1;", "yoyo makes 2 statements of 1"),
        ("SELECT E'\\\\', 'a; b';", "yoyo breaks"),
        ("SELECT 'a' LIKE 'b' ESCAPE '\\'; SELECT 'it''s; ok';", "yoyo breaks"),
        ("DROP VIEW v CASCADE;", "CASCADE"),
        ("DROP TABLE a, b\n    cascade;", "CASCADE"),
        ("ALTER TABLE t DROP COLUMN a CASCADE;", "CASCADE"),
        ("ALTER TABLE t DROP a CASCADE, ADD b uuid REFERENCES u (id) ON DELETE CASCADE;", "CASCADE"),
        ("TRUNCATE t CASCADE;", "CASCADE"),
        (IN_BODY.format("DROP VIEW v /* */ CASCADE;"), "CASCADE"),
        (IN_BODY.format("EXECUTE format('DROP VIEW %I CASCADE', 'v');"), "CASCADE"),
        ("CREATE ROLE reader;", "creates a role"),
        ("CREATE  user reader;", "creates a role"),
        ("CREATE GROUP readers;", "creates a role"),
        ("DO $body$ BEGIN EXECUTE 'CREATE ROLE ' || current_user; END $body$;", "creates a role"),
        (IN_BODY.format("RAISE NOTICE 'now'; EXECUTE 'CREATE ROLE r';"), "creates a role"),
        ("CREATE TABLE pycharter.t ();", "names the schema"),
        ('SELECT * FROM "pycharter" . t;', "names the schema"),
        ("SELECT 'Pycharter.teams'::regclass;", "names the schema"),
        (IN_BODY.format("DELETE FROM pycharter.t;"), "names the schema"),
        (IN_BODY.format("EXECUTE 'DELETE FROM pycharter.t';"), "names the schema"),
    ],
)
def test_forbidden(text: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(text)), faults(text)


def test_forbidden_in_rollbacks() -> None:
    assert faults("-- transactional: false\nSELECT 1;", "") == [
        "directive transactional in a rollback, where yoyo does not look"
    ]
    dropping = "DROP INDEX CONCURRENTLY i;"
    assert faults(dropping, "SELECT 1;") == ["CONCURRENTLY in a transaction"]
    assert faults(dropping, "-- transactional: false\nSELECT 1;") == []


@pytest.mark.parametrize(
    "text",
    [
        "-- depends: 0001-a 0002-b\n-- transactional: false\n\nCREATE INDEX CONCURRENTLY i ON t (a);",
        "-- Of two kinds: these, and those.\nSELECT 1;",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v;",
        "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id) ON UPDATE CASCADE ON DELETE CASCADE;",
        "-- DROP VIEW v CASCADE; COMMIT;\nSELECT 1 /* CREATE ROLE r */;",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;",
        "COMMENT ON TABLE t IS 'Made anew by DROP TABLE t CASCADE.';",
        IN_BODY.format("RAISE EXCEPTION 'no %', 'r' USING HINT = format('CREATE ROLE %I first.', 'r');"),
        IN_BODY.format("PERFORM E'\\\\', '\\'; /* a /* b */ c */"),
        "SELECT $$\\$$, 'a\\b', current_setting('pycharter_sql.overwrite', true), a[1:2] FROM t;",
    ],
)
def test_not_forbidden(text: str) -> None:
    assert faults(text) == []


# ---------------------------------------------------------------------------------------------------------
# What parses may yet name a column that is not there: plpgsql_check looks at the functions in their database

KNOWN_LIMITS = {
    # It takes no notice of IF TG_OP; with the trigger for UPDATE it checks the same statements.
    'seal_links, seal_insert: relation "before" does not exist',
    'seal_links, seal_delete: relation "after" does not exist',
    'follow_versions, settle_lineage_insert: relation "before" does not exist',
    'follow_versions, settle_lineage_delete: relation "after" does not exist',
    'follow_dependencies, settle_lineage_insert: relation "before" does not exist',
    'follow_dependencies, settle_lineage_update: relation "before" does not exist',
    'follow_dependencies, settle_lineage_delete: relation "after" does not exist',
    # Columns of its dynamic SQL come from TG_ARGV; what it reads into has the table's type whatever they are.
    "seal_components, seal_update: cannot determinate a result of dynamic SQL",
    "seal_components, seal_delete: cannot determinate a result of dynamic SQL",
    # Each name in its lists has been through quote_ident, which is not followed through a query.
    "apply_access, : text type variable is not sanitized",
    # A literal is read as the type of its variable; that there is no cast from text does not matter.
    'load_entities, : target type is different type than source type, cast "text" value to "text[]" type',
    'load_documents, : target type is different type than source type, cast "text" value to "jsonb" type',
    'load_documents, : target type is different type than source type, cast "text" value to "jsonb[]" type',
    'feed_cycles, : target type is different type than source type, cast "text" value to "integer[]" type',
    "reachable_feeds, : target type is different type than source type, "
    'cast "text" value to "integer[]" type',
    "reachable_feeds, : target type is different type than source type, "
    'cast "text" value to "boolean[]" type',
    "refuse_domain_cycle, refuse_cycle: target type is different type than source type, "
    'cast "text" value to "uuid[]" type',
}


def findings(conn: psycopg.Connection) -> set[str]:
    """What plpgsql_check finds in the functions: name, trigger without its table's name, message, detail.

    It is not asked about performance: there it counts the casts of constants.
    """
    available = "SELECT FROM pg_available_extensions WHERE name = 'plpgsql_check'"
    if not conn.execute(available).rowcount:
        pytest.skip(
            "this PostgreSQL comes without the extension plpgsql_check (Debian: postgresql-15-plpgsql-check)"
        )
    conn.execute("CREATE EXTENSION IF NOT EXISTS plpgsql_check")
    found = conn.execute(
        """
        SELECT concat(p.proname, ', ', substring(t.tgname FROM length(r.relname) + 2), ': ',
            concat_ws(', ', f.message, CASE WHEN f.sqlstate <> '00000' THEN f.detail END))
        FROM pg_proc AS p
        LEFT JOIN pg_trigger AS t ON t.tgfoid = p.oid AND NOT t.tgisinternal
        LEFT JOIN pg_class AS r ON r.oid = t.tgrelid
        CROSS JOIN LATERAL plpgsql_check_function_tb(
            p.oid, coalesce(r.oid, 0), fatal_errors => false, security_warnings => true,
            compatibility_warnings => true, oldtable => t.tgoldtable, newtable => t.tgnewtable) AS f
        WHERE p.pronamespace = 'pycharter'::regnamespace
            AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
        """
    )
    return {finding for (finding,) in found}


def test_plpgsql_check(conn: psycopg.Connection) -> None:
    assert findings(conn) - KNOWN_LIMITS == set()


@pytest.mark.parametrize(
    ("function", "finding"),
    [
        (
            "CREATE FUNCTION pycharter.planted() RETURNS void LANGUAGE plpgsql SET search_path TO pycharter "
            "AS $$ BEGIN PERFORM FROM teams WHERE nam = 'x'; END $$",
            'planted, : column "nam" does not exist',
        ),
        (
            "CREATE FUNCTION pycharter.planted(name text) RETURNS void LANGUAGE plpgsql "
            "AS $$ BEGIN EXECUTE 'DROP TABLE ' || name; END $$",
            "planted, : text type variable is not sanitized",
        ),
        (
            "CREATE FUNCTION pycharter.planted() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN NEW.nam := 'x'; RETURN NEW; END $$; "
            "CREATE TRIGGER teams_planted BEFORE UPDATE ON pycharter.teams "
            "FOR EACH ROW EXECUTE FUNCTION pycharter.planted()",
            'planted, planted: record "new" has no field "nam"',
        ),
        (
            "CREATE FUNCTION pycharter.planted() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN PERFORM FROM gone WHERE nam = 'x'; RETURN NULL; END $$; "
            "CREATE TRIGGER teams_planted AFTER DELETE ON pycharter.teams REFERENCING OLD TABLE AS gone "
            "FOR EACH STATEMENT EXECUTE FUNCTION pycharter.planted()",
            'planted, planted: column "nam" does not exist',
        ),
    ],
)
def test_plpgsql_check_finds(conn: psycopg.Connection, function: str, finding: str) -> None:
    conn.execute(function.encode())
    assert finding in findings(conn)

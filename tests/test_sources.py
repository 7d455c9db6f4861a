"""Files -> raw documents, and every way a file can be malformed."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import textwrap
from functools import reduce
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pycharter_sql import sources
from pycharter_sql.documents import Document, Place, Raw, merge, normalise
from pycharter_sql.errors import Refusal
from pycharter_sql.sources import parsing


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gzipped(content: bytes) -> bytes:
    """Without the time, so that a test that is named after it has one name in every process of a run."""
    return gzip.compress(content, mtime=0)


def write(name: str, content: str | bytes) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def read(*paths: str) -> list[tuple[str, Any]]:
    """(place, content) of each document, (place, Refusal) of each refusal."""
    return [
        (str(found.place), found.content) if isinstance(found, Raw) else (found.source + found.pointer, found)
        for found in sources.read_files(paths)
    ]


def refused(name: str, content: str | bytes) -> Refusal:
    (found,) = sources.read_files([write(name, content)])
    assert isinstance(found, Refusal), found
    assert found.source == name
    assert found.remedy
    return found


# ----------------------------------------------------------------------------------------------- what is read


def test_every_kind_of_file(folder: Path) -> None:
    write("a.yaml", "x: 1\n")
    write("b.yml", "x: 1\n---\nx: 2\n---\n")
    write("c.json", '[{"x": 1}, {"x": 2}]')
    write("d.ndjson", '{"x": 1}\n\n{"x": 2}\r\n')
    write("sub/e.jsonl", b'\xef\xbb\xbf{"x": 1}')
    write("sub/f.JSON", b'\xef\xbb\xbf{"x": 1}')
    write("sub/g.yaml", b"\xef\xbb\xbf- x: 1\n- 2\n")
    write(".hidden/h.json", "{")
    write(".h.json", "{")
    write("README.md", "#")
    assert read(".") == [
        ("a.yaml", {"x": 1}),
        ("b.yml:1", {"x": 1}),
        ("b.yml:2", {"x": 2}),
        ("c.json#/0", {"x": 1}),
        ("c.json#/1", {"x": 2}),
        ("d.ndjson:1", {"x": 1}),
        ("d.ndjson:3", {"x": 2}),
        ("sub/e.jsonl:1", {"x": 1}),
        ("sub/f.JSON", {"x": 1}),
        ("sub/g.yaml#/0", {"x": 1}),
        ("sub/g.yaml#/1", 2),
    ]


def test_compressed_files(folder: Path) -> None:
    write("a.yaml.gz", gzip.compress(b"x: 1\n---\nx: 2\n"))
    write("b.json.GZ", gzip.compress(b'[{"x": 1}]'))
    write("c.ndjson.gz", gzip.compress(b'{"x": 1}\n') + gzip.compress(b'{"x": 2}\n'))
    write("d_metadata.yaml.gz", gzip.compress(b"title: d\n"))
    write("d_schema.json", "{}")
    write("e.tar.gz", gzip.compress(b""))
    assert read(".") == [
        ("a.yaml.gz:1", {"x": 1}),
        ("a.yaml.gz:2", {"x": 2}),
        ("b.json.GZ#/0", {"x": 1}),
        ("c.ndjson.gz:1", {"x": 1}),
        ("c.ndjson.gz:2", {"x": 2}),
        ("d_metadata.yaml.gz", {"metadata": {"title": "d"}, "schema": {}}),
    ]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("x: 1\n---\nx: 2\n", [("-:1", {"x": 1}), ("-:2", {"x": 2})]),
        ("- x: 1\n", [("-#/0", {"x": 1})]),
        ("--- {x: 1}\n", [("-", {"x": 1})]),
        ('\n\n{"x": 1}\n\n{"x": 2}', [("-:3", {"x": 1}), ("-:5", {"x": 2})]),
        ('\ufeff{"x": 1}\n', [("-:1", {"x": 1})]),
        ('{"x":\n 1}\n', [("-", {"x": 1})]),
        ('[\n{"x": 1}\n]', [("-#/0", {"x": 1})]),
        ('[{"x": 1}]\n', [("-:1#/0", {"x": 1})]),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, content: str, found: list[tuple[str, Any]], compressed: bool
) -> None:
    given = gzip.compress(content.encode()) if compressed else content.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert read("-") == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b'{"x": 1}\n{"x": }\n', "line 1, column 7: invalid JSON"),
        (b'{"x": 1, "x": 2}\n', "the key 'x' stands twice"),
        (b"{x: 1}\n", "line 1, column 2: invalid JSON"),
        (b"x: 1\ny: \xff\n", "line 2: not UTF-8"),
        (gzipped(b"x: 1\n" * 1000)[:-9], "not a sound gzip file: Compressed file ended"),
    ],
)
def test_standard_input_refused(monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (refusal,) = (found for found in sources.read_files(["-"]) if isinstance(found, Refusal))
    assert refusal.source in ("-", "-:1", "-:2")
    assert reason in refusal.reason
    assert refusal.remedy


def test_bytes_are_counted_as_they_are_in_the_file(folder: Path) -> None:
    paths = [
        write("a.ndjson", '{"x": 1}\n' * 50_000),
        write("b.yaml.gz", gzip.compress(b"x: 1\n")),
        write("c.json", '{"x": "' + "y" * 200_000 + '"}'),
        write("d.yaml", "x: 1\n"),
    ]
    counts: list[int] = []
    for _ in sources.read_files(paths, on_bytes=counts.append):
        pass
    assert sum(counts) == sources.size([*paths, "-"]) == sum(Path(path).stat().st_size for path in paths)
    assert max(counts) < 500_000


def test_rows_of_tables(folder: Path) -> None:
    write("owners.yaml", "- id: x\n")
    write("metadata.yaml.gz", gzip.compress(b"- contract_name: a\n"))
    write("old_schema.json", '[{"contract_name": "a"}]')
    write("schemas.ndjson", '{"contract_name": "a"}\n')
    write("tags.yaml", "[]")
    write("systems.yaml", "title: Systems\n")  # a contract, for all that its file is named so
    write("a_validation_rules.yaml", "contract_name: a\n")
    write("other.yaml", "- contract_name: a\n")
    tables = {str(found.place): found.table for found in sources.read_files(["."]) if isinstance(found, Raw)}
    assert tables == {
        "owners.yaml#/0": "owners",
        "metadata.yaml.gz#/0": "metadata",
        "old_schema.json#/0": "schemas",
        "schemas.ndjson:1": "schemas",
        "systems.yaml": None,
        "a_validation_rules.yaml": "validation_rules",
        "other.yaml#/0": None,
    }


def test_a_manifest_in_a_file_named_like_a_component(folder: Path) -> None:
    write("order_metadata.yaml", "api_version: pycharter.io/v2\n---\napi_version: pycharter.io/v2\n")
    write("order_schema.yaml", "type: object\n")
    assert read(".") == [
        ("order_metadata.yaml:1", {"api_version": "pycharter.io/v2"}),
        ("order_metadata.yaml:2", {"api_version": "pycharter.io/v2"}),
        ("order_schema.yaml", {"schema": {"type": "object"}}),
    ]


def test_a_seed_set(folder: Path) -> None:
    """Small, but with every table, and one contract whose parts stand in six files."""
    set_ = {
        "contracts": "- {name: order, version: 1.0.0, status: active, description: Orders of the shop}",
        "schemas": """
            - contract_name: order
              contract_version: 1.0.0
              title: order
              version: 1.0.0
              type: object
              properties: {order_id: {type: string}}
        """,
        "metadata": """
            - contract_name: order
              contract_version: 1.0.0
              title: order_metadata
              version: 1.0.0
              status: active
              description: Metadata of the orders
              ownership: {business_owners: [sales-team], bu_sme: [], it_sme: [platform-team]}
              lineage: {pulls_from: [checkout-db], pushes_to: [warehouse]}
              governance_rules: {sensitivity: internal, dependencies: [Customer]}
              runtime: {storage_locations: [], serve: {endpoint: /v1/order}}
              last_updated: 2024-01-01
        """,
        "coercion_rules": """
            - contract_name: order
              contract_version: 1.0.0
              title: order_coercion
              version: 1.0.0
              rules: {order_id: coerce_to_string}
        """,
        "validation_rules": """
            - contract_name: order
              contract_version: 1.0.0
              title: order_validation
              version: 1.0.0
              rules: {order_id: {non_empty_string: null}}
        """,
        "owners": "- {id: sales-team, name: Sales, email: sales@shop.example, team: commerce}",
        "systems": "- {name: checkout-db, app_id: APP-7, description: Where orders are placed}",
        "domains": "- {name: commerce, description: Selling}",
        "data_feeds": "- {name: order, title: Orders, feed_type: batch, is_active: true}",
        "teams": "[]",
        "tags": "- {name: pii, color: red}",
        "environments": "- {name: production}",
        "compliance_frameworks": "- {name: gdpr}",
    }
    for table, rows in set_.items():
        write(f"{table}.yaml", textwrap.dedent(rows))
    contracts: list[Document] = []
    entities: dict[str, Any] = {}
    left_out: list[str] = []
    for found in sources.read_files(["."]):
        assert isinstance(found, Raw), found
        document = normalise(found)
        left_out += document.left_out
        if "name" in document.content:
            contracts.append(document)
        else:
            entities |= document.content
    order = reduce(merge, contracts)
    assert (order.label, len(contracts)) == ("order@1.0.0", 5)
    assert order.content["description"] == "Orders of the shop"
    assert order.content["schema"]["properties"] == {"order_id": {"type": "string"}}
    assert order.content["validation_rules"]["rules"] == {"order_id": {"non_empty_string": None}}
    assert order.content["business_owners"] == [
        "sales-team",
        {"name": "platform-team", "role": "technical_sme"},
    ]
    assert order.content["metadata"]["last_updated"] == "2024-01-01"
    assert {"runtime.serve", "last_updated", "coercion_rules.title"} <= set(order.kept)
    assert entities == {
        "business_owners": [
            {
                "name": "sales-team",
                "description": "Sales",
                "contact_email": "sales@shop.example",
                "department": "commerce",
            }
        ],
        "systems": [{"name": "checkout-db", "description": "Where orders are placed"}],
        "domains": [{"name": "commerce", "description": "Selling"}],
        "data_feeds": [{"name": "order", "title": "Orders", "feed_type": "batch", "is_active": True}],
    }
    assert sorted(left_out) == ["compliance_frameworks", "environments", "systems.app_id", "tags"]


def test_a_file_named_twice_is_read_once(folder: Path) -> None:
    write("d/a.yaml", "x: 1\n")
    assert read("d", "d/a.yaml") == [("d/a.yaml", {"x": 1})]


def test_yaml_scalars(folder: Path) -> None:
    text = """
    date: 2024-01-31
    time: 2024-01-31 10:20:30+02:00
    float: 1.10
    version: 1.0.0
    exact: 12345678901234567890123
    operator: =
    'null': null
    base: &base {a: 1, b: 2}
    merged: {<<: *base, b: 3}
    again: *base
    "<<": text
    tagged: !!str 1
    """
    assert read(write("a.yaml", text)) == [
        (
            "a.yaml",
            {
                "date": "2024-01-31",
                "time": "2024-01-31T10:20:30+02:00",
                "float": 1.1,
                "version": "1.0.0",
                "exact": 12345678901234567890123,
                "operator": "=",
                "null": None,
                "base": {"a": 1, "b": 2},
                "merged": {"a": 1, "b": 3},
                "again": {"a": 1, "b": 2},
                "<<": "text",
                "tagged": "1",
            },
        )
    ]


def test_files_are_read_lazily(folder: Path) -> None:
    # The second half is malformed, and met only when it is reached.
    write("a.ndjson", '{"x": 1}\n' * 1000 + "{\n")
    write("b.yaml", "x: 1\n---\nx: 2\n--- }\n")
    documents = sources.read_files(["a.ndjson", "b.yaml"])
    assert isinstance(next(documents), Raw)
    found = list(documents)
    assert [place.source for place in found if isinstance(place, Refusal)] == ["a.ndjson:1001", "b.yaml"]
    assert len(found) == 1000 + 3


def test_component_files(folder: Path) -> None:
    for stem in ("", "a_", "a_b_"):
        write(f"d/{stem}metadata.yaml", f"title: '{stem}'\n")
        write(f"d/{stem}schema.json", "{}")
    write("d/a_ownership.yml", "owner: x\n")
    write("d/a_contract.yaml", "x: 1\n")
    write("e/a_coercion_rules.yaml", "r: 1\n")
    write("e/a_metadata.ndjson", '{"x": 1}')
    found = [document for document in sources.read_files(["."]) if isinstance(document, Raw)]
    assert [document.content for document in found] == [
        {"metadata": {"title": "a_b_"}, "schema": {}},
        {"x": 1},
        {"metadata": {"title": "a_"}, "ownership": {"owner": "x"}, "schema": {}},
        {"metadata": {"title": ""}, "schema": {}},
        {"coercion_rules": {"r": 1}},
        {"x": 1},
    ]
    assert {key: str(place) for key, place in found[2].parts.items()} == {
        "metadata": "d/a_metadata.yaml",
        "ownership": "d/a_ownership.yml",
        "schema": "d/a_schema.json",
    }


def test_component_files_named_one_by_one(folder: Path) -> None:
    paths = [write("a_schema.json", "{}"), write("a_metadata.yaml", "x: 1")]
    assert read(*paths) == [("a_schema.json", {"schema": {}, "metadata": {"x": 1}})]


def test_a_component_that_cannot_be_read_takes_the_others_with_it(folder: Path) -> None:
    write("a_schema.json", "{")
    write("a_metadata.yaml", "x: 1")
    ((place, found),) = read(".")
    assert place == "a_schema.json" and isinstance(found, Refusal)


@pytest.mark.parametrize("other", ["a_metadata.json", "a_metadata.yml"])
def test_one_component_twice(folder: Path, other: str) -> None:
    write("a_metadata.yaml", "x: 1")
    write(other, '{"x": 1}')
    ((_, found),) = read(".")
    assert "same component" in found.reason and "a_metadata." in found.reason


def test_several_documents_in_a_component_file(folder: Path) -> None:
    found = [found for _, found in read(write("a_metadata.yaml", "x: 1\n---\nx: 2\n"))]
    assert all(isinstance(refusal, Refusal) and "several" in refusal.reason for refusal in found)


# -------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", "x", "not a .yaml"),
        ("a.yaml", "", "empty"),
        ("a.yaml", "# nothing\n", "empty"),
        ("a.json", " \n", "empty"),
        ("a.ndjson", "\n\n", "empty"),
        ("a.json", "[]", "empty list"),
        ("a.yaml", "a: 1\n b: 2\n", "line 2, column 3: invalid YAML"),
        ("a.yaml", "a: [1,\n", "invalid YAML"),
        ("a.yaml", "a: '\n", "invalid YAML"),
        ("a.yaml", "a: \0\n", "invalid YAML: control characters"),
        ("a.yaml", 'a: "\\ud800"\n', "line 1, column 7: invalid YAML"),
        ("a.json", '{"a": 1,\n}', "line 2, column 1: invalid JSON"),
        ("a.json", '{"a": 1}\n{"a": 2}', "line 2, column 1: invalid JSON: Extra data"),
        ("a.yaml", "b: {a: 1,\n  a: 2}\n", "line 2, column 3: the key 'a' stands twice"),
        ("a.json", '{"b": {"a": 1, "a": 2}}', "the key 'a' stands twice"),
        ("a.json", '{"a":1,"a":1}', "the key 'a' stands twice"),
        ("a.json", '{"a" : 1, "a" : 2, "x": "\\":"}', "the key 'a' stands twice"),
        ("a.json", '{"a": 1, "\\u0061": 2}', "the key 'a' stands twice"),
        ("a.yaml", b"a: 1\nb: \xff\n", "line 2: not UTF-8"),
        ("a.json", b'{"a":\n "\xff"}', "line 2: not UTF-8"),
        ("a.yaml", "a: 1".encode("utf-16"), "not UTF-8"),
        ("a.json", '{"a": NaN}', "NaN"),
        ("a.json", '{"a": -Infinity}', "-Infinity"),
        ("a.json", '{"a": 1e400}', "1e400 does not fit"),
        ("a.json", '{"a": 1e-400}', "1e-400 does not fit"),
        ("a.json", '{"a": 0.12345678901234567890}', "does not fit"),
        ("a.json", '{"a": ' + "1" * 5000 + "}", "4300 digits"),
        ("a.yaml", "a: .nan\n", "line 1, column 4: .nan"),
        ("a.yaml", "a: -.inf\n", "line 1, column 4: -.inf"),
        ("a.yaml", "a: 0.12345678901234567890\n", "does not fit"),
        ("a.yaml", "a: 2024-13-45\n", "line 1, column 4: '2024-13-45' is no timestamp"),
        ("a.yaml", "a: !!int x\n", "'x' is no int"),
        ("a.yaml", "a: !!int ''\n", "'' is no int"),
        ("a.yaml", "a: !!bool x\n", "'x' is no bool"),
        ("a.yaml", "a: !!timestamp x\n", "'x' is no timestamp"),
        ("a.yaml", "a: !!python/object/apply:os.getcwd []\n", "python/object/apply:os.getcwd is not read"),
        ("a.yaml", "a: !!binary aGk=\n", "binary is not read"),
        ("a.yaml", "a: !!set {x}\n", "set is not read"),
        ("a.yaml", "a: !own x\n", "!own is not read"),
        ("a.yaml", "1: x\n", "line 1, column 1: the key 1 is not text (int)"),
        ("a.yaml", "no: x\n", "the key no is not text (bool)"),
        ("a.yaml", "? [x]\n: y\n", "is not text (list)"),
        ("a.yaml", "<<: 1\n", "<< takes a mapping"),
        ("a.yaml", "a: &a [*a]\n", "*a refers to itself"),
        ("a.yaml", "a: *b\n", "*b refers to itself, or to nothing"),
        ("a.yaml", "a: " + "[" * 100_000, "100 levels"),
        ("a.yaml", "a: " + "[" * 100_000 + "]" * 100_000, "100 levels"),
        ("a.yaml", "- " * 100_000 + "x", "100 levels"),
        ("a.yaml", "{a: " * 100_000, "100 levels"),
        ("a.yaml", "? " * 100_000 + "x", "100 levels"),
        ("a.json", "[" * 100_000 + "]" * 100_000, "100 levels"),
        ("a.txt.gz", gzipped(b"x"), "not a .yaml"),
        ("a.yaml.gz", "x: 1\n", "not a sound gzip file: Not a gzipped file"),
        ("a.yaml.gz", "", "empty"),
        ("a.json.gz", gzipped(b'{"x": 1}')[:-4], "Compressed file ended"),
        ("a.json.gz", gzipped(b'{"x": 1}')[:10] + b"\xff" * 20, "not a sound gzip file: "),
        ("a.json.gz", gzipped(b'{"x": 1}') + b"more", "not a sound gzip file: "),
        ("a.yaml.gz", gzipped(b"x: \xff\n"), "line 1: not UTF-8"),
        ("a.yaml.gz", gzipped(b"x: \xe2\x82"), "line 1: not UTF-8"),
        ("a.json", '{"a":' * 100_000, "100 levels"),
    ],
)
def test_refused(folder: Path, name: str, content: str | bytes, reason: str) -> None:
    assert reason in refused(name, content).reason


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [
        ("a.json", '{"a": "', '"}'),
        ("a.ndjson", '{"x": 1}\n{"a": "', '"}\n{"x": 2}\n'),
        ("a.yaml", "x: 1\n---\na: ", "\n"),
        ("a.yaml", "x: 1\n---\n# ", "\n"),
    ],
)
def test_the_length_of_a_document(folder: Path, name: str, begin: str, end: str) -> None:
    write(name, begin + "x" * (50 << 20) + end)
    assert all(isinstance(found, Raw) for found in sources.read_files([name]))
    write(name, begin + "x" * (65 << 20) + end)
    *before, found = sources.read_files([name])
    assert [document.content for document in before if isinstance(document, Raw)] == [{"x": 1}][: len(before)]
    assert isinstance(found, Refusal)
    assert "more than 64 MB" in found.reason
    assert "split it" in found.remedy


def test_the_limit_is_one_of_documents_not_of_files(folder: Path) -> None:
    comment = "#" + "x" * (1 << 20) + "\n"
    assert len(read(write("a.yaml", "".join(f"x: {n}\n{comment}---\n" for n in range(70))))) == 70


@pytest.mark.parametrize("name", ["a.json.gz", "a.ndjson.gz", "a.yaml.gz", "-"])
def test_a_gzip_bomb_does_not_eat_the_memory(folder: Path, name: str) -> None:
    # 4 GB of text, each of its members 64 MB.
    bomb = gzip.compress(b'{"a": "') + gzip.compress(b"x" * (64 << 20)) * 64
    Path("a.json.gz").write_bytes(bomb)
    if name != "-":
        Path(name).write_bytes(bomb)
    program = (
        "import resource, sys; from pycharter_sql import sources\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "print(*sources.read_files(sys.argv[1:]))"
    )
    with Path("a.json.gz").open("rb") as standard_input:
        ran = subprocess.run(
            [sys.executable, "-c", program, name],
            stdin=standard_input,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert "more than 64 MB" in ran.stdout


def test_alias_bomb(folder: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert "aliases expand to more than 1000000 nodes" in refused("a.yaml", "\n".join(lines)).reason


def test_a_refused_document_does_not_take_the_next_with_it(folder: Path) -> None:
    first, second, third = read(write("a.yaml", "a: 1\na: 2\n---\nb: 1\n---\n1: x\n"))
    assert first[0] == "a.yaml:1" and isinstance(first[1], Refusal)
    assert second == ("a.yaml:2", {"b": 1})
    assert third[0] == "a.yaml:3" and isinstance(third[1], Refusal)
    found = read(write("a.ndjson", b'{"a": 1, "a": 2}\n{"b": 1}\n{"b": "\xff"}\n{"b": 2}\n'))
    assert [place for place, value in found if isinstance(value, Refusal)] == ["a.ndjson:1", "a.ndjson:3"]
    assert [value for _, value in found if isinstance(value, dict)] == [{"b": 1}, {"b": 2}]


def test_paths_that_cannot_be_read(folder: Path) -> None:
    Path("empty").mkdir()
    Path("link.json").symlink_to("nowhere")
    Path("folder.yaml").mkdir()
    reasons = {
        place: found.reason for place, found in read("missing.json", "empty", "link.json", "folder.yaml")
    }
    assert reasons == {
        "missing.json": "no such file or directory",
        "empty": "no contract file found",
        "link.json": "no such file or directory",
        "folder.yaml": "no contract file found",
    }


def test_unreadable_file(folder: Path) -> None:
    # A link to itself cannot be opened, not even by root.
    Path("d").mkdir()
    Path("d/a.json").symlink_to("a.json")
    ((place, found),) = read("d")
    assert place == "d/a.json" and found.reason.startswith("cannot be read: ")


# --------------------------------------------------------------------------------------------- whatever comes

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=4)


@given(OBJECTS, st.booleans(), st.sampled_from([None, (",", ":")]), st.sampled_from([None, 2]))
def test_json_is_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, value: Any, ascii_: bool, separators: Any, indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(value, ensure_ascii=ascii_, separators=separators, indent=indent), "utf-8")
    ((_, found),) = read(str(path))
    assert repr(found) == repr(value)


def test_the_fast_parser_is_taken_for_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    # As orjson, json.dumps and PostgreSQL write them.
    value = {"name": "A, b", "at": "10:20:30", 'q": ': [1, -2.5, True, None, {"é": "x\n"}]}
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed by json"))
    for text in (orjson.dumps(value), json.dumps(value, ensure_ascii=False).encode()):
        assert parsing.parse_json(text, Place("a", "")).content == value


@given(OBJECTS.filter(bool))
def test_yaml_is_read_exactly(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(yaml.safe_dump(value, allow_unicode=False), "utf-8")
    ((_, found),) = read(str(path))
    assert found == value


@given(
    st.binary(max_size=40) | st.text("{}[]-:?&*!<>|'\"#%, \nab01.", max_size=40).map(str.encode),
    st.sampled_from([".yaml", ".json", ".ndjson"]),
    st.sampled_from(["", ".gz"]),
    st.booleans(),
)
def test_no_bytes_raise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str, compression: str, really: bool
) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"a{suffix}{compression}"
    path.write_bytes(gzip.compress(content) if compression and really else content)
    assert read(str(path))


@given(st.binary(max_size=40) | st.text("{}[]-:\"'\\n ab1", max_size=40).map(str.encode), st.booleans())
def test_no_standard_input_raises(content: bytes, compressed: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        given_ = gzip.compress(content) if compressed else content
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given_)))
        assert read("-")


# --------------------------------------------------------------------------------------------------- examples


def test_examples_load_together() -> None:
    documents: dict[tuple[str, str], Document] = {}
    with resources.as_file(resources.files("pycharter_sql.examples") / "legacy") as directory:
        for raw in sources.read_files([directory]):
            assert isinstance(raw, Raw), raw
            document = normalise(raw)
            assert (document.name, document.version) not in documents
            documents[document.name, document.version] = document
    assert set(documents) == {
        ("Order", "2.1.0"),
        ("Customer", "1.3.0"),
        ("Product", "1.9.0"),
        ("Product", "1.10.0"),
    }
    order, customer = documents["Order", "2.1.0"].content, documents["Customer", "1.3.0"].content
    assert order["data_feed"] == {"name": "Order", "feed_type": "Operational"}
    assert customer["coercion_rules"]["rules"]["address.country"] == "coerce_to_uppercase"
    assert merge(documents["Order", "2.1.0"], documents["Order", "2.1.0"]).content == order
    feeds = {name for name, _ in documents}
    for dependency in order["dependencies"]:
        assert dependency in feeds

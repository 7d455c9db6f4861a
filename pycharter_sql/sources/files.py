"""Files, directories and standard input -> raw documents."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from pycharter_sql.documents import TABLES, Place, Raw
from pycharter_sql.documents.shapes import MARKS
from pycharter_sql.errors import Refusal
from pycharter_sql.sources.parsing import (
    chained,
    json_document,
    json_lines,
    looked_at,
    yaml_documents,
)

_YAML, _JSON, _NDJSON, _GZIP = (".yaml", ".yml"), (".json",), (".ndjson", ".jsonl"), ".gz"
_SUFFIXES = (*_YAML, *_JSON, *_NDJSON)

_GZIP_MAGIC = b"\x1f\x8b"

_STANDARD_INPUT = Path("-")

_BUFFER = 1 << 16  # bytes

# order_metadata.yaml, order_schema.yaml, ... (or metadata.yaml, schema.yaml, ...) make one contract together.
_COMPONENT = re.compile(
    r"(?:(?P<stem>.*)_)?(?P<component>metadata|schema|coercion_rules|validation_rules|governance_rules|ownership)"
)

# A component file that holds a list holds rows of this table.
_TABLES = {"schema": "schemas"} | {name: name for name in ("metadata", "coercion_rules", "validation_rules")}


def read_files(
    paths: Iterable[str | Path], *, on_bytes: Callable[[int], object] = lambda count: None
) -> Iterator[Raw | Refusal]:
    """The documents in files, and in all .yaml, .yml, .json, .ndjson and .jsonl files below directories.

    Directories are walked in sorted order, hidden entries and linked directories skipped. A YAML file may
    hold several documents, NDJSON holds one a line and is never held whole; a list is read as its items. Each
    of these may be compressed (.yaml.gz, ...). "-" is standard input, compressed or not: JSON if it begins
    with { or [ (NDJSON if the first line is a whole value), else YAML.

    Files of one directory that share a stem (``<stem>_metadata``, ``<stem>_schema``,
    ``<stem>_coercion_rules``, ``<stem>_validation_rules``, ``<stem>_governance_rules``,
    ``<stem>_ownership``) make one document. The items of a list, or the lines, of a file that is named after
    a table of a seed set (owners.yaml) are rows of that table.

    Unquoted YAML dates become ISO 8601 text. Nothing is dropped or rounded without a word: whatever cannot be
    read exactly (duplicate keys, numbers too long for a double, NaN, tags, ...) is yielded as a Refusal, with
    line and column where the parser knows them; so is a document of more than 64 MB of text. Never raises for
    what a file holds.

    ``on_bytes`` is told how many bytes were read, as they are read; ``size`` gives their sum beforehand. Both
    leave out standard input.
    """
    units: dict[Path | tuple[Path, str], dict[Path, str | None]] = {}
    for entry in _files(paths):
        if isinstance(entry, Refusal):
            yield entry
            continue
        match = _COMPONENT.fullmatch(_uncompressed(entry).stem)
        if match and not _is_ndjson(entry):
            units.setdefault((entry.parent, match["stem"] or ""), {})[entry] = match["component"]
        else:
            units.setdefault(entry, {})[entry] = None
    for unit, files in units.items():
        if isinstance(unit, Path):
            stem = _uncompressed(unit).stem
            table = stem if stem in TABLES else None
            for found in _documents(unit, on_bytes):
                yield from _listed(found, table, _is_ndjson(unit))
        else:
            parts = {path: component for path, component in files.items() if component}
            yield from _components(parts, on_bytes)


def size(paths: Iterable[str | Path]) -> int:
    """The bytes that ``read`` will read."""
    files = (path for path in _files(paths) if isinstance(path, Path))
    return sum(path.stat().st_size for path in files if path.is_file())


def _files(paths: Iterable[str | Path]) -> Iterator[Path | Refusal]:
    for path in map(Path, paths):
        if path == _STANDARD_INPUT:
            yield path
        elif path.is_dir():
            found = False
            for entry in _walk(path):
                found = True
                yield entry
            if not found:
                yield Refusal(
                    str(path), "", "no contract file found", f"name files ending in {', '.join(_SUFFIXES)}"
                )
        elif not path.exists():
            yield Refusal(str(path), "", "no such file or directory", "check the path")
        elif not _is_readable(path):
            yield Refusal(str(path), "", f"not a {', '.join(_SUFFIXES)} file", "convert or rename it")
        else:
            yield path


def _uncompressed(path: Path) -> Path:
    """The name without .gz."""
    return path.with_suffix("") if path.suffix.lower() == _GZIP else path


def _is_readable(path: Path) -> bool:
    return _uncompressed(path).suffix.lower() in _SUFFIXES


def _is_ndjson(path: Path) -> bool:
    return _uncompressed(path).suffix.lower() in _NDJSON


def _walk(directory: Path) -> Iterator[Path | Refusal]:
    errors: list[OSError] = []
    for folder, folders, names in os.walk(directory, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and _is_readable(path):
                yield path
    for error in errors:
        yield _unreadable(Path(str(error.filename)), error)


def _components(files: dict[Path, str], on_bytes: Callable[[int], object]) -> Iterator[Raw | Refusal]:
    """Component files as one document; if one of them cannot be read there is none, only refusals."""
    content: dict[str, Any] = {}
    parts: dict[str, Place] = {}
    refused = False
    for path, component in files.items():
        documents = list(_documents(path, on_bytes))
        for found in documents:
            if isinstance(found, Refusal):
                refused = True
                yield found
            elif isinstance(found.content, list):
                # No component but the rows of many contracts.
                yield from _listed(found, _TABLES.get(component))
            elif isinstance(found.content, dict) and not MARKS.isdisjoint(found.content):
                # No component either, but a document of its own: a manifest, or one row.
                yield replace(found, table=_TABLES.get(component))
            elif len(documents) > 1 or component in parts:
                other = (
                    "several documents"
                    if len(documents) > 1
                    else f"{parts[component]} holds the same component"
                )
                refused = True
                yield Refusal(
                    found.place.source,
                    "",
                    f"{other}, but this is one contract's {component}",
                    "keep one of them",
                )
            else:
                content[component], parts[component] = found.content, found.place
    if content and not refused:
        yield Raw(content, next(iter(parts.values())), parts)


def _listed(found: Raw | Refusal, table: str | None, lines: bool = False) -> Iterator[Raw | Refusal]:
    """A list as its items. They are rows of ``table``, and so is a document that is one of the ``lines``."""
    if isinstance(found, Refusal):
        yield found
    elif not isinstance(found.content, list):
        yield replace(found, table=table) if table and lines else found
    elif not found.content and not table:
        yield Refusal(found.place.source, found.place.pointer, "an empty list", "write at least one contract")
    else:
        for index, item in enumerate(found.content):
            yield Raw(item, found.place.child(f"/{index}"), table=table)


def _documents(path: Path, on_bytes: Callable[[int], object]) -> Iterator[Raw | Refusal]:
    """Every document of one file, lists not yet taken apart."""
    if path != _STANDARD_INPUT and path.exists() and not path.is_file():
        remedy = "copy its content to a file, or send it to standard input and name that: -"
        yield Refusal(str(path), "", "not a regular file", remedy)
        return
    found = False
    try:
        with _opened(path, on_bytes) as file:
            for document in _reader(path)(file, str(path)):
                found = True
                yield document
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        yield Refusal(str(path), "", f"not a sound gzip file: {error}", "compress or copy it anew")
    except OSError as error:
        yield _unreadable(path, error)
    else:
        if not found:
            yield Refusal(str(path), "", "the file is empty", "fill it in, or remove it")


def _reader(path: Path) -> Callable[[BinaryIO, str], Iterator[Raw | Refusal]]:
    suffix = _uncompressed(path).suffix.lower()
    if path == _STANDARD_INPUT:
        return looked_at
    return json_lines if suffix in _NDJSON else json_document if suffix in _JSON else yaml_documents


@contextmanager
def _opened(path: Path, on_bytes: Callable[[int], object]) -> Iterator[BinaryIO]:
    """The uncompressed content of a file."""
    if path == _STANDARD_INPUT:
        # Not closed: it is the process's.
        head = sys.stdin.buffer.read(len(_GZIP_MAGIC))
        standard_input = chained(head, sys.stdin.buffer)
        yield _gunzipped(standard_input) if head == _GZIP_MAGIC else standard_input
    else:
        with io.BufferedReader(_Counted(path, on_bytes), _BUFFER) as file:
            yield _gunzipped(file) if path.suffix.lower() == _GZIP else file


def _gunzipped(file: BinaryIO) -> io.BufferedReader:
    return io.BufferedReader(gzip.GzipFile(fileobj=file), _BUFFER)


class _Counted(io.FileIO):
    """A file that tells how many bytes are read from it."""

    def __init__(self, path: Path, on_bytes: Callable[[int], object]) -> None:
        super().__init__(path)
        self.on_bytes = on_bytes

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self.on_bytes(count or 0)
        return count


def _unreadable(path: Path, error: OSError) -> Refusal:
    return Refusal(str(path), "", f"cannot be read: {error.strerror}", "check that it exists and may be read")

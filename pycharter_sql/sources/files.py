"""Files -> raw documents: YAML, JSON and NDJSON, one at a time, and every malformed one a Refusal."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

import orjson
import yaml

from pycharter_sql.documents import MAX_DEPTH, Place, Raw
from pycharter_sql.errors import Refusal

_YAML, _JSON, _NDJSON = (".yaml", ".yml"), (".json",), (".ndjson", ".jsonl")
_SUFFIXES = (*_YAML, *_JSON, *_NDJSON)

# order_metadata.yaml, order_schema.yaml, ... (or metadata.yaml, schema.yaml, ...) make one contract together.
_COMPONENT = re.compile(
    r"(?:(?P<stem>.*)_)?(?P<component>metadata|schema|coercion_rules|validation_rules|governance_rules|ownership)"
)

# YAML aliases can write a billion nodes in ten lines; this many, per document, may come from them.
_MAX_ALIASED = 1_000_000
_TEXT_OF_A_NODE = 100  # characters that count as a node more


def read(
    paths: Iterable[str | Path], *, on_bytes: Callable[[int], object] = lambda count: None
) -> Iterator[Raw | Refusal]:
    """The documents in files, and in all .yaml, .yml, .json, .ndjson and .jsonl files below directories.

    Directories are walked in sorted order, hidden entries and linked directories skipped. A YAML file may
    hold several documents, NDJSON holds one a line and is never held whole; a list is read as its items.
    Files of one directory that share a stem (``<stem>_metadata``, ``<stem>_schema``,
    ``<stem>_coercion_rules``, ``<stem>_validation_rules``, ``<stem>_governance_rules``,
    ``<stem>_ownership``) make one document.

    Unquoted YAML dates become ISO 8601 text. Nothing is dropped or rounded without a word: whatever cannot be
    read exactly (duplicate keys, numbers too long for a double, NaN, tags, ...) is yielded as a Refusal, with
    line and column where the parser knows them. Never raises for what a file holds.

    ``on_bytes`` is told how many bytes were read, as they are read; ``size`` gives their sum beforehand.
    """
    units: dict[Path | tuple[Path, str], dict[Path, str | None]] = {}
    for entry in _files(paths):
        if isinstance(entry, Refusal):
            yield entry
            continue
        match = _COMPONENT.fullmatch(entry.stem)
        if match and entry.suffix.lower() not in _NDJSON:
            units.setdefault((entry.parent, match["stem"] or ""), {})[entry] = match["component"]
        else:
            units.setdefault(entry, {})[entry] = None
    for unit, files in units.items():
        if isinstance(unit, Path):
            for found in _documents(unit, on_bytes):
                yield from _listed(found)
        else:
            parts = {path: component for path, component in files.items() if component}
            yield from _components(parts, on_bytes)


def size(paths: Iterable[str | Path]) -> int:
    """The bytes that ``read`` will read."""
    files = (path for path in _files(paths) if isinstance(path, Path))
    return sum(path.stat().st_size for path in files if path.is_file())


def _files(paths: Iterable[str | Path]) -> Iterator[Path | Refusal]:
    for path in map(Path, paths):
        if path.is_dir():
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
        elif path.suffix.lower() not in _SUFFIXES:
            yield Refusal(str(path), "", f"not a {', '.join(_SUFFIXES)} file", "convert or rename it")
        else:
            yield path


def _walk(directory: Path) -> Iterator[Path | Refusal]:
    errors: list[OSError] = []
    for folder, folders, names in os.walk(directory, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in _SUFFIXES:
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
                yield from _listed(found)
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


def _listed(found: Raw | Refusal) -> Iterator[Raw | Refusal]:
    if isinstance(found, Refusal) or not isinstance(found.content, list):
        yield found
    elif not found.content:
        yield Refusal(found.place.source, found.place.pointer, "an empty list", "write at least one contract")
    else:
        for index, item in enumerate(found.content):
            yield Raw(item, found.place.child(f"/{index}"))


def _documents(path: Path, on_bytes: Callable[[int], object]) -> Iterator[Raw | Refusal]:
    """Every document of one file, lists not yet taken apart."""
    suffix = path.suffix.lower()
    read_file = _ndjson if suffix in _NDJSON else _json if suffix in _JSON else _yaml
    if path.exists() and not path.is_file():
        yield Refusal(str(path), "", "not a regular file", "copy its content to a file")
        return
    found = False
    try:
        for document in read_file(path, on_bytes):
            found = True
            yield document
    except OSError as error:
        yield _unreadable(path, error)
    except UnicodeDecodeError:
        yield _not_utf8(path)
    else:
        if not found:
            yield Refusal(str(path), "", "the file is empty", "fill it in, or remove it")


def _unreadable(path: Path, error: OSError) -> Refusal:
    return Refusal(str(path), "", f"cannot be read: {error.strerror}", "check that it exists and may be read")


def _not_utf8(path: Path) -> Refusal:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                where = f"line {number}, byte {error.start + 1}: "
                return Refusal(str(path), "", f"{where}not UTF-8", "save the file as UTF-8")
    raise AssertionError("only called for a file that does not decode")


class _Malformed(Exception):
    """Why the document that is being read cannot be."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy

    def refusal(self, source: str) -> Refusal:
        return Refusal(source, "", self.reason, self.remedy)


# ---------------------------------------------------------------------------------------------------------
# JSON


def _json(path: Path, on_bytes: Callable[[int], object]) -> Iterator[Raw | Refusal]:
    content = path.read_bytes()
    on_bytes(len(content))
    text = content.removeprefix(b"\xef\xbb\xbf")
    if text.strip():
        yield _json_document(text, str(path))


def _ndjson(path: Path, on_bytes: Callable[[int], object]) -> Iterator[Raw | Refusal]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            on_bytes(len(line))
            text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
            if text:
                yield _json_document(text, f"{path}:{number}")


def _json_document(text: bytes, source: str) -> Raw | Refusal:
    try:
        return _parse_json(text, Place(source, ""))
    except _Malformed as malformed:
        return malformed.refusal(source)


def _parse_json(text: bytes, place: Place) -> Raw:
    # orjson is two to four times as fast as json, but drops duplicate keys and rounds long numbers without a
    # word. Its result is the text's exactly if writing it gives the text again, which costs a quarter of the
    # parsing; blanks after separators, as PostgreSQL and json.dumps write them, may differ.
    try:
        value = orjson.loads(text)
        again = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return Raw(_parse_json_exactly(text), place)
    if again == text or _unspaced(again) == _unspaced(text):
        return Raw(value, place, storable=b"\\u0000" not in text)
    return Raw(_parse_json_exactly(text), place)


def _unspaced(text: bytes) -> bytes:
    return text.replace(b'": ', b'":').replace(b", ", b",")


def _parse_json_exactly(text: bytes) -> Any:
    try:
        return json.loads(
            text.decode(), object_pairs_hook=_unique, parse_float=_exact_float, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise _Malformed(f"line {line}: not UTF-8", "save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        remedy = "correct it"
        if error.msg == "Extra data":
            remedy = "one JSON value a file; several, one a line, go into a .ndjson file"
        reason = f"line {error.lineno}, column {error.colno}: invalid JSON: {error.msg}"
        raise _Malformed(reason, remedy) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        # Python's guard against integers of thousands of digits.
        raise _Malformed(str(error).partition(";")[0], "write the number as text") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Malformed(f"the key {twice!r} stands twice in one mapping", "remove or rename one of the two")
    return result


def _no_constant(word: str) -> Any:
    raise _Malformed(f"{word} is not JSON", "write null, or a number")


def _exact_float(text: str) -> float:
    value = float(text)
    # Doubles that overflow become inf, tiny ones 0, and digits beyond the 17th are lost.
    if Decimal(text) != Decimal(repr(value)):
        raise _Malformed(f"the number {text} does not fit a double", "write it as text, or with fewer digits")
    return value


def _too_deep() -> _Malformed:
    return _Malformed(f"nested more than {MAX_DEPTH} levels deep", "flatten the document")


# ---------------------------------------------------------------------------------------------------------
# YAML

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG = "tag:yaml.org,2002:"
_COLLECTION_TAGS = {yaml.MappingStartEvent: _TAG + "map", yaml.SequenceStartEvent: _TAG + "seq"}
# `=` is a type of its own to YAML 1.1, which nobody means.
_TEXT_TAGS = (_TAG + "str", _TAG + "value")
_PARSED_TAGS = tuple(_TAG + name for name in ("bool", "int", "float", "timestamp"))
_MERGE_KEY = object()


def _yaml(path: Path, on_bytes: Callable[[int], object]) -> Iterator[Raw | Refusal]:
    on_bytes(path.stat().st_size)
    with path.open(encoding="utf-8-sig") as file:
        try:
            yield from _YamlDocuments(file, str(path)).read()
        except yaml.MarkedYAMLError as error:
            reason = f"invalid YAML: {', '.join(filter(None, (error.context, error.problem)))}"
            if error.problem_mark is not None:
                reason = (
                    f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {reason}"
                )
            yield Refusal(str(path), "", reason, "correct it; what stands after it was not read")
        except yaml.reader.ReaderError as error:
            reason = f"invalid YAML: {error.reason} at position {error.position}"
            yield Refusal(str(path), "", reason, "correct it; what stands after it was not read")


class _YamlDocuments:
    """Values from YAML's events. PyYAML's own composer crashes on deep nesting, keeps the last of duplicate
    keys, and has no measure of what aliases expand to; its parser and scalar types are used as they are."""

    def __init__(self, file: IO[str], source: str) -> None:
        self.loader = _Loader(file)
        self.source = source
        self.ended = False

    def read(self) -> Iterator[Raw | Refusal]:
        try:
            number = 0
            self.loader.get_event()  # stream start
            while not self.ended and not self.loader.check_event(yaml.StreamEndEvent):
                number += 1
                yield from self._document(number)
        finally:
            self.loader.dispose()

    def _document(self, number: int) -> Iterator[Raw | Refusal]:
        self.loader.get_event()  # document start
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = self.aliased = 0
        event = self.loader.get_event()
        try:
            value = self._node(event, 0)
        except _Malformed as malformed:
            # The later documents may be sound; but what is malformed in one way may be so in others.
            try:
                self._skip_to_document_end()
            except (yaml.YAMLError, _Malformed):
                self.ended = True
            yield malformed.refusal(self._name(number))
            return
        self.loader.get_event()  # document end
        # Nothing between two `---` is no document.
        if not (isinstance(event, yaml.ScalarEvent) and event.value == "" and value is None):
            yield Raw(value, Place(self._name(number), ""))

    def _skip_to_document_end(self) -> None:
        depth = 0
        while not isinstance(event := self.loader.get_event(), yaml.DocumentEndEvent):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _too_deep()

    def _name(self, number: int) -> str:
        alone = number == 1 and (self.ended or self.loader.check_event(yaml.StreamEndEvent))
        return self.source if alone else f"{self.source}:{number}"

    def _node(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _at(event, f"*{event.anchor} refers to itself, or to nothing", "write the value out")
            value, size = self.anchors[event.anchor]
            self.nodes += size
            self.aliased += size
            if self.aliased > _MAX_ALIASED:
                raise _at(event, f"aliases expand to more than {_MAX_ALIASED} nodes", "write the values out")
            return value
        before = self.nodes
        self.nodes += 1
        if isinstance(event, yaml.ScalarEvent):
            self.nodes += len(event.value) // _TEXT_OF_A_NODE
            value = self._scalar(event)
        elif depth == MAX_DEPTH:
            raise _too_deep()
        else:
            if event.tag not in (None, "!", _COLLECTION_TAGS[type(event)]):
                raise _tagged(event)
            value = (
                self._mapping(depth) if isinstance(event, yaml.MappingStartEvent) else self._sequence(depth)
            )
        if event.anchor is not None:
            self.anchors[event.anchor] = value, self.nodes - before
        return value

    def _sequence(self, depth: int) -> list[Any]:
        result = []
        while not isinstance(event := self.loader.get_event(), yaml.SequenceEndEvent):
            result.append(self._node(event, depth + 1))
        return result

    def _mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        defaults: list[dict[str, Any]] = []
        while not isinstance(event := self.loader.get_event(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(self.loader.get_event(), depth + 1)
            if key is _MERGE_KEY:
                merged = value if isinstance(value, list) else [value]
                if not all(isinstance(mapping, dict) for mapping in merged):
                    raise _at(
                        event, "<< takes a mapping, or a list of mappings", 'quote it if it is a key: "<<"'
                    )
                defaults += merged
            elif not isinstance(key, str):
                text = event.value if isinstance(event, yaml.ScalarEvent) else "..."
                raise _at(event, f"the key {text} is not text ({type(key).__name__})", f'quote it: "{text}"')
            elif key in result:
                raise _at(
                    event, f"the key {key!r} stands twice in one mapping", "remove or rename one of the two"
                )
            else:
                result[key] = value
        for mapping in defaults:
            result = mapping | result
        return result

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self.loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag in _TEXT_TAGS:
            return event.value
        if tag == _TAG + "null":
            return None
        if tag == _TAG + "merge":
            return _MERGE_KEY
        if tag not in _PARSED_TAGS:
            raise _tagged(event)
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            value = self.loader.yaml_constructors[tag](self.loader, node)
            if isinstance(value, float):
                _check_yaml_float(event.value, value)
        except _Malformed as error:
            raise _at(event, error.reason, error.remedy) from None
        except (ValueError, LookupError, AttributeError, OverflowError):
            # What PyYAML's constructors raise for 2024-13-45, `!!int x`, `!!timestamp x`, ...
            kind = tag.removeprefix(_TAG)
            raise _at(event, f"{event.value[:40]!r} is no {kind}", "correct it, or quote it") from None
        return value.isoformat() if isinstance(value, date) else value


def _check_yaml_float(text: str, value: float) -> None:
    if not math.isfinite(value):
        _no_constant(text)
    try:
        Decimal(text)
    except InvalidOperation:
        return  # base 60, as in 1:30.5
    _exact_float(text.replace("_", ""))


def _at(event: Any, reason: str, remedy: str) -> _Malformed:
    mark = event.start_mark
    return _Malformed(f"line {mark.line + 1}, column {mark.column + 1}: {reason}", remedy)


def _tagged(event: Any) -> _Malformed:
    return _at(event, f"the tag {event.tag} is not read", "write plain text, numbers, lists and mappings")

"""YAML -> raw documents, one at a time, and every malformed one a Refusal."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO

import yaml

from pycharter_sql.documents import MAX_DEPTH, Place, Raw
from pycharter_sql.errors import Refusal
from pycharter_sql.sources.parsing import (
    MAX_DOCUMENT,
    Malformed,
    exact_float,
    no_constant,
    not_utf8,
    too_deep,
    too_long,
)

# YAML aliases can write a billion nodes in ten lines; this many, per document, may come from them.
_MAX_ALIASED = 1_000_000
_TEXT_OF_A_NODE = 100  # characters that count as a node more

_NOT_READ_ON = "correct it; what stands after it was not read"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG = "tag:yaml.org,2002:"
_COLLECTION_TAGS = {yaml.MappingStartEvent: _TAG + "map", yaml.SequenceStartEvent: _TAG + "seq"}
# `=` is a type of its own to YAML 1.1, which nobody means.
_TEXT_TAGS = (_TAG + "str", _TAG + "value")
_PARSED_TAGS = tuple(_TAG + name for name in ("bool", "int", "float", "timestamp"))
_MERGE_KEY = object()


def yaml_documents(file: BinaryIO, source: str) -> Iterator[Raw | Refusal]:
    """The documents of a YAML file; where there are several, "file.yaml:2" is the second."""
    try:
        yield from _YamlDocuments(_YamlText(file), source).read()
    except Malformed as malformed:
        yield malformed.refusal(source)
    except yaml.MarkedYAMLError as error:
        reason = f"invalid YAML: {', '.join(filter(None, (error.context, error.problem)))}"
        if error.problem_mark is not None:
            reason = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {reason}"
        yield Refusal(source, "", reason, _NOT_READ_ON)
    except yaml.reader.ReaderError as error:
        reason = f"invalid YAML: {error.reason} at position {error.position}"
        yield Refusal(source, "", reason, _NOT_READ_ON)


class _BrokenText(Malformed):
    """Why neither this document nor what stands after it can be read."""


class _YamlText:
    """The text of a YAML file, in the pieces that the parser asks for."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.line = 1
        self.length = 0  # bytes of the document that is being read

    def read(self, size: int) -> str:
        while True:
            piece = self.file.read(size)
            self.length += len(piece)
            if self.length > MAX_DOCUMENT:
                raise _BrokenText(*too_long().args)
            try:
                text = self.decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                line = self.line + error.object.count(b"\n", 0, error.start)
                raise _BrokenText(*not_utf8(line).args) from None
            self.line += piece.count(b"\n")
            # Half a character is no text yet, but not the end either.
            if text or not piece:
                return text


class _YamlDocuments:
    """Values from YAML's events. PyYAML's own composer crashes on deep nesting, keeps the last of duplicate
    keys, and has no measure of what aliases expand to; its parser and scalar types are used as they are."""

    def __init__(self, text: _YamlText, source: str) -> None:
        self.text = text
        self.loader = _Loader(text)
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
        self.text.length = 0
        self.loader.get_event()  # document start
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = self.aliased = 0
        event = self.loader.get_event()
        try:
            value = self._node(event, 0)
        except _BrokenText:
            raise  # and the parser would go on for ever
        except Malformed as malformed:
            # The later documents may be sound; but what is malformed in one way may be so in others.
            try:
                self._skip_to_document_end()
            except (yaml.YAMLError, Malformed):
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
                raise too_deep()

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
            raise too_deep()
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
        except Malformed as error:
            raise _at(event, error.reason, error.remedy) from None
        except (ValueError, LookupError, AttributeError, OverflowError):
            # What PyYAML's constructors raise for 2024-13-45, `!!int x`, `!!timestamp x`, ...
            kind = tag.removeprefix(_TAG)
            raise _at(event, f"{event.value[:40]!r} is no {kind}", "correct it, or quote it") from None
        return value.isoformat() if isinstance(value, date) else value


def _check_yaml_float(text: str, value: float) -> None:
    if not math.isfinite(value):
        no_constant(text)
    try:
        Decimal(text)
    except InvalidOperation:
        return  # base 60, as in 1:30.5
    exact_float(text.replace("_", ""))


def _at(event: Any, reason: str, remedy: str) -> Malformed:
    mark = event.start_mark
    return Malformed(f"line {mark.line + 1}, column {mark.column + 1}: {reason}", remedy)


def _tagged(event: Any) -> Malformed:
    return _at(event, f"the tag {event.tag} is not read", "write plain text, numbers, lists and mappings")

"""Text -> raw documents: JSON and NDJSON (YAML: yaml_parsing.py), one at a time; the malformed are Refusals.

Nothing is dropped or rounded without a word: whatever cannot be read exactly is refused.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any, BinaryIO

import orjson

from pycharter_sql.documents import MAX_DEPTH, Place, Raw
from pycharter_sql.errors import Refusal

# Bytes of text that one document may have, uncompressed; so many are held in memory, and several times as
# many for the values in them. The longest contract that is known has 0.1 MB.
MAX_DOCUMENT = 64 << 20

_BOM = codecs.BOM_UTF8


def looked_at(file: BinaryIO, source: str) -> Iterator[Raw | Refusal]:
    """The documents of a text whose format nobody tells.

    What begins with { or [ is JSON: one value a line if the first line is a whole one, else one value.
    Everything else is YAML.
    """
    head = bytearray()
    while not (line := file.readline(MAX_DOCUMENT + 1)).removeprefix(_BOM).strip():
        head += line
        if not line or len(head) > MAX_DOCUMENT:
            break
    text = line.removeprefix(_BOM).strip()
    again = chained(bytes(head + line), file)
    if not text.startswith((b"{", b"[")):
        # Here, and with it PyYAML: not everybody has YAML, and everybody waits for an import.
        from pycharter_sql.sources.yaml_parsing import yaml_documents

        return yaml_documents(again, source)
    return (json_lines if _is_json(text) else json_document)(again, source)


def chained(head: bytes, rest: BinaryIO) -> io.BufferedReader:
    """A file of what was read already and what was not."""
    return io.BufferedReader(_Chained(head, rest))


class _Chained(io.RawIOBase):
    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self.head = memoryview(head)
        self.rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.head[: len(buffer)] or self.rest.read(len(buffer))
        self.head = self.head[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class Malformed(Exception):
    """Why the document that is being read cannot be."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def refusal(self, source: str) -> Refusal:
        return Refusal(source, "", self.reason, self.remedy)


# ---------------------------------------------------------------------------------------------------------
# JSON


def json_document(file: BinaryIO, source: str) -> Iterator[Raw | Refusal]:
    """The one JSON value of a file."""
    text = file.read(MAX_DOCUMENT + 1).removeprefix(_BOM)
    if text.strip():
        yield _json_document(text, source)


def json_lines(file: BinaryIO, source: str) -> Iterator[Raw | Refusal]:
    """The JSON values of a file, one a line; "file.ndjson:3" is that of line 3."""
    lines = iter(partial(file.readline, MAX_DOCUMENT + 1), b"")
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(_BOM).strip() if number == 1 else line.strip()
        if text:
            yield _json_document(text, f"{source}:{number}")
        if len(line) > MAX_DOCUMENT:
            return  # in mid-line; the refusal says so


def _json_document(text: bytes, source: str) -> Raw | Refusal:
    try:
        if len(text) > MAX_DOCUMENT:
            raise too_long()
        return parse_json(text, Place(source, ""))
    except Malformed as malformed:
        return malformed.refusal(source)


def parse_json(text: bytes, place: Place) -> Raw:
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
            text.decode(), object_pairs_hook=_unique, parse_float=exact_float, parse_constant=no_constant
        )
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise not_utf8(line) from None
    except json.JSONDecodeError as error:
        remedy = "correct it"
        if error.msg == "Extra data":
            remedy = "one JSON value a file; several, one a line, go into a .ndjson file"
        reason = f"line {error.lineno}, column {error.colno}: invalid JSON: {error.msg}"
        raise Malformed(reason, remedy) from None
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:
        # Python's guard against integers of thousands of digits.
        raise Malformed(str(error).partition(";")[0], "write the number as text") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Malformed(f"the key {twice!r} stands twice in one mapping", "remove or rename one of the two")
    return result


def no_constant(word: str) -> Any:
    raise Malformed(f"{word} is not JSON", "write null, or a number")


def exact_float(text: str) -> float:
    value = float(text)
    # Doubles that overflow become inf, tiny ones 0, and digits beyond the 17th are lost.
    if Decimal(text) != Decimal(repr(value)):
        raise Malformed(f"the number {text} does not fit a double", "write it as text, or with fewer digits")
    return value


def too_deep() -> Malformed:
    return Malformed(f"nested more than {MAX_DEPTH} levels deep", "flatten the document")


def not_utf8(line: int) -> Malformed:
    return Malformed(f"line {line}: not UTF-8", "save the file as UTF-8")


def too_long() -> Malformed:
    reason = f"a document of more than {MAX_DOCUMENT >> 20} MB; it and what stands after it were not read"
    return Malformed(reason, "move what is no contract out of it, or split it")

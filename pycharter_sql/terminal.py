"""Tables for people: aligned, coloured and cut to the width on a terminal; plain and whole in a pipe."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from tabulate import tabulate

COLOURS = {
    "active": "green",
    "deprecated": "yellow",
    "retired": "bright_black",
    "proposed": "cyan",
    "draft": "cyan",
    "added": "green",
    "changed": "yellow",
    "removed": "red",
    "error": "red",
    "warning": "yellow",
    "info": "cyan",
}
COLOURED_COLUMNS = ("status", "kind")
LEAST_WIDTH = 6  # of a column that is cut: some letters and the dots
GAP = 2  # between columns, as tabulate's format "plain" has it
# A name from a document must not move the cursor of who reads it.
CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], " ")


def write_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows under their keys, all of which have those of the first; without any, says so on stderr."""
    if not rows:
        click.echo("Nothing found.", err=True)
        return
    names = list(rows[0])
    table = _fitted([names, *([brief(value) for value in row.values()] for row in rows)])
    numeric = [all(_is_number(row[name]) for row in rows if row[name] is not None) for name in names]
    cells = [
        [_painted(cell, rows[place][name], name) for cell, name in zip(line, names, strict=True)]
        for place, line in enumerate(table[1:])
    ]
    headers = [click.style(header, bold=True) for header in table[0]]
    aligned = ["right" if right else "left" for right in numeric]
    # The headers as a row like the others: as headers tabulate would give them two more blanks.
    click.echo(tabulate([headers, *cells], tablefmt="plain", disable_numparse=True, colalign=aligned))


def write_fields(row: Mapping[str, Any]) -> None:
    """One row, a line a key."""
    fitted = _fitted([[name, brief(value)] for name, value in row.items()])
    cells = [
        [click.style(shown, bold=True), _painted(cell, value, name)]
        for (shown, cell), (name, value) in zip(fitted, row.items(), strict=True)
    ]
    click.echo(tabulate(cells, tablefmt="plain", disable_numparse=True))


def brief(value: Any) -> str:
    """A value in one line: of a mapping its keys, with the number of what is in them."""
    if isinstance(value, dict):
        text = ", ".join(
            f"{key} ({len(inner)})" if isinstance(inner, dict | list) else str(key)
            for key, inner in value.items()
        )
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = "" if value is None else str(value)
    return " ".join(text.translate(CONTROLS).split())


def as_json(value: Any) -> str:
    """A JSON value in one line, all of it."""
    return json.dumps(value, ensure_ascii=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _painted(cell: str, value: Any, column: str) -> str:
    # click takes the colours away again where nobody sees them.
    if column in COLOURED_COLUMNS and value in COLOURS:
        return click.style(cell, fg=COLOURS[value])
    return cell


def _fitted(table: list[list[str]]) -> list[list[str]]:
    """The cells, on a terminal cut to its width: the widest columns first."""
    if not sys.stdout.isatty():
        return table
    room = shutil.get_terminal_size().columns - GAP * (len(table[0]) - 1)
    widths = [min(max(map(len, column)), room) for column in zip(*table, strict=True)]
    while sum(widths) > room and max(widths) > LEAST_WIDTH:
        widths[widths.index(max(widths))] -= 1
    return [[_cut(cell, width) for cell, width in zip(line, widths, strict=True)] for line in table]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 3, 0)]}..."

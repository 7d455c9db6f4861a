"""The dependencies between feeds as text: a tree for a terminal, Mermaid for a page, DOT for Graphviz.

Arrows follow the data: from what a feed depends on to the feed. A dashed one is an optional dependency.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pycharter_sql.queries import Direction
from pycharter_sql.rows import FeedDependency
from pycharter_sql.terminal import brief


def tree(feed: str, dependencies: Collection[FeedDependency], direction: Direction) -> Iterator[str]:
    """One line a feed, below the feed whose dependency it is, or that depends on it.

    A feed that is met again, on another way or on a cycle, is not unfolded again: "(above)".
    """
    branches: dict[str, dict[str, bool]] = {}
    for link in dependencies:
        trunk, branch = link.data_feed, link.depends_on
        if direction == "downstream":
            trunk, branch = branch, trunk
        seen = branches.setdefault(trunk, {})
        seen[branch] = seen.get(branch, False) or link.dependency_type == "required"
    yield brief(feed)
    unfolded = {feed}
    # What is left to draw, the next one last: the lines left of it, whether its trunk has no more, its name.
    left = _twigs("", branches.get(feed, {}))
    while left:
        margin, is_last, name, required = left.pop()
        again = name in unfolded and name in branches
        note = ("" if required else " (optional)") + (" (above)" if again else "")
        yield f"{margin}{'└── ' if is_last else '├── '}{brief(name)}{note}"
        if name not in unfolded:
            unfolded.add(name)
            left += _twigs(margin + ("    " if is_last else "│   "), branches.get(name, {}))


def _twigs(margin: str, branches: dict[str, bool]) -> list[tuple[str, bool, str, bool]]:
    names = sorted(branches, reverse=True)
    return [(margin, place == 0, name, branches[name]) for place, name in enumerate(names)]


def mermaid(feed: str, dependencies: Collection[FeedDependency]) -> Iterator[str]:
    """A Mermaid flowchart; the feed that was asked for stands out."""
    numbers = _numbers(feed, dependencies)
    yield "flowchart LR"
    for name, number in numbers.items():
        # Mermaid has entities of its own for what would end a label.
        label = brief(name).replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;")
        yield f'    f{number}["{label}"]'
    for source, target, required in _arrows(dependencies):
        yield f"    f{numbers[source]} {'-->' if required else '-.->'} f{numbers[target]}"
    yield "    style f0 stroke-width:3px"


def dot(feed: str, dependencies: Collection[FeedDependency]) -> Iterator[str]:
    """A directed graph in Graphviz' language DOT; the feed that was asked for stands out."""
    yield "digraph lineage {"
    yield "    rankdir=LR;"
    yield "    node [shape=box];"
    yield f"    {_quoted(feed)} [penwidth=3];"
    for source, target, required in _arrows(dependencies):
        yield f"    {_quoted(source)} -> {_quoted(target)}{'' if required else ' [style=dashed]'};"
    yield "}"


def _numbers(feed: str, dependencies: Collection[FeedDependency]) -> dict[str, int]:
    names = {name for link in dependencies for name in (link.data_feed, link.depends_on)} - {feed}
    return {name: number for number, name in enumerate([feed, *sorted(names)])}


def _arrows(dependencies: Collection[FeedDependency]) -> list[tuple[str, str, bool]]:
    """Source, target, and whether any contract requires it; once each, whichever contracts say so."""
    arrows: dict[tuple[str, str], bool] = {}
    for link in dependencies:
        ends = (link.depends_on, link.data_feed)
        arrows[ends] = arrows.get(ends, False) or link.dependency_type == "required"
    return [(*ends, required) for ends, required in sorted(arrows.items())]


def _quoted(name: str) -> str:
    escaped = brief(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

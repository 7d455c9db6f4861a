"""What a load did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pycharter_sql.errors import DocumentRefused, Refusal


@dataclass(slots=True)
class Counts:
    """Rows of one table."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0


@dataclass(slots=True)
class Report:
    """What a load did.

    ``read`` counts source documents, ``merged`` those of them that were joined to another source of the same
    contract version, ``refused`` those that were left out. ``inserted``, ``updated`` and ``unchanged`` count
    contract versions, ``tables`` the rows of every table. Where a load wrote nothing because a document was
    refused, the counts of contracts and tables are 0.

    ``kept`` counts, by key ("data_quality", "runtime.serve"), what legacy documents say that has no column
    and lives on in the contract's metadata; ``left_out`` what has no place here at all ("systems.app_id").
    """

    read: int = 0
    merged: int = 0
    refused: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    tables: dict[str, Counts] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def loaded(self) -> int:
        """Contract versions that are in the catalogue as their documents say."""
        return self.inserted + self.updated + self.unchanged

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values: documents, contracts, tables, refusals, kept, left_out."""
        return {
            "documents": {"read": self.read, "merged": self.merged, "refused": self.refused},
            "contracts": {
                "loaded": self.loaded,
                "inserted": self.inserted,
                "updated": self.updated,
                "unchanged": self.unchanged,
            },
            "tables": {name: asdict(counts) for name, counts in sorted(self.tables.items())},
            "refusals": [asdict(refusal) for refusal in self.refusals],
            "kept": dict(sorted(self.kept.items())),
            "left_out": dict(sorted(self.left_out.items())),
        }


class LoadRefused(DocumentRefused):
    """At least one document was refused, and so nothing was written; ``report`` tells the whole of it."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.refusals)
        self.report = report


def nothing_written(report: Report) -> Report:
    return Report(report.read, report.merged, report.refused, refusals=report.refusals)

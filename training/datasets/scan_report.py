"""Summary of a dataset scan: counts, skipped items with reasons, notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_EXAMPLES = 3


@dataclass(slots=True)
class Skipped:
    """Number of items skipped for one reason, with the first few locations."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ScanReport:
    """Counts in order of appearance, skipped items by reason, and notes to the user."""

    source: str
    root: str
    counts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def count(self, name: str, number: int = 1) -> None:
        """Add `number` to the count `name`."""
        self.counts[name] = self.counts.get(name, 0) + int(number)

    def skip(self, reason: str, where: str, number: int = 1) -> None:
        """Record that `number` items at `where` were skipped; nothing is recorded for 0."""
        if number <= 0:
            return
        entry = self.skipped.setdefault(reason, Skipped())
        entry.count += int(number)
        if len(entry.examples) < _EXAMPLES and where not in entry.examples:
            entry.examples.append(where)

    def note(self, sentence: str) -> None:
        """Add a note once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def show(self, console: Console | None = None) -> None:
        """Print the report as tables."""
        console = console or Console()
        counts = Table(title=escape(f"{self.source} in {self.root}"), title_justify="left")
        counts.add_column("item")
        counts.add_column("count", justify="right")
        for name, number in self.counts.items():
            counts.add_row(escape(name), f"{number:,}")
        console.print(counts)
        if self.skipped:
            skipped = Table(title="skipped, entirely or in part", title_justify="left")
            skipped.add_column("reason")
            skipped.add_column("count", justify="right")
            skipped.add_column("examples")
            for reason, entry in self.skipped.items():
                skipped.add_row(
                    escape(reason), f"{entry.count:,}", escape(", ".join(entry.examples))
                )
            console.print(skipped)
        else:
            console.print("nothing was skipped")
        for sentence in self.notes:
            console.print(f"note: {escape(sentence)}", highlight=False)

    def to_json(self) -> dict[str, Any]:
        """JSON document of the report."""
        skipped = {
            reason: {"count": e.count, "examples": e.examples} for reason, e in self.skipped.items()
        }
        return {
            "source": self.source,
            "root": self.root,
            "found": self.counts,
            "skipped": skipped,
            "notes": self.notes,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ScanReport:
        """The report of a document of `to_json`."""
        skipped = {
            reason: Skipped(int(e["count"]), list(e["examples"]))
            for reason, e in document["skipped"].items()
        }
        return cls(
            document["source"],
            document["root"],
            dict(document["found"]),
            skipped,
            list(document["notes"]),
        )

"""What a scan of a data set found and what it left out, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_EXAMPLES = 3


@dataclass(slots=True)
class Skipped:
    """How often one reason to leave something out applied, with the first few places."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ScanReport:
    """Counts in the order they were made; `skipped` by reason; `notes` are sentences for the
    reader.
    """

    source: str
    root: str
    found: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def count(self, what: str, number: int = 1) -> None:
        self.found[what] = self.found.get(what, 0) + int(number)

    def skip(self, reason: str, where: str, number: int = 1) -> None:
        """Note that `number` things were left out at `where`; nothing is noted for 0."""
        if number <= 0:
            return
        entry = self.skipped.setdefault(reason, Skipped())
        entry.count += int(number)
        if len(entry.examples) < _EXAMPLES and where not in entry.examples:
            entry.examples.append(where)

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def show(self, console: Console | None = None) -> None:
        """Print it as tables."""
        console = console or Console()
        found = Table(title=escape(f"{self.source} in {self.root}"), title_justify="left")
        found.add_column("found")
        found.add_column("count", justify="right")
        for what, number in self.found.items():
            found.add_row(escape(what), f"{number:,}")
        console.print(found)
        if self.skipped:
            skipped = Table(title="left out, or used only in part", title_justify="left")
            skipped.add_column("why")
            skipped.add_column("count", justify="right")
            skipped.add_column("for example")
            for reason, entry in self.skipped.items():
                skipped.add_row(
                    escape(reason), f"{entry.count:,}", escape(", ".join(entry.examples))
                )
            console.print(skipped)
        else:
            console.print("nothing was left out")
        for sentence in self.notes:
            console.print(f"note: {escape(sentence)}", highlight=False)

    def to_json(self) -> dict[str, Any]:
        skipped = {
            reason: {"count": e.count, "examples": e.examples} for reason, e in self.skipped.items()
        }
        return {
            "source": self.source,
            "root": self.root,
            "found": self.found,
            "skipped": skipped,
            "notes": self.notes,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ScanReport:
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

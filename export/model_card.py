"""The card that travels with the weights: origin, terms, figures, and what the model must not be used for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from training.circumplex import COORDINATES
from training.evaluation.record import figures_text

_TEXTS: Final = Path(__file__).parent / "card"
_NOTHING_MEASURED: Final = "An early checkpoint for integration work: nothing was measured.\n"


def model_card(figures: dict[str, Any], with_renders: bool, notes: str = "") -> str:
    """Markdown of the card; without figures it says that the bundle is an early one."""
    mapping = ", ".join(f"{name} {v:+.2f}/{a:+.2f}" for name, (v, a) in COORDINATES.items())
    return card_text("card").format(
        renders=card_text("renders_row") if with_renders else "",
        notes=notes,
        au_truth=card_text("au_with_renders" if with_renders else "au_without_renders").strip(),
        mapping=mapping,
        figures=figures_text(figures) if figures else _NOTHING_MEASURED,
        must_not=card_text("must_not"),
    )


def card_text(name: str) -> str:
    """A part of a card."""
    return (_TEXTS / f"{name}.md").read_text(encoding="utf-8")

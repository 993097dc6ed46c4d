"""The card that travels with the weights: origin, terms, figures, and what the model must not be
used for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.datasets.emotion_to_va import COORDINATES
from training.evaluation.record import figures_text

_TEXTS: Final = Path(__file__).parent / "card"
_FROM_CHANCE: Final = "The weights were trained from random initialization on the sources below."
_FROM_A_BUNDLE: Final = (
    "The weights were trained on the sources below, beginning with those of an earlier version (SHA-256 of its network: "
    "{digest}), whose own beginnings go back to random initialization and sources of the same kinds."
)
_NOTHING_MEASURED: Final = "An early checkpoint for integration work: nothing was measured.\n"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where weights come from: the SHA-256 of the network that they began with, and what
    `training.distillation.teachers` wrote down.
    """

    started_from: str = ""
    teaching: Mapping[str, Any] | None = None

    def sentence(self) -> str:
        text = (
            _FROM_A_BUNDLE.format(digest=self.started_from) if self.started_from else _FROM_CHANCE
        )
        if self.teaching is None:
            return text
        return text + _teachers_sentence(self.teaching)


def _teachers_sentence(teaching: Mapping[str, Any]) -> str:
    names = []
    for teacher in teaching["teachers"]:
        kind = (
            f"the bundle {teacher['bundle']}"
            if "bundle" in teacher
            else f"{teacher['paper']} ({teacher['preset']})"
        )
        names.append(f"{kind} of SHA-256 {teacher['weights']}")
    whom = "" if teaching.get("synthetic", True) else " on images of people"
    return (
        f" Its targets{whom} are mixed with what teachers say: {', '.join(names)}; their share is {teaching['teacher_weight']:g} where "
        f"there is a label, and where there is none theirs count alone, with a weight of {teaching['unlabeled_weight']:g}."
    )


def model_card(
    figures: dict[str, Any], with_renders: bool, notes: str = "", origin: Origin | None = None
) -> str:
    """Markdown of the card; without figures it says that the bundle is an early one."""
    mapping = ", ".join(f"{name} {v:+.2f}/{a:+.2f}" for name, (v, a) in COORDINATES.items())
    return card_text("card").format(
        origin=(origin or Origin()).sentence(),
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

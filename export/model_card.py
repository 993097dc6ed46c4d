"""Writes the model card of the default model: training data, terms, metrics and limitations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from export.calibrate import F1_SLACK, MAX_FALSE_ALARMS, MIN_THRESHOLD
from training.datasets.emotion_to_va import COORDINATES
from training.evaluation.record import format_metrics

_TEMPLATES: Final = Path(__file__).parent / "card"
_FROM_SCRATCH: Final = "The weights were trained from random initialization on the sources below."
_FROM_BUNDLE: Final = (
    "The weights were initialized from an earlier version (SHA-256 of its network: {digest}) and "
    "trained on the sources below. That version goes back to random initialization and sources of "
    "the same kinds."
)
_ON_REAL_SKIN: Final = "synthetic images and known actions on real skin"
_SOURCES: Final = (
    " of each source: FER+, the darkest third of it, web photographs and generated faces"
)
_NOT_MEASURED: Final = "An early checkpoint for integration work: nothing was measured.\n"


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of weights.

    Attributes:
        started_from: SHA-256 of the network that they were initialized from; empty: none.
        distillation: Record that `training.distillation.teachers` wrote; None: no distillation.
        on_real_skin: Whether `training.real_skin` fine-tuned them.
    """

    started_from: str = ""
    distillation: Mapping[str, Any] | None = None
    on_real_skin: bool = False

    def sentence(self) -> str:
        """Describe the origin for a model card."""
        text = _FROM_BUNDLE.format(digest=self.started_from) if self.started_from else _FROM_SCRATCH
        return text if self.distillation is None else text + _distillation_text(self.distillation)


def _distillation_text(record: Mapping[str, Any]) -> str:
    names = []
    for teacher in record["teachers"]:
        kind = (
            f"the bundle {teacher['bundle']}"
            if "bundle" in teacher
            else f"{teacher['paper']} ({teacher['preset']})"
        )
        names.append(f"{kind} with SHA-256 {teacher['weights']}")
    images = "all images" if record.get("synthetic", True) else "real images"
    return (
        f" They were trained with distillation on {images} from {', '.join(names)} (teacher weight "
        f"{record['teacher_weight']:g} beside a label; loss weight "
        f"{record['unlabeled_weight']:g} without one)."
    )


def model_card(
    metrics: dict[str, Any],
    with_synthetic_images: bool,
    notes: str = "",
    origin: Origin | None = None,
) -> str:
    """Write the model card as Markdown; without metrics it says that nothing was measured."""
    mapping = ", ".join(f"{name} {v:+.2f}/{a:+.2f}" for name, (v, a) in COORDINATES.items())
    au_template = (
        "au_with_synthetic_images" if with_synthetic_images else "au_without_synthetic_images"
    )
    origin, limits = origin or Origin(), "au_limits"
    rows = load_template("synthetic_images_row") if with_synthetic_images else ""
    if origin.on_real_skin:
        au_template, limits = "au_on_real_skin", "au_limits_on_real_skin"
        rows += load_template("real_skin_row")
    return load_template("card").format(
        origin=origin.sentence(),
        synthetic_images=rows,
        notes=notes,
        au_truth=load_template(au_template).strip(),
        au_limits=load_template(limits).strip(),
        calibrated_on=_ON_REAL_SKIN if origin.on_real_skin else "synthetic images",
        sources=_SOURCES if origin.on_real_skin else "",
        mapping=mapping,
        max_false_alarms=MAX_FALSE_ALARMS,
        min_threshold=MIN_THRESHOLD,
        f1_slack=F1_SLACK,
        metrics=format_metrics(metrics) if metrics else _NOT_MEASURED,
        must_not=load_template("must_not"),
    )


def load_template(name: str) -> str:
    """Load a part of a model card from `export/card`."""
    return (_TEMPLATES / f"{name}.md").read_text(encoding="utf-8")

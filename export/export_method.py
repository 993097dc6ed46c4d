"""Exports the training run of a method: stages, thresholds, model card and parity check."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.torch import load_file

from export.calibrate import DEFAULT_THRESHOLD
from export.check_parity import exceeding_tolerance
from export.check_stage_parity import check_stage_parity
from export.method_card import CardFacts, has_memory, method_card, thresholds_text
from export.write_method_bundle import export_stages, write_method_bundle
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.geometry import AFFWILD2_EYE_OFFSET_PX
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.engine.checkpoint import EMA_FILE, RUN_FILE
from training.evaluation.calibration import choose_thresholds
from training.methods.load_run import read_method_run
from training.methods.predict import method_predictions
from training.methods.recipe import MethodRecipe
from training.methods.score_log import SCORES_FILE
from training.methods.train_run import open_recipe_data
from training.models.stages import MethodNet

_MIN_NEUTRAL_FRAMES: Final = 100  # needed for a neutral reference


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """Options for runs of a method.

    Attributes:
        thresholds: JSON file with a threshold for each AU.
        validation: Data set to choose thresholds on.
        trained_on: Names from `method_card.SOURCES`, or text for the model card.
        use_ema: Export the moving average of the weights.
        affwild2_crops: The training crops are those of Aff-Wild2.
        fps: Frame rate of the training videos; a network with memory skips frames of faster ones.
    """

    thresholds: Path | None = None
    validation: Path | None = None
    trained_on: Sequence[str] = ()
    use_ema: bool = False
    affwild2_crops: bool = False
    fps: float | None = None


def is_method_run(folder: Path) -> bool:
    """Whether a run is of one of the eight methods; the default model has no paper."""
    try:
        return "paper" in json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def export_method(
    run_dir: Path, bundle_dir: Path, options: MethodOptions, log: Callable[[str], None]
) -> ModelSpec:
    """Write the bundle of a run and compare it with the PyTorch network.

    Raises:
        ValueError: The run or an option cannot be used, or an exported stage differs.
    """
    recipe, net = read_method_run(run_dir)
    expressions = getattr(recipe.net, "expressions", len(EXPRESSION_NAMES))
    if expressions != len(EXPRESSION_NAMES):
        raise ValueError(
            f"bundles report {len(EXPRESSION_NAMES)} expressions, {run_dir} has {expressions}; "
            "evaluate it as a run folder, or train with net.expressions=7"
        )
    if options.use_ema:
        net.load_state_dict(
            load_file(_require(run_dir / EMA_FILE, "a run with EMA weights (mean_teacher)"))
        )
    thresholds, neutral, origin = _choose_thresholds(recipe, net.eval(), options)
    networks = export_stages(net)
    run = json.loads((run_dir / RUN_FILE).read_text(encoding="utf-8"))
    offset_y_px = AFFWILD2_EYE_OFFSET_PX if options.affwild2_crops else 0.0
    has_aus = _has_output(net, "au_logit")
    card_thresholds = thresholds_text(thresholds, origin) if has_aus else ""
    scores = _load_scores(run_dir, options.use_ema)
    card = method_card(
        recipe,
        net,
        networks,
        CardFacts(
            int(run["step"]), options.trained_on, card_thresholds, scores, offset_y_px, options.fps
        ),
    )
    input_fps = options.fps if has_memory(net) else None
    spec = write_method_bundle(
        recipe, net, networks, bundle_dir, card, thresholds, neutral, offset_y_px, input_fps
    )
    differences = check_stage_parity(net, bundle_dir)
    log(
        f"stages {', '.join(networks)}; "
        f"largest difference from the PyTorch network {max(differences.values()):.1e}"
    )
    if exceeding_tolerance(differences):
        raise ValueError(
            f"the exported stages differ from the network: {exceeding_tolerance(differences)}"
        )
    return spec


def _require(path: Path, expected: str) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} does not exist: expected {expected}")
    return path


def _has_output(net: MethodNet, tensor: str) -> bool:
    return any(form.name == tensor for stage in net.stages() for form in stage.outputs)


def _choose_thresholds(
    recipe: MethodRecipe, net: MethodNet, options: MethodOptions
) -> tuple[tuple[float, ...], tuple[float, ...] | None, str]:
    """AU thresholds, AU logits of neutral faces if available, and the origin of both."""
    if options.thresholds is not None and options.validation is not None:
        raise ValueError(
            "expected thresholds from a file or from validation data, got both; give one of them"
        )
    if options.thresholds is not None:
        return load_thresholds(options.thresholds), None, "from a file"
    if options.validation is None or not _has_output(net, "au_logit"):
        return (DEFAULT_THRESHOLD,) * len(AU_NAMES), None, "default"
    data = open_recipe_data(recipe, options.validation, None, timing=options.fps is not None)
    table = data.validation
    probability = method_predictions(net, recipe, table, data, input_fps=options.fps).au
    assert probability is not None
    thresholds = choose_thresholds(probability, table.au > 0, table.au_mask)
    is_neutral = table.expression_mask & (table.expression == EXPRESSION_NAMES.index("neutral"))
    neutral = None
    if is_neutral.sum() >= _MIN_NEUTRAL_FRAMES:
        median = np.clip(np.median(probability[is_neutral], axis=0), 1e-4, 1 - 1e-4)
        neutral = tuple(float(value) for value in np.log(median / (1 - median)))
    return (
        tuple(round(value, 4) for value in thresholds),
        neutral,
        f"best F1 on the validation set of {options.validation.name}",
    )


def load_thresholds(path: Path) -> tuple[float, ...]:
    """Load twelve numbers in (0, 1): a JSON array in the order of AUs, or an object by AU name."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        values = (
            tuple(float(raw[name]) for name in AU_NAMES)
            if isinstance(raw, dict)
            else tuple(float(v) for v in raw)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: expected JSON with a threshold for each of {AU_NAMES}: {error!r}"
        ) from None
    if len(values) != len(AU_NAMES) or not all(
        math.isfinite(value) and 0 < value < 1 for value in values
    ):
        raise ValueError(f"{path}: expected {len(AU_NAMES)} numbers in (0, 1), got {values}")
    return values


def _load_scores(run_dir: Path, use_ema: bool) -> dict[str, Any] | None:
    """Validation scores of the run, if it has any."""
    try:
        raw = json.loads((run_dir / SCORES_FILE).read_text(encoding="utf-8"))
        if not use_ema:
            scores = raw["final"]
        else:
            scores = raw.get("average") or raw["epochs"][-1]["average_scores"]
        return scores if isinstance(scores, dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None

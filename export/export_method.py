"""A method's run as a bundle: stages, thresholds, card, parity."""

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
from training.evaluation.calibration import choose_thresholds
from training.methods.load_run import read_method_run
from training.methods.predict import method_predictions
from training.methods.recipe import MethodRecipe
from training.methods.train_run import SCORES_FILE, open_recipe_data
from training.engine.checkpoint import EMA_FILE, RUN_FILE
from training.models.stages import MethodNet

_LEAST_NEUTRAL: Final = 100  # frames of a neutral face, from which a neutral reference is taken


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """`thresholds`: a JSON file; `validation`: a data set to choose them on; `averaged`: the moving
    average's weights; `fps`: of the videos that it was trained on, to which a network with
    memory keeps on faster ones.
    """

    thresholds: Path | None = None
    validation: Path | None = None
    trained_on: Sequence[str] = ()
    averaged: bool = False
    official_crops: bool = False
    fps: float | None = None


def is_method_run(folder: Path) -> bool:
    """Whether a run is one of the eight methods; the default model's has no paper."""
    try:
        return "paper" in json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def export_method(
    run_dir: Path, bundle_dir: Path, options: MethodOptions, say: Callable[[str], None]
) -> ModelSpec:
    """Write the bundle of a run and compare it with the network.

    Raises ValueError for a run or option that cannot be used, or where exported stages differ
    from the network.
    """
    recipe, net = read_method_run(run_dir)
    if options.averaged:
        net.load_state_dict(
            load_file(_needed(run_dir / EMA_FILE, "a run with a moving average (mean_teacher)"))
        )
    thresholds, neutral, where = _decisions(recipe, net.eval(), options)
    networks = export_stages(net)
    run = json.loads((run_dir / RUN_FILE).read_text(encoding="utf-8"))
    offset_y_px = AFFWILD2_EYE_OFFSET_PX if options.official_crops else 0.0
    said = thresholds_text(thresholds, where) if _reads(net, "au_logit") else ""
    scores = _scores(run_dir, options.averaged)
    card = method_card(
        recipe,
        net,
        networks,
        CardFacts(int(run["step"]), options.trained_on, said, scores, offset_y_px, options.fps),
    )
    input_fps = options.fps if has_memory(net) else None
    spec = write_method_bundle(
        recipe, net, networks, bundle_dir, card, thresholds, neutral, offset_y_px, input_fps
    )
    differences = check_stage_parity(net, bundle_dir)
    say(
        f"stages {', '.join(networks)}; largest difference from the network {max(differences.values()):.1e}"
    )
    if exceeding_tolerance(differences):
        raise ValueError(
            f"the exported stages differ from the network: {exceeding_tolerance(differences)}"
        )
    return spec


def _needed(path: Path, wanted: str) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} is not there: {wanted} is wanted")
    return path


def _reads(net: MethodNet, tensor: str) -> bool:
    return any(form.name == tensor for stage in net.stages() for form in stage.outputs)


def _decisions(
    recipe: MethodRecipe, net: MethodNet, options: MethodOptions
) -> tuple[tuple[float, ...], tuple[float, ...] | None, str]:
    """AU thresholds, AU logits of neutral faces where they can be had, and where both come from."""
    if options.thresholds is not None and options.validation is not None:
        raise ValueError(
            "thresholds come from a file or from a validation part: give one of the two"
        )
    if options.thresholds is not None:
        return read_thresholds(options.thresholds), None, "given"
    if options.validation is None or not _reads(net, "au_logit"):
        return (DEFAULT_THRESHOLD,) * len(AU_NAMES), None, "not chosen"
    data = open_recipe_data(recipe, options.validation, None, timing=options.fps is not None)
    table = data.validation
    probability = method_predictions(net, recipe, table, data, input_fps=options.fps).au
    assert probability is not None
    chosen = choose_thresholds(probability, table.au > 0, table.au_mask)
    is_neutral = table.expression_mask & (table.expression == EXPRESSION_NAMES.index("neutral"))
    neutral = None
    if is_neutral.sum() >= _LEAST_NEUTRAL:
        middle = np.clip(np.median(probability[is_neutral], axis=0), 1e-4, 1 - 1e-4)
        neutral = tuple(float(value) for value in np.log(middle / (1 - middle)))
    return (
        tuple(round(value, 4) for value in chosen),
        neutral,
        f"best F1 on the validation part of {options.validation.name}",
    )


def read_thresholds(path: Path) -> tuple[float, ...]:
    """Twelve numbers in (0, 1) out of a JSON file: a list in the order of AUs, or an object by
    their names.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        values = (
            tuple(float(raw[name]) for name in AU_NAMES)
            if isinstance(raw, dict)
            else tuple(float(v) for v in raw)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} must be JSON with a threshold for each of {AU_NAMES}: {error!r}"
        ) from None
    if len(values) != len(AU_NAMES) or not all(
        math.isfinite(value) and 0 < value < 1 for value in values
    ):
        raise ValueError(f"{path} must hold {len(AU_NAMES)} numbers in (0, 1), got {values}")
    return values


def _scores(run_dir: Path, averaged: bool) -> dict[str, Any] | None:
    """What the run's own validation said, where it was judged."""
    try:
        said = json.loads((run_dir / SCORES_FILE).read_text(encoding="utf-8"))
        found = said["ema" if averaged else "final"]
        return found if isinstance(found, dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""`training/RESULTS.md` out of the records: nothing stands on it that no record holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.ablations.comparison import (
    MISSING,
    arm_figures,
    comparison_text,
    seeds_of,
    setting_lines,
    verdict,
)
from training.ablations.default_model import NAME as DEFAULT_NAME
from training.ablations.leaderboard_costs import BoardCost, read_costs
from training.ablations.records import Record, read_records
from training.ablations.variants import BOARD, TRIALS, Run
from training.methods.recipe_lookup import find_recipe

PAGE: Final = Path(__file__).resolve().parents[1] / "RESULTS.md"

_HEAD: Final = """# The eight methods: results on rendered videos

Written by `python -m training.ablations page` out of `benchmarks/results/methods`; `python -m training.ablations run
--data PEOPLE --data SMALL --work FOLDER --trunk TRUNK/trunk.safetensors --trunk REGION/trunk.safetensors` makes the records
(RenderWild `people`, seed 11, and the validation videos of `small`, seed 1; the trunks are those of `python -m training
pretrain --out TRUNK` and `... --out REGION --set trunk=small_region`), `board` with the same data the costs and the default
model's.
Everything here is measured on rendered faces: it says which parts of a method do their work, not how well real faces
are read. Networks are the compact presets with crops of 64 px, trained for minutes on one core; published ones are larger and
trained for days.

Scores are those of ABAW2, over all labeled validation frames: AU 0.5 mean F1 + 0.5 accuracy at 0.5; EXPR 0.67 macro-F1
+ 0.33 accuracy; VA mean CCC.
"""


def results_text(folder: Path) -> str:
    """The whole page of a folder of records."""
    records = read_records(folder)
    machine, costs = read_costs(folder)
    parts = [
        _HEAD,
        _beginnings(records),
        _board(records, machine, costs),
        _ablations(records),
        _verdicts(records),
        _per_au(records),
        _conditions(records),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _beginnings(records: Mapping[str, Record]) -> str:
    """What networks began with, by the records."""
    runs = [record for record in records.values() if record.steps]
    trunks = sorted({trunk for record in runs if (trunk := record.recipe.get("trunk", ""))})
    chance = sorted({record.method for record in runs if not record.recipe.get("trunk", "")})
    lines = []
    if trunks:
        digests = ", ".join(trunk[:12] for trunk in trunks)
        lines.append(
            "All arms begin with one small image trunk that has learned expressions by people's votes (FER+ Training) and\n"
            "action units by a landmark teacher (FER+ Training, web faces), in place of the published methods' pretrained\n"
            "trunks: a ResNet, of M4 region layers and a block that each unit's branch begins with;\n"
            f"SHA-256 {digests}."
        )
    if chance:
        lines.append(f"Begun with random weights: {', '.join(chance)}.")
    return "\n".join(lines) + "\n" if lines else ""


def _board(records: Mapping[str, Record], machine: str, costs: Mapping[str, BoardCost]) -> str:
    head = [
        "",
        "AU",
        "F1",
        "EXPR",
        "macro-F1",
        "VA",
        "seeds",
        "size",
        "k parameters",
        "M MACs",
        "CPU ms",
    ]
    lines = [_line(head), f"|{'---|' * len(head)}"]
    for trial in BOARD:
        made = [records.get(Run(trial, trial.arms[0], seed).name) for seed in seeds_of(records)]
        known = [each for each in made if each is not None]
        name = f"{trial.method} {find_recipe(trial.method, 'compact').name}"
        lines.append(
            _line(
                [name, *_scores(known), str(len(known)) or MISSING, *_cost(costs.get(trial.method))]
            )
        )
    shipped = records.get(DEFAULT_NAME)
    facts = {} if shipped is None else shipped.facts
    cost = (
        BoardCost(
            "",
            facts["size_px"],
            int(facts["parameters"]),
            int(1e6 * facts["mmacs"]),
            facts["frame_ms"],
            0,
            None,
        )
        if facts
        else None
    )
    lines.append(
        _line(
            ["default model, as shipped", *_scores([shipped] if shipped else []), "", *_cost(cost)]
        )
    )
    base = records.get(f"{BOARD[0].name}-majority")
    lines.append(_line(["majority baseline", *_scores([base] if base else []), *[""] * 5]))
    return (
        "## Leaderboard: RenderWild `small`, validation\n"
        "Trained on the annotated training frames that the folders hold; where these are of three frames a second alone,\n"
        "networks with memory see three a second of the validation videos, as their bundles do. Means over seeds; a blank\n"
        "where a method does not read a task. The default model has seen far more rendered faces for far longer. Costs are\n"
        "of one frame of one face:\n"
        f"CPU time of ONNX Runtime on one thread ({machine or 'not measured'}), all stages but audio.\n\n"
        + "\n".join(lines)
        + "\n"
        + _audio(costs)
    )


def _audio(costs: Mapping[str, BoardCost]) -> str:
    heard = [cost for cost in costs.values() if cost.audio_ms is not None]
    said = "; ".join(
        f"{cost.method} {cost.audio_macs / 1e6:.1f} M MACs, {cost.audio_ms:.2f} ms"
        for cost in heard
    )
    return f"\nSound, each time it is renewed: {said}.\n" if heard else ""


def _scores(records: list[Record]) -> list[str]:
    columns = (
        ("AU", "score"),
        ("AU", "f1_mean"),
        ("EXPR", "score"),
        ("EXPR", "macro_f1"),
        ("VA", "score"),
    )
    if not records:
        return [MISSING] * len(columns)
    found = []
    for task, name in columns:
        values: list[Any] = [
            record.scores[task][name] for record in records if task in record.scores
        ]
        found.append(f"{np.mean(values):.3f}" if values else "")
    return found


def _cost(cost: BoardCost | None) -> list[str]:
    if cost is None:
        return [MISSING] * 4
    return [
        f"{cost.size_px} px",
        f"{cost.parameters / 1e3:.0f}",
        f"{cost.macs / 1e6:.1f}",
        f"{cost.frame_ms:.2f}",
    ]


def _ablations(records: Mapping[str, Record]) -> str:
    return (
        "## Each method with and without its own part\n"
        "Arms of a trial differ in that part alone; the judged network has the same trunk, crops and steps. Single-task\n"
        "models, teachers and the identity branch are trained on top of these steps. In `tenth_of_labels` a step of\n"
        "both arms of M5 holds as many labeled clips; the teacher's clips come beside them.\n\n"
        + "\n".join(setting_lines()) + "\n\n" + comparison_text(records) + "\n"
    )  # fmt: skip


def _verdicts(records: Mapping[str, Record]) -> str:
    lines = []
    for trial in TRIALS:
        full, *others = arm_figures(trial, records)
        said = "; ".join(f"against *{each.arm.name}* {verdict(full, each)}" for each in others)
        base = records.get(f"{trial.name}-majority")
        above = ""
        if base is not None and full.known:
            gain = float(np.mean(list(full.known.values()))) - base.headline
            above = f"; {gain:+.3f} on the majority baseline"
        lines.append(f"- **{trial.method}**, `{trial.setting}`: {said}{above}.")
    return (
        "## Verdicts\nGain of the full method; it helps or hurts only where every seed says so.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _per_au(records: Mapping[str, Record]) -> str:
    """F1 by AU of the full methods, first seed, and of covered units."""
    lines = []
    for trial in TRIALS:
        for arm in trial.arms:
            record = records.get(Run(trial, arm, seeds_of(records)[0]).name)
            if record is None or "AU" not in record.scores:
                continue
            au = record.scores["AU"]
            f1 = ", ".join(
                f"{name[2:]} {value:.2f}" for name, value in au["f1"].items() if value is not None
            )
            more = (
                f"; covered units {au['f1_mean_hidden']:.3f}, seen {au['f1_mean_seen']:.3f}"
                if "f1_mean_hidden" in au
                else ""
            )
            lines.append(f"- {trial.method} `{trial.setting}`, {arm.name}: {f1}{more}")
    return f"## F1 by AU, seed {seeds_of(records)[0]}\n" + ("\n".join(lines) or MISSING) + "\n"


def _conditions(records: Mapping[str, Record]) -> str:
    runs = [record for record in records.values() if record.steps]
    lines = [
        "## Steps and time",
        _line(["run", "steps", "CPU seconds", "k parameters"]),
        "|---|---|---|---|",
    ]
    for record in runs:
        spent = "resumed" if record.cpu_seconds is None else f"{record.cpu_seconds:.0f}"
        lines.append(
            _line([record.name, str(record.steps), spent, f"{record.parameters / 1e3:.0f}"])
        )
    machines = "; ".join(sorted({record.machine for record in runs})) or MISSING
    scales = ", ".join(sorted({f"{record.scale:g}" for record in runs})) or MISSING
    return "\n".join([*lines, "", f"Machines: {machines}. Scale of steps: {scales}."])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

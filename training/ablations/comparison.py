"""The comparison of arms out of their records, every seed's figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.ablations.records import Record
from training.ablations.scenarios import SETTINGS
from training.ablations.variants import TRIALS, Ablation, Run, Variant

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """Headline scores of an arm by seed; None where the record is missing."""

    arm: Variant
    by_seed: dict[int, float | None]

    @property
    def known(self) -> dict[int, float]:
        return {seed: value for seed, value in self.by_seed.items() if value is not None}


def seeds_of(records: Mapping[str, Record]) -> list[int]:
    """Seeds that any run has a record of; 1 where there is none."""
    return sorted({record.seed for record in records.values() if record.arm != "majority"}) or [1]


def arm_figures(trial: Ablation, records: Mapping[str, Record]) -> list[ArmFigures]:
    found = []
    for arm in trial.arms:
        named = {seed: records.get(Run(trial, arm, seed).name) for seed in seeds_of(records)}
        found.append(
            ArmFigures(
                arm, {seed: None if each is None else each.headline for seed, each in named.items()}
            )
        )
    return found


def verdict(full: ArmFigures, other: ArmFigures) -> str:
    """What the figures say, seed by seed: helps or hurts only where all seeds agree and by more
    than seeds differ.
    """
    both = sorted(full.known.keys() & other.known.keys())
    if not both:
        return MISSING
    gains = np.array([full.known[seed] - other.known[seed] for seed in both])
    said = f"{gains.mean():+.3f}"
    if len(both) == 1:
        return f"{said} (one seed: not decided)"
    spread = max(float(np.ptp([figures.known[seed] for seed in both])) for figures in (full, other))
    if (gains > 0).all() or (gains < 0).all():
        way = "helps" if gains[0] > 0 else "hurts"
        sure = "" if abs(gains.mean()) > spread else ", less than seeds differ"
        return f"{said} {way}{sure}"
    return f"{said} no clear difference: seeds disagree"


def comparison_text(records: Mapping[str, Record]) -> str:
    """All trials as a Markdown table, then what is missing."""
    seeds = seeds_of(records)
    head = [
        "method",
        "setting (score)",
        "arm",
        *[f"seed {seed}" for seed in seeds],
        "mean",
        "full less this arm",
    ]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    missing = []
    for trial in TRIALS:
        figures = arm_figures(trial, records)
        lines += _trial_lines(trial, figures, records)
        missing += [
            Run(trial, each.arm, seed).name
            for each in figures
            for seed, value in each.by_seed.items()
            if value is None
        ]
    tail = [f"{len(missing)} runs are missing: {', '.join(missing)}"] if missing else []
    return "\n".join([*lines, *([""] if tail else []), *tail])


def _trial_lines(
    trial: Ablation, figures: list[ArmFigures], records: Mapping[str, Record]
) -> list[str]:
    lines = []
    for k, each in enumerate(figures):
        values = [MISSING if value is None else f"{value:.3f}" for value in each.by_seed.values()]
        mean = f"{np.mean(list(each.known.values())):.3f}" if each.known else MISSING
        first = (
            [trial.method, f"{trial.setting} ({' + '.join(trial.judged)})"] if not k else ["", ""]
        )
        name = f"**{each.arm.name}**" if not k else each.arm.name
        lines.append(_line([*first, name, *values, mean, verdict(figures[0], each) if k else ""]))
    base = records.get(f"{trial.name}-majority")
    value = MISSING if base is None else f"{base.headline:.3f}"
    lines.append(
        _line(["", "", "majority baseline", *[value] * len(figures[0].by_seed), value, ""])
    )
    return lines


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def setting_lines() -> list[str]:
    """What each setting is, for the page."""
    return [f"- `{trial.setting}`: {SETTINGS[trial.setting].sentence}" for trial in TRIALS]

"""Comparison of the variants of each ablation, with the scores of every seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.ablations.records import Record
from training.ablations.scenarios import SCENARIOS
from training.ablations.variants import ABLATIONS, Ablation, Run, Variant

MISSING = "missing"
MIN_SEEDS = 8
"""Fewer seeds give no verdict: two of two agree half of the time without any effect."""


@dataclass(frozen=True, slots=True)
class VariantScores:
    """Scores of a variant by seed; None where the record is missing."""

    variant: Variant
    by_seed: dict[int, float | None]

    @property
    def known(self) -> dict[int, float]:
        return {seed: value for seed, value in self.by_seed.items() if value is not None}


def recorded_seeds(records: Mapping[str, Record]) -> list[int]:
    """Seeds of all records; [1] if there are none."""
    return sorted({each.seed for each in records.values() if each.variant != "majority"}) or [1]


def variant_scores(ablation: Ablation, records: Mapping[str, Record]) -> list[VariantScores]:
    """Scores of each variant, for all recorded seeds."""

    def score(variant: Variant, seed: int) -> float | None:
        record = records.get(Run(ablation, variant, seed).name)
        return None if record is None else record.score

    seeds = recorded_seeds(records)
    return [
        VariantScores(variant, {seed: score(variant, seed) for seed in seeds})
        for variant in ablation.variants
    ]


def verdict(full: VariantScores, other: VariantScores) -> str:
    """Mean gain of the full method over a variant.

    It "helps" or "hurts" only outside two standard errors of at least `MIN_SEEDS` seeds.
    """
    seeds = sorted(full.known.keys() & other.known.keys())
    if not seeds:
        return MISSING
    gains = np.array([full.known[seed] - other.known[seed] for seed in seeds])
    text = f"{gains.mean():+.3f}"
    if len(seeds) < MIN_SEEDS:
        return f"{text} (undecided: {len(seeds)} of {MIN_SEEDS} seeds)"
    if abs(gains.mean()) <= 2 * gains.std(ddof=1) / np.sqrt(len(gains)):
        return f"{text} not seen"
    return f"{text} {'helps' if gains.mean() > 0 else 'hurts'}"


def comparison_text(records: Mapping[str, Record]) -> str:
    """All ablations as a Markdown table, followed by the missing runs."""
    seeds = recorded_seeds(records)
    header = [
        "method",
        "scenario (score)",
        "variant",
        *[f"seed {seed}" for seed in seeds],
        "mean",
        "full minus variant",
    ]
    lines = table_head(header)
    missing = []
    for ablation in ABLATIONS:
        scores = variant_scores(ablation, records)
        lines += _ablation_lines(ablation, scores, records)
        missing += [
            Run(ablation, each.variant, seed).name
            for each in scores
            for seed, value in each.by_seed.items()
            if value is None
        ]
    if missing:
        lines += ["", f"{len(missing)} runs are missing: {', '.join(missing)}"]
    return "\n".join(lines)


def _ablation_lines(
    ablation: Ablation, scores: list[VariantScores], records: Mapping[str, Record]
) -> list[str]:
    lines = []
    for k, each in enumerate(scores):
        values = [MISSING if value is None else f"{value:.3f}" for value in each.by_seed.values()]
        mean = f"{np.mean(list(each.known.values())):.3f}" if each.known else MISSING
        if k == 0:
            tasks = " + ".join(ablation.tasks)
            first = [ablation.method, f"{ablation.scenario} ({tasks})", f"**{each.variant.name}**"]
        else:
            first = ["", "", each.variant.name]
        lines.append(table_line([*first, *values, mean, verdict(scores[0], each) if k else ""]))
    baseline = records.get(f"{ablation.name}-majority")
    value = MISSING if baseline is None else f"{baseline.score:.3f}"
    values = [value] * len(scores[0].by_seed)
    lines.append(table_line(["", "", "majority baseline", *values, value, ""]))
    return lines


def table_head(cells: list[str]) -> list[str]:
    """First two lines of a Markdown table."""
    return [table_line(cells), f"|{'---|' * len(cells)}"]


def table_line(cells: list[str]) -> str:
    """Line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def scenario_lines() -> list[str]:
    """Markdown list of the scenarios with their descriptions."""
    return [f"- `{each.scenario}`: {SCENARIOS[each.scenario].description}" for each in ABLATIONS]

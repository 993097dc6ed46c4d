"""Writes images of known actions in shards; an interrupted run is resumed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import track

from training.real_skin.action_renderer import Action, ActionRenderer
from training.real_skin.mouth import MouthLook
from training.real_skin.people import Person
from training.real_skin.unit_motions import UNITS, Variation

TEST_STRENGTHS: Final = (0.5, 0.9)
PEOPLE_PER_SHARD: Final = 20
RESTING: Final = -1  # unit of an image without an added unit
_MAX_FIT_ERROR: Final = 0.05  # of the distance between the eyes, before bending
_UPPER: Final = ("AU1", "AU2", "AU4", "AU6", "AU7")
_CONTEXT_CONFLICTS: Final = {
    "AU1": {"AU4"},
    "AU4": {"AU1", "AU2"},
    "AU2": {"AU4"},
    "AU15": {"AU12", "AU17"},
    "AU12": {"AU15", "AU10", "AU23"},
    "AU10": {"AU12", "AU9", "AU23", "AU24"},
    "AU23": {"AU24", "AU25", "AU26", "AU10", "AU12"},
    "AU24": {"AU23", "AU25", "AU26", "AU10", "AU17"},
    "AU25": {"AU23", "AU24", "AU26"},
    "AU26": {"AU23", "AU24", "AU25"},
    "AU17": {"AU24", "AU15", "AU26"},
    "AU9": {"AU10"},
    "AU6": {"AU7"},
    "AU7": {"AU6"},
}
"""Units that are not added beside another one: their motions do not simply add up."""


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a plan: what is shown, and which unit is being added at which level."""

    actions: tuple[Action, ...]
    look: MouthLook
    unit: int  # index in UNITS of the added unit, or RESTING
    level: float  # strength of the added unit
    group: int  # images of one group differ in the level only


def test_plan() -> list[Row]:
    """Returns the resting twin and every unit alone, nominal, at the strengths of the test."""
    rows = [Row((), MouthLook(), RESTING, 0.0, 0)]
    for k, unit in enumerate(UNITS):
        for level in TEST_STRENGTHS:
            rows.append(Row((Action(unit, level),), MouthLook(), k, level, 0))
    return rows


def training_plan(rng: np.random.Generator, groups: int) -> list[Row]:
    """Returns groups of three: a twin, then the same face with a unit at half and full strength.

    The twin is at rest or shows one or two other units, which stay as they are.
    """
    rows = []
    start = int(rng.integers(len(UNITS)))
    for group in range(groups):
        # Neighboring groups of a person take different units, evenly over people.
        k = (start + group * 5) % len(UNITS)
        unit, variation = UNITS[k], Variation.draw(rng)
        context = _draw_context(rng, unit)
        look = MouthLook.draw(rng)
        half, full = float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.8, 1.0))
        for level in (0.0, half, full):
            added = (Action(unit, level, variation),) if level else ()
            rows.append(Row((*context, *added), look, k, level, group))
    return rows


def _draw_context(rng: np.random.Generator, unit: str) -> tuple[Action, ...]:
    count = int(rng.choice(3, p=(0.45, 0.4, 0.15)))
    refused = {unit} | _CONTEXT_CONFLICTS.get(unit, set())
    context = []
    for _ in range(count):
        free = [name for name in UNITS if name not in refused]
        chosen = str(rng.choice(free))
        refused |= {chosen} | _CONTEXT_CONFLICTS.get(chosen, set())
        context.append(Action(chosen, float(rng.uniform(0.4, 1.0)), Variation.draw(rng)))
    return tuple(context)


def write_actions(
    renderer: ActionRenderer,
    people: Sequence[Person],
    folder: Path,
    groups: int | None,
    seed: int = 0,
) -> int:
    """Writes `actions_*.npz` of `people`; returns the number of images in the folder.

    Args:
        renderer: Renders the actions.
        people: Photographs at rest.
        folder: Output folder.
        groups: Training groups for each person, or None for the nominal test plan.
        seed: Seed of the training plan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = range(0, len(people), PEOPLE_PER_SHARD)
    total = 0
    for start in track(shards, "people", console=Console(stderr=True)):
        path = folder / f"actions_{start // PEOPLE_PER_SHARD:04d}.npz"
        if not path.exists():
            chosen = people[start : start + PEOPLE_PER_SHARD]
            _write_shard(renderer, chosen, path, groups, seed)
        with np.load(path, allow_pickle=False) as stored:
            total += len(stored["unit"])
    return total


def _write_shard(
    renderer: ActionRenderer, people: Sequence[Person], path: Path, groups: int | None, seed: int
) -> None:
    columns: dict[str, list[object]] = {}
    for person in people:
        for name, value in _columns_of(renderer, person, groups, seed):
            columns.setdefault(name, []).append(value)
    partial = path.with_name(f"partial_{os.getpid()}_{path.name}")
    np.savez(partial, **dict[str, Any]({k: np.array(values) for k, values in columns.items()}))
    partial.replace(path)


def _columns_of(
    renderer: ActionRenderer, person: Person, groups: int | None, seed: int
) -> Iterator[tuple[str, object]]:
    stage = renderer.prepare(person.photo, person.points_xyz)
    eyes = np.linalg.norm(stage.landmarks_xy[36] - stage.landmarks_xy[45])
    if stage.fit.error_px > _MAX_FIT_ERROR * eyes:
        return
    digest = hashlib.sha256(person.name.encode()).hexdigest()
    rng = np.random.default_rng([seed, int(digest[:8], 16)])
    for row in test_plan() if groups is None else training_plan(rng, groups):
        shown = renderer.act(stage, list(row.actions), row.look)
        yield "image", shown.image
        yield "landmarks_xy", shown.landmarks_xy
        yield "unit", row.unit
        yield "level", np.float32(row.level)
        yield "group", row.group
        yield "person", person.name
        yield "context", "+".join(a.unit for a in row.actions if a.unit != UNITS[row.unit])

"""All ideas on all splits and trunks, resumable, and their statistics as records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.ablations.cached import frame_ideas, label_ideas, map_ideas, pair_ideas, time_ideas
from training.ablations.cached.data import CachedData, Split, open_cached_data, split_people
from training.ablations.cached.fit import ArmScores, score_of_sums
from training.ablations.records import RECORDS, machine_name
from training.engine.checkpoint import replace_file, write_json
from training.methods.features import open_trunk

CACHED_RECORDS: Final = RECORDS / "cached"
SPLITS: Final = 12
RESAMPLES: Final = 1000
_METRICS: Final = ("score", "at_half", "threshold_free", "average_precision")


@dataclass(frozen=True, slots=True)
class Idea:
    """An idea of a method: its arms on one split, and what the paper claims for it."""

    name: str
    method: str
    train: Callable[[CachedData, Split], dict[str, ArmScores]]
    tasks: tuple[str, ...]
    claims: str
    corruption: str = ""
    needs_maps: bool = False  # of a convolutional trunk
    version: int = 1  # increment when an arm changes: results of others are trained again

    @property
    def description(self) -> str:
        text = (self.train.__doc__ or "").split(". ", 1)[1]
        return " ".join(text.split())


IDEAS: Final = (
    Idea(
        "deviation_and_stream", "M1", frame_ideas.streaming_prior, frame_ideas.ALL_TASKS,
        "abstract: both prior and order help; no figure found",
    ),
    Idea("phases", "M3", frame_ideas.label_phases, ("AU", "EXPR"), "no figure found"),
    Idea(
        "graph", "M4", frame_ideas.au_graph, ("AU",),
        "no figure of M4; its family on BP4D: F1 .600 (JAA-Net) to .629-.647 with graphs",
        version=3,
    ),
    Idea(
        "attention", "M4", map_ideas.au_attention, ("AU",),
        "no figure of M4; JAA-Net on BP4D: F1 .600", needs_maps=True,
    ),
    Idea(
        "clip", "M5", map_ideas.clip, frame_ideas.ALL_TASKS, "no figure found", needs_maps=True
    ),
    Idea(
        "pyramid", "M6", map_ideas.pyramid, frame_ideas.ALL_TASKS, "no figure found",
        needs_maps=True,
    ),
    Idea(
        "mean_teacher", "M5", label_ideas.mean_teacher, frame_ideas.ALL_TASKS,
        "with a denser mask: EXPR +.009, VA +.025, AU +.159 (another F1)",
    ),
    Idea("self_cure", "M5", label_ideas.self_cure, ("EXPR",), "no figure of M5"),
    Idea(
        "pseudo_labels", "M6", label_ideas.pseudo_labels, frame_ideas.ALL_TASKS, "no figure found"
    ),
    Idea(
        "pairs_and_history", "M7", pair_ideas.pairwise_history, ("AU",), "no figure found",
        version=2,
    ),
    Idea(
        "student_and_gru", "M8", time_ideas.recurrent_student, ("EXPR", "VA"),
        "GRU: EXPR +.030, V +.05, A +.13; student: EXPR +.012, V +.033, A +.023",
    ),
    Idea(
        "audio_and_transformer", "M2", time_ideas.audio_and_transformer, ("AU",),
        "both together: AU .706 to .7105", "noise",
    ),
)  # fmt: skip


def run_campaign(
    folder: Path,
    trunks: Iterable[str],
    work: Path,
    records: Path = CACHED_RECORDS,
    ideas: Iterable[str] = (),
    splits: int = SPLITS,
    echo: Callable[[str], None] = print,
) -> None:
    """Train what has no result in `work` yet, and write a record for each trunk (as `open_trunk`
    takes it) and idea.

    Raises:
        ValueError: one of `ideas` (empty for all) is unknown.
    """
    names = {idea.name for idea in IDEAS}
    if unknown := sorted(set(ideas) - names):
        raise ValueError(f"expected ideas of {', '.join(sorted(names))}, got {', '.join(unknown)}")
    chosen = [idea for idea in IDEAS if not ideas or idea.name in ideas]
    opened = [open_trunk(path) for path in trunks]
    for idea in chosen:
        for trunk in opened:
            if idea.needs_maps and trunk.read_maps is None:
                continue
            torch.set_num_threads(1)
            data = open_cached_data(folder, trunk, work, idea.corruption, idea.needs_maps)
            name = f"{idea.method}-{idea.name}-{trunk.sha256[:12]}"
            results = [
                _result(idea, data, seed, work / "results" / f"{name}-s{seed}.npz", echo)
                for seed in range(1, splits + 1)
            ]
            record = {
                "idea": idea.name,
                "method": idea.method,
                "tasks": list(idea.tasks),
                "setting": idea.description,
                "claims": idea.claims,
                "trunk": {"name": trunk.name, "sha256": trunk.sha256},
                "has_seen_renders": trunk.has_seen_renders,
                "corruption": idea.corruption,
                "people": data.people,
                "videos": len(data.videos),
                "frames": len(data.person),
                "splits": splits,
                **statistics(results, idea.tasks),
                "machine": machine_name(),
            }
            write_json(records / f"{name}.json", record)


def _result(
    idea: Idea, data: CachedData, seed: int, path: Path, echo: Callable[[str], None]
) -> dict[str, ArmScores]:
    """The arms of a split, from a file if they were trained before."""
    if path.is_file():
        known = _read(path, idea.version)
        if known is not None:
            return known
    started_s = time.process_time()
    arms = idea.train(data, split_people(data, seed))
    _write(path, arms, idea.version)
    text = ", ".join(f"{name} {arm.score:.3f}" for name, arm in arms.items())
    echo(f"{path.stem}: {text} ({time.process_time() - started_s:.0f} s of CPU)")
    return arms


def _write(path: Path, arms: dict[str, ArmScores], version: int) -> None:
    note = {
        "version": version,
        "arms": {
            name: {"steps": arm.steps, **{key: getattr(arm, key) for key in _METRICS}}
            for name, arm in arms.items()
        },
    }
    arrays: dict[str, Any] = {f"sums_{k}": arm.sums for k, arm in enumerate(arms.values())}

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez_compressed(file, note=np.array(json.dumps(note)), **arrays)

    replace_file(path, write)


def _read(path: Path, version: int) -> dict[str, ArmScores] | None:
    """Arms of a file; None if it is of another version."""
    with np.load(path, allow_pickle=False) as file:
        note = json.loads(str(file["note"]))
        if note["version"] != version:
            return None
        return {
            name: ArmScores(**arm, sums=file[f"sums_{k}"])
            for k, (name, arm) in enumerate(note["arms"].items())
        }


def statistics(results: list[dict[str, ArmScores]], tasks: tuple[str, ...]) -> dict[str, Any]:
    """Scores of the arms by split, and the gain of the first arm over each other one.

    `standard_error` is the larger of two: of the mean over splits, and of a bootstrap over people
    (which knows that splits share people); `interval` is the bootstrap's 95 % interval.
    """
    names = list(results[0])
    arms = {
        name: {
            **{key: [round(getattr(r[name], key), 4) for r in results] for key in _METRICS},
            "steps": [r[name].steps for r in results],
        }
        for name in names
    }
    weights = _resampled_people(results[0][names[0]].sums.shape[0])
    boot = {name: _bootstrap([r[name].sums for r in results], weights, tasks) for name in names}
    gains = {}
    for name in names[1:]:
        by_metric = {}
        for key in _METRICS:
            difference = np.array(
                [getattr(r["full"], key) - getattr(r[name], key) for r in results]
            )
            error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
            by_metric[key] = {
                "mean": round(float(difference.mean()), 4),
                "standard_error": round(error, 4),
                "splits_won": int((difference > 0).sum()),
            }
        resampled = boot["full"] - boot[name]
        low, high = np.percentile(resampled, [2.5, 97.5])
        score = by_metric["score"]
        score["standard_error"] = round(max(score["standard_error"], float(resampled.std())), 4)
        gains[name] = {
            **by_metric,
            "interval": [round(float(low), 4), round(float(high), 4)],
            "verdict": verdict(score["mean"], score["standard_error"]),
        }
    return {"arms": arms, "gains": gains}


def verdict(mean: float, standard_error: float) -> str:
    """`helps` or `costs` outside two standard errors, else `not seen`."""
    if abs(mean) <= 2 * standard_error:
        return "not seen"
    return "helps" if mean > 0 else "costs"


def _resampled_people(people: int) -> NDArray[np.float64]:
    """How often each person is drawn [RESAMPLES, people]."""
    random = np.random.default_rng(0)
    return random.multinomial(people, np.full(people, 1 / people), RESAMPLES).astype(np.float64)


def _bootstrap(
    sums: list[NDArray[np.float64]], weights: NDArray[np.float64], tasks: tuple[str, ...]
) -> NDArray[np.float64]:
    """Mean score over splits [RESAMPLES] of resampled people."""
    return np.asarray(np.mean([score_of_sums(weights @ each, tasks) for each in sums], axis=0))

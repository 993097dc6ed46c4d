"""Statistics of ablations on cached features, and each idea on random data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.ablations.cached.random_data import random_data
from training.ablations.cached import campaign, fit
from training.ablations.cached.campaign import IDEAS, Idea, run_campaign, statistics
from training.ablations.cached.data import CachedData, Split, split_people
from training.ablations.cached.fit import SUMS, ArmScores
from training.ablations.cached.page import cached_text
from training.methods.features import FrozenTrunk

pytestmark = pytest.mark.train
ARMS = {
    "deviation_and_stream": {"no identity subtraction", "no triplets", "parallel heads"},
    "phases": {"no curriculum", "fully labeled only"},
    "graph": {"no graph", "all units connected", "prototypes"},
    "mean_teacher": {"supervised, average judged", "supervised", "student judged"},
    "self_cure": {"no self-cure", "with relabeling"},
    "pseudo_labels": {"no pseudo labels"},
    "attention": {"not refined", "no attention"},
    "clip": {"one frame, repeated"},
    "pyramid": {"last level only", "no top-down path"},
    "pairs_and_history": {
        "no uncertainty",
        "unbalanced mapping",
        "pairs, not mapped",
        "direct logits, mapped",
        "direct classification",
    },
    "student_and_gru": {"no GRU", "no distillation", "single task"},
    "audio_and_transformer": {"vision only", "no transformer"},
}


@pytest.mark.parametrize("idea", IDEAS, ids=lambda idea: idea.name)
def test_each_idea_trains_all_arms_on_one_split(
    idea: Idea, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fit.fit

    def short(net, loss, draw, score, random, config=fit.DEFAULT, after_step=None):  # type: ignore[no-untyped-def]
        return plain(net, loss, draw, score, random, fit.FitConfig(4, 2, 1), after_step)

    for module in (
        campaign.frame_ideas,
        campaign.label_ideas,
        campaign.map_ideas,
        campaign.pair_ideas,
        campaign.time_ideas,
    ):
        monkeypatch.setattr(module, "fit", short)
    data = random_data()
    arms = idea.train(data, split_people(data, 1))
    assert next(iter(arms)) == "full"
    assert set(arms) == {"full"} | ARMS[idea.name]
    assert all(np.isfinite([arm.score, arm.threshold_free]).all() for arm in arms.values())


def arm(score: float, people: int = 6) -> ArmScores:
    """An arm whose macro-F1 over any people is `score`, at a third of them exactly."""
    sums = np.zeros((people, SUMS))
    hits, shown = round(1000 * score), 1000
    for block, value in ((0, hits), (1, shown), (2, shown)):
        sums[:, 36 + 7 * block : 36 + 7 * (block + 1)] = value
    return ArmScores(score, score, score, score, 10, sums)


def test_statistics_say_helps_only_outside_two_standard_errors() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.02, 12)
    base = 0.5 + random.normal(0, 0.1, 12)
    for gain, expected in ((0.05, "helps"), (-0.05, "costs"), (0.002, "not seen")):
        results = [
            {"full": arm(b + gain + n), "none": arm(b)} for b, n in zip(base, noise, strict=True)
        ]
        found = statistics(results, ("EXPR",))["gains"]["none"]
        error = (noise.std(ddof=1)) / np.sqrt(12)
        assert found["score"]["mean"] == pytest.approx(gain + noise.mean(), abs=1e-3)
        assert found["score"]["standard_error"] == pytest.approx(error, abs=1e-3)
        assert found["verdict"] == expected


def test_statistics_resample_people() -> None:
    """Half of the people carry all of the gain: which are drawn decides, in every split alike."""
    results = []
    for _ in range(12):
        full, none = arm(0.5), arm(0.5)
        full.sums[:3, 36:43] += 300
        results.append({"full": full, "none": none})
    found = statistics(results, ("EXPR",))["gains"]["none"]
    low, high = found["interval"]
    assert 0 <= low < 0.1 < 0.15 < high <= 0.3
    assert found["score"]["standard_error"] > 0.05, "splits that share people hide nothing"


def test_run_campaign_resumes_and_writes_records_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def train(data: CachedData, split: Split) -> dict[str, ArmScores]:
        """M0. A setting in one sentence."""
        trained.append(split.seed)
        return {"full": arm(0.6 + split.seed / 100, 16), "none": arm(0.5, 16)}

    trunk = FrozenTrunk("a trunk", "f" * 64, 8, lambda images: {}, has_seen_renders=True)
    monkeypatch.setattr(campaign, "IDEAS", (Idea("idea", "M0", train, ("EXPR",), "a claim"),))
    monkeypatch.setattr(campaign, "open_trunk", lambda path: trunk)
    monkeypatch.setattr(campaign, "open_cached_data", lambda *_: random_data())
    arguments = (tmp_path, ["x"], tmp_path / "work", tmp_path / "records")
    run_campaign(*arguments, splits=3, echo=lambda text: None)
    run_campaign(*arguments, splits=4, echo=lambda text: None)
    assert trained == [1, 2, 3, 4], "known splits are not trained again"
    (path,) = (tmp_path / "records").glob("*.json")
    record = json.loads(path.read_text())
    assert record["setting"] == "A setting in one sentence."
    assert record["arms"]["full"]["score"] == [0.61, 0.62, 0.63, 0.64]
    assert record["gains"]["none"]["score"]["splits_won"] == 4
    text = cached_text(tmp_path / "records")
    assert "| M0 idea | none | yes, a trunk `ffffff` | +0.125" in text
    assert "**helps** | a claim |" in text
    with pytest.raises(ValueError, match="expected ideas of idea, got other"):
        run_campaign(*arguments, ideas=["other"])

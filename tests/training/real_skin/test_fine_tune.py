"""Groups of known actions in batches, and faces for thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from faceaffect.labels import AU_NAMES
from tests.training.default_model.synthetic_faces import TINY
from training.augmentation.crops import CropJitter
from training.default_model.objective import normalize
from training.losses.action_pairs import LEVELS
from training.models.affect_net import AffectNet
from training.models.mean_shape import MEAN_SHAPE_PX
from training.real_skin import threshold_faces
from training.real_skin.feature_batches import FeatureBatches
from training.real_skin.fine_tune import PRESENCE, ActionGroups
from training.real_skin.objective import (
    KnownActionObjective,
    PairOptions,
    freeze_features,
    shadow_penalty,
)
from training.real_skin.threshold_faces import action_faces, in_threshold_half
from training.real_skin.unit_motions import UNITS
from training.real_skin.write_actions import RESTING, training_plan
from training.real_skin.write_actions import test_plan as plan_of_tests

REQUIRES = ("moderngl",)


def write_shard(
    folder: Path,
    units: list[int],
    levels: list[float],
    people: list[str],
    contexts: list[str] | None = None,
) -> None:
    rng = np.random.default_rng(0)
    count = len(units)
    image = rng.integers(0, 255, (1, 160, 160, 3), np.uint8).repeat(count, axis=0)
    np.savez(
        folder / "actions_0000.npz",
        image=image,
        landmarks_xy=np.repeat((MEAN_SHAPE_PX + 24)[None], count, axis=0).astype(np.float32),
        unit=np.array(units),
        level=np.array(levels, np.float32),
        group=np.arange(count) // LEVELS,
        person=np.array(people),
        context=np.array(contexts or [""] * count),
    )


def test_images_of_a_group_share_crop_and_camera(tmp_path: Path) -> None:
    units = [UNITS.index(name) for name in ("AU4", "AU9", "AU10") for _ in range(LEVELS)]
    write_shard(tmp_path, units, [0.0, 0.5, 0.9] * 3, ["p"] * 9)
    groups = ActionGroups(tmp_path, CropJitter(), seed=1)
    batch = groups.draw(3, 3, 64)
    crops = batch["crops"].reshape(3, LEVELS, 3, 64, 64)
    # The three images of each group are equal here, so that only the augmentation could differ.
    torch.testing.assert_close(crops[:, 0], crops[:, 1], atol=1e-6, rtol=0)
    torch.testing.assert_close(crops[:, 0], crops[:, 2], atol=1e-6, rtol=0)
    assert not torch.allclose(crops[0, 0], crops[1, 0], atol=0.02)
    again = groups.draw(3, 3, 64)["crops"]
    torch.testing.assert_close(again, batch["crops"])


def test_groups_know_their_unit_and_what_may_change(tmp_path: Path) -> None:
    units = [UNITS.index(name) for name in ("AU4", "AU9", "AU10") for _ in range(LEVELS)]
    write_shard(tmp_path, units, [0.0, 0.5, 0.9] * 3, ["p"] * 9)
    groups = ActionGroups(tmp_path, CropJitter(), seed=1)
    assert groups.unit.tolist() == [AU_NAMES.index("AU4"), -1, AU_NAMES.index("AU10")]
    free = [{AU_NAMES[k] for k in np.flatnonzero(row)} for row in groups.free]
    assert free == [{"AU4"}, {"AU4", "AU10"}, {"AU10", "AU25"}]


def test_presence_is_that_of_the_added_unit_and_off_where_nothing_else_is_shown(
    tmp_path: Path,
) -> None:
    units = [UNITS.index("AU4")] * LEVELS
    write_shard(tmp_path, units, [0.0, 0.5, 0.9], ["p"] * LEVELS, ["AU12+AU9"] * LEVELS)
    batch = ActionGroups(tmp_path, CropJitter(), seed=1).draw(0, 1, 64)
    own = AU_NAMES.index("AU4")
    assert batch["au"][:, own].tolist() == pytest.approx(list(PRESENCE))
    assert batch["au_weight"][:, own].tolist() == [1, 1, 1]
    unknown = {name for k, name in enumerate(AU_NAMES) if batch["au_weight"][0, k] == 0}
    assert unknown == {"AU12", "AU10"}  # AU4 beside AU9 is known here, since it was added
    assert float(batch["au"].sum()) == pytest.approx(sum(PRESENCE))


def test_a_test_plan_is_refused_for_training(tmp_path: Path) -> None:
    write_shard(tmp_path, [-1, 0, 0], [0.5, 0.5, 0.9], ["p"] * 3)
    with pytest.raises(ValueError, match="expected groups of 3"):
        ActionGroups(tmp_path, CropJitter(), seed=1)


def test_training_plan_adds_one_unit_to_an_unchanged_face() -> None:
    rows = training_plan(np.random.default_rng(4), 28)
    assert len(rows) == 28 * LEVELS
    for k in range(0, len(rows), LEVELS):
        twin, half, full = rows[k : k + LEVELS]
        assert half.actions[:-1] == full.actions[:-1] == twin.actions
        assert (twin.level, half.level < full.level) == (0.0, True)
        unit = UNITS[twin.unit]
        assert full.actions[-1].unit == unit
        assert unit not in {action.unit for action in twin.actions}
    assert {row.unit for row in rows} == set(range(len(UNITS)))
    assert len({len(row.actions) for row in rows[::LEVELS]}) == 3


def test_test_plan_has_every_unit_at_both_strengths() -> None:
    rows = plan_of_tests()
    assert rows[0].unit == RESTING
    assert not rows[0].actions
    assert [(UNITS[row.unit], row.level) for row in rows[1:]] == [
        (unit, level) for unit in UNITS for level in (0.5, 0.9)
    ]


def test_threshold_faces_label_the_added_unit_and_mask_what_comes_with_it(tmp_path: Path) -> None:
    names = [f"p{i}" for i in range(40)]
    chosen = [name for name in names if in_threshold_half(name)]
    assert 10 < len(chosen) < 30
    units = [RESTING, UNITS.index("AU10"), UNITS.index("AU9")]
    write_shard(tmp_path, units * 40, [0.0, 0.9, 0.5] * 40, [n for n in names for _ in range(3)])
    table = action_faces(tmp_path)
    assert len(table) == 3 * len(chosen)
    rest, lip, nose = ({AU_NAMES[k] for k in np.flatnonzero(table.au[row])} for row in range(3))
    assert (rest, lip, nose) == (set(), {"AU10"}, set())
    hidden = [{AU_NAMES[k] for k in np.flatnonzero(table.au_weight[row] == 0)} for row in range(3)]
    assert hidden == [set(), {"AU25"}, {"AU4", "AU10"}]
    assert threshold_faces.PRESENT_LEVEL == 0.5


def training_batch(rows: int, groups: int) -> dict[str, torch.Tensor]:
    total = rows + groups * LEVELS
    order = torch.arange(total)
    torch.manual_seed(2)
    free = torch.zeros(total, len(AU_NAMES), dtype=torch.bool)
    free[:, 2] = True
    return {
        "au": (torch.rand(total, len(AU_NAMES)) < 0.3).float(),
        "au_weight": (order < rows).float()[:, None].expand(-1, len(AU_NAMES)).clone(),
        "in_group": order >= rows,
        "rendered": order < rows // 2,
        "real": (order >= rows // 2) & (order < rows),
        "unit": torch.full((total,), 2),
        "free": free,
    }


def test_training_changes_action_units_and_nothing_else_that_is_frozen() -> None:
    torch.manual_seed(0)
    net = AffectNet(TINY).eval()
    freeze_features(net)
    objective = KnownActionObjective(PairOptions(order=20.0))
    objective.start(net)
    crops = torch.rand(14, 3, 112, 112)
    with torch.no_grad():
        before = net(normalize(crops))
        fine, coarse = net.trunk(normalize(crops))
    batch = training_batch(8, 2) | {"fine": fine, "coarse": coarse}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.002)
    losses = []
    for _ in range(8):
        net.train()
        optimizer.zero_grad()
        parts = objective(net, batch, 0.0)
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append({name: float(value) for name, value in parts.items()})
    # The first answers are those that are kept.
    held = ("expression", "va", "rendered", "kept")
    assert [losses[0][name] for name in held] == [0, 0, 0, 0]
    assert losses[-1]["order"] < losses[0]["order"]
    with torch.no_grad():
        after = net.eval()(normalize(crops))
    for name in ("landmarks_px", "pose_deg", "face_logit", "quality_logit"):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)
    assert not torch.equal(after["au_nodes"], before["au_nodes"])


def test_shadow_penalty_is_high_for_a_copy_of_an_expression_and_zero_for_noise() -> None:
    torch.manual_seed(4)
    smile, own = torch.randn(400, 1) * 2, torch.randn(400, 1)
    # A smile raises one score and lowers the others, as expressions do.
    expression = smile * torch.tensor([-1.0, -1, -1, -1, 2, -1, -1]) + torch.randn(400, 7)
    copied = shadow_penalty(smile, expression)
    assert float(shadow_penalty(own, expression)) == 0
    assert float(copied) > 0.3
    torch.testing.assert_close(shadow_penalty(-3 * smile, expression), copied)
    both = shadow_penalty(torch.cat([smile, own], dim=1), expression)
    torch.testing.assert_close(both, copied)


class CountedBatches:
    """Random crops by step; counts the batches that were asked for."""

    steps_per_epoch = 5

    def __init__(self) -> None:
        self.built = 0

    def get(self, step: int) -> list[dict[str, torch.Tensor]]:
        self.built += 1
        crops = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(step))
        return [{"crops": crops, "step": torch.full((2,), step)}]


def test_features_are_those_of_the_first_trunk_and_computed_once() -> None:
    torch.manual_seed(1)
    net = AffectNet(TINY).eval()
    source = CountedBatches()
    batches = FeatureBatches(source, net.trunk, count=2)
    crops = source.get(1)[0]["crops"]
    with torch.no_grad():
        fine, coarse = net.trunk(normalize(crops))
    net.train()  # neither batch statistics nor later weights may change the features
    with torch.no_grad():
        for parameter in net.trunk.parameters():
            parameter.mul_(0.5)
    source.built = 0
    drawn = [batches.get(step)[0] for step in range(5)]
    assert source.built == 2
    assert [int(batch["step"][0]) for batch in drawn] == [0, 1, 0, 1, 0]
    assert "crops" not in drawn[1]
    torch.testing.assert_close(drawn[3]["fine"], fine, atol=1e-3, rtol=2e-3)
    torch.testing.assert_close(drawn[3]["coarse"], coarse, atol=1e-3, rtol=2e-3)

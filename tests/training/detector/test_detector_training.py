"""Scenes, targets, losses and training of the detector, on drawn images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from faceaffect.bench.synthetic_faces import SyntheticExpression, draw_face
from training.detector.network import STRIDE, DetectorConfig, DetectorMaps, DetectorNet, decode
from training.detector.objective import DetectorObjective, score_targets
from training.detector.scenes import SIZE_WH, Scene, SceneGenerator, mirrored, to_batch
from training.detector.train_detector import DetectorRecipe, SceneBatches
from training.detector.yunet_teacher import TeacherImage, load_teacher_images, save_teacher_images
from training.engine.ema import EmaModel
from training.engine.trainer import Trainer, TrainerConfig

pytestmark = pytest.mark.train


POINTS = np.float32([[43, 58], [85, 58], [64, 78], [50, 96], [78, 96]])


def teacher_image(name: str, held_out: bool = False) -> TeacherImage:
    pixels = draw_face(len(name) % 4, SyntheticExpression.at(0.3), 128)[0]
    return TeacherImage(
        name,
        pixels,
        np.float32([[32, 20, 96, 112]]),
        POINTS[None],
        np.zeros((0, 4), np.float32),
        held_out,
    )


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> SceneGenerator:
    images = [teacher_image(f"{'x' * k}.jpg") for k in range(4)]
    return SceneGenerator(images, tmp_path_factory.mktemp("nothing"), seed=3, backgrounds=4)


def test_save_teacher_images_round_trips(tmp_path: Path) -> None:
    unsure = replace(
        teacher_image("b.jpg", held_out=True),
        unsure=np.float32([[1, 2, 3, 4]]),
        boxes=np.zeros((0, 4), np.float32),
        points=np.zeros((0, 5, 2), np.float32),
    )
    save_teacher_images(
        [teacher_image("a.jpg"), unsure, teacher_image("c.jpg")], tmp_path / "labels.npz"
    )
    first, second, third = load_teacher_images(tmp_path / "labels.npz")
    assert (first.name, second.name, third.name) == ("a.jpg", "b.jpg", "c.jpg")
    np.testing.assert_array_equal(third.pixels, teacher_image("c.jpg").pixels)
    np.testing.assert_array_equal(second.unsure, [[1, 2, 3, 4]])
    assert second.held_out
    assert len(second.boxes) == 0
    np.testing.assert_array_equal(third.points, POINTS[None])


def test_scene_generator_is_deterministic_with_boxes_inside_image(
    generator: SceneGenerator,
) -> None:
    scenes = [generator.generate(number) for number in range(40)]
    np.testing.assert_array_equal(scenes[7].pixels, generator.generate(7).pixels)
    heights = []
    for scene in scenes:
        assert scene.pixels.shape == (SIZE_WH[1], SIZE_WH[0], 3)
        for box, points in zip(scene.boxes, scene.points, strict=True):
            heights.append(box[3] - box[1])
            middle = 0.5 * (box[:2] + box[2:])
            assert (middle >= 0).all()
            assert (middle < SIZE_WH).all()
            assert points[0, 0] < points[1, 0], (
                "the left eye in the image is first, also in mirrored faces"
            )
            assert (np.abs(points.mean(axis=0) - middle) < 0.3 * (box[2:] - box[:2])).all()
    assert len(heights) > 40
    assert min(heights) < 20
    assert max(heights) > 80


def test_mirrored_flips_pixels_boxes_and_points(generator: SceneGenerator) -> None:
    scene = next(one for one in map(generator.generate, range(20)) if one.boxes)
    flipped = mirrored(scene)
    np.testing.assert_array_equal(flipped.pixels, scene.pixels[:, ::-1])
    np.testing.assert_allclose(flipped.boxes[0][[0, 2]], SIZE_WH[0] - 1 - scene.boxes[0][[2, 0]])
    assert flipped.points[0][0, 0] == pytest.approx(SIZE_WH[0] - 1 - scene.points[0][1, 0])
    again = mirrored(flipped)
    np.testing.assert_allclose(again.points[0], scene.points[0], atol=1e-4)


def test_score_targets_peak_at_box_centers() -> None:
    boxes = torch.tensor([[[20.0, 20, 60, 60], [100, 40, 110, 54], [0, 0, 0, 0]]])
    scores, owners = score_targets(boxes, 20, 32)
    assert scores[0, 5, 5] == pytest.approx(1), (
        "the cell whose center, (43.5, 43.5), is nearest to (40, 40)"
    )
    assert float(scores.max()) == pytest.approx(1)
    assert owners[0, 5, 12] == 1
    assert scores[0, 19, 31] < 1e-3


def test_decode_returns_boxes_and_points_in_pixels() -> None:
    raw = torch.zeros(1, 15, 4, 5)
    raw[0, 1:5, 2, 3] = torch.tensor([0.25, -0.5, np.log(3.0), np.log(4.0)])
    raw[0, 5:7, 2, 3] = torch.tensor([1.0, -1.0])
    decoded = decode(raw)[0, :, 2, 3].numpy()
    x, y = 3.5 * STRIDE - 0.5, 2.5 * STRIDE - 0.5
    np.testing.assert_allclose(
        decoded[:4], [x + 2 - 12, y - 4 - 16, x + 2 + 12, y - 4 + 16], rtol=1e-5
    )
    side = np.sqrt(24 * 32)
    np.testing.assert_allclose(decoded[4:6], [x + side, y - side], rtol=1e-5)


def test_detector_objective_ignores_masked_regions_and_penalizes_false_alarms() -> None:
    scene = Scene(
        np.zeros((160, 256, 3), np.uint8),
        [np.float32([40, 40, 88, 104])],
        [POINTS],
        [np.float32([160, 0, 250, 90])],
    )
    batch = to_batch([scene, Scene(np.zeros((160, 256, 3), np.uint8))])
    expected, _ = score_targets(batch["boxes"], 20, 32)
    correct = torch.zeros(2, 15, 20, 32)
    correct[:, 0] = torch.where(expected > 0.999, 8.0, -8.0)
    alarm = correct.clone()
    alarm[0, 0, 5, 25] = 8.0  # inside the ignored region
    false_alarm = correct.clone()
    false_alarm[0, 0, 15, 25] = 8.0
    losses = [
        float(DetectorObjective()(lambda _, raw=raw: raw, batch, 0)["score"])
        for raw in (correct, alarm, false_alarm)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[2] > losses[0] + 0.5


def test_detector_trainer_learns_and_resumes(generator: SceneGenerator, tmp_path: Path) -> None:
    net = DetectorConfig(widths=(8, 8, 16, 16, 16), blocks=(1, 1, 1))
    recipe = replace(DetectorRecipe(net=net), batch=4, epochs=1)

    def build() -> Trainer:
        torch.manual_seed(1)
        student = DetectorNet(recipe.net)
        batches = SceneBatches(generator, recipe.batch, steps_per_epoch=60)
        ema = EmaModel(student, 0.9)
        config = TrainerConfig(tmp_path)
        return Trainer(student, DetectorObjective(), batches, recipe, config, ema=ema)

    first = build()
    losses = [first.train_step() for _ in range(36)]
    box_losses = [loss["box"] + loss["points"] for loss in losses]
    assert np.mean(box_losses[-8:]) < 0.8 * np.mean(box_losses[:8])
    first.save()
    resumed = build()
    assert resumed.resume()
    assert resumed.train_step()["loss"] == pytest.approx(first.train_step()["loss"], rel=1e-4)


def test_detector_maps_keep_only_peaks() -> None:
    torch.manual_seed(0)
    net = DetectorNet(DetectorConfig(widths=(8, 8, 16, 16, 16), blocks=(1, 1, 1))).eval()
    maps = DetectorMaps(net)(torch.randn(2, 3, 96, 64))
    assert maps.shape == (2, 15, 12, 8)
    rows, columns = np.nonzero(maps[0, 0].detach().numpy())
    gaps = np.maximum(np.abs(rows[:, None] - rows[None]), np.abs(columns[:, None] - columns[None]))
    assert (gaps[~np.eye(len(rows), dtype=bool)] > 1).all(), "no two neighbors are both a peak"

"""Features of a frozen trunk for every frame, and its audio."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch

from faceaffect.bundle.bundle import find_bundle
from faceaffect.kernels.reference import au_gcn
from tests.training.methods.synthetic_faces import synthetic_data
from training.default_model.init_from_bundle import bundle_weights
from training.engine.checkpoint import write_json, write_weights
from training.evaluation.bundle_runner import BundleRunner
from training.methods.features import (
    extract_features,
    open_trunk,
    read_features,
    write_features,
)
from training.models.backbones.resnet import small_resnet

pytestmark = pytest.mark.train


def pretrained(folder: Path) -> torch.nn.Module:
    torch.manual_seed(0)
    net = small_resnet().eval()
    write_weights(folder / "trunk.safetensors", net)
    write_json(folder / "trunk.json", {"trunk": "small_resnet", "sha256": "0" * 64})
    return net


def test_features_of_pretrained_trunk_equal_its_outputs_frame_by_frame(tmp_path: Path) -> None:
    net = pretrained(tmp_path)
    data = synthetic_data(size_px=64)
    names = data.train.path.to_pylist()
    names[5] = None
    table = replace(data.train, path=pa.array(names, pa.string()))
    trunk = open_trunk(str(tmp_path))
    arrays = extract_features(trunk, table, data.images, data.tracks)
    assert arrays["features"].dtype == np.float16
    assert (arrays["features"][5] == 0).all(), "a frame without a crop"
    for row in (0, 17, 55):
        image = torch.from_numpy(data.images.array[row]).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            expected = net((image[None] - 0.5) / 0.5)[0].numpy()
        assert arrays["features"][row] == pytest.approx(expected, abs=2e-2, rel=2e-3)
    start, arrived = arrays["mel_start"], arrays["mel_arrived"]
    assert len(start) == len(table.videos) + 1
    track = data.tracks.get(table.media_of(20))
    assert arrived[20] == track.frames_available(float(table.audio_offset_s[20]))
    own = arrays["log_mel"][start[1] : start[2]]
    assert own == pytest.approx(track.chunk(0, len(own)), abs=2e-3)
    write_features(tmp_path / "out", trunk, table, arrays, {})
    again = read_features(tmp_path / "out", table)
    assert all(np.array_equal(again[name], value) for name, value in arrays.items())
    with pytest.raises(ValueError, match="features of other frames"):
        read_features(tmp_path / "out", data.validation)


def test_features_of_bundle_lead_to_its_expressions_and_units() -> None:
    trunk = open_trunk("default")
    runner = BundleRunner(find_bundle("default"))
    images = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    arrays = trunk.read(images)
    crop = runner.spec.crop
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (crop.mean, crop.std))
    crops = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    heads = runner.heads((crops - mean) / std)
    logit = au_gcn(arrays["nodes"], runner.bundle.graph)
    assert logit == pytest.approx(heads["au_logit"], abs=1e-4)
    values = bundle_weights(runner.bundle)
    weight, bias = (values[f"affect.expression.{name}"] for name in ("weight", "bias"))
    assert arrays["features"] @ weight.T + bias == pytest.approx(
        heads["expression_logit"], abs=1e-4
    )


def test_last_map_of_bundle_leads_to_its_features() -> None:
    trunk = open_trunk("default")
    values = bundle_weights(BundleRunner(find_bundle("default")).bundle)
    weight, bias = (values[f"affect.embed.0.{name}"] for name in ("weight", "bias"))
    images = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3)).astype(np.uint8)
    assert trunk.has_seen_renders
    assert trunk.read_maps is not None
    maps = trunk.read_maps(images)
    assert {name: values.shape[2:] for name, values in maps.items()} == {
        "map0": (28, 28),
        "map1": (14, 14),
        "map2": (7, 7),
    }
    embedded = np.einsum("oc,nchw->nohw", weight[:, :, 0, 0], maps["map2"])
    means = np.maximum(embedded + bias[:, None, None], 0).mean(axis=(2, 3))
    assert trunk.read(images)["features"][:, : len(bias)] == pytest.approx(means, abs=1e-3)


def test_maps_of_pretrained_trunk_average_to_its_features(tmp_path: Path) -> None:
    pretrained(tmp_path)
    trunk = open_trunk(str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    assert trunk.read_maps is not None
    maps = trunk.read_maps(images)
    assert [values.shape[2] for values in maps.values()] == [16, 8, 4, 2]
    assert maps["map3"].mean(axis=(2, 3)) == pytest.approx(trunk.read(images)["features"], abs=1e-4)


@pytest.mark.shared
def test_features_of_mediapipe_are_its_landmarks_and_blendshapes(shared: Path) -> None:
    trunk = open_trunk(str(shared / "teachers" / "mediapipe_face_landmarker"))
    assert not trunk.has_seen_renders
    assert trunk.read_maps is None
    path = min((shared / "data" / "webfaces").glob("*.jpg"))
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    (features,) = trunk.read(cv2.resize(image, (trunk.size_px,) * 2)[None])["features"]
    points, shapes = features[: 3 * 68].reshape(68, 3), features[3 * 68 :]
    assert len(shapes) == 52
    assert ((shapes >= 0) & (shapes <= 1)).all()
    eyes, mouth, chin = points[36:48].mean(axis=0), points[48:68].mean(axis=0), points[8]
    assert 0 < eyes[1] < mouth[1] < chin[1] < 1.1
    assert points[36, 0] < points[45, 0], "the person's right eye is left in the image"

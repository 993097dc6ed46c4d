"""Features of a frozen trunk for every frame, and its audio."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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


def test_open_trunk_of_other_bundle_raises(tmp_path: Path) -> None:
    with pytest.raises((ValueError, OSError)):
        open_trunk(str(tmp_path))

"""Export of the face detector: the SDK's detections match the PyTorch maps."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from export.export_detector import load_detector, main
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.types import Frame
from training.detector.network import DetectorMaps, DetectorNet
from training.detector.train_detector import DetectorRecipe
from training.engine.checkpoint import EMA_FILE, RUN_FILE

pytestmark = pytest.mark.train


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(2)
    recipe = DetectorRecipe()
    net = DetectorNet(recipe.net)
    for part in net.modules():  # so that folding batch normalization matters
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(part.running_var, 0.5, 1.5)
    save_file(net.state_dict(), tmp_path / EMA_FILE)
    (tmp_path / RUN_FILE).write_text(
        json.dumps({"recipe": asdict(recipe), "step": 1}), encoding="utf-8"
    )
    return tmp_path


def test_exported_detector_matches_network(run: Path) -> None:
    done = CliRunner().invoke(main, [str(run), "--to", str(run / "out" / "detector.onnx")])
    assert done.exit_code == 0, done.output
    detector = FastFaceDetector(
        min_face_size_px=40, min_score=0.0001, model=run / "out" / "detector.onnx"
    )
    frame = Frame(np.random.default_rng(0).integers(0, 255, (360, 640, 3)).astype(np.uint8))
    detections = detector.detect(frame)
    assert len(detections) > 0
    canvas = detector._buffers.get("canvas", (1, 160, 256, 3))[0, :144, :256].copy()
    image = torch.from_numpy(detector._prepare(canvas))
    with torch.no_grad():
        maps = DetectorMaps(load_detector(run))(image)[0].numpy()
    assert detections.score[0] == pytest.approx(float(maps[0].max()), abs=1e-4)
    row, column = np.unravel_index(maps[0].argmax(), maps[0].shape)
    np.testing.assert_allclose(
        detections.box_xyxy[0], (maps[1:5, row, column] + 0.5) * 2.5 - 0.5, atol=0.05
    )

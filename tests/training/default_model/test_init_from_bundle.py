"""Networks initialized from a bundle: equal outputs, and batch normalization for training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from export.write_bundle import write_bundle
from faceaffect.bundle.bundle import open_bundle
from faceaffect.labels import AU_NAMES
from tests.training.default_model.synthetic_faces import SCHEDULE, TINY, tiny_trainer
from training.default_model.build_trainer import init_from_bundle
from training.default_model.default_recipe import recipe
from training.default_model.init_from_bundle import (
    NEWER_LAYERS,
    bundle_weights,
    init_from_bundle_weights,
)
from training.models.affect_net import AffectNet

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[AffectNet, Path]:
    """Small network after some steps, with non-trivial batch statistics, and its bundle."""
    root = tmp_path_factory.mktemp("start")
    trainer = tiny_trainer(root / "run", replace(SCHEDULE, steps=12, ema_decay=0.5))
    for _ in range(12):
        trainer.train_step()
    net = trainer.ema.net.eval()
    write_bundle(net, root / "bundle", "card\n", (0.5,) * len(AU_NAMES))
    return net, root / "bundle"


def batches(count: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(16, 3, 64, 64, generator=generator) for _ in range(count)]


def test_init_from_bundle_weights_reproduces_bundle_outputs(
    trained: tuple[AffectNet, Path],
) -> None:
    net, folder = trained
    initialized = AffectNet(TINY)
    digest = init_from_bundle_weights(initialized, folder, batches())
    assert digest == open_bundle(folder).spec.files["model.onnx"]
    crops = torch.randn(4, 3, 112, 112)
    session = onnxruntime.InferenceSession((folder / "model.onnx").read_bytes())
    names = [output.name for output in session.get_outputs()]
    expected = dict(zip(names, session.run(names, {"crops": crops.numpy()}), strict=True))
    with torch.no_grad():
        actual = initialized.eval()(crops)
        original = net(crops)
        for name in names:
            assert np.abs(actual[name].numpy() - expected[name]).max() < 1e-4, name
        assert torch.allclose(
            initialized.au_graph(actual["au_nodes"]), net.au_graph(original["au_nodes"]), atol=1e-4
        )


def test_init_from_bundle_weights_of_older_bundle_zeroes_newer_layers() -> None:
    """Layers that the bundle lacks are initialized to 0."""
    values = bundle_weights(open_bundle("default"))
    older = {name: value for name, value in values.items() if not name.startswith(NEWER_LAYERS)}
    initialized = AffectNet(recipe().net)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "training.default_model.init_from_bundle.bundle_weights", lambda bundle: older
        )
        init_from_bundle_weights(initialized, "default", batches(1))
    assert not initialized.affect.va_joint.weight.any()
    crops = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        heads = initialized.eval()(crops)
        features = heads["va_raw"].clone()
        initialized.affect.va_hidden.weight.fill_(7.0)
        assert torch.equal(initialized(crops)["va_raw"], features)


def test_init_from_bundle_weights_restores_batch_statistics(
    trained: tuple[AffectNet, Path],
) -> None:
    """Training mode equals evaluation mode on the batch that the statistics were measured on."""
    _, folder = trained
    batch = batches(1)
    initialized = AffectNet(replace(TINY, dropout=0.0))
    init_from_bundle_weights(initialized, folder, batch)
    with torch.no_grad():
        measured = initialized.eval()(batch[0])
        trained_on = initialized.train()(batch[0])
    for name, value in measured.items():
        assert torch.allclose(value, trained_on[name], atol=2e-2, rtol=2e-2), name
    spreads = [
        part.running_var for part in initialized.modules() if isinstance(part, torch.nn.BatchNorm2d)
    ]
    assert all((value.max() < 30) for value in spreads)


def test_init_from_bundle_records_origin_in_saved_state(
    trained: tuple[AffectNet, Path], tmp_path: Path
) -> None:
    _, folder = trained
    initialized = tiny_trainer(tmp_path)
    init_from_bundle(initialized, folder)
    crops = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(
            initialized.ema.net(crops)["landmarks_px"],
            initialized.net.eval()(crops)["landmarks_px"],
        )
    initialized.train_step()
    tmp_path.mkdir(exist_ok=True)
    initialized.save()
    resumed = tiny_trainer(tmp_path)
    assert resumed.resume()
    assert resumed.started_from == initialized.started_from != ""


def test_init_from_bundle_weights_of_other_network_raises(
    trained: tuple[AffectNet, Path], tmp_path: Path
) -> None:
    _, folder = trained
    with pytest.raises(
        ValueError, match=r"affect\.embed\.0\.weight must have the shape .* of the recipe's network"
    ):
        init_from_bundle_weights(AffectNet(replace(TINY, embed_width=24)), folder, batches(1))
    with pytest.raises(ValueError, match="at least one batch of crops"):
        init_from_bundle_weights(AffectNet(TINY), folder, [])
    with pytest.raises(ValueError, match=r"spec\.json"):
        init_from_bundle_weights(AffectNet(TINY), tmp_path, batches(1))

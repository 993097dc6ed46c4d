"""Deviation embedding of M1."""

from __future__ import annotations

import pytest
import torch

from training.models.encoders.deviation import (
    DeviationEncoder,
    DeviationStudent,
    FaceEmbedding,
)

pytestmark = pytest.mark.train
CROPS = torch.randn(4, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def test_deviation_from_identical_network_is_zero() -> None:
    encoder = DeviationEncoder("small_resnet", 16).eval()
    with torch.no_grad():
        assert encoder(CROPS).abs().max() > 1e-3
        encoder.face.load_state_dict(encoder.identity.state_dict())
        assert encoder(CROPS).abs().max() == 0


def test_deviation_encoder_training_keeps_identity_network() -> None:
    encoder = DeviationEncoder("small_resnet", 16).train()
    before = {name: value.clone() for name, value in encoder.identity.state_dict().items()}
    optimizer = torch.optim.SGD(
        [p for p in encoder.parameters() if p.requires_grad], 0.1, weight_decay=0.1
    )
    encoder(CROPS).square().sum().backward()
    optimizer.step()
    assert not encoder.identity.training
    assert all(
        torch.equal(value, before[name]) for name, value in encoder.identity.state_dict().items()
    )
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.face.parameters())


def test_face_embedding_has_unit_length() -> None:
    with torch.no_grad():
        for net in (
            FaceEmbedding("small_resnet", 16).eval(),
            FaceEmbedding("mobilefacenet", 32).eval(),
        ):
            size = 112 if "mobile" in type(net.trunk).__name__.lower() else 48
            assert torch.allclose(
                net(torch.randn(2, 3, size, size)).norm(dim=1), torch.ones(2), atol=1e-5
            )


def test_deviation_student_equals_encoder_without_identity() -> None:
    alone, student = (
        DeviationEncoder("small_resnet", 16, subtract_identity=False).eval(),
        DeviationStudent("small_resnet", 16).eval(),
    )
    assert alone.identity is None
    student.face.load_state_dict(alone.face.state_dict())
    with torch.no_grad():
        assert torch.equal(alone(CROPS), student(CROPS))

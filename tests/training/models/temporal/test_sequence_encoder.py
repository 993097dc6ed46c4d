"""Sequence encoder compared with PyTorch's, and its causal receptive field."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.models.temporal.sequence_encoder import EncoderLayer, SequenceEncoder, sinusoids

pytestmark = pytest.mark.train


def test_encoder_layer_of_non_causal_matches_pytorch() -> None:
    torch.manual_seed(0)
    ours = EncoderLayer(32, 4, 8, 48, window=30, causal=False, dropout=0.0).eval()
    theirs = nn.TransformerEncoderLayer(32, 4, 48, dropout=0.0, batch_first=True).eval()
    attention = theirs.self_attn
    with torch.no_grad():
        attention.in_proj_weight.copy_(
            torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        )
        attention.in_proj_bias.zero_()
        attention.out_proj.weight.copy_(ours.join.weight)
        attention.out_proj.bias.zero_()
    theirs.norm1, theirs.norm2, theirs.linear1, theirs.linear2 = (
        ours.norm_attention,
        ours.norm_hidden,
        ours.hidden[0],
        ours.hidden[3],
    )
    frames = torch.randn(2, 9, 32)
    assert torch.allclose(ours(frames), theirs(frames), atol=1e-5)


def test_sinusoids_match_formula() -> None:
    table = sinusoids(5, 8)
    assert table[3, 2].item() == pytest.approx(
        torch.sin(torch.tensor(3 / 10_000 ** (2 / 8))).item()
    )
    assert table[3, 5].item() == pytest.approx(
        torch.cos(torch.tensor(3 / 10_000 ** (4 / 8))).item()
    )


def test_sequence_encoder_of_causal_window_has_limited_receptive_field() -> None:
    encoder = SequenceEncoder(16, 1, 2, 8, 32, window=4, causal=True).eval()
    frames = torch.randn(1, 10, 16, requires_grad=True)
    gradient = (
        torch.autograd.grad(encoder(frames)[0, 6].square().sum(), frames)[0][0].abs().amax(dim=1)
    )
    assert (gradient[3:7] > 0).all()
    assert gradient[:3].max() == 0
    assert gradient[7:].max() == 0


def test_sequence_encoder_depends_on_relative_position_only() -> None:
    encoder = SequenceEncoder(16, 2, 2, 8, 32, window=3, causal=True).eval()
    for layer in encoder.layers:
        nn.init.normal_(layer.distance_bias)
    frames = torch.randn(1, 12, 16)
    with torch.no_grad():
        assert torch.allclose(encoder(frames)[:, 7:], encoder(frames[:, 2:])[:, 5:], atol=1e-5)

"""F-TDNN: receptive field, semi-orthogonal constraint and carried state."""

from __future__ import annotations

import pytest
import torch

from training.models.audio.ftdnn import Ftdnn, TimeConv

pytestmark = pytest.mark.train


def small(causal: bool) -> Ftdnn:
    torch.manual_seed(0)
    return Ftdnn(8, first=12, width=16, between=6, causal=causal, utterance=True).eval()


@pytest.mark.parametrize("lengths", [(10, 10, 10, 10), (1, 2, 3, 4, 30), (40,)])
def test_ftdnn_step_by_chunks_matches_full_input(lengths: tuple[int, ...]) -> None:
    net, mel = small(causal=True), torch.randn(2, 40, 64)
    states = tuple(torch.zeros(2, *form.shape) for form in net.state_forms())
    outputs = []
    with torch.no_grad():
        for part in mel.split(list(lengths), dim=1):
            out, *after = net.step(part, *states)
            states = tuple(after)
            outputs.append(out)
        assert float((torch.cat(outputs, dim=1) - net(mel)).abs().max()) < 1e-5


@pytest.mark.parametrize("causal", [True, False])
def test_ftdnn_receptive_field_matches_layers(causal: bool) -> None:
    net = small(causal)
    mel = torch.randn(1, 120, 64, requires_grad=True)
    frames = (
        torch.autograd.grad(net(mel)[0, 60].square().sum(), mel)[0][0]
        .abs()
        .amax(dim=1)
        .nonzero()[:, 0]
    )
    assert (int(frames.max()) == 60) is causal
    # 4 frames of the first layer, 6 and four times 8 of the others; or half of them.
    before = 60 - int(frames.min())
    assert 0.8 * 42 <= before <= 42 if causal else 0.8 * 21 <= before <= 21


def test_time_conv_constrain_makes_rows_orthogonal() -> None:
    conv = TimeConv(20, 5, 2, 1, bias=False)
    for _ in range(60):
        conv.constrain()
    weight = conv.conv.weight.detach().flatten(1)
    product = weight @ weight.T
    assert torch.allclose(product, torch.eye(5) * product[0, 0], atol=1e-4 * float(product[0, 0]))
    assert product[0, 0] > 1e-3


def test_ftdnn_step_of_non_causal_network_raises() -> None:
    with pytest.raises(ValueError, match="build it causal"):
        small(causal=False).step(torch.zeros(1, 10, 64))

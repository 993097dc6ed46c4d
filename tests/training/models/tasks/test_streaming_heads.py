"""Streaming heads compared with their formulas."""

from __future__ import annotations

import pytest
import torch

from training.models.tasks.streaming_heads import StreamingHeads

pytestmark = pytest.mark.train


def test_streaming_heads_match_separate_layers() -> None:
    torch.manual_seed(0)
    heads = StreamingHeads(32).eval()
    x = torch.randn(5, 32)
    with torch.no_grad():
        pairs, expression, va = heads(x)
        e = heads.norm(x)
        weight, bias = heads.au_features.weight, heads.au_features.bias
        a = [e @ weight[16 * i : 16 * i + 16].T + bias[16 * i : 16 * i + 16] for i in range(12)]
        expected = torch.stack([a[i] @ heads.au_pairs[i] for i in range(12)], dim=1)
        assert torch.allclose(pairs, expected, atol=1e-6)
        c = torch.cat(
            [heads.au_to_expression(torch.cat(a, dim=1)), heads.expression_branch(e)], dim=1
        )
        assert torch.allclose(expression, heads.expression(c), atol=1e-6)
        v = torch.cat([heads.expression_to_va(c), heads.va_branch(e)], dim=1)
        assert torch.allclose(va, heads.va(v), atol=1e-6)


@pytest.mark.parametrize(("order", "informs"), [("au_expression_va", True), ("parallel", False)])
def test_streaming_heads_pass_earlier_tasks_only_in_order(order: str, informs: bool) -> None:
    heads = StreamingHeads(32, order=order).eval()
    _, expression, va = heads(torch.randn(5, 32))
    for output in (expression, va):
        gradient = torch.autograd.grad(
            output.sum(), heads.au_features.weight, retain_graph=True, allow_unused=True
        )[0]
        assert (gradient is not None and bool(gradient.abs().max() > 0)) is informs


def test_streaming_heads_of_unknown_order_lists_known_ones() -> None:
    with pytest.raises(ValueError, match="parallel"):
        StreamingHeads(order="va_first")

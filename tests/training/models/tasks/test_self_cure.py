"""Self-cure heads: alpha flattens the expression distribution only."""

from __future__ import annotations

import pytest
import torch

from training.models.tasks.self_cure import SelfCureHeads

pytestmark = pytest.mark.train


def test_self_cure_alpha_scales_expression_logits_only() -> None:
    heads, plain = SelfCureHeads(6), SelfCureHeads(6, cure=False)
    plain.load_state_dict(
        {name: value for name, value in heads.state_dict().items() if "alpha" not in name}
    )
    features = torch.randn(5, 6)
    with torch.no_grad():
        au, expression, va, alpha = heads(features)
        au_plain, expression_plain, va_plain, one = plain(features)
    assert torch.equal(au, au_plain)
    assert torch.equal(va, va_plain)
    assert torch.allclose(expression, expression_plain * alpha[:, None])
    assert torch.equal(one, torch.ones(5))
    assert ((alpha > 0) & (alpha < 1)).all()
    assert expression.shape == (5, 8)
    assert va.abs().max() <= 1

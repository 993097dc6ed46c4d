"""Missing labels are filled, true ones kept."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from training.methods.pseudo_labels import pseudo_labels  # noqa: E402

pytestmark = pytest.mark.train


class Says(nn.Module):
    def __init__(self, **outputs: Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        assert not self.training
        return self.outputs


MODELS = {
    "au": Says(au_logit=torch.tensor([[0.3] * 12, [-0.3] * 12])),
    "expression": Says(expression_logit=torch.eye(7)[[5, 6]]),
    "va": Says(va=torch.tensor([[2.0, 0.1], [0.4, -3.0]])),
}


def test_truth_overrides_and_gaps_are_filled() -> None:
    au_mask = torch.ones(2, 12)
    au_mask[0, :6] = 0
    batch = {
        "crops": torch.zeros(2, 3, 4, 4), "au": torch.full((2, 12), -1.0), "au_mask": au_mask,
        "expression": torch.tensor([-1.0, 2.0]), "expression_mask": torch.tensor([0.0, 1.0]),
        "va": torch.tensor([[-5.0, -5.0], [0.2, 0.3]]), "va_mask": torch.tensor([0.0, 1.0]),
    }  # fmt: skip
    batch["au"][au_mask > 0] = 0
    found = pseudo_labels(batch, MODELS)
    assert found["au"].tolist() == [[1.0] * 6 + [0.0] * 6, [0.0] * 12]
    assert found["expression"].tolist() == [5, 2]
    assert found["va"].flatten().tolist() == pytest.approx([0.99, 0.1, 0.2, 0.3])
    assert all(bool((found[f"{task}_mask"] == 1).all()) for task in MODELS)
    assert torch.equal(batch["expression"], torch.tensor([-1.0, 2.0]))


def test_frames_without_any_label() -> None:
    found = pseudo_labels({"crops": torch.zeros(2, 3, 4, 4)}, MODELS)
    assert found["expression"].tolist() == [5, 6]
    assert found["au_mask"].shape == (2, 12)
    assert found["expression_mask"].tolist() == found["va_mask"].tolist() == [1, 1]


def test_a_model_of_another_task_is_told() -> None:
    with pytest.raises(ValueError, match="for 'va' must give 'va', it gives"):
        pseudo_labels({"crops": torch.zeros(2, 3, 4, 4)}, {"va": MODELS["au"]})
    with pytest.raises(ValueError, match="model for 'pose'"):
        pseudo_labels({"crops": torch.zeros(2, 3, 4, 4)}, {"pose": MODELS["au"]})

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

pytest.importorskip("pyarrow")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from torch import nn  # noqa: E402

from tests.training.datasets.made_up_table import made_up_table  # noqa: E402
from training.datasets.targets.labels_only import LabelsOnly  # noqa: E402
from training.datasets.targets.pseudo_labels import KeepRule, OfflinePseudo, Predictions, fill_labels  # noqa: E402
from training.datasets.targets.teacher import Teacher, TeacherWeights, consistency_ramp  # noqa: E402


def made_up_batch() -> dict[str, torch.Tensor]:
    """Five rows: all labels, AU only, EXPR only, VA only, none."""
    au = torch.zeros(5, 12, dtype=torch.bool)
    expression, va = torch.zeros(2, 5, dtype=torch.bool)
    au[[0, 1]] = True
    expression[[0, 2]] = True
    va[[0, 3]] = True
    return {
        "image": torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)),
        "au": torch.ones(5, 12), "au_mask": au,
        "expression": torch.tensor([4, 0, 6, 0, 0]), "expression_mask": expression,
        "va": torch.full((5, 2), 0.5), "va_mask": va,
    }  # fmt: skip


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.BatchNorm1d(16))
        self.head = nn.Linear(16, 12 + 7 + 2)

    def forward(self, batch) -> dict[str, torch.Tensor]:
        out = self.head(self.body(batch["image"]))
        return {"au_logit": out[:, :12], "expression_logit": out[:, 12:19], "va": torch.tanh(out[:, 19:])}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


def test_absent_labels_weigh_nothing():
    batch = made_up_batch()
    targets = LabelsOnly()(batch)
    assert {task: len(found) for task, found in targets.items()} == {"AU": 1, "EXPR": 1, "VA": 1}
    assert targets["AU"][0].weight.sum(1).tolist() == [12, 12, 0, 0, 0]
    assert targets["EXPR"][0].weight.tolist() == [1, 0, 1, 0, 0]
    assert targets["VA"][0].weight.tolist() == [1, 0, 0, 1, 0]
    assert targets["EXPR"][0].value is batch["expression"]


def test_gradients_of_masked_elements_are_exactly_zero(net):
    batch = made_up_batch()
    batch["va"][1] = float("inf")  # whatever stands where there is no label
    logit = torch.randn(5, 12, requires_grad=True)
    target = LabelsOnly()(batch)["AU"][0]
    loss = nn.functional.binary_cross_entropy_with_logits(logit, target.value, weight=target.weight, reduction="sum")
    loss.backward()
    assert (logit.grad[2:] == 0).all()
    assert (logit.grad[:2] != 0).all()


def test_mean_teacher_speaks_where_labels_are_absent(net):
    batch = made_up_batch()
    teacher = Teacher(copy.deepcopy(net), TeacherWeights.mean_teacher(), ramp=consistency_ramp, rate=0.99)
    with torch.no_grad():
        said = net.eval()(batch)
    targets = teacher(batch, epoch=5)
    for task, present in (("AU", [1, 1, 0, 0, 0]), ("EXPR", [1, 0, 1, 0, 0]), ("VA", [1, 0, 0, 1, 0])):
        label, word = targets[task]
        absent = consistency_ramp(5) * (1 - torch.tensor(present, dtype=torch.float32))
        assert label.kind == "label"
        assert word.kind == "teacher"
        weight = word.weight[:, 0] if task == "AU" else word.weight
        assert weight.tolist() == pytest.approx(absent.tolist())
        assert (label.weight[:, 0] if task == "AU" else label.weight).tolist() == present
    assert torch.allclose(targets["AU"][1].value, torch.sigmoid(said["au_logit"]))  # soft
    hard = targets["EXPR"][1].value
    assert (hard.argmax(1) == said["expression_logit"].argmax(1)).all()
    assert hard.sum(1).tolist() == [1] * 5
    assert ((hard == 0) | (hard == 1)).all()
    assert torch.allclose(targets["VA"][1].value, said["va"])
    assert not targets["VA"][1].value.requires_grad


def test_distillation_speaks_beside_labels_too(net):
    batch = made_up_batch()
    teacher = Teacher(net, TeacherWeights.distillation(), tasks=("EXPR", "VA"))
    label, word = teacher(batch)["EXPR"]
    assert label.weight.tolist() == pytest.approx([0.6, 0, 0.6, 0, 0])
    assert word.weight.tolist() == pytest.approx([0.4, 1, 0.4, 1, 1])
    assert word.temperature == 1.5
    logits = net(batch)["expression_logit"]
    assert torch.allclose(word.value, torch.softmax(logits / 1.5, 1))
    assert len(teacher(batch)["AU"]) == 1  # nobody asked it
    teacher.update(nn.Linear(1, 1))  # a frozen teacher follows nobody
    assert teacher.step == 0


def test_bins_are_distributions():
    class Bins(nn.Module):
        def forward(self, batch):
            return {"va": torch.arange(5 * 2 * 20.0).reshape(5, 2, 20) / 100}

    word = Teacher(Bins(), TeacherWeights.distillation(), tasks=("VA",))(made_up_batch())["VA"][1]
    assert word.value.shape == (5, 2, 20)
    assert torch.allclose(word.value.sum(-1), torch.ones(5, 2))
    with pytest.raises(KeyError, match="must give au_logit, it gives va"):
        Teacher(Bins(), TeacherWeights())(made_up_batch())


def test_the_average_against_its_definition(net):
    teacher = Teacher(copy.deepcopy(net), TeacherWeights(), rate=0.9)
    slow = {name: value.clone().double() for name, value in net.state_dict().items()}
    random = torch.Generator().manual_seed(1)
    for step in range(40):
        with torch.no_grad():
            for value in net.state_dict().values():
                if value.is_floating_point():
                    value.add_(torch.randn(value.shape, generator=random) * 0.1)
                else:
                    value.add_(1)
        teacher.update(net)
        rate = min(1 - 1 / (step + 1), 0.9)
        for name, value in net.state_dict().items():
            slow[name] = rate * slow[name] + (1 - rate) * value.double() if value.is_floating_point() else value.double()
    for name, value in teacher.module.state_dict().items():
        assert torch.allclose(value.double(), slow[name], atol=1e-5), name
    assert "body.2.running_mean" in slow  # buffers follow too
    assert slow["body.2.num_batches_tracked"] == 40


def test_a_new_epoch_does_not_start_the_average_anew(net):
    teacher = Teacher(copy.deepcopy(net), TeacherWeights(), rate=0.9)
    for _ in range(20):
        teacher.update(net)
    before = teacher.module.head.weight.clone()
    with torch.no_grad():
        net.head.weight.add_(1)
    teacher(made_up_batch(), epoch=1)
    teacher.update(net)
    assert torch.allclose(teacher.module.head.weight, before + 0.1, atol=1e-6)


def test_a_run_goes_on_with_its_teacher(net):
    one = Teacher(copy.deepcopy(net), TeacherWeights(), rate=0.9)
    for _ in range(3):
        one.update(net)
    other = Teacher(Net(), TeacherWeights(), rate=0.9)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    with torch.no_grad():
        net.head.weight.mul_(2)
    one.update(net)
    other.update(net)
    assert torch.equal(one.module.head.weight, other.module.head.weight)


def test_the_teacher_is_measured_and_never_trained(net):
    teacher = Teacher(net, TeacherWeights())
    net.train()
    teacher.module.eval()
    mean = net.body[2].running_mean.clone()
    teacher(made_up_batch())
    assert torch.equal(net.body[2].running_mean, mean)
    assert not any(p.requires_grad for p in teacher.module.parameters())
    with pytest.raises(ValueError, match="must be the same network"):
        Teacher(nn.Linear(1, 1), TeacherWeights(), rate=0.5).update(net)
    with pytest.raises(ValueError, match="from 0 to below 1"):
        Teacher(net, TeacherWeights(), rate=1.0)


def test_the_teacher_may_see_the_picture_otherwise(net):
    dark = Teacher(net.eval(), TeacherWeights(), perturb=lambda batch: {**batch, "image": batch["image"] * 0})
    batch = made_up_batch()
    word = dark(batch)["AU"][1].value
    assert torch.allclose(word[0], word[1])
    assert batch["image"].max() > 0


def test_frames_that_are_not_there_get_no_word(net):
    batch = made_up_batch() | {"is_frame": torch.tensor([True, True, True, True, False])}
    targets = Teacher(net, TeacherWeights())(batch)
    assert targets["AU"][1].weight[4].sum() == 0
    assert targets["VA"][1].weight.tolist() == [0, 1, 1, 0, 0]


@pytest.mark.parametrize(("epoch", "wanted"), [(0, 0.4 * math.exp(-5)), (7.5, 0.4 * math.exp(-1.25)), (15, 0.4), (99, 0.4)])
def test_the_ramp(epoch, wanted):
    assert consistency_ramp(epoch) == pytest.approx(wanted)


# Pseudo labels --------------------------------------------------------------------------------------------------------

UNITS = [1.0] * 12


def half_labelled(split: str = "train"):
    return made_up_table(
        {"v": [1, 2, 3, 4]},
        au=[UNITS, None, None, None],
        expression=[4, None, None, None],
        va=[(0.5, 0.5), None, None, None],
        split=split,
    )


def predictions(table, sure: float = 0.95) -> Predictions:
    count = len(table)
    au = np.full((count, 12), 0.05, np.float32)
    au[:, 3] = sure
    expression = np.full((count, 7), (1 - sure) / 6, np.float32)
    expression[:, 2] = sure
    return Predictions(np.arange(count), au, expression, np.full((count, 2), -1.5, np.float32))


def test_predictions_fill_what_is_absent_and_nothing_else():
    table = half_labelled()
    filled = fill_labels(table, predictions(table))
    assert filled.table.masks.all()
    assert filled.table.expression.tolist() == [4, 2, 2, 2]  # the true label stays
    assert filled.table.au[0].tolist() == UNITS
    assert np.flatnonzero(filled.table.au[1]).tolist() == [3]
    assert filled.table.va[1] == pytest.approx([-0.99, -0.99])
    assert filled.is_pseudo.tolist() == [[False] * 3] + [[True] * 3] * 3
    assert not table.expression_mask[1]  # the table that was given stays as it was


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_videos_are_never_filled(split):
    table = half_labelled(split)
    filled = fill_labels(table, predictions(table))
    assert not filled.is_pseudo.any()
    np.testing.assert_array_equal(filled.table.masks, table.masks)


def test_only_sure_predictions_are_kept_when_asked():
    table = half_labelled()
    unsure = predictions(table, 0.75)
    assert fill_labels(table, unsure, KeepRule.confident()).is_pseudo[1].tolist() == [False, False, True]
    assert fill_labels(table, predictions(table), KeepRule.confident()).is_pseudo[1].tolist() == [True, True, True]
    with pytest.raises(ValueError, match="must have shape"):
        Predictions(np.arange(2), au=np.zeros((3, 12), np.float32))
    with pytest.raises(ValueError, match="NaN"):
        Predictions(np.arange(1), va=np.full((1, 2), np.nan, np.float32))


def test_pseudo_labels_are_a_target_of_their_own():
    table = half_labelled()
    filled = fill_labels(table, predictions(table))
    rows = np.array([0, 2, -1])
    pseudo = filled.batch_mask(rows)
    assert pseudo.tolist() == [[False] * 3, [True] * 3, [False] * 3]
    batch = {
        "au": torch.from_numpy(filled.table.au[rows]), "au_mask": torch.tensor([[True] * 12, [True] * 12, [False] * 12]),
        "expression": torch.from_numpy(filled.table.expression[rows]).long(),
        "expression_mask": torch.tensor([True, True, False]),
        "va": torch.from_numpy(filled.table.va[rows]), "va_mask": torch.tensor([True, True, False]),
    }  # fmt: skip
    with pytest.raises(KeyError, match="entry `pseudo`"):
        OfflinePseudo()(batch)
    targets = OfflinePseudo(0.5)(batch | {"pseudo": torch.from_numpy(pseudo)})
    true, filled_in = targets["EXPR"]
    assert (true.kind, filled_in.kind) == ("label", "pseudo")
    assert true.weight.tolist() == [1, 0, 0]
    assert filled_in.weight.tolist() == [0, 0.5, 0]
    assert targets["AU"][1].weight.sum(1).tolist() == [0, 6, 0]

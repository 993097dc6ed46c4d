"""Loading weights by name from safetensors and torch files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from training.models.backbones.load_weights import WeightsError, copy_weights, read_weights

pytestmark = pytest.mark.train


def net(classes: int = 5) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, classes))


def test_copy_weights_takes_safetensors_and_pth(tmp_path: Path) -> None:
    source = net()
    save_file(source.state_dict(), tmp_path / "a.safetensors")
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}},
        tmp_path / "a.pth",
    )
    for name in ("a.safetensors", "a.pth"):
        target = net()
        report = copy_weights(target, read_weights(tmp_path / name))
        assert (report.missing, report.unexpected, report.misshapen) == ((), (), ())
        assert all(
            torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True)
        )


def test_copy_weights_reports_mismatches_and_loads_rest(tmp_path: Path) -> None:
    state = net(classes=7).state_dict()
    del state["1.bias"]
    state["logits.weight"] = torch.zeros(2)
    save_file(state, tmp_path / "a.safetensors")
    target = net(classes=5)
    kept = target[2].weight.clone()
    report = copy_weights(target, read_weights(tmp_path / "a.safetensors"))
    assert report.missing == ("1.bias",)
    assert report.unexpected == ("logits.weight",)
    assert report.misshapen == ("2.bias", "2.weight")
    assert torch.equal(target[0].weight, state["0.weight"])
    assert torch.equal(target[2].weight, kept)
    assert "1 missing: 1.bias; 1 unexpected: logits.weight" in str(report)


def test_read_weights_of_broken_file_raises(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no file of weights"):
        read_weights(tmp_path / "none.pt")
    for name in ("a.pt", "a.safetensors"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(WeightsError, match="no readable tensors"):
            read_weights(tmp_path / name)
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="dict of tensors"):
        read_weights(tmp_path / "list.pt")


class _Payload:
    """Object that runs a call when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("unpickled-here"),))


def test_read_weights_of_pickled_object_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": _Payload()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="no readable tensors"):
        read_weights(tmp_path / "evil.pt")
    assert not (tmp_path / "unpickled-here").exists()

"""Published networks of several files or streams give the same outputs under the names here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES
from training.models.backbones.load_weights import WeightsError
from training.models.backbones.start_trunks import start_trunks
from training.models.networks.attention_graph import AttentionGraph, AttentionGraphConfig
from training.models.networks.mean_teacher_clip import MeanTeacherClip, MeanTeacherClipConfig

pytestmark = pytest.mark.train

UNIT, SIZE_PX = 2, 64
JAA_AUS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)  # of BP4D


class LocalConv(nn.Module):
    """A normalization and a convolution for each patch of a grid, as JAA-Net names them."""

    def __init__(self, side: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.side = side
        self.bns = nn.ModuleList([nn.BatchNorm2d(inputs) for _ in range(side**2)])
        self.convs = nn.ModuleList(
            [nn.Conv2d(inputs, outputs, 3, padding=1) for _ in range(side**2)]
        )

    def forward(self, features: Tensor) -> Tensor:
        rows = []
        for i, row in enumerate(features.chunk(self.side, dim=2)):
            patches = enumerate(row.chunk(self.side, dim=3), start=i * self.side)
            rows.append(torch.cat([self.convs[k](self.bns[k](p).relu()) for k, p in patches], 3))
        return torch.cat(rows, 2)


class Region(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.local_conv_branch1 = LocalConv(8, outputs, outputs // 2)
        self.local_conv_branch2 = LocalConv(4, outputs // 2, outputs // 4)
        self.local_conv_branch3 = LocalConv(2, outputs // 4, outputs // 4)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        whole = self.conv(features)
        first = self.local_conv_branch1(whole)
        second = self.local_conv_branch2(first)
        local = torch.cat([first, second, self.local_conv_branch3(second)], 1)
        return self.bn(whole + local).relu()


class Features(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 8 * UNIT
        for width in (12 * UNIT, 16 * UNIT, 20 * UNIT):
            for _ in range(2):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.feat_extract = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return self.feat_extract(features).flatten(1)


def attention(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, width), (width, width), (width, width)):
        layers += [nn.Conv2d(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 3), nn.Sigmoid())


def jaa_net() -> dict[str, nn.Module]:
    """The six modules that the authors save, with random weights and statistics."""
    torch.manual_seed(0)
    flat = 20 * UNIT * (SIZE_PX // 32) ** 2
    align, local, region, refine, head = (nn.Module() for _ in range(5))
    region.multiscale_feat = nn.Sequential(
        Region(3, 4 * UNIT), nn.MaxPool2d(2), Region(4 * UNIT, 8 * UNIT), nn.MaxPool2d(2)
    )
    align.align_feat = Features()
    align.align_output = nn.Sequential(nn.Linear(flat, 64 * UNIT), nn.Linear(64 * UNIT, 98))
    refine.local_aus_attention = nn.ModuleList([attention(8 * UNIT) for _ in JAA_AUS])
    local.local_aus_branch = nn.ModuleList([Features() for _ in JAA_AUS])
    local.local_aus_output = nn.ModuleList(
        [nn.Sequential(nn.Linear(flat, 8 * UNIT), nn.Linear(8 * UNIT, 2)) for _ in JAA_AUS]
    )
    head.au_output = nn.Sequential(nn.Linear(3 * flat, 64 * UNIT), nn.Linear(64 * UNIT, 24))
    parts: dict[str, nn.Module] = {
        "region_learning": region,
        "align_net": align,
        "local_attention_refine": refine,
        "local_au_net": local,
        "global_au_feat": Features(),
        "au_net": head,
    }
    for part in parts.values():
        for value in (buffer for buffer in part.buffers() if buffer.is_floating_point()):
            value.uniform_(0.5, 1.5)
    return {name: part.eval() for name, part in parts.items()}


def write_parts(folder: Path, suffix: str = "") -> dict[str, nn.Module]:
    parts = jaa_net()
    for name, part in parts.items():
        torch.save(part.state_dict(), folder / f"{name}{suffix}.pth")
    return parts


def small_network() -> AttentionGraph:
    config = AttentionGraphConfig(
        SIZE_PX, UNIT, 8 * UNIT, 8 * UNIT, head_hidden=64 * UNIT, node_width=8
    )
    return AttentionGraph(config).eval()


@torch.no_grad()
def test_weights_of_jaa_net_give_its_outputs(tmp_path: Path) -> None:
    parts = write_parts(tmp_path, "_8")
    net = small_network()
    report = start_trunks(net, tmp_path)[""]
    assert not report.unexpected
    assert all(name.startswith("relation.") for name in report.missing)
    image = torch.randn(2, 3, SIZE_PX, SIZE_PX)
    region = parts["region_learning"].multiscale_feat(image)
    aligned = parts["align_net"].align_feat(region)
    landmarks_px = parts["align_net"].align_output(aligned).unflatten(1, (49, 2))
    outputs = net({"crops": image})
    assert torch.allclose(outputs["landmarks_49"], landmarks_px, atol=1e-3)
    assert net.first_attention is not None
    first = net.first_attention(landmarks_px)
    flats = []
    for k, au in enumerate(JAA_AUS):
        name = f"AU{au}"
        # The authors place the attention of AU14 as ours of AU12, and that of AU17 as AU26's.
        column = AU_NAMES.index({"AU14": "AU12", "AU17": "AU26"}.get(name, name))
        refined = parts["local_attention_refine"].local_aus_attention[k](first[:, column, None])
        flats.append(parts["local_au_net"].local_aus_branch[k](region * refined))
        pair = parts["local_au_net"].local_aus_output[k](flats[-1])
        if name in AU_NAMES:
            place = AU_NAMES.index(name)
            assert torch.allclose(outputs["attention"][:, place], refined[:, 0], atol=1e-4), name
            assert torch.allclose(outputs["local_pair"][:, place], pair, atol=1e-3), name
    whole = parts["global_au_feat"](region)
    local = net.local(
        (region.unsqueeze(1) * outputs["attention"].unsqueeze(2)).flatten(1, 2)
    ).unflatten(1, (12, -1))
    joined = torch.cat([aligned, whole, local.mean(dim=1).flatten(1)], dim=1)
    theirs = parts["au_net"].au_output(joined).unflatten(1, (2, 12))
    for k, au in enumerate(JAA_AUS):
        if f"AU{au}" in AU_NAMES:
            place = AU_NAMES.index(f"AU{au}")
            assert torch.allclose(outputs["au_pair"][:, place], theirs[:, :, k], atol=1e-3), au


def test_incomplete_files_of_jaa_net_and_other_presets_raise(tmp_path: Path) -> None:
    write_parts(tmp_path)
    wide = AttentionGraph(AttentionGraphConfig(SIZE_PX, 4, 16, 16, 128, 8))
    with pytest.raises(WeightsError, match="published preset only"):
        start_trunks(wide, tmp_path)
    (tmp_path / "au_net.pth").unlink()
    with pytest.raises(WeightsError, match=r"expected one file au_net\.pth in .* got 0"):
        start_trunks(small_network(), tmp_path)


def test_weights_of_tsav_fill_both_streams(tmp_path: Path) -> None:
    config = MeanTeacherClipConfig(base=8, audio_base=8, depth=1, audio_depth=1)
    torch.manual_seed(1)
    source = MeanTeacherClip(config)
    public = {
        f"module.video_model.r2plus1d.{name}": value
        for name, value in source.video.state_dict().items()
        if ".gate." not in name
    }
    assert source.audio is not None
    public |= {
        f"module.audio_model.resnet.{name}": value
        for name, value in source.audio.state_dict().items()
    }
    public["module.fc.1.weight"] = torch.zeros(17, 128)
    torch.save({"state_dict": public, "iteration": 544}, tmp_path / "TSAV_Sub4_544k.pth.tar")
    net = MeanTeacherClip(config)
    report = start_trunks(net, tmp_path / "TSAV_Sub4_544k.pth.tar")[""]
    assert not report.unexpected
    assert all(".gate." in name or name.startswith("heads.") for name in report.missing)
    for name, value in net.state_dict().items():
        if name not in report.missing and not name.endswith("num_batches_tracked"):
            assert torch.equal(value, source.state_dict()[name]), name

"""Ideas of M2 and M8 on cached features of videos; as in `frame_ideas`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.ablations.cached.data import CachedData, Labels, Rows, Split
from training.ablations.cached.fit import (
    Draw,
    FitConfig,
    Outputs,
    Predict,
    fit,
    judge,
    scorer,
    uniform,
)
from training.ablations.cached.frame_ideas import Arms
from training.losses.action_units import bce
from training.losses.distillation import distill_classes
from training.losses.total_loss import LossTerm, total_loss
from training.methods.objectives import TEACHER_WEIGHT, TEMPERATURE
from training.models.audio.ftdnn import Ftdnn
from training.models.networks.multi_database import NarrowHead
from training.models.tasks.value_bins import ValueBins
from training.models.temporal.gru_head import GruHead
from training.models.temporal.sequence_encoder import SequenceEncoder

WINDOW_FRAMES: Final = 30  # of M7 to either side: ten seconds at three frames a second
BOTH_LABELS: Final = 0.1  # of M8's videos
_SEQUENCE: Final = FitConfig(max_steps=300, check_every=25, patience=3)
_BINS: Final = 20


def _videos_in(data: CachedData, rows: Rows) -> list[int]:
    """Videos all of whose frames are among `rows`."""
    return [k for k, video in enumerate(data.videos) if np.isin(video, rows).all()]


def _padded(data: CachedData, videos: list[int]) -> Tensor:
    """Rows [B, T] of videos, the last one repeated."""
    own = [data.videos[k] for k in videos]
    longest = max(map(len, own))
    filled = [video[np.minimum(np.arange(longest), len(video) - 1)] for video in own]
    return torch.from_numpy(np.stack(filled))


def _by_rows(data: CachedData, run: Callable[[Tensor], Outputs]) -> Predict:
    """Predictions of rows from a network over rows [B, T] of whole videos."""

    def predict(rows: Rows) -> Outputs:
        videos = sorted(set(data.table.video[rows].tolist()))
        index = _padded(data, videos)
        outputs = run(index)
        full: Outputs = {}
        for name, values in outputs.items():
            whole = values.new_zeros(len(data.person), values.shape[-1])
            # The padding repeats the last row and must not overwrite it.
            for k, video in enumerate(videos):
                own = torch.from_numpy(data.videos[video])
                whole[own] = values[k, : len(own)]
            full[name] = whole[rows]
        return full

    return predict


class _Sequence(nn.Module):
    """M2 on features: image and F-TDNN features fused, an encoder, an AU read-out."""

    def __init__(self, inputs: int, has_audio: bool, layers: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Dropout(0.3))
        self.audio = Ftdnn(64, 32, 48, 24, causal=True) if has_audio else None
        width = 128 if has_audio else 64
        self.encoder = SequenceEncoder(width, layers, 4, 16, 128, WINDOW_FRAMES, True)
        self.read = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, len(AU_NAMES)))

    def forward(self, data: CachedData, rows: Tensor) -> Tensor:
        values = self.embed(data.features[rows])
        if self.audio is not None:
            values = torch.cat([values, self._sound(self.audio, data, rows)], dim=2)
        output: Tensor = self.read(self.encoder(values))
        return output

    def _sound(self, audio: Ftdnn, data: CachedData, rows: Tensor) -> Tensor:
        tracks = [data.log_mel[int(k)] for k in data.table.video[rows[:, 0].numpy()]]
        longest = max(10, *map(len, tracks))
        mel = torch.zeros(len(tracks), longest, 64)
        for k, track in enumerate(tracks):
            mel[k, : len(track)] = track
        features = nn.functional.pad(audio(mel), (0, 0, 1, 0))  # entry 0: nothing heard yet
        arrived = data.mel_arrived[rows].clamp(max=longest)
        return features.gather(1, arrived[..., None].expand(-1, -1, features.shape[2]))


def audio_and_transformer(data: CachedData, split: Split) -> Arms:
    """M2. AUs of noisy images, with and without audio and transformer; mismatched audio is kept."""
    videos = np.array(_videos_in(data, split.train))
    arms: Arms = {}
    for name, has_audio, layers in (
        ("full", True, 1),
        ("vision only", False, 1),
        ("no transformer", True, 0),
    ):
        torch.manual_seed(split.seed)
        net = _Sequence(data.features.shape[1], has_audio, layers)

        def loss(chosen: Tensor, step: int, net: nn.Module = net) -> Tensor:
            rows = _padded(data, chosen.tolist())
            return bce(
                net(data, rows).flatten(0, 1),
                data.labels.au[rows.flatten()],
                data.labels.au_mask[rows.flatten()],
            )

        def run(rows: Tensor, net: nn.Module = net) -> Outputs:
            return {"au_logit": net(data, rows)}

        predict = _by_rows(data, run)
        steps = fit(
            net,
            loss,
            uniform(videos, 8),
            scorer(predict, data, split, ("AU",)),
            split.random(21),
            _SEQUENCE,
        )
        arms[name] = judge(predict, data, split, ("AU",), steps)
    return arms


class _Recurrent(nn.Module):
    """M8 on features: narrow heads and, with `recurrent`, a GRU for each over their features."""

    def __init__(self, inputs: int, recurrent: bool) -> None:
        super().__init__()
        self.sizes = {"expression": len(EXPRESSION_NAMES), "va": 2 * _BINS}
        self.heads = nn.ModuleDict(
            {name: NarrowHead(inputs, 64, size, 0.5) for name, size in self.sizes.items()}
        )
        self.grus = None
        if recurrent:
            self.grus = nn.ModuleDict(
                {name: GruHead(64, 32, size, True) for name, size in self.sizes.items()}
            )
        self.bins = ValueBins(_BINS)

    def train(self, mode: bool = True) -> _Recurrent:
        super().train(mode)
        if self.grus is not None:
            self.heads.eval()
        return self

    def forward(self, features: Tensor) -> Outputs:
        """Features [N, D], or [B, T, D] for the GRUs."""
        flat = features.flatten(0, -2)
        read = {name: head(flat) for name, head in self.heads.items()}
        logits = {name: pair[1] for name, pair in read.items()}
        if self.grus is not None:
            for name, gru in self.grus.items():
                over_time = torch.unflatten(read[name][0], 0, features.shape[:2])
                logits[name] = gru(over_time).flatten(0, 1)
        bins, va = self.bins(logits["va"])
        return {"expression_logit": logits["expression"], "va_bin_logit": bins, "va": va}


_M8_TERMS: Final = (
    LossTerm("ce_smooth", "expression_logit", "expression"),
    LossTerm("bins_ce", "va_bin_logit", "va"),
    LossTerm("ccc", "va", "va"),
)


def _distilled(outputs: Outputs, teacher: Outputs, batch: dict[str, Tensor]) -> Tensor:
    """The student's loss: labels and teacher where labeled, the teacher alone elsewhere."""
    value = (1 - TEACHER_WEIGHT) * total_loss(_M8_TERMS, outputs, batch)["loss"]
    for name, mask in (("expression_logit", "expression_mask"), ("va_bin_logit", "va_mask")):
        weight = 1 - (1 - TEACHER_WEIGHT) * batch[mask]
        value = value + weight.mean() * distill_classes(
            outputs[name], teacher[name].detach(), weight, TEMPERATURE
        )
    return value


def _train_recurrent(
    data: CachedData,
    split: Split,
    labels: Labels,
    start: _Recurrent | None,
    teacher: _Recurrent | None,
    tasks: tuple[str, ...],
) -> tuple[_Recurrent, Predict, int]:
    """A network of frames, or from `start` with GRUs over whole videos."""
    torch.manual_seed(split.seed)
    net = _Recurrent(data.features.shape[1], start is not None)
    draw: Draw = uniform(split.train)
    if start is not None:
        net.heads.load_state_dict(start.heads.state_dict())
        net.heads.requires_grad_(False)
        draw = uniform(np.array(_videos_in(data, split.train)), 8)

    def loss(chosen: Tensor, step: int) -> Tensor:
        rows = chosen if start is None else _padded(data, chosen.tolist())
        outputs, batch = net(data.features[rows]), labels.batch(rows.flatten())
        if teacher is None:
            return total_loss(_M8_TERMS, outputs, batch)["loss"]
        return _distilled(outputs, teacher(data.features[rows]), batch)

    def run(rows: Tensor) -> Outputs:
        outputs = net(data.features[rows])
        return {n: torch.unflatten(outputs[n], 0, rows.shape) for n in ("expression_logit", "va")}

    predict: Predict = _by_rows(data, run)
    if start is None:
        predict = lambda rows: net(data.features[rows])  # noqa: E731
    config = FitConfig() if start is None else FitConfig(600, 30, 3, rate=3e-3)
    steps = fit(
        net,
        loss,
        draw,
        scorer(predict, data, split, tasks),
        split.random(24),
        config,
    )
    return net, predict, steps


def recurrent_student(data: CachedData, split: Split) -> Arms:
    """M8. Videos have expressions or valence and arousal, a tenth both: distillation, then GRUs."""
    tasks = ("EXPR", "VA")
    kind = split.random(7).random(len(data.videos))[data.table.video]
    both, first = kind < BOTH_LABELS, kind < BOTH_LABELS + (1 - BOTH_LABELS) / 2
    none = np.zeros(len(kind), bool)
    labels = data.labels.masked(none, first | both, ~first | both)
    teacher, _, _ = _train_recurrent(data, split, labels, None, None, tasks)
    student, frames, frame_steps = _train_recurrent(data, split, labels, None, teacher, tasks)
    gru_teacher, plain, plain_steps = _train_recurrent(data, split, labels, teacher, None, tasks)
    _, full, steps = _train_recurrent(data, split, labels, student, gru_teacher, tasks)
    single: dict[str, Predict] = {}
    for task, shown in (("EXPR", (none, first | both, none)), ("VA", (none, none, ~first | both))):
        alone = data.labels.masked(*shown)
        cnn, _, _ = _train_recurrent(data, split, alone, None, None, (task,))
        _, single[task], _ = _train_recurrent(data, split, alone, cnn, None, (task,))

    def by_task(rows: Rows) -> Outputs:
        expression = single["EXPR"](rows)["expression_logit"]
        return {"expression_logit": expression, "va": single["VA"](rows)["va"]}

    return {
        "full": judge(full, data, split, tasks, steps),
        "no GRU": judge(frames, data, split, tasks, frame_steps),
        "no distillation": judge(plain, data, split, tasks, plain_steps),
        "single task": judge(by_task, data, split, tasks),
    }

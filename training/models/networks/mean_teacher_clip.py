"""Network of M5: all tasks from a clip with face part masks, and audio; trained by a mean teacher.

Wang et al., "A Multi-task Mean Teacher for Semi-supervised Facial Affective Behavior Analysis",
ICCV Workshops 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from faceaffect.bundle.stage_spec import WINDOW
from faceaffect.labels import EXPRESSION_NAMES
from training.models.backbones.r2plus1d import R2Plus1d18
from training.models.backbones.resnet import BasicBlock, ResNet
from training.models.stages import (
    AU_LOGIT,
    EXPRESSION_LOGIT,
    VA,
    MethodNet,
    Stage,
    TensorForm,
    over_time,
)
from training.models.tasks.self_cure import SelfCureHeads
from training.models.temporal.rings import present, push

FRAMES: Final = 8
SPACING: Final = 6  # a clip holds frames t - 42, t - 36 ... t
CHANNELS: Final = 4  # RGB and the image of facial parts
CHANNEL_MEAN: Final = (0.43216, 0.394666, 0.37645, 0.5)
CHANNEL_STD: Final = (0.22803, 0.22145, 0.216989, 0.225)
CLIPS: Final = ("3d", "2d1d")
ALPHA: Final = TensorForm("alpha", ())
MEL_BANDS: Final = 64
_TSAV_VIDEO: Final = "video_model.r2plus1d"
_TSAV_AUDIO: Final = "audio_model.resnet"


@dataclass(frozen=True, slots=True)
class MeanTeacherClipConfig:
    """`clip`: 3d (R(2+1)D, as published) or 2d1d (a 2D trunk per frame, convolutions over eight
    feature vectors).

    `base` and `depth` are channels of the first level and blocks a level, of images and of
    audio. `spacing` is what lies between two images of a clip, in frames: less than six for
    videos of few frames a second.
    """

    clip: str = "3d"
    size_px: int = 112
    base: int = 64
    depth: int = 2
    gated: bool = True
    audio: bool = True
    audio_base: int = 64
    audio_depth: int = 2
    mel_columns: int = 1001
    cure: bool = True
    spacing: int = SPACING
    expressions: int = len(EXPRESSION_NAMES)


class TimeConvolutions(nn.Module):
    """Features [N, 8, width], where `real` [N, 8] is 1 -> two convolutions over time -> mean [N,
    width].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                nn.Conv1d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor, real: Tensor) -> Tensor:
        output: Tensor = self.layers((features * real[..., None]).transpose(1, 2)).mean(dim=2)
        return output


class MeanTeacherClip(MethodNet):
    """Takes `clip` [N, 8, 4, S, S], `clip_real` [N, 8] (0 before the face's first frame; all 1 if
    absent) and, where there is audio, `mel` [N, 64, columns] (`mel_real` [N] is 0 for samples
    that have none).

    Gives AU logits, expression logits of seven (`expression_logit`; `expressions` 8
    has the class Other of ABAW3 and later) and eight classes
    (`expression_logit_8`), `va` in [-1, 1] and `alpha`, how far the network trusts its
    expression. Frames before the first are black in the 3D form, as published, and absent (zero
    features) in the 2D + 1D form.
    """

    black: Tensor

    def __init__(self, config: MeanTeacherClipConfig) -> None:
        super().__init__()
        if config.clip not in CLIPS:
            raise ValueError(f"clip must be one of {CLIPS}, got {config.clip!r}")
        self.config = config
        self.over_time: TimeConvolutions | None = None
        if config.clip == "3d":
            self.video: nn.Module = R2Plus1d18(
                CHANNELS, base=config.base, depth=config.depth, gated=config.gated
            )
        else:
            self.video = ResNet(BasicBlock, (config.depth,) * 4, config.base, CHANNELS)
            self.over_time = TimeConvolutions(config.base * 8)
        self.width = config.base * 8
        self.audio = (
            ResNet(BasicBlock, (config.audio_depth,) * 4, config.audio_base, 1)
            if config.audio
            else None
        )
        self.audio_width = config.audio_base * 8 if config.audio else 0
        self.heads = SelfCureHeads(self.width + self.audio_width, config.cure)
        mean, std = torch.tensor(CHANNEL_MEAN), torch.tensor(CHANNEL_STD)
        self.register_buffer("black", (-mean / std)[:, None, None], persistent=False)

    def from_public(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Both streams of TSAV (Kuhnke et al. 2020), without its read-out."""
        if not any(name.startswith(f"{_TSAV_VIDEO}.") for name in weights):
            return None
        return {
            name.replace(f"{_TSAV_VIDEO}.", "video.").replace(f"{_TSAV_AUDIO}.", "audio."): value
            for name, value in weights.items()
            if name.startswith((f"{_TSAV_VIDEO}.", f"{_TSAV_AUDIO}."))
        }

    def _clip_3d(self, clip: Tensor, real: Tensor) -> Tensor:
        shown = real[..., None, None, None]
        output: Tensor = self.video((clip * shown + self.black * (1 - shown)).transpose(1, 2))
        return output

    def _read(self, video_features: Tensor, audio_features: Tensor | None) -> tuple[Tensor, ...]:
        """AU, eight expression logits, va, alpha."""
        if self.audio is not None:
            if audio_features is None:
                audio_features = video_features.new_zeros(len(video_features), self.audio_width)
            video_features = torch.cat([video_features, audio_features], dim=1)
        outputs: tuple[Tensor, ...] = self.heads(video_features)
        return outputs

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        clip = batch["clip"]
        real = batch.get("clip_real", torch.ones_like(clip[:, :, 0, 0, 0]))
        if self.over_time is None:
            video_features = self._clip_3d(clip, real)
        else:
            video_features = self.over_time(over_time(self.video, clip), real)
        audio_features = None
        if self.audio is not None and "mel" in batch:
            audio_features = self.audio(batch["mel"].unsqueeze(1))
            if "mel_real" in batch:
                audio_features = audio_features * batch["mel_real"][:, None]
        au, expression, va, alpha = self._read(video_features, audio_features)
        return {
            "au_logit": au,
            "expression_logit": expression[:, : self.config.expressions],
            "expression_logit_8": expression,
            "va": va,
            "alpha": alpha,
        }

    def input_forms(self) -> tuple[TensorForm, ...]:
        size = self.config.size_px
        forms = [
            TensorForm("clip", (FRAMES, CHANNELS, size, size)),
            TensorForm("clip_real", (FRAMES,)),
        ]
        if self.audio is not None:
            forms.append(TensorForm("mel", (MEL_BANDS, self.config.mel_columns)))
        return tuple(forms)

    def stages(self) -> tuple[Stage, ...]:
        """3D: one clip every sixth frame, held in between. 2D + 1D: every frame, features
        remembered.

        Audio is `mel` up to now; a network trained on audio around its frame (as published, 5 s
        ahead) must be trained again on past audio before it is run so.
        """
        size, spacing = self.config.size_px, self.config.spacing
        crops = TensorForm("crops", (CHANNELS, size, size))
        outputs, count = (AU_LOGIT, EXPRESSION_LOGIT, VA, ALPHA), TensorForm("frames_seen", (1,))
        stages, audio_features = self._audio_stage()
        if self.over_time is None:
            inputs = (crops, *audio_features)
            states = (TensorForm("clip_frames", (FRAMES - 1, CHANNELS, size, size)), count)
            return (
                *stages,
                self.stage(
                    "temporal", self._step_3d, inputs, outputs, states, frame_stride=spacing
                ),
            )
        video_features = TensorForm("frame_features", (self.width,))
        inputs = (video_features, *audio_features)
        states = (TensorForm("clip_features", ((FRAMES - 1) * spacing, self.width)), count)
        return (
            *stages,
            self.stage("frame", lambda images: (self.video(images),), (crops,), (video_features,)),
            self.stage("temporal", self._step_2d1d, inputs, outputs, states),
        )

    def _audio_stage(self) -> tuple[list[Stage], tuple[TensorForm, ...]]:
        audio = self.audio
        if audio is None:
            return [], ()
        mel = TensorForm("mel", (MEL_BANDS, self.config.mel_columns))
        features = (TensorForm("audio_features", (self.audio_width,)),)
        stage = self.stage(
            "audio", lambda mel: (audio(mel.unsqueeze(1)),), (mel,), features, uses_audio=WINDOW
        )
        return [stage], features

    def _step_3d(self, crops: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        return self._step(crops, rest, 1, self._clip_3d)

    def _step_2d1d(self, features: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        assert self.over_time is not None
        return self._step(features, rest, self.config.spacing, self.over_time)

    def _step(
        self,
        newest: Tensor,
        rest: tuple[Tensor, ...],
        spacing: int,
        read_clip: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, ...]:
        """Outputs and new states; `rest` are the audio features, if any, and the states."""
        *audio_features, ring, count = rest
        joined = push(ring, newest)
        back = torch.arange(FRAMES - 1, -1, -1, dtype=newest.dtype, device=newest.device) * spacing
        video_features = read_clip(joined[:, ::spacing], present(count, back))
        au, expression, va, alpha = self._read(
            video_features, audio_features[0] if audio_features else None
        )
        count = (count + 1).clamp(max=(FRAMES - 1) * spacing)
        return au, expression[:, : self.config.expressions], va, alpha, joined[:, 1:], count

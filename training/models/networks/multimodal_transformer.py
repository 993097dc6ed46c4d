"""Network of M2: expression per frame; AUs from image and audio through a transformer encoder.

Jin et al., "A Multi-modal and Multi-task Learning Method for Action Unit and Expression
Recognition", 2021 (arXiv 2107.04187).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from faceaffect.audio.mel import STEP_FRAMES
from faceaffect.bundle.stage_spec import CHUNK
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.models.audio.ftdnn import MEL_BANDS, Ftdnn
from training.models.backbones.build_backbone import build_backbone, width_of
from training.models.stages import (
    AU_LOGIT,
    EXPRESSION_LOGIT,
    MethodNet,
    Stage,
    TensorForm,
    over_time,
)
from training.models.temporal.sequence_encoder import SequenceEncoder

MEL_PER_SECOND: Final = 100
_STRIDES: Final = {
    "iresnet100": 16,
    "ir_se50": 16,
    "resnet18": 32,
    "resnet50": 32,
    "small_resnet": 32,
}


@dataclass(frozen=True, slots=True)
class MultimodalConfig:
    """`sequence_trunk` empty: the sequence reads the frame trunk's last map. Audio's four widths
    are the F-TDNN's.
    """

    trunk: str = "iresnet100"
    sequence_trunk: str = "ir_se50"
    size_px: int = 112
    embedding: int = 512
    audio: bool = True
    audio_first: int = 512
    audio_width: int = 1024
    audio_between: int = 256
    utterance_tail: bool = True
    audio_dropout: float = 0.0
    layers: int = 1
    heads: int = 8
    head_width: int = 64
    hidden: int = 2048
    window: int = 30
    causal: bool = False
    dropout: float = 0.6
    expressions: int = len(EXPRESSION_NAMES)


class MultimodalTransformer(MethodNet):
    """Stage 1 takes `crops` [N, 3, S, S]; the sequence [N, T, 3, S, S] with `mel` [N, L, 64] where
    there is audio.

    As published the L mel frames span the same time as the T frames and are resized to them. A
    causal network takes `mel_index` [N, T], how many mel frames had arrived at each frame, and
    reads the last complete 100 ms before it. Without audio, or where `mel_real` [N] is 0, the audio
    half of the fused features is zero; training drops audio by `audio_dropout` so that this is
    known.
    """

    def __init__(self, config: MultimodalConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = build_backbone(config.trunk)
        self.frame_expression = nn.Linear(width_of(self.trunk), config.expressions)
        self.sequence_trunk = (
            build_backbone(config.sequence_trunk) if config.sequence_trunk else None
        )
        # Frames' AUs teach the trunk that the sequence reads.
        self.frame_au = nn.Linear(width_of(self.sequence_trunk or self.trunk), len(AU_NAMES))
        self._is_frozen = False
        name = config.sequence_trunk or config.trunk
        if name not in _STRIDES:
            raise ValueError(
                f"expected a trunk with a last map, one of {sorted(_STRIDES)}, got {name!r}"
            )
        channels = int(getattr(self.sequence_trunk or self.trunk, "map_width"))  # noqa: B009
        cells, width = -(-config.size_px // _STRIDES[name]), config.embedding
        self.embed = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Dropout(config.dropout),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * cells**2, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        self.audio = None
        if config.audio:
            self.audio = Ftdnn(
                width,
                config.audio_first,
                config.audio_width,
                config.audio_between,
                config.causal,
                config.utterance_tail,
            )
        fused = width * (2 if config.audio else 1)
        self.encoder = SequenceEncoder(
            fused,
            config.layers,
            config.heads,
            config.head_width,
            config.hidden,
            config.window,
            config.causal,
        )
        self.read = nn.Sequential(
            nn.Linear(fused, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, len(AU_NAMES)),
        )

    def freeze_trunks(self) -> None:
        """Freeze trunks and frame read-outs in evaluation mode, for the second training stage."""
        for part in self._frame_parts():
            part.requires_grad_(False)
        self._is_frozen = True

    def train(self, mode: bool = True) -> MultimodalTransformer:
        super().train(mode)
        if self._is_frozen:
            for part in self._frame_parts():
                part.eval()
        return self

    def _frame_parts(self) -> list[nn.Module]:
        parts = (self.trunk, self.sequence_trunk, self.frame_expression, self.frame_au)
        return [part for part in parts if part is not None]

    def _frames(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Expression and AU logits of single frames [N, 3, S, S]."""
        alone = self.trunk(crops)
        read = alone if self.sequence_trunk is None else self.sequence_trunk(crops)
        return self.frame_expression(alone), self.frame_au(read)

    def _visual(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Sequence features and expression logits of single frames [N, 3, S, S]."""
        trunk = self.sequence_trunk or self.trunk
        features = self.embed(trunk.last_map(crops))  # type: ignore[operator]
        return features, self.frame_expression(self.trunk(crops))

    def _audio_of(self, batch: Mapping[str, Tensor], frames: Tensor) -> Tensor:
        """Audio features [N, T, embedding] of frames' features [N, T, embedding]."""
        assert self.audio is not None
        if "mel" not in batch:
            return torch.zeros_like(frames)
        features = self.audio(batch["mel"])
        if self.config.causal:
            # Entry k is after k mel frames, entry 0 is empty.
            features = functional.pad(features, (0, 0, 1, 0))
            complete = (batch["mel_index"].long() // STEP_FRAMES) * STEP_FRAMES
            index = complete.clamp(max=features.shape[1] - 1)[..., None]
            features = features.gather(1, index.expand(-1, -1, features.shape[2]))
        else:
            features = functional.interpolate(
                features.transpose(1, 2), frames.shape[1], mode="nearest"
            ).transpose(1, 2)
        if "mel_real" in batch:
            features = features * batch["mel_real"][:, None, None]
        if self.training and self.config.audio_dropout:
            drawn = torch.rand(len(features), 1, 1, device=features.device)
            features = features * (drawn >= self.config.audio_dropout)
        return features

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        crops = batch["crops"]
        if crops.ndim == 4:
            expression, au = self._frames(crops)
            return {"expression_logit": expression, "au_logit": au, "frame_au_logit": au}
        features, expression = (
            torch.unflatten(each, 0, crops.shape[:2]) for each in self._visual(crops.flatten(0, 1))
        )
        if self.audio is not None:
            features = torch.cat([features, self._audio_of(batch, features)], dim=2)
        au = over_time(self.read, self.encoder(features))
        return {"au_logit": au, "expression_logit": expression}

    def input_forms(self) -> tuple[TensorForm, ...]:
        window, size = self.config.window, self.config.size_px
        forms = [TensorForm("crops", (window, 3, size, size))]
        if self.audio is not None:
            forms.append(TensorForm("mel", (MEL_PER_SECOND, MEL_BANDS)))
            if self.config.causal:
                forms.append(TensorForm("mel_index", (window,)))
        return tuple(forms)

    def stages(self) -> tuple[Stage, ...]:
        if not self.config.causal:
            raise ValueError(
                "this network looks ahead within its window; build it with causal=true "
                "to run it on video"
            )
        size, width = self.config.size_px, self.config.embedding
        crops, frame_features = (
            TensorForm("crops", (3, size, size)),
            TensorForm("frame_features", (width,)),
        )

        def temporal(*tensors: Tensor) -> tuple[Tensor, ...]:
            input_count = 1 if self.audio is None else 2
            encoded, *states = self.encoder.step(
                torch.cat(tensors[:input_count], dim=1), *tensors[input_count:]
            )
            return (self.read(encoded), *states)

        stages = [
            self.stage(
                "frame",
                lambda crops: self._visual(crops),
                (crops,),
                (frame_features, EXPRESSION_LOGIT),
            )
        ]
        inputs: tuple[TensorForm, ...] = (frame_features,)
        audio = self.audio
        if audio is not None:

            def audio_step(mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
                features, *after = audio.step(mel, *states)
                return (features[:, -1], *after)

            mel = TensorForm("mel", (STEP_FRAMES, MEL_BANDS))
            audio_features = TensorForm("audio_features", (width,))
            states = audio.state_forms()
            stages.insert(
                0,
                self.stage(
                    "audio", audio_step, (mel,), (audio_features,), states, uses_audio=CHUNK
                ),
            )
            inputs = (frame_features, audio_features)
        states = self.encoder.state_forms()
        return (*stages, self.stage("temporal", temporal, inputs, (AU_LOGIT,), states))

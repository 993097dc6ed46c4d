"""From the logits of a model to `Affect`, with the memory of each track."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from faceaffect.bundle.model_spec import BundleError, ModelSpec
from faceaffect.outputs.decode import (
    EXPRESSION_COLUMNS,
    VA_COLUMNS,
    apply_thresholds,
    decode_scores,
    hysteresis_thresholds,
    intensity_knots,
    to_affect,
)
from faceaffect.outputs.neutral_baseline import NeutralBaseline
from faceaffect.outputs.score_smoother import ScoreSmoother
from faceaffect.system.stage_timer import StageTimer
from faceaffect.types import Affect, BoolArray, FloatArray, IdArray


@dataclass(frozen=True, slots=True)
class AffectLogits:
    """Outputs of a model for N faces, before decoding."""

    au_logit: FloatArray  # [N, 12]
    expression_logit: FloatArray  # [N, 7]
    va: FloatArray  # [N, 2], valence and arousal
    is_va_raw: bool  # whether `va` still needs tanh


@dataclass(slots=True)
class _SmoothedTrack:
    smoother: ScoreSmoother
    last_seen_s: float


class AffectDecoder:
    """Decodes logits; baselines and smoothing have a memory for each track of a video."""

    def __init__(
        self,
        spec: ModelSpec,
        timer: StageTimer,
        *,
        smooth: bool,
        neutral_baseline: bool,
        is_video: bool,
        min_quality: float = 0.0,
    ) -> None:
        """Prepare for the thresholds of a model.

        Args:
            spec: Of the model that predicts the logits.
            timer: Books the stages "decode_heads" and "smooth".
            smooth: Whether scores are smoothed over the frames of a track.
            neutral_baseline: Whether AUs are measured against each face's `NeutralBaseline`.
            is_video: Whether frames follow each other in time; otherwise tracks have no memory.
            min_quality: Quality below which the affect of a face is unknown and leaves no trace in
                the memory of its track.

        Raises:
            BundleError: The model has no neutral logits for a baseline.
        """
        self._thresholds = hysteresis_thresholds(spec.au_thresholds)
        self._intensity_knots = intensity_knots(spec.au_intensity)
        self._min_quality_logit = _logit(min_quality)
        self._timer = timer
        self._smooth = smooth and is_video
        self._spec = spec
        self._is_video = is_video
        self._smoothed: dict[int, _SmoothedTrack] = {}
        self.restart_neutral_baseline(neutral_baseline)

    def restart_neutral_baseline(self, is_on: bool) -> None:
        """Learn the baselines of all faces anew, or no longer use any.

        Raises:
            BundleError: The model has no neutral logits for a baseline.
        """
        spec = self._spec
        if is_on and spec.au_neutral_logits is None:
            raise BundleError(
                f"model {spec.name!r} has no au_neutral_logits in its spec, which a per-person "
                "baseline is measured against; use a model that has them, or leave the baseline off"
            )
        self._baselines: dict[int, NeutralBaseline] = {}
        self._neutral_logit = (
            np.asarray(spec.au_neutral_logits, np.float32) if is_on and self._is_video else None
        )

    def reset(self) -> None:
        """Forget all tracks."""
        self._smoothed = {}
        self._baselines = {}

    def decode(
        self,
        logits: AffectLogits,
        track_id: IdArray,
        time_s: float,
        quality_logit: FloatArray | None = None,
    ) -> Affect:
        """Affect of the faces of a frame.

        Args:
            logits: Of N faces.
            track_id: Their tracks [N].
            time_s: Time of the frame.
            quality_logit: Their quality [N]; needed for a least quality.
        """
        unreliable = self._unreliable_rows(quality_logit)
        au_logit = logits.au_logit
        if self._neutral_logit is not None:
            au_logit = self._subtract_baselines(
                au_logit, self._neutral_logit, track_id, time_s, unreliable
            )
        self._timer.enter("decode_heads")
        scores = decode_scores(
            au_logit, logits.expression_logit, logits.va, is_raw=logits.is_va_raw
        )
        self._timer.enter("smooth")
        if self._smooth:
            au_active = self._smooth_tracks(scores, track_id, time_s, unreliable)
        else:
            au_active = apply_thresholds(scores, self._thresholds)
        for row in unreliable:
            scores[row] = np.nan
            au_active[row] = False
        return to_affect(scores, au_active, self._intensity_knots)

    def _unreliable_rows(self, quality_logit: FloatArray | None) -> list[int]:
        """Rows of the faces below the least quality."""
        if quality_logit is None or self._min_quality_logit == -math.inf:
            return []
        rows: list[int] = np.flatnonzero(quality_logit < self._min_quality_logit).tolist()
        return rows

    def _subtract_baselines(
        self,
        au_logit: FloatArray,
        neutral: FloatArray,
        track_id: IdArray,
        time_s: float,
        unreliable: list[int],
    ) -> FloatArray:
        self._baselines = {
            key: self._baselines.get(key) or NeutralBaseline(neutral) for key in track_id.tolist()
        }
        rows = [
            au_logit[row] if row in unreliable else baseline.update(au_logit[row], time_s)
            for row, baseline in enumerate(self._baselines.values())
        ]
        return np.array(rows, np.float32).reshape(au_logit.shape)

    def _smooth_tracks(
        self, scores: FloatArray, track_id: IdArray, time_s: float, unreliable: list[int]
    ) -> BoolArray:
        """Smooth scores [N, 21] in place; returns AU decisions [N, 12]."""
        thresholds = self._thresholds
        tracks = {}
        au_active = np.zeros((len(scores), len(thresholds.threshold)), np.bool_)
        for row, key in enumerate(track_id.tolist()):
            track = self._smoothed.get(key)
            if row in unreliable:
                if track is not None:
                    tracks[key] = track
                continue
            track = track or _SmoothedTrack(ScoreSmoother(thresholds), time_s)
            au_active[row] = track.smoother.update(scores[row], time_s - track.last_seen_s)
            track.last_seen_s = time_s
            tracks[key] = track
        self._smoothed = tracks
        if len(scores):
            # The weights of the means differ between expressions: normalize what they distribute.
            expression = scores[:, EXPRESSION_COLUMNS]
            expression /= expression.sum(axis=1, keepdims=True)
            np.clip(scores[:, VA_COLUMNS], -1, 1, out=scores[:, VA_COLUMNS])
        return au_active


def _logit(probability: float) -> float:
    """Logit of a probability; infinite at 0 and 1."""
    if probability <= 0:
        return -math.inf
    return math.inf if probability >= 1 else math.log(probability / (1 - probability))

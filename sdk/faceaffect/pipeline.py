"""Frames in, affect out: the one path that every caller takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from faceaffect import kernels
from faceaffect.backends import Backend, BackendOptions, open_backend
from faceaffect.bundle.bundle import find_bundle, find_tracker_bundle, open_bundle
from faceaffect.bundle.model_spec import AUTO_PRECISION, BundleError, ModelSpec
from faceaffect.detectors import Cloneable, Detections, Detector, FastDetector
from faceaffect.detectors.names import default_detector
from faceaffect.detectors.open_detector import open_detector
from faceaffect.geometry import box_from_landmarks, pose_in_frame
from faceaffect.kernels import GcnWeights
from faceaffect.outputs.decode import (
    apply_thresholds,
    decode_scores,
    hysteresis_thresholds,
    sigmoid,
    to_affect,
)
from faceaffect.outputs.neutral_baseline import NeutralBaseline
from faceaffect.outputs.score_smoother import ScoreSmoother
from faceaffect.sources.source import PrefetchingSource, Source
from faceaffect.system.cpu_count import cpu_count
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.aligned_crop import read_loose_crop
from faceaffect.tracking.face_network import FaceNetwork, FaceOutputs
from faceaffect.tracking.tracker import FaceTracker, TrackerConfig
from faceaffect.types import Affect, BoolArray, Faces, FloatArray, Frame, IdArray

if TYPE_CHECKING:
    from faceaffect.audio.audio_source import AudioSource
    from faceaffect.multistage.multistage_model import MultiStageModel

log = logging.getLogger("faceaffect")
T = TypeVar("T")


@dataclass(slots=True)
class _Smoothed:
    """One track's scores over time."""

    scores: ScoreSmoother
    seen_s: float


class Pipeline:
    """Analyzes the frames of one source, in order. Not for two threads at once: open one pipeline
    per thread.
    """

    def __init__(
        self,
        spec: ModelSpec,
        backend: Backend,
        graph: GcnWeights,
        detector: Detector | None,
        settings: TrackerConfig,
        staged: MultiStageModel | None = None,
        clock: StageTimer | None = None,
        sequence: bool = False,
    ) -> None:
        """`backend` and `graph` find, follow and read faces as `spec` says; `staged`, where given,
        reads them instead.
        """
        self.spec = spec if staged is None else staged.spec
        self._limits = hysteresis_thresholds(self.spec.au_thresholds)
        self.clock = clock or StageTimer()
        self._backend = backend
        self._graph = graph
        self._detector = detector
        self._settings = settings
        self._reader = FaceNetwork(backend, spec.crop, self.clock)
        if graph.width != self._reader.node_width:
            raise BundleError(
                f"graph.safetensors must take nodes of the width that model.onnx gives, {self._reader.node_width}, "
                f"got {graph.width}; export the model again"
            )
        self._staged = staged
        self._has_listened = self._is_closed = False
        self._follower = (
            None
            if detector is None
            else FaceTracker(_timed(detector, self.clock), self._reader.read, settings)
        )
        self._is_video = sequence or self._follower is not None
        self._smoothed: dict[int, _Smoothed] = {}
        self._baselines: dict[int, NeutralBaseline] = {}
        if settings.baseline and self.spec.au_neutral_logits is None:
            raise BundleError(
                f"model {self.spec.name!r} has no au_neutral_logits in its spec, which a per-person baseline is measured "
                "against; use a model that has them, or leave the baseline off"
            )

    def analyze(self, frame: Frame) -> tuple[Faces, Affect]:
        """Faces of `frame` [N] and what they show, row for row; N = 0 where nobody is seen.

        Raises ValueError once the pipeline is closed.
        """
        if self._is_closed:
            raise ValueError(
                "a pipeline must be open to analyze, this one was closed; open another with open_pipeline()"
            )
        self.clock.begin()
        if self._follower is None:
            reading = read_loose_crop(frame, self._reader.read)
            landmarks_xy, boxes, track_id = (
                reading.landmarks_xy,
                box_from_landmarks(reading.landmarks_xy),
                np.ones(1, np.int64),
            )
        else:
            reading = self._follower.step(frame)
            tracks = self._follower.tracks
            shape = (len(tracks), *reading.landmarks_xy.shape[1:])
            landmarks_xy = np.array([track.landmarks_xy for track in tracks], np.float32).reshape(
                shape
            )
            boxes = np.array([track.box_xyxy for track in tracks], np.float32).reshape(
                len(tracks), 4
            )
            track_id = np.array([track.track_id for track in tracks], np.int64)
        scores = (
            self._read(reading, track_id, frame)
            if self._staged is None
            else self._read_staged(landmarks_xy, track_id, frame)
        )
        faces = _faces(reading, landmarks_xy, boxes, track_id)
        self.clock.start("smooth")
        if self._settings.smooth and self._is_video:
            au_active = self._smooth(scores, track_id, frame.time_s)
        else:
            au_active = apply_thresholds(scores, self._limits)
        self.clock.end()
        return faces, to_affect(scores, au_active)

    def _read(self, reading: FaceOutputs, track_id: IdArray, frame: Frame) -> FloatArray:
        """Scores [N, 21] of a frame by itself."""
        self.clock.start("graph")
        au_logit = reading.heads.get("au_logit")  # a backend on the GPU brings it
        if au_logit is None:
            au_logit = kernels.au_gcn(reading.heads["au_nodes"], self._graph)
        au_logit = self._against_own_rest(au_logit, track_id, frame.time_s)
        self.clock.start("decode_heads")
        return decode_scores(au_logit, reading.heads["expression_logit"], reading.heads["va_raw"])

    def _read_staged(self, landmarks_xy: FloatArray, track_id: IdArray, frame: Frame) -> FloatArray:
        """The same of a model of stages, whose valence and arousal come as they are; NaN where it
        has no such head.
        """
        assert self._staged is not None
        if self.uses_audio and not self._has_listened:
            self._has_listened = True
            log.warning(
                "faceaffect: %s hears audio and was given none (Pipeline.listen): it runs on video alone",
                self.spec.name,
            )
        found = self._staged.read(frame, landmarks_xy, track_id)
        au_logit = self._against_own_rest(found["au_logit"], track_id, frame.time_s)
        self.clock.start("decode_heads")
        return decode_scores(au_logit, found["expression_logit"], found["va"], is_raw=False)

    @property
    def uses_audio(self) -> bool:
        """Whether the model takes audio beside images."""
        return self.spec.uses_audio

    @property
    def audio_sample_rate_hz(self) -> int:
        """Samples a second of the audio that the model takes; 0 where it hears nothing."""
        return 0 if self.spec.audio is None else self.spec.audio.mel.rate_hz

    def listen(self, audio: AudioSource | None) -> None:
        """Hear `audio` with the frames of the source that begins now, until `reset`; None: none,
        knowingly.

        Raises ValueError where the model hears nothing (`uses_audio`), AudioError where the
        audio's rate is not the model's.
        """
        if self._staged is None or not self.uses_audio:
            raise ValueError(f"model {self.spec.name!r} hears no audio; give it none")
        self._has_listened = True
        if audio is not None:
            self._staged.listen(audio)

    def look_ahead(self, source: Source) -> None:
        """Let the thread that reads `source` run the detector on frames that will be looked at:
        faster, the same rows.

        For a source that begins now, and whose frames come here as they are; until `reset`. It
        does nothing for cameras and for images that do not follow each other, with a detector
        that has no twin (`detectors.Cloneable`), and on one core.
        """
        if self._follower is None or not isinstance(self._detector, Cloneable) or cpu_count() < 2:
            return
        if source.is_sequence and isinstance(source, PrefetchingSource):
            source.show(self._follower.look_ahead(self._detector.twin()).see)

    def _against_own_rest(
        self, au_logit: FloatArray, track_id: IdArray, time_s: float
    ) -> FloatArray:
        """AU logits less what each face shows at rest, where that is wanted."""
        if not self._settings.baseline or not self._is_video:
            return au_logit
        neutral = np.asarray(self.spec.au_neutral_logits, np.float32)
        self._baselines = {
            key: self._baselines.get(key) or NeutralBaseline(neutral) for key in track_id.tolist()
        }
        rows = [own.step(au_logit[row], time_s) for row, own in enumerate(self._baselines.values())]
        return np.array(rows, np.float32).reshape(au_logit.shape)

    def _smooth(self, scores: FloatArray, track_id: IdArray, time_s: float) -> BoolArray:
        """Scores [N, 21] become running means of their tracks, in place; gives decisions [N, 12]
        that do not flicker.
        """
        limits, alive = self._limits, {}
        au_active = np.zeros((len(scores), len(limits.threshold)), np.bool_)
        for row, key in enumerate(track_id.tolist()):
            state = self._smoothed.get(key) or _Smoothed(ScoreSmoother(limits), time_s)
            au_active[row] = state.scores.step(scores[row], time_s - state.seen_s)
            state.seen_s = time_s
            alive[key] = state
        self._smoothed = alive
        return au_active

    def reset(self) -> None:
        """Forget all faces: call it between sources. Ids go on, so that none is given twice."""
        self._smoothed, self._baselines = {}, {}
        if self._staged is not None:
            # A source that had audio may be followed by one for which it was forgotten.
            self._has_listened = self._has_listened and not self._staged.listens
            self._staged.reset()
        if self._follower is not None:
            self._follower.reset()

    def restart(self) -> None:
        """Be as when opened: for a source whose rows have nothing to do with those before, ids
        included.
        """
        self.reset()
        if self._follower is not None:
            self._follower.restart()

    def start_ids_after(self, track_id: int) -> None:
        """Make every later track's id larger than `track_id`, as when an earlier run is continued."""
        if self._follower is not None:
            self._follower.start_ids_after(track_id)

    @property
    def precision(self) -> str:
        """What the network computes in, such as float32, which need not be what was asked for where
        `auto` stepped down.
        """
        return self._backend.precision

    @property
    def cuda_stream(self) -> int:
        """Handle of the CUDA stream that the calling thread's frames run on, for those who time it;
        0 on the CPU.
        """
        return int(getattr(self._backend, "cuda_stream", 0))

    def describe(self) -> dict[str, str]:
        """What runs here, by name, for reports."""
        return {
            "model": self.spec.name + "".join(f" + {stage.name}" for stage in self.spec.stages),
            "backend": f"{self._backend.name} {self._backend.version}",
            "precision": self.precision,
            "device": getattr(self._backend, "device", "cpu"),
            "kernels": str(kernels.info()),
            "detector": "none" if self._detector is None else self._detector.name,
        }

    def close(self) -> None:
        """Forget all faces and analyze no more; what the network holds is freed with the last
        reference to the pipeline.
        """
        self._is_closed = True
        self.reset()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Timed:
    """A detector whose time is booked on its own stage."""

    def __init__(self, detector: Detector, clock: StageTimer) -> None:
        self.name = detector.name
        self._detector = detector
        self._clock = clock

    def detect(self, frame: Frame) -> Detections:
        return self._booked(lambda: self._detector.detect(frame))

    def _booked(self, work: Callable[[], T]) -> T:
        before = self._clock.start("detect")
        try:
            return work()
        finally:
            self._clock.start(before)


class _TimedCheap(_Timed):
    """The same, of a cheap one."""

    def __init__(self, detector: FastDetector, clock: StageTimer) -> None:
        super().__init__(detector, clock)
        self._cheap = detector

    def detect_large(self, frame: Frame) -> Detections:
        return self._booked(lambda: self._cheap.detect_large(frame))

    def confirms(self, frame: Frame, maps: FloatArray) -> BoolArray:
        return self._booked(lambda: self._cheap.confirms(frame, maps))


def _timed(detector: Detector, clock: StageTimer) -> Detector:
    return (
        _TimedCheap(detector, clock)
        if isinstance(detector, FastDetector)
        else _Timed(detector, clock)
    )


def _faces(
    reading: FaceOutputs, landmarks_xy: FloatArray, boxes: FloatArray, track_id: IdArray
) -> Faces:
    return Faces(
        box_xyxy=boxes,
        landmarks_xy=landmarks_xy,
        track_id=track_id,
        score=reading.score,
        quality=sigmoid(reading.heads["quality_logit"]),
        pose_deg=pose_in_frame(reading.heads["pose_deg"], reading.maps),
    )


def open_pipeline(
    model: str | Path | None = None,
    *,
    backend: str = "auto",
    device: str = "auto",
    threads: int = 1,
    precision: str = AUTO_PRECISION,
    dla: int | None = None,
    max_faces: int = 8,
    min_face_size_px: int = 40,
    smooth: bool = True,
    baseline: bool = False,
    crops: bool = False,
    sequence: bool = False,
    detector: Detector | str | Path | None = None,
) -> Pipeline:
    """A pipeline over a model bundle (a folder, a listed name, or None for the shipped model).

    `baseline` measures each face's AUs against its own rest (`baseline.NeutralBaseline`): for
    people whose neutral face looks like an AU; it needs some seconds of a face. `crops` takes
    each frame as one face crop and detects nothing; `sequence` says that such crops are one face
    in order of time, which is then smoothed as in a video. `detector` finds the faces: one of
    `detector_names.DETECTORS`, the path of a YuNet file, or an object. `precision` auto is int8
    on a CPU that is fast at it where the bundle brings such a network, else fp32; fp16 and `dla`
    (the number of a Jetson's accelerator) are for TensorRT. Raises `BundleError` for an unusable
    bundle and `BackendError` where the backend cannot run on `device`.
    """
    if max_faces < 1 or min_face_size_px < 20 or threads < 1:
        raise ValueError(
            f"need max_faces >= 1, min_face_size_px >= 20, threads >= 1, got {max_faces}, {min_face_size_px}, {threads}"
        )
    path = find_bundle(model)
    spec = ModelSpec.load(path)
    options = BackendOptions(threads, precision, max_faces, dla)
    staged, clock = None, StageTimer()
    if spec.stages:
        from faceaffect.backends.onnx_multistage import open_stages, require_stages_on_cpu
        from faceaffect.bundle.multistage_bundle import open_multistage_bundle
        from faceaffect.multistage.multistage_model import MultiStageModel

        require_stages_on_cpu(spec.name, backend, device, options)
        device, staged = (
            "cpu",
            MultiStageModel(spec, open_stages(open_multistage_bundle(path, spec), options), clock),
        )
    bundle = open_bundle(find_tracker_bundle(spec) if spec.stages else path)
    runner = open_backend(backend, bundle, device=device, options=options)
    settings = TrackerConfig(
        max_faces=max_faces, min_face_size_px=min_face_size_px, smooth=smooth, baseline=baseline
    )
    if crops:
        detector = None
    elif detector is None or isinstance(detector, (str, Path)):
        detector = open_detector(detector or default_detector(), min_face_size_px, threads)
    return Pipeline(
        bundle.spec, runner, bundle.graph, detector, settings, staged, clock, crops and sequence
    )

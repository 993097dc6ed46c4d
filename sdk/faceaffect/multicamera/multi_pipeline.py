"""Pipelines of several streams that share one network, and one run of it for all tracked faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from faceaffect.backends import Backend, BackendOptions, open_backend
from faceaffect.backends.option_names import BackendName, PrecisionName
from faceaffect.bundle.bundle import Bundle, find_bundle, open_bundle
from faceaffect.bundle.model_spec import BundleError, ModelSpec
from faceaffect.detectors.detector import Detector
from faceaffect.detectors.names import AUTO_ROTATION, RotateName
from faceaffect.detectors.to_detector import to_detector
from faceaffect.multicamera.stream_network import StreamNetwork
from faceaffect.outputs.affect_decoder import AffectDecoder
from faceaffect.outputs.single_model import SingleModel
from faceaffect.pipeline import Pipeline
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.face_network import FaceNetwork
from faceaffect.tracking.tracked_faces import TrackedFaces
from faceaffect.tracking.tracker_config import TrackerConfig, check_limits
from faceaffect.types import Affect, Faces, Frame


class MultiPipeline:
    """Analyzes the newest frames of several streams together.

    Each stream has its own tracks, ids, smoothing and baselines, as in a `Pipeline` of its own.
    Like a `Pipeline` it is not thread-safe; sources may be read by other threads.

    Examples:
        >>> import cv2
        >>> import faceaffect as fa
        >>> image = cv2.imread("face.jpg")
        >>> with fa.open_multi_pipeline(2) as pipeline:
        ...     results = pipeline.analyze([fa.Frame(image), None])
        >>> len(results[0][0]), results[1] is None
        (1, True)
    """

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        detector: Detector,
        config: TrackerConfig,
        streams: int,
        *,
        neutral_baseline: bool = False,
        min_quality: float = 0.0,
    ) -> None:
        """Use `open_multi_pipeline` instead."""
        self.spec = bundle.spec
        self.stage_timer = StageTimer()
        self._network = FaceNetwork(backend, bundle.spec.crop, self.stage_timer)
        self._views = [StreamNetwork(self._network) for _ in range(streams)]
        self._locators: list[TrackedFaces] = []
        self._pipelines: list[Pipeline] = []
        for view in self._views:
            timer = StageTimer()
            locator = TrackedFaces(detector, view, config, timer)
            model = SingleModel(bundle.spec, bundle.graph, self._network.node_width, timer)
            decoder = AffectDecoder(
                bundle.spec,
                timer,
                smooth=config.smooth,
                neutral_baseline=neutral_baseline,
                is_video=True,
                min_quality=min_quality,
            )
            self._locators.append(locator)
            self._pipelines.append(Pipeline(locator, model, decoder, backend, timer))

    @property
    def streams(self) -> int:
        """Number of streams."""
        return len(self._pipelines)

    def stream(self, index: int) -> Pipeline:
        """Pipeline of a stream, for its baselines and stage times; frames go to `analyze` here."""
        return self._pipelines[index]

    def analyze(self, frames: Sequence[Frame | None]) -> list[tuple[Faces, Affect] | None]:
        """Analyze the next frame of each stream.

        Args:
            frames: A `Frame` or `DeviceFrame` of each stream, in the order of the streams; None for
                a stream without a new frame.

        Returns:
            For each stream the faces [N] of its frame and their affect, row for row; None where
            there was no frame.

        Raises:
            ValueError: The number of frames is not `streams`, or the pipeline is closed.
        """
        if len(frames) != self.streams:
            raise ValueError(
                f"expected {self.streams} frames, one per stream or None, got {len(frames)}"
            )
        self._run_tracked(frames)
        return [
            None if frame is None else pipeline.analyze(frame)
            for frame, pipeline in zip(frames, self._pipelines, strict=True)
        ]

    def _run_tracked(self, frames: Sequence[Frame | None]) -> None:
        """Run the network once on the tracked faces of all frames."""
        batch = [
            (frame, locator.next_crops, view)
            for frame, locator, view in zip(frames, self._locators, self._views, strict=True)
            if frame is not None and len(locator.next_crops)
        ]
        if len(batch) < 2:
            return  # the pipeline of the stream runs it
        self.stage_timer.begin()
        outputs = self._network.run_frames([(frame, crops) for frame, crops, _ in batch])
        self.stage_timer.end()
        for (_, crops, view), one in zip(batch, outputs, strict=True):
            view.set_outputs(crops, one)

    def reset(self, stream: int, track_ids: bool = False) -> None:
        """Forget all faces of a stream, as when its camera is replaced.

        Args:
            stream: Index of the stream.
            track_ids: Whether its track ids start at 1 again; by default no id is used twice.
        """
        self._pipelines[stream].reset(track_ids)

    def describe(self) -> dict[str, str]:
        """Names of the model, backend, kernels and detector, and the number of streams."""
        return self._pipelines[0].describe() | {"streams": str(self.streams)}

    def close(self) -> None:
        """Forget all faces and refuse further frames."""
        for pipeline in self._pipelines:
            pipeline.close()

    def __enter__(self) -> MultiPipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_multi_pipeline(
    streams: int,
    model: str | Path | None = None,
    *,
    backend: BackendName = "auto",
    device: str = "auto",
    threads: int = 1,
    precision: PrecisionName = "auto",
    max_faces: int = 8,
    min_face_size_px: int = 24,
    rotate: RotateName = "auto",
    smooth: bool = True,
    neutral_baseline: bool = False,
    min_quality: float = 0.0,
    detector: Detector | str | Path | None = None,
) -> MultiPipeline:
    """Open one pipeline for several streams over a model bundle.

    Args:
        streams: Number of streams.
        model: A folder, the name of an installed bundle, or None for the default one.
        backend: "onnx", "openvino", "tensorrt" or "auto".
        device: "cpu", "cuda", "cuda:1", ... or "auto".
        threads: CPU threads of the networks.
        precision: "fp32", "fp16" (TensorRT), "int8" or "auto".
        max_faces: Maximum number of tracked faces in each stream.
        min_face_size_px: Height of the smallest face to detect, in frame pixels.
        rotate: As in `open_pipeline`; for all streams.
        smooth: Whether landmarks and scores are smoothed over time.
        neutral_baseline: Whether AUs are measured against each face's `NeutralBaseline`.
        min_quality: Quality (0 to 1) below which the affect of a face is NaN.
        detector: A `Detector`, a name in `detectors.names`, or the path of a YuNet file; shared.

    Raises:
        BundleError: The bundle is missing, damaged, has stages, or does not support an option.
        BackendError: The backend cannot run on `device`.
        ValueError: A number is out of range.

    Examples:
        >>> faceaffect.open_multi_pipeline(2).streams
        2
    """
    if streams < 1:
        raise ValueError(f"expected streams >= 1, got {streams}")
    check_limits(max_faces, min_face_size_px, threads, rotate, min_quality)
    path = find_bundle(model)
    _refuse_stages(ModelSpec.load(path))
    bundle = open_bundle(path)
    options = BackendOptions(threads, precision, streams * max_faces)
    return MultiPipeline(
        bundle,
        open_backend(backend, bundle, device=device, options=options),
        to_detector(detector, min_face_size_px, rotate, threads),
        TrackerConfig(max_faces, min_face_size_px, smooth, tries_turned=rotate == AUTO_ROTATION),
        streams,
        neutral_baseline=neutral_baseline,
        min_quality=min_quality,
    )


def _refuse_stages(spec: ModelSpec) -> None:
    if spec.stages:
        raise BundleError(
            f"model {spec.name!r} has stages; expected a single network for several streams: "
            "open one pipeline per stream instead"
        )

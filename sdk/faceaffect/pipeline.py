"""The pipeline: frames in, faces and affect out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from faceaffect import kernels
from faceaffect.backends import Backend, BackendOptions, TensorRTOptions, open_backend
from faceaffect.bundle.bundle import Bundle, find_bundle, open_bundle
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.detectors.detector import Detector
from faceaffect.detectors.names import AUTO_ROTATION, RotateName
from faceaffect.detectors.to_detector import to_detector
from faceaffect.multistage.open_multistage import open_multistage
from faceaffect.outputs.affect_decoder import AffectDecoder, AffectLogits
from faceaffect.outputs.single_model import SingleModel
from faceaffect.sources.frame_from_pixels import PixelFormatName, to_frame
from faceaffect.sources.source import PrefetchingSource, Source
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.aligned_crop import AlignedCropFaces
from faceaffect.tracking.face_network import FaceNetwork
from faceaffect.tracking.located_faces import FaceLocator, LocatedFaces
from faceaffect.tracking.tracked_faces import TrackedFaces
from faceaffect.tracking.tracker_config import TrackerConfig, check_limits
from faceaffect.types import Affect, Faces, Frame, PixelFormat

if TYPE_CHECKING:
    from faceaffect.audio.audio_source import AudioSource
    from faceaffect.backends.option_names import BackendName, PrecisionName
    from faceaffect.device_frame import DeviceFrame
    from faceaffect.multistage.multistage_model import MultiStageModel


class AffectModel(Protocol):
    """Predicts the affect of located faces, frame by frame."""

    spec: ModelSpec

    def predict(self, frame: Frame, faces: LocatedFaces) -> AffectLogits:
        """Logits of the faces [N] of `frame`."""
        ...

    def reset(self) -> None:
        """Forget all faces."""
        ...


class Pipeline:
    """Analyzes the frames of one source, in order.

    A pipeline is not thread-safe: open one per thread.

    Examples:
        >>> import cv2
        >>> with faceaffect.open_pipeline() as pipeline:
        ...     faces, affect = pipeline.analyze(cv2.imread("face.jpg"))
        >>> len(faces), affect.top_expression()
        (1, ['happiness'])
    """

    def __init__(
        self,
        locator: FaceLocator,
        model: AffectModel,
        decoder: AffectDecoder,
        backend: Backend,
        stage_timer: StageTimer,
    ) -> None:
        """Use `open_pipeline` instead.

        Args:
            locator: Finds the faces of a frame.
            model: Predicts their affect.
            decoder: Turns predictions into `Affect`.
            backend: Runs the network of `locator`, for reports.
            stage_timer: Shared by all parts.
        """
        self.spec = model.spec
        self.stage_timer = stage_timer
        self._locator = locator
        self._model = model
        self._decoder = decoder
        self._backend = backend
        self._is_closed = False
        self._busy = threading.Lock()

    def analyze(
        self,
        frame: Frame | DeviceFrame | NDArray[np.uint8],
        *,
        pixel_format: PixelFormat | PixelFormatName | None = None,
    ) -> tuple[Faces, Affect]:
        """Analyze the next frame of the source.

        Args:
            frame: A `Frame`, a `DeviceFrame`, or an array: uint8 [H, W, 3], BGR unless told, or
                gray [H, W]. Arrays have no time stamps: they are taken for 30 frames per second.
            pixel_format: Order of the channels of an array.

        Returns:
            The faces [N] of the frame and their affect, row for row; N = 0 if there is none.

        Raises:
            InputError: `frame` is none of these.
            ValueError: The pipeline is closed.
            RuntimeError: Another thread analyzes a frame with it.
        """
        if not self._busy.acquire(blocking=False):
            self._refuse_if_closed()
            raise RuntimeError(
                "expected one thread per pipeline, got a frame while another thread analyzes one;"
                " open a pipeline per thread"
            )
        try:
            frame = to_frame(frame, pixel_format)
            self._refuse_if_closed()
            self.stage_timer.begin()
            located = self._locator.locate(frame)
            logits = self._model.predict(frame, located)
            quality = located.outputs.heads["quality_logit"]
            affect = self._decoder.decode(logits, located.track_id, frame.time_s, quality)
            faces = located.to_faces()
            self.stage_timer.end()
            return faces, affect
        finally:
            self._busy.release()

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise ValueError("this pipeline was closed; open another with open_pipeline()")

    @property
    def uses_audio(self) -> bool:
        """Whether the model uses audio besides images."""
        return self.spec.uses_audio

    @property
    def audio_sample_rate_hz(self) -> int:
        """Sample rate of the audio that the model expects; 0 if it uses none."""
        return 0 if self.spec.audio is None else self.spec.audio.mel.rate_hz

    def attach_audio(self, audio: AudioSource | None) -> None:
        """Attach `audio` to the source about to be analyzed, until `reset`.

        Args:
            audio: Source at `audio_sample_rate_hz`; None runs without audio and silences the
                warning.

        Raises:
            ValueError: The model uses no audio.
            AudioError: The sample rate is not the model's.
        """
        from faceaffect.multistage.multistage_model import MultiStageModel

        if not self.uses_audio or not isinstance(self._model, MultiStageModel):
            raise ValueError(f"model {self.spec.name!r} uses no audio; attach none")
        self._model.attach_audio(audio)

    def prefetch_detections(self, source: Source) -> None:
        """Run the detector beside the analysis of `source`, until `reset`.

        Files: ahead of time in the decoding thread, which yields the same rows; no-op for
        independent images and for detectors that cannot be cloned. Live sources: in a
        thread of its own, so that no frame waits for it; a new face appears a frame later. Call it
        before iterating over `source`, and pass its frames to `analyze` unchanged.
        """
        if source.is_live:
            self._locator.detect_in_background()
            return
        if not source.is_sequence or not isinstance(source, PrefetchingSource):
            return
        prefetcher = self._locator.create_prefetcher()
        if prefetcher is not None:
            source.on_frame_decoded(prefetcher.submit)

    def reset(self, track_ids: bool = False) -> None:
        """Forget all faces: call it between sources.

        Args:
            track_ids: Whether track ids start at 1 again; by default no id is used twice.
        """
        self._decoder.reset()
        self._model.reset()
        self._locator.reset(track_ids)

    def set_next_track_id(self, track_id: int) -> None:
        """Give new tracks ids of at least `track_id`, as when an earlier run is resumed."""
        self._locator.set_next_track_id(track_id)

    def restart_neutral_baseline(self, is_on: bool) -> None:
        """Measure AUs from now on against the `NeutralBaseline` of each face, or no longer.

        What was learned before is forgotten.

        Raises:
            BundleError: The model has no neutral logits.
        """
        self._decoder.restart_neutral_baseline(is_on)

    @property
    def precision(self) -> str:
        """Precision of the network, such as float32; `auto` may have chosen another than asked."""
        return self._backend.precision

    @property
    def cuda_stream(self) -> int:
        """Handle of the CUDA stream of the calling thread's frames, to time it; 0 on the CPU."""
        return int(getattr(self._backend, "cuda_stream", 0))

    def describe(self) -> dict[str, str]:
        """Names of the model, backend, kernels and detector, for reports."""
        return {
            "model": self.spec.name + "".join(f" + {stage.name}" for stage in self.spec.stages),
            "backend": f"{self._backend.name} {self._backend.version}",
            "precision": self.precision,
            "device": getattr(self._backend, "device", "cpu"),
            "kernels": str(kernels.build_info()),
            "detector": self._locator.detector_name,
        }

    def close(self) -> None:
        """Forget all faces and refuse further frames.

        If another thread is analyzing a frame, this waits for it. The memory of the network is
        freed with the last reference to the pipeline.
        """
        self._is_closed = True
        with self._busy:
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


class _Decoding(NamedTuple):
    """Options of `AffectDecoder`."""

    neutral_baseline: bool
    is_video: bool
    min_quality: float


def open_pipeline(
    model: str | Path | None = None,
    *,
    backend: BackendName = "auto",
    device: str = "auto",
    threads: int = 1,
    precision: PrecisionName = "auto",
    dla_core: int | None = None,
    max_faces: int = 8,
    min_face_size_px: int = 24,
    rotate: RotateName = "auto",
    smooth: bool = True,
    neutral_baseline: bool = False,
    min_quality: float = 0.0,
    aligned_crops: bool = False,
    is_video: bool = False,
    detector: Detector | str | Path | None = None,
    tensorrt: TensorRTOptions | None = None,
) -> Pipeline:
    """Open a pipeline over a model bundle.

    Args:
        model: A folder, the name of an installed bundle, or None for the default one.
        backend: "onnx", "openvino", "tensorrt" or "auto".
        device: "cpu", "cuda", "cuda:1", ... or "auto".
        threads: CPU threads of the networks.
        precision: "fp32", "fp16" (TensorRT), "int8" or "auto": int8 where a CPU is fast at it.
        dla_core: Number of a Jetson's deep-learning accelerator, for TensorRT.
        max_faces: Maximum number of tracked faces.
        min_face_size_px: Height of the smallest face to detect, in frame pixels.
        rotate: Degrees clockwise that bring the frames upright; "auto" looks for sideways faces
            where no upright one is found. Coordinates and pose stay those of the frame as it is.
        smooth: Whether landmarks and scores are smoothed over time.
        neutral_baseline: Whether AUs are measured against each face's `NeutralBaseline`.
        min_quality: Quality (0 to 1) below which the affect of a face is NaN.
        aligned_crops: Whether each frame is one aligned face crop; no detector runs.
        is_video: Whether such crops are one face in order of time.
        detector: A `Detector`, a name in `detectors.names`, or the path of a YuNet file.
        tensorrt: Further options of TensorRT.

    Raises:
        BundleError: The bundle is missing, damaged or does not support an option.
        BackendError: The backend cannot run on `device`.
        ValueError: A number is out of range.

    Examples:
        >>> import faceaffect as fa
        >>> with fa.open_source("clip.mp4") as source, fa.open_pipeline() as pipeline:
        ...     [len(pipeline.analyze(frame)[0]) for frame, _ in zip(source, range(3))]
        [1, 1, 1]
    """
    check_limits(max_faces, min_face_size_px, threads, rotate, min_quality)
    options = BackendOptions(threads, precision, max_faces, dla_core, tensorrt or TensorRTOptions())
    config = TrackerConfig(max_faces, min_face_size_px, smooth, rotate == AUTO_ROTATION)
    find_detector = partial(to_detector, detector, min_face_size_px, rotate, threads)
    make_detector = None if aligned_crops else find_detector
    decoding = _Decoding(neutral_baseline, is_video, min_quality)
    path = find_bundle(model)
    return _open_parts(path, backend, device, options, make_detector, config, decoding)


def _open_parts(
    path: Path,
    backend: str,
    device: str,
    options: BackendOptions,
    make_detector: Callable[[Backend], Detector] | None,
    config: TrackerConfig,
    decoding: _Decoding,
) -> Pipeline:
    """Open the bundle at `path`, its stages if it has some, and the backend."""
    timer = StageTimer()
    multistage, path, device = open_multistage(path, backend, device, options, timer)
    bundle = open_bundle(path)
    opened = open_backend(backend, bundle, device=device, options=options)
    return assemble_pipeline(
        bundle,
        opened,
        None if make_detector is None else make_detector(opened),
        config,
        multistage=multistage,
        timer=timer,
        **decoding._asdict(),
    )


def assemble_pipeline(
    bundle: Bundle,
    backend: Backend,
    detector: Detector | None,
    config: TrackerConfig,
    *,
    multistage: MultiStageModel | None = None,
    timer: StageTimer | None = None,
    neutral_baseline: bool = False,
    is_video: bool = False,
    min_quality: float = 0.0,
) -> Pipeline:
    """Build a pipeline from opened parts.

    Args:
        bundle: The model that locates the faces, and predicts them unless `multistage` does.
        backend: Runs its network.
        detector: Detects new faces; None for aligned crops.
        config: Of the tracker.
        multistage: Model that predicts the faces instead, with the same timer.
        timer: Times the stages.
        neutral_baseline: See `open_pipeline`.
        is_video: See `open_pipeline`.
        min_quality: See `open_pipeline`.

    Raises:
        BundleError: The parts of the bundle do not fit together.
    """
    timer = timer or StageTimer()
    network = FaceNetwork(backend, bundle.spec.crop, timer)
    model: AffectModel = SingleModel(bundle.spec, bundle.graph, network.node_width, timer)
    if multistage is not None:
        model = multistage
    locator: FaceLocator = (
        AlignedCropFaces(network)
        if detector is None
        else TrackedFaces(detector, network, config, timer)
    )
    decoder = AffectDecoder(
        model.spec,
        timer,
        smooth=config.smooth,
        neutral_baseline=neutral_baseline,
        is_video=is_video or detector is not None,
        min_quality=min_quality,
    )
    return Pipeline(locator, model, decoder, backend, timer)

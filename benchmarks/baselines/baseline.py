"""Packages to compare with: their outputs, requirements and weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Baseline:
    """A package to compare with.

    `requirements` are installed with their dependencies, `requirements_no_deps` without: some have
    large ones that are not used here. `files` names the weights that no package has;
    `random_weights_file` is one of them whose architecture is known, so that random weights give
    valid times. `unavailable_reason` is set if the baseline cannot run at all.
    """

    name: str
    title: str
    computes: str
    requirements: tuple[str, ...] = ()
    requirements_no_deps: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    random_weights_file: str = ""
    unavailable_reason: str = ""

    @property
    def script(self) -> Path:
        """Script that runs the package over a clip."""
        return HERE / f"{self.name}.py"


FACEAFFECT: Final = Baseline(
    "faceaffect_pipeline",
    "faceaffect",
    (
        "12 AUs, 7 expressions, valence, arousal, 68 landmarks, head pose, quality, track "
        "ids; tracked, periodic face detection"
    ),
)

_NUMPY, _OPENCV, _ORT = "numpy==2.4.6", "opencv-python-headless==4.13.0.92", "onnxruntime==1.28.0"
_PILLOW = "pillow==13.0.0"
_YUNET = "yunet_s_640_640.onnx"

BASELINES: Final[tuple[Baseline, ...]] = (
    Baseline(
        "mediapipe_face_landmarker",
        "MediaPipe FaceLandmarker",
        (
            "478 landmarks, 52 blendshapes; one face, tracked, face detection at the start and "
            "after a loss; no expression, no valence or arousal"
        ),
        ("mediapipe==1.2.2", _NUMPY, "opencv-contrib-python==5.1.0.95"),
        files=("face_landmarker.task",),
    ),
    Baseline(
        "opencv_yunet",
        "OpenCV YuNet + ONNX Runtime, our network",
        "our network's heads without its graph layer, smoothing or ids; detector in every frame",
        (_OPENCV, _ORT, _NUMPY),
        files=(_YUNET,),
    ),
    Baseline(
        "opencv_haar",
        "OpenCV Haar cascade + ONNX Runtime, mini-Xception",
        "7 expressions; detector in every frame",
        (_OPENCV, _ORT, _NUMPY),
        files=("fer_mini_xception.onnx",),
    ),
    Baseline(
        "dlib_landmarks",
        "dlib HOG detector + 68 landmarks",
        "68 landmarks; detector in every frame; no AUs, no expression",
        ("dlib-bin==20.0.1", "face-recognition-models==0.3.0", _OPENCV, _NUMPY),
    ),
    Baseline(
        "fer_package",
        "fer (Haar cascade, TensorFlow Lite)",
        "7 expressions; detector in every frame",
        (
            "tensorflow-cpu==2.21.0",
            "opencv-contrib-python-headless==4.13.0.92",
            "requests==2.34.2",
            "setuptools==80.9.0",
            "pillow==13.0.0",
        ),
        requirements_no_deps=("fer==25.10.3",),
    ),
    Baseline(
        "emotiefflib_onnx",
        "EmotiEffLib (hsemotion), EfficientNet-B0, ONNX Runtime",
        "8 expressions; YuNet in every frame, because the package has no detector",
        (_OPENCV, _ORT, _NUMPY, "onnx==1.23.2", _PILLOW),
        requirements_no_deps=("emotiefflib==1.1.1",),
        files=(_YUNET, "enet_b0_8_best_vgaf.onnx"),
        random_weights_file="enet_b0_8_best_vgaf.onnx",
    ),
    Baseline(
        "py_feat",
        "py-feat 2.1.5",
        "20 AUs, 7 expressions, landmarks, head pose",
        unavailable_reason=(
            "its weights are downloaded from a model hub at the first use "
            "(feat/pretrained.py) and none are in the package"
        ),
    ),
    Baseline(
        "libreface",
        "LibreFace 0.2.0",
        "12 AUs, 8 expressions",
        unavailable_reason=(
            "its weights are downloaded from a file host at the first use "
            "(libreface.utils.download_weights)"
        ),
    ),
    Baseline(
        "openface",
        "OpenFace 2.2",
        "18 AUs, 68 landmarks, head pose, gaze",
        unavailable_reason=(
            "no package of it carries the program or its landmark models, which come from a "
            "file host"
        ),
    ),
)

RANDOM_WEIGHTS_CLASSES: Final = 8


def with_random_weights(baseline: Baseline) -> Baseline:
    """Return the baseline renamed as one with random weights."""
    return replace(
        baseline,
        title=f"{baseline.title}, random weights",
        computes=(
            f"nothing: the architecture for {baseline.computes}; its published weights were not "
            "here, so only the time holds"
        ),
    )


def find_files(baseline: Baseline, folder: Path) -> dict[str, str]:
    """Return the paths of a baseline's weights under `folder` by name, without missing ones."""
    paths = {name: next(iter(sorted(folder.rglob(name))), None) for name in baseline.files}
    return {name: str(path.resolve()) for name, path in paths.items() if path is not None}


def interpreter(baseline: Baseline, environments: Path) -> Path:
    """Return the interpreter of the baseline's environment, which may not exist yet."""
    return environments.absolute() / baseline.name / "bin" / "python"

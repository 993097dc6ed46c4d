"""The packages that are compared: what each computes, what its environment holds, and which weights
it needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """`requirements` are installed with what they ask for, `alone` without: some ask for much that
    is never used here.

    `files` are weights that no package brings, by name; `stand_in` is the one of them whose
    architecture is known, so that random weights in its place tell the time.
    `unavailable_reason` is set where the peer cannot take part at all.
    """

    name: str
    title: str
    computes: str
    requirements: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    stand_in: str = ""
    unavailable_reason: str = ""

    @property
    def script(self) -> Path:
        return HERE / f"{self.name}.py"


OURS: Final = Peer(
    "faceaffect_pipeline",
    "faceaffect",
    "12 AUs, 7 expressions, valence, arousal, 68 landmarks, head pose, quality, track ids; followed, detector now and then",
)

_NUMPY, _OPENCV, _ORT = "numpy==2.4.6", "opencv-python-headless==4.13.0.92", "onnxruntime==1.28.0"
_PILLOW = "pillow==13.0.0"
_YUNET = "yunet_s_640_640.onnx"

PEERS: Final[tuple[Peer, ...]] = (
    Peer(
        "mediapipe_face_landmarker",
        "MediaPipe FaceLandmarker",
        "478 landmarks, 52 blendshapes; one face, followed, detector at the start and after a loss; no expression, no mood",
        ("mediapipe==1.2.2", _NUMPY, "opencv-contrib-python==5.1.0.95"),
        files=("face_landmarker.task",),
    ),
    Peer(
        "opencv_yunet",
        "OpenCV YuNet + ONNX Runtime, our network",
        "our network's heads without its graph layer, smoothing or ids; detector in every frame",
        (_OPENCV, _ORT, _NUMPY),
        files=(_YUNET,),
    ),
    Peer(
        "opencv_haar",
        "OpenCV Haar cascade + ONNX Runtime, mini-Xception",
        "7 expressions; detector in every frame",
        (_OPENCV, _ORT, _NUMPY),
        files=("fer_mini_xception.onnx",),
    ),
    Peer(
        "dlib_landmarks",
        "dlib HOG detector + 68 landmarks",
        "68 landmarks; detector in every frame; no AUs, no expression",
        ("dlib-bin==20.0.1", "face-recognition-models==0.3.0", _OPENCV, _NUMPY),
    ),
    Peer(
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
        alone=("fer==25.10.3",),
    ),
    Peer(
        "emotiefflib_onnx",
        "EmotiEffLib (hsemotion), EfficientNet-B0, ONNX Runtime",
        "8 expressions; YuNet in every frame, because the package has no detector",
        (_OPENCV, _ORT, _NUMPY, "onnx==1.23.2", _PILLOW),
        alone=("emotiefflib==1.1.1",),
        files=(_YUNET, "enet_b0_8_best_vgaf.onnx"),
        stand_in="enet_b0_8_best_vgaf.onnx",
    ),
    Peer(
        "py_feat",
        "py-feat 2.1.5",
        "20 AUs, 7 expressions, landmarks, head pose",
        unavailable_reason="its weights are downloaded from a model hub at the first use (feat/pretrained.py) and none are in the package",
    ),
    Peer(
        "libreface",
        "LibreFace 0.2.0",
        "12 AUs, 8 expressions",
        unavailable_reason="its weights are downloaded from a file host at the first use (libreface.utils.download_weights)",
    ),
    Peer(
        "openface",
        "OpenFace 2.2",
        "18 AUs, 68 landmarks, head pose, gaze",
        unavailable_reason="no package of it carries the program or its landmark models, which come from a file host",
    ),
)

STAND_IN_CLASSES: Final = 8


def with_stand_in(peer: Peer) -> Peer:
    """The peer as it is named where its weights are random."""
    return replace(
        peer,
        title=f"{peer.title}, random weights",
        computes=f"nothing: the architecture for {peer.computes}; its published weights were not here, so only the time holds",
    )


def find_files(peer: Peer, folder: Path) -> dict[str, str]:
    """The paths of the peer's weights by name, anywhere under `folder`; those that are missing are
    left out.
    """
    found = {name: next(iter(sorted(folder.rglob(name))), None) for name in peer.files}
    return {name: str(path.resolve()) for name, path in found.items() if path is not None}


def interpreter(peer: Peer, environments: Path) -> Path:
    """Of the peer's environment, whether or not it is there yet."""
    return environments.absolute() / peer.name / "bin" / "python"

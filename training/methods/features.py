"""Features of a frozen trunk for every frame of a data set, kept in one file.

Heads, graphs and temporal parts train on them in seconds. `features.safetensors` holds
`features` [N, D] and, of the default network, `nodes` [N, 12, W], both float16; with audio,
`log_mel` [M, 64] of all videos, `mel_start` [V + 1] and `mel_arrived` [N], the number of its
video's mel frames that a live system has at a frame. `features.json` says which trunk and frames.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from faceaffect.bundle.bundle import MODEL_FILE, open_bundle
from faceaffect.geometry import TEMPLATE_SIZE_PX
from training.audio.mel_track import MelTracks
from training.datasets.frame_table import FrameTable
from training.datasets.image_store import ImageStore
from training.engine.checkpoint import replace_file, write_json
from training.methods.normalization import NORMALIZATIONS
from training.methods.pretrain_trunk import RECORD_FILE, TRUNK_FILE, PretrainRecipe
from training.models.backbones.build_backbone import build_backbone
from training.models.backbones.load_weights import copy_weights, read_weights
from training.models.backbones.resnet import ResNet

FEATURES_FILE: Final = "features.safetensors"
NOTE_FILE: Final = "features.json"
LANDMARKER_FILE: Final = "face_landmarks_detector.tflite"
_BATCH: Final = 64

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FrozenTrunk:
    """`read` maps images [n, S, S, 3] uint8 RGB to `features` [n, D] and perhaps `nodes`;
    `read_maps`, of convolutional trunks, to `map0` (the finest) ... [n, C, H, W].
    """

    name: str
    sha256: str
    size_px: int
    read: Callable[[NDArray[np.uint8]], Arrays]
    read_maps: Callable[[NDArray[np.uint8]], Arrays] | None = None
    has_seen_renders: bool = False


def open_trunk(path: str, threads: int = 1) -> FrozenTrunk:
    """The trunk of a bundle of the default network, or of a folder of `pretrain`; or MediaPipe's
    landmarks and blendshapes as features, from the folder of its networks.

    Raises:
        ValueError: none of them is at `path`.
    """
    folder = Path(path)
    if (folder / TRUNK_FILE).is_file():
        return _open_pretrained(folder, threads)
    if (folder / LANDMARKER_FILE).is_file():
        return _open_landmarker(folder, threads)
    return _open_bundle_trunk(path, threads)


def _open_landmarker(folder: Path, threads: int) -> FrozenTrunk:
    from training.labeling.mediapipe_teacher import LANDMARKS_68, MediaPipeTeacher, Roi

    teacher = MediaPipeTeacher(folder, threads)
    digest = hashlib.sha256((folder / LANDMARKER_FILE).read_bytes()).hexdigest()

    def read(images: NDArray[np.uint8]) -> Arrays:
        side_px = images.shape[1]
        roi = Roi(((side_px - 1) / 2, (side_px - 1) / 2), side_px)
        found = [teacher.predict_refined(image, roi) for image in images]
        rows = [
            np.append(each.points_xyz[list(LANDMARKS_68)].ravel() / side_px, each.blendshapes)
            for each in found
        ]
        return {"features": np.stack(rows)}

    return FrozenTrunk("mediapipe", digest, TEMPLATE_SIZE_PX, read)


def _open_pretrained(folder: Path, threads: int) -> FrozenTrunk:
    record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    net = build_backbone(record["trunk"]).eval()
    copy_weights(net, read_weights(folder / TRUNK_FILE))
    recipe = PretrainRecipe()
    normalization = NORMALIZATIONS[recipe.normalization]
    torch.set_num_threads(threads)

    def read(images: NDArray[np.uint8]) -> Arrays:
        crops = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            return {"features": net(normalization.apply(crops)).numpy()}

    def read_maps(images: NDArray[np.uint8]) -> Arrays:
        assert isinstance(net, ResNet)
        crops = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            maps = net.maps(normalization.apply(crops))
        return {f"map{k}": level.numpy() for k, level in enumerate(maps)}

    has_maps = isinstance(net, ResNet)
    return FrozenTrunk(
        record["trunk"], record["sha256"], recipe.size_px, read, read_maps if has_maps else None
    )


def _open_bundle_trunk(path: str, threads: int) -> FrozenTrunk:
    bundle = open_bundle(path)
    model = onnx.load_from_string(bundle.onnx)
    makers = {name: node for node in model.graph.node for name in node.output}
    expression = makers.get("expression_logit")
    if expression is None or expression.op_type != "Gemm":
        raise ValueError(
            f"{path} is not a bundle of the default network: expected expressions from one linear "
            "layer; give such a bundle or a folder of `python -m training pretrain`"
        )
    features = expression.input[0]
    maps = _stage_outputs(model)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in (features, *maps))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    crop = bundle.spec.crop
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (crop.mean, crop.std))

    def run(names: list[str], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        crops = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
        outputs: list[NDArray[np.float32]] = session.run(names, {"crops": (crops - mean) / std})
        return outputs

    def read(images: NDArray[np.uint8]) -> Arrays:
        outputs = run([features, "au_nodes"], images)
        return {"features": outputs[0], "nodes": outputs[1]}

    def read_maps(images: NDArray[np.uint8]) -> Arrays:
        return {f"map{k}": level for k, level in enumerate(run(maps, images))}

    digest = str(bundle.spec.files[MODEL_FILE])
    return FrozenTrunk(bundle.spec.name, digest, crop.size_px, read, read_maps, True)


def _stage_outputs(model: onnx.ModelProto) -> list[str]:
    """The last output of each stage of the default network's trunk, finest first."""
    last: dict[int, str] = {}
    for node in model.graph.node:
        if stage := re.match(r"/net/trunk/stages\.(\d+)/", node.output[0]):
            last[int(stage[1])] = node.output[0]
    return [last[k] for k in sorted(last)]


def extract_features(
    trunk: FrozenTrunk, table: FrameTable, images: ImageStore, tracks: MelTracks | None = None
) -> Arrays:
    """Arrays of all rows of `table`, zero where a row has no image; `tracks` adds audio."""
    arrays = read_all(trunk.read, table, images)
    return arrays | (_sound(table, tracks) if tracks is not None else {})


def read_all(
    read: Callable[[NDArray[np.uint8]], Arrays], table: FrameTable, images: ImageStore
) -> Arrays:
    """Arrays float16 of `read` for all rows of `table`, zero where a row has no image."""
    rows = np.flatnonzero(table.has_crop)
    arrays: Arrays = {}
    for k in range(0, len(rows), _BATCH):
        part = rows[k : k + _BATCH]
        for name, values in read(images.read(table, part)).items():
            if name not in arrays:
                arrays[name] = np.zeros((len(table), *values.shape[1:]), np.float16)
            arrays[name][part] = values
    return arrays


def _sound(table: FrameTable, tracks: MelTracks) -> Arrays:
    parts = []
    arrived = np.zeros(len(table), np.int32)
    for video in range(len(table.videos)):
        rows = np.flatnonzero(table.video == video)
        path = table.media_of(int(rows[0])) if len(rows) else None
        track = None if path is None else tracks.get(path)
        if track is None or not np.isfinite(table.audio_offset_s[rows]).all():
            parts.append(np.zeros((0, tracks.config.bands), np.float16))
            continue
        counts = [track.frames_available(float(t)) for t in table.audio_offset_s[rows]]
        parts.append(track.chunk(0, max(counts)).astype(np.float16))
        arrived[rows] = counts
    start = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    return {"log_mel": np.concatenate(parts), "mel_start": start, "mel_arrived": arrived}


def write_features(
    folder: Path, trunk: FrozenTrunk, table: FrameTable, arrays: Arrays, note: dict[str, Any]
) -> None:
    """Write both files; the note names the trunk, the data and the frames in order."""
    replace_file(folder / FEATURES_FILE, lambda partial: save_file(arrays, partial))
    write_json(
        folder / NOTE_FILE,
        {
            "trunk": {"name": trunk.name, "sha256": trunk.sha256, "size_px": trunk.size_px},
            "rows": len(table),
            "frames_sha256": frames_digest(table),
            "videos": list(table.videos),
            **note,
        },
    )


def read_features(folder: Path, table: FrameTable) -> Arrays:
    """The arrays of a folder.

    Raises:
        ValueError: they are of other frames than `table`.
    """
    note = json.loads((folder / NOTE_FILE).read_text(encoding="utf-8"))
    if note["frames_sha256"] != frames_digest(table):
        raise ValueError(
            f"{folder} has features of other frames than the data set; write them again"
        )
    return dict(load_file(folder / FEATURES_FILE))


def frames_digest(table: FrameTable) -> str:
    """SHA-256 of videos and frame numbers in order."""
    digest = hashlib.sha256("\n".join(table.videos).encode())
    digest.update(table.video.astype(np.int64).tobytes() + table.frame.astype(np.int64).tobytes())
    return digest.hexdigest()

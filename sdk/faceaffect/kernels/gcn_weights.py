"""Weights of the graph convolution over AU nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from faceaffect.kernels.native import native
from faceaffect.labels import AU_NAMES
from faceaffect.types import FloatArray

NODES = len(AU_NAMES)


@dataclass(frozen=True, slots=True, eq=False)
class GcnWeights:
    """Weights of H_{l+1} = relu(A H_l W_l + b_l), logit_k = H_L[k] . R[k] + c[k].

    Arrays are validated on construction and kept as C-contiguous float32.
    """

    adjacency: FloatArray  # [12, 12], A, normalized
    layer_weights: tuple[FloatArray, ...]  # each [D_in, D_out], W_l
    layer_biases: tuple[FloatArray, ...]  # each [D_out], b_l
    readout_weight: FloatArray  # [12, D], R
    readout_bias: FloatArray  # [12], c
    # Layout of the native kernel, packed once; None without the native module.
    packed: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "adjacency", _checked("adjacency", self.adjacency, (NODES, NODES)))
        weights: list[FloatArray] = []
        biases: list[FloatArray] = []
        if len(self.layer_weights) != len(self.layer_biases):
            raise ValueError(
                f"layer_biases must hold one array a layer ({len(self.layer_weights)}), "
                f"got {len(self.layer_biases)}"
            )
        width: int | None = None
        for i, (weight, bias) in enumerate(zip(self.layer_weights, self.layer_biases, strict=True)):
            weights.append(_checked(f"layer.{i}.weight", weight, (width, None)))
            width = int(weights[i].shape[1])
            biases.append(_checked(f"layer.{i}.bias", bias, (width,)))
        object.__setattr__(self, "layer_weights", tuple(weights))
        object.__setattr__(self, "layer_biases", tuple(biases))
        object.__setattr__(
            self, "readout_weight", _checked("readout.weight", self.readout_weight, (NODES, width))
        )
        object.__setattr__(
            self, "readout_bias", _checked("readout.bias", self.readout_bias, (NODES,))
        )
        object.__setattr__(self, "packed", self._pack())

    def _pack(self) -> Any:
        if native is None:
            return None
        return native.pack_graph(
            self.adjacency,
            list(self.layer_weights),
            list(self.layer_biases),
            self.readout_weight,
            self.readout_bias,
        )

    @property
    def width(self) -> int:
        """Size D of the input nodes [N, 12, D]."""
        return int(
            self.layer_weights[0].shape[0] if self.layer_weights else self.readout_weight.shape[1]
        )

    @classmethod
    def from_safetensors(cls, path: Path | str) -> GcnWeights:
        """Load a safetensors file; see `from_bytes`."""
        return cls.from_bytes(Path(path).read_bytes(), str(path))

    @classmethod
    def from_bytes(cls, content: bytes, where: str = "graph weights") -> GcnWeights:
        """Load the content of a safetensors file.

        Its keys are adjacency, layer.{i}.weight, layer.{i}.bias, readout.weight, readout.bias.

        Args:
            content: Bytes of the file.
            where: Name of the file in error messages.

        Raises:
            ValueError: The content is not such a file.
        """
        try:
            arrays = load(content)
        except SafetensorError as error:
            raise ValueError(f"{where} must be a safetensors file: {error}") from None
        layers = sum(name.startswith("layer.") and name.endswith(".weight") for name in arrays)
        expected = {"adjacency", "readout.weight", "readout.bias"}
        expected |= {f"layer.{i}.{part}" for i in range(layers) for part in ("weight", "bias")}
        if expected != arrays.keys():
            missing, unknown = sorted(expected - arrays.keys()), sorted(arrays.keys() - expected)
            raise ValueError(
                f"{where} must hold graph weights: missing {missing}, unknown {unknown}"
            )
        return cls(
            adjacency=arrays["adjacency"],
            layer_weights=tuple(arrays[f"layer.{i}.weight"] for i in range(layers)),
            layer_biases=tuple(arrays[f"layer.{i}.bias"] for i in range(layers)),
            readout_weight=arrays["readout.weight"],
            readout_bias=arrays["readout.bias"],
        )

    def to_safetensors(self, path: Path | str) -> None:
        """Write a file that `from_safetensors` loads."""
        arrays = {
            "adjacency": self.adjacency,
            "readout.weight": self.readout_weight,
            "readout.bias": self.readout_bias,
        }
        for i, (weight, bias) in enumerate(zip(self.layer_weights, self.layer_biases, strict=True)):
            arrays[f"layer.{i}.weight"] = weight
            arrays[f"layer.{i}.bias"] = bias
        save_file(arrays, path)


def _checked(name: str, value: FloatArray, shape: tuple[int | None, ...]) -> FloatArray:
    array = np.ascontiguousarray(value, np.float32)
    fits = array.ndim == len(shape) and all(
        w in (None, n) for w, n in zip(shape, array.shape, strict=True)
    )
    if not fits or array.size == 0:
        sides = ", ".join("D" if side is None else str(side) for side in shape)
        raise ValueError(f"{name} must be float32 [{sides}], got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return array

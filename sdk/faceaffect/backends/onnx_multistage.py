"""The stages of a model in ONNX Runtime on the CPU: inputs and states in, outputs and the states
after it out.
"""

from __future__ import annotations

import logging
from typing import Any

from faceaffect.backends import BackendError, BackendOptions, has_nvidia_gpu, require_cpu
from faceaffect.backends.onnx_backend import unavailable_reason
from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.model_spec import AUTO_PRECISION, BundleError
from faceaffect.bundle.multistage_bundle import StagedBundle
from faceaffect.bundle.stage_spec import STATE_SUFFIX, Shapes, StageSpec
from faceaffect.types import FloatArray

log = logging.getLogger("faceaffect")


class OnnxStage:
    """One stage; `run` takes and gives tensors [N, ...] by name, states under their own names on
    both sides.
    """

    def __init__(self, stage: StageSpec, session: Any, where: str) -> None:
        self.spec = stage
        self._session = session
        given = {**stage.inputs, **stage.states}
        taken = {**stage.outputs, **{name + STATE_SUFFIX: shape for name, shape in stage.states.items()}}
        _check(session.get_inputs(), given, f"{where}: inputs")
        _check(session.get_outputs(), taken, f"{where}: outputs")
        self._names = list(taken)
        self._own_names = [*stage.outputs, *stage.states]

    def run(self, tensors: dict[str, FloatArray]) -> dict[str, FloatArray]:
        return dict(zip(self._own_names, self._session.run(self._names, tensors), strict=True))


def open_stages(bundle: StagedBundle, options: BackendOptions) -> list[OnnxStage]:
    """All stages of a bundle in their order; raises BundleError where a file and the spec disagree."""
    reason = unavailable_reason()
    if reason:
        raise BackendError(
            f"a model of stages runs on ONNX Runtime, which cannot be used: {reason}"
        )
    found = []
    for stage in bundle.spec.stages:
        where = bundle.file_of(stage)
        found.append(
            OnnxStage(
                stage, open_session(bundle.networks[stage.name], options.threads, where), str(where)
            )
        )
    return found


def _check(tensors: list[Any], wanted: Shapes, where: str) -> None:
    """A side that the file leaves free (a text or None) fits any."""
    got = {tensor.name: tuple(tensor.shape) for tensor in tensors}
    fits = got.keys() == wanted.keys() and all(
        _fits(got[name], shape) for name, shape in wanted.items()
    )
    kinds = {tensor.type for tensor in tensors}
    if not fits or kinds != {"tensor(float)"}:
        listed = {name: ["N", *shape] for name, shape in wanted.items()}
        raise BundleError(
            f"{where} must be float32 {listed} as the spec says, got {got}; export the model again"
        )


def _fits(got: tuple[Any, ...], wanted: tuple[int, ...]) -> bool:
    if len(got) != 1 + len(wanted) or isinstance(got[0], int):
        return False
    return all(
        not isinstance(side, int) or side == want
        for side, want in zip(got[1:], wanted, strict=True)
    )


def require_stages_on_cpu(name: str, backend: str, device: str, options: BackendOptions) -> None:
    """Raise BackendError where another place or precision was asked for: such models run on the CPU
    in float32.
    """
    if backend == "tensorrt":
        raise BackendError(
            f"model {name!r} is made of stages, which run on the CPU; use --backend auto, onnx or openvino"
        )
    if options.precision not in (AUTO_PRECISION, "fp32"):
        raise BackendError(
            f"model {name!r} is made of stages, which run in fp32 only, got {options.precision!r}"
        )
    require_cpu("onnx" if backend == "auto" else backend, device, options)
    if backend == device == "auto" and has_nvidia_gpu():
        log.warning(
            "faceaffect: running on the CPU with ONNX Runtime, since model %r is made of stages",
            name,
        )

"""Runs the stages of a multi-stage model with ONNX Runtime on the CPU."""

from __future__ import annotations

import logging
from typing import Any

from faceaffect.backends.backend import BackendError, BackendOptions, require_cpu
from faceaffect.backends.onnx_backend import unavailable_reason
from faceaffect.backends.onnx_session import open_session
from faceaffect.backends.registry import has_nvidia_gpu
from faceaffect.bundle.model_spec import AUTO_PRECISION, BundleError
from faceaffect.bundle.multistage_bundle import MultiStageBundle
from faceaffect.bundle.stage_spec import STATE_SUFFIX, Shapes, StageSpec
from faceaffect.types import FloatArray

log = logging.getLogger("faceaffect")


class OnnxStage:
    """One stage of a model."""

    def __init__(self, stage: StageSpec, session: Any, file: str) -> None:
        self.spec = stage
        self._session = session
        next_states = {name + STATE_SUFFIX: shape for name, shape in stage.states.items()}
        outputs = {**stage.outputs, **next_states}
        _check_tensors(session.get_inputs(), {**stage.inputs, **stage.states}, f"{file}: inputs")
        _check_tensors(session.get_outputs(), outputs, f"{file}: outputs")
        self._onnx_names = list(outputs)
        self._names = [*stage.outputs, *stage.states]

    def run(self, tensors: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """Run the stage once.

        Args:
            tensors: Inputs and states [N, ...] by name.

        Returns:
            Outputs and next states by name; a state has the same name on both sides.
        """
        return dict(zip(self._names, self._session.run(self._onnx_names, tensors), strict=True))


def open_stages(bundle: MultiStageBundle, options: BackendOptions) -> list[OnnxStage]:
    """Open all stages of a bundle in execution order.

    Raises:
        BackendError: ONNX Runtime cannot be used.
        BundleError: A file does not match the spec.
    """
    reason = unavailable_reason()
    if reason:
        raise BackendError(f"a multi-stage model needs ONNX Runtime: {reason}")
    stages = []
    for stage in bundle.spec.stages:
        file = bundle.file_of(stage)
        session = open_session(bundle.networks[stage.name], options.threads, file)
        stages.append(OnnxStage(stage, session, str(file)))
    return stages


def _check_tensors(tensors: list[Any], expected: Shapes, where: str) -> None:
    """Raise BundleError unless the tensors of a file have the expected shapes and are float32."""
    shapes = {tensor.name: tuple(tensor.shape) for tensor in tensors}
    is_match = shapes.keys() == expected.keys() and all(
        _is_compatible(shapes[name], shape) for name, shape in expected.items()
    )
    types = {tensor.type for tensor in tensors}
    if not is_match or types != {"tensor(float)"}:
        listed = {name: ["N", *shape] for name, shape in expected.items()}
        raise BundleError(
            f"{where}: expected float32 {listed} as in the spec, got {shapes}; "
            "export the model again"
        )


def _is_compatible(shape: tuple[Any, ...], expected: tuple[int, ...]) -> bool:
    """A dynamic side (a name or None) of the file's shape fits any size."""
    if len(shape) != 1 + len(expected) or isinstance(shape[0], int):
        return False
    return all(
        not isinstance(side, int) or side == expected_side
        for side, expected_side in zip(shape[1:], expected, strict=True)
    )


def require_stages_on_cpu(name: str, backend: str, device: str, options: BackendOptions) -> None:
    """Raise BackendError unless the options select float32 on the CPU, which such models need."""
    if backend == "tensorrt":
        raise BackendError(
            f"model {name!r} has several stages, which run on the CPU; "
            "use --backend auto, onnx or openvino"
        )
    if options.precision not in (AUTO_PRECISION, "fp32"):
        raise BackendError(
            f"model {name!r} has several stages, which run in fp32 only, got {options.precision!r}"
        )
    require_cpu("onnx" if backend == "auto" else backend, device, options)
    if backend == device == "auto" and has_nvidia_gpu():
        log.warning(
            "faceaffect: running on the CPU with ONNX Runtime, since model %r has several stages",
            name,
        )

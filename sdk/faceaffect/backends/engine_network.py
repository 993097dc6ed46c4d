"""A TensorRT engine with the execution contexts of one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faceaffect.backends.backend import BackendError, check_outputs
from faceaffect.backends.build_engine import OUT_OF_MEMORY_HINT
from faceaffect.backends.tensorrt_compat import last_errors, new_context
from faceaffect.bundle.bundle import MODEL_FILE
from faceaffect.bundle.model_spec import BundleError

if TYPE_CHECKING:
    import tensorrt as trt  # type: ignore[import-not-found,import-untyped,unused-ignore]


class EngineNetwork:
    """An engine with one thread's execution contexts.

    Each batch size has its own context, so that captured CUDA graphs stay valid. They share their
    memory, since only one runs at a time.
    """

    def __init__(
        self,
        cuda: Any,
        module: Any,
        engine: trt.ICudaEngine,
        logger: Any,
        sizes: tuple[int, ...],
    ) -> None:
        """Query the engine, and allocate its memory on the current GPU.

        Args:
            cuda: The native module `faceaffect.kernels._native`.
            module: The TensorRT module.
            engine: The engine.
            logger: Its logger, made by `make_error_logger`.
            sizes: Batch sizes of the engine, ascending.
        """
        self._cuda = cuda
        self._module = module
        self._engine = engine
        self._logger = logger
        self._profile_of = {size: i for i, size in enumerate(sizes)}
        self._memory = cuda.DeviceBuffer(max(1, int(engine.device_memory_size_v2)))
        self._contexts: dict[int, trt.IExecutionContext] = {}
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        check_outputs(set(names), MODEL_FILE)
        self._crop_shape = tuple(engine.get_tensor_shape("crops"))[1:]
        # Some output shapes are known only once the input shape is.
        context = self._context(sizes[0])
        self.output_shapes = {
            name: tuple(context.get_tensor_shape(name))[1:] for name in names if name != "crops"
        }
        typestrs = {module.DataType.FLOAT: "<f4", module.DataType.HALF: "<f2"}
        self.crop_typestr = typestrs.get(engine.get_tensor_dtype("crops"), "")
        unsupported = [
            name
            for name in self.output_shapes
            if engine.get_tensor_dtype(name) != module.DataType.FLOAT
        ]
        if unsupported or not self.crop_typestr:
            raise BundleError(
                f"{MODEL_FILE}: expected float32 outputs and float32 or float16 crops, "
                f"got another type for {unsupported or 'crops'}"
            )

    def _context(self, faces: int) -> trt.IExecutionContext:
        if faces not in self._contexts:
            self._contexts[faces] = self._create_context(faces)
        return self._contexts[faces]

    def _create_context(self, faces: int) -> trt.IExecutionContext:
        context: trt.IExecutionContext | None = new_context(self._module, self._engine)
        if context is None:
            errors = last_errors(self._logger, "the GPU is out of memory")
            raise BackendError(
                f"TensorRT cannot create an execution context: {errors}; {OUT_OF_MEMORY_HINT}"
            )
        context.set_device_memory(self._memory.address, self._memory.nbytes)
        if self._engine.num_optimization_profiles > 1:
            stream = self._cuda.Stream()
            context.set_optimization_profile_async(self._profile_of[faces], int(stream.handle))
            stream.synchronize()
        if not context.set_input_shape("crops", (faces, *self._crop_shape)):
            raise BackendError(
                f"the engine does not take {faces} faces; "
                f"build one with `faceaffect build-engine --max-faces {faces}`"
            )
        return context

    def bind(self, faces: int, addresses: dict[str, int]) -> None:
        """Create the context of a batch size and set its tensor addresses."""
        context = self._context(faces)
        for name, address in addresses.items():
            if not context.set_tensor_address(name, address):
                raise BackendError(
                    f"failed to bind tensor {name!r} (set_tensor_address returned False)"
                )

    def enqueue(self, faces: int, stream: int) -> None:
        """Queue a run of a batch size that was bound."""
        if not self._contexts[faces].execute_async_v3(stream):
            errors = last_errors(self._logger, "the GPU may be lost or out of memory")
            raise BackendError(f"TensorRT could not run the engine: {errors}; restart the process")

"""Inference backends: they map face crops, or a frame and crop transforms, to head outputs."""

from faceaffect.backends.backend import (
    DEFAULT_MAX_FACES,
    Backend,
    BackendError,
    BackendOptions,
    FrameBackend,
    HeadOutputs,
    TensorRTOptions,
)
from faceaffect.backends.registry import available_backends, has_nvidia_gpu, open_backend

__all__ = [
    "DEFAULT_MAX_FACES",
    "Backend",
    "BackendError",
    "BackendOptions",
    "FrameBackend",
    "HeadOutputs",
    "TensorRTOptions",
    "available_backends",
    "has_nvidia_gpu",
    "open_backend",
]

"""Batch analysis: one output file per input, across processes or machines, resumable."""

from faceaffect.batch.file_task import BatchError, FileResult, Input, TaskSettings
from faceaffect.batch.find_inputs import find_inputs
from faceaffect.batch.output_store import OutputStore, open_store

__all__ = [
    "BatchError",
    "FileResult",
    "Input",
    "OutputStore",
    "TaskSettings",
    "find_inputs",
    "open_store",
]

"""Many videos, one part each: found, shared out to processes or machines, continued after a stop."""

from faceaffect.batch.file_task import ArchiveError, FileOutcome, Input, TaskSettings
from faceaffect.batch.find_inputs import find_inputs
from faceaffect.batch.output_store import PartStore, open_store

__all__ = ["ArchiveError", "FileOutcome", "Input", "PartStore", "TaskSettings", "find_inputs", "open_store"]

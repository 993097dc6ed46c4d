"""Sources of frames: video files, images, cameras and streams, all opened by `open_source`."""

from faceaffect.sources.open_source import expand_sources, open_source
from faceaffect.sources.source import Source, SourceError, SourceOptions

__all__ = ["Source", "SourceError", "SourceOptions", "expand_sources", "open_source"]

"""Several cameras in one process: their faces share one run of the network."""

from faceaffect.multicamera.multi_pipeline import MultiPipeline, open_multi_pipeline

__all__ = ["MultiPipeline", "open_multi_pipeline"]

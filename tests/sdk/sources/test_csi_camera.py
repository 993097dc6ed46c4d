"""CSI cameras: the GStreamer pipeline and errors in the address."""

from __future__ import annotations

import pytest

from faceaffect.sources import SourceError
from faceaffect.sources.csi_camera import csi_pipeline, require_gstreamer


def test_csi_pipeline_with_options_delivers_nv12() -> None:
    assert csi_pipeline("csi://1?width=640&height=480&fps=60&flip=2") == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM), width=640, "
        "height=480, framerate=60/1, format=NV12 ! nvvidconv flip-method=2 ! "
        "video/x-raw, format=NV12 ! appsink drop=true max-buffers=1 sync=false"
    )


@pytest.mark.parametrize(
    "uri",
    ["csi://left", "csi://0?flip=8", "csi://0?speed=9", "csi://0?width=wide", "csi://0?fps=0"],
)
def test_csi_pipeline_with_malformed_address_raises_source_error(uri: str) -> None:
    with pytest.raises(SourceError, match="csi://"):
        csi_pipeline(uri)


def test_require_gstreamer_without_gstreamer_raises_source_error() -> None:
    require_gstreamer("csi://0", "  Video I/O:\n    GStreamer:                   YES (1.20.3)\n")
    with pytest.raises(SourceError, match="OpenCV built with GStreamer"):
        require_gstreamer("csi://0", "    GStreamer:                   NO\n")

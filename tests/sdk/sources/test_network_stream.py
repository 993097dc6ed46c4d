"""Network cameras: passwords and errors in the address."""

from __future__ import annotations

import pytest

from faceaffect.sources import SourceError, open_source
from faceaffect.sources.redact_password import redact_password


def test_redact_password_hides_password() -> None:
    assert redact_password("rtsp://ann:secret@host:554/live") == "rtsp://ann:***@host:554/live"


def test_open_source_with_stream_without_host_raises_source_error() -> None:
    with pytest.raises(SourceError, match="got no host"):
        open_source("rtsp:///live")

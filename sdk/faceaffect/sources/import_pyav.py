"""Imports PyAV with its log switched off: the errors of this package say what a user needs."""

from __future__ import annotations

from types import ModuleType


def import_pyav() -> ModuleType:
    """Import PyAV.

    Raises:
        ImportError: it cannot be imported.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f"video and audio are decoded by PyAV, which cannot be imported ({error}); "
            "reinstall it: pip install --force-reinstall av"
        ) from None
    # PyAV's log callback takes the GIL: a decoder thread that logs would wait for the thread that
    # frees the decoder and waits for it. FFmpeg's own callback is silent at this level.
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.PANIC)
    module: ModuleType = av
    return module

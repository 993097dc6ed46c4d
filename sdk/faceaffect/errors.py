"""Base class of all exceptions that the SDK raises on purpose."""

from __future__ import annotations


class FaceAffectError(Exception):
    """Base class of the SDK's exceptions, each of which also derives from a built-in one.

    Examples:
        >>> import faceaffect as fa
        >>> try:
        ...     fa.analyze("missing.mp4")
        ... except fa.FaceAffectError as error:
        ...     print(type(error).__name__)
        SourceError
    """

"""Result of one `doctor` check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A named finding.

    Attributes:
        name: Name of the component.
        detail: Version or state of the component, or advice if it is missing.
        is_ok: True if the component works.
        is_required: True if the default path (onnx backend, default model) needs it.
    """

    name: str
    detail: str
    is_ok: bool = True
    is_required: bool = False

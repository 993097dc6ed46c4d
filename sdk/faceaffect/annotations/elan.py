"""ELAN annotation documents (.eaf, format 3.0)."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from faceaffect.annotations.tracks import LabelTrack

_SCHEMA: Final = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE: Final = "default-lt"


def elan_document(source: str, tracks: Sequence[LabelTrack]) -> str:
    """Return an ELAN document with a tier per track.

    Args:
        source: The video, which ELAN opens beside the document.
        tracks: Its labels; times are rounded to milliseconds, as ELAN stores them.
    """
    root = _document_root(source)
    order = ElementTree.SubElement(root, "TIME_ORDER")
    tiers = [_Tier(track) for track in tracks]
    # Every annotation has slots of its own, in order of time: moving one end moves no other.
    ends = [
        (ms, t, k, e)
        for t, tier in enumerate(tiers)
        for k, span in enumerate(tier.spans_ms)
        for e, ms in enumerate(span[:2])
    ]
    slots = {}
    for number, (ms, *end) in enumerate(sorted(ends), 1):
        slots[tuple(end)] = f"ts{number}"
        attributes = {"TIME_SLOT_ID": f"ts{number}", "TIME_VALUE": str(ms)}
        ElementTree.SubElement(order, "TIME_SLOT", attributes)
    last = 0
    for t, tier in enumerate(tiers):
        own = [(slots[t, k, 0], slots[t, k, 1]) for k in range(len(tier.spans_ms))]
        last = tier.append_to(root, own, last)
    ElementTree.SubElement(
        root,
        "LINGUISTIC_TYPE",
        {
            "GRAPHIC_REFERENCES": "false",
            "LINGUISTIC_TYPE_ID": _TYPE,
            "TIME_ALIGNABLE": "true",
        },
    )
    ElementTree.indent(root, "    ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _document_root(source: str) -> ElementTree.Element:
    """Return the document with its header."""
    ElementTree.register_namespace("xsi", _XSI)
    date = datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "faceaffect",
            "DATE": date,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ElementTree.SubElement(
        root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    )
    path = Path(source)
    ElementTree.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {
            "MEDIA_URL": path.absolute().as_uri(),
            "MIME_TYPE": mimetypes.guess_type(path.name)[0] or "video/mp4",
            "RELATIVE_MEDIA_URL": f"./{path.name}",
        },
    )
    return root


class _Tier:
    def __init__(self, track: LabelTrack) -> None:
        self._track = track
        self.spans_ms = []
        for one in track.intervals:
            start_ms, end_ms = round(1000 * one.start_s), round(1000 * one.end_s)
            if end_ms > start_ms:
                self.spans_ms.append((start_ms, end_ms, one.label))

    def append_to(
        self, root: ElementTree.Element, slots: Sequence[tuple[str, str]], last: int
    ) -> int:
        """Append the tier, with numbers after `last`; return the number of its last annotation."""
        tier = ElementTree.SubElement(
            root,
            "TIER",
            {
                "LINGUISTIC_TYPE_REF": _TYPE,
                "PARTICIPANT": self._track.face,
                "TIER_ID": self._track.title,
            },
        )
        for (_, _, label), (begin, end) in zip(self.spans_ms, slots, strict=True):
            last += 1
            annotation = ElementTree.SubElement(
                ElementTree.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                {
                    "ANNOTATION_ID": f"a{last}",
                    "TIME_SLOT_REF1": begin,
                    "TIME_SLOT_REF2": end,
                },
            )
            ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = label
        return last

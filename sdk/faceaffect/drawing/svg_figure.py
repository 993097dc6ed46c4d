"""matplotlib's drawings as SVG text that may stand in a page beside others.

An extra, so it is only imported when something is drawn.
"""

from __future__ import annotations

import importlib
import io
import re
import zlib
from typing import Any, Final

STYLE: Final[dict[str, Any]] = {
    "svg.hashsalt": "faceaffect",  # the same figures give the same page
    "svg.fonttype": "none",  # text stays text: smaller, and it can be searched
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
}


def matplotlib_part(part: str = "") -> Any:
    """The library or a module of it; raises ImportError."""
    return importlib.import_module(f"matplotlib.{part}" if part else "matplotlib")


def svg_text(figure: Any) -> str:
    """The drawing alone: a page needs neither prologue nor name spaces nor metadata, all of which
    name web addresses.
    """
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    # Ids must differ between the drawings of one page.
    mark = f"g{zlib.crc32(text.encode())}_"
    text = re.sub(r'\bid="', f'id="{mark}', text)
    text = re.sub(r'xlink:href="#', f'href="#{mark}', text)
    text = re.sub(r'xlink:href="data:', 'href="data:', text)  # drawings that hold images
    return re.sub(r"url\(#", f"url(#{mark}", text).strip()

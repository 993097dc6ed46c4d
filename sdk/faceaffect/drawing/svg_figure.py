"""Converts matplotlib figures to SVG that can be embedded in an HTML page.

matplotlib is an extra and is imported only where something is drawn.
"""

from __future__ import annotations

import importlib
import io
import re
import zlib
from typing import Any, Final

STYLE: Final[dict[str, Any]] = {
    "svg.hashsalt": "faceaffect",  # equal figures give equal pages
    "svg.fonttype": "none",  # text stays text: smaller, and it can be searched
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
}
"""Settings for `matplotlib.rc_context`."""


def import_matplotlib(module: str = "") -> Any:
    """Import matplotlib or one of its modules.

    Raises:
        ImportError: it is not installed.
    """
    return importlib.import_module(f"matplotlib.{module}" if module else "matplotlib")


def figure_to_svg(figure: Any) -> str:
    """Return the `<svg>` element of a figure.

    Prologue, name spaces and metadata are removed: a page needs none, and they contain web
    addresses.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    # Ids must be unique among the figures of a page.
    prefix = f"g{zlib.crc32(text.encode())}_"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'xlink:href="#', f'href="#{prefix}', text)
    text = re.sub(r'xlink:href="data:', 'href="data:', text)  # embedded images
    return re.sub(r"url\(#", f"url(#{prefix}", text).strip()

"""matplotlib figures as SVG text that several can share one page with."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "faceaffect",  # equal data makes an equal page
    "svg.fonttype": "none",  # text remains text: smaller, and it can be searched
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
}


@contextmanager
def styled_figure(
    width_in: float, height_in: float, layout: Any = "constrained", **style: Any
) -> Iterator[Any]:
    """Make a figure in the style of the pages without changing the caller's matplotlib settings.

    Args:
        width_in: Width in inches.
        height_in: Height in inches.
        layout: Layout engine of matplotlib; None for fixed margins.
        style: rcParams that differ from the common ones, with `_` for `.` (`font_size=8`).
    """
    # Imported here: matplotlib comes with an extra.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    overrides = {name.replace("_", "."): value for name, value in style.items()}
    with rc_context(_STYLE | overrides):
        yield Figure(figsize=(width_in, height_in), layout=layout)


def svg_text(figure: Any) -> str:
    """Return the `<svg>` element of a figure, for inline use in HTML.

    Prologue, namespaces and metadata are removed: HTML needs none of them, and all name web
    addresses.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    # Ids must differ between the figures of one page.
    prefix = f"g{zlib.crc32(text.encode())}_"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'xlink:href="#', f'href="#{prefix}', text)
    text = re.sub(r'xlink:href="data:', 'href="data:', text)  # figures with embedded images
    return re.sub(r"url\(#", f"url(#{prefix}", text).strip()

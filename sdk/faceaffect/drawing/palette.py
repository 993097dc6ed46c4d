"""Colors shared by the overlay, the report, the notebook view and the live page.

`pages/theme.css` has the colors of surfaces and text for light and dark pages.
"""

from __future__ import annotations

from typing import Final

# One color each in the order of EXPRESSION_NAMES; all are readable on dark and on light ground.
EXPRESSION_COLORS: Final = (
    "#7d8899",
    "#e5534b",
    "#6fa35a",
    "#a37acc",
    "#ffb454",
    "#59a6e0",
    "#f29fd0",
)
ACTIVE_COLOR: Final = "#ffb454"  # active action units, face brackets
VALENCE_COLOR: Final = "#59c2ff"
AROUSAL_COLOR: Final = "#d2a6ff"
TRACK_COLORS: Final = (
    "#ffb454",
    "#59c2ff",
    "#7fd962",
    "#d2a6ff",
    "#f07178",
    "#5ccfe6",
)  # brackets and names of several faces, by their number

"""Mapping of the labels of each dataset to those of `faceaffect.labels` (Aff-Wild2, ABAW2).

All label orders, codes of absent labels and thresholds are here. A map is a tuple: entry k is the
class index of the dataset's class k, or NO_CLASS for a class outside the seven. The orders of
AffectNet and ExpW are those on which several public readers agree; the others follow the
documentation of the datasets.
"""

from __future__ import annotations

from typing import Final

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

NO_CLASS: Final = -1


def _classes(*names: str) -> tuple[int, ...]:
    """Class index of each name; NO_CLASS for a name outside the seven."""
    return tuple(
        EXPRESSION_NAMES.index(name) if name in EXPRESSION_NAMES else NO_CLASS for name in names
    )


ABAW1_AU_NAMES: Final = ("AU1", "AU2", "AU4", "AU6", "AU12", "AU15", "AU20", "AU25")
"""Columns of ABAW1 (2020). AU20 is ignored; five of the twelve AUs are not annotated."""

ABAW2_EXPRESSIONS: Final = tuple(name.capitalize() for name in EXPRESSION_NAMES)
ABAW3_EXPRESSIONS: Final = (*ABAW2_EXPRESSIONS, "Other")
OTHER: Final = len(ABAW2_EXPRESSIONS)  # class 7 of ABAW3 and later
"""Class names since ABAW3; class 7, "Other", is a valid label, but not one of the seven."""

AFFECTNET: Final = _classes(
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    "none",
    "uncertain",
    "no face",
)
EXPW: Final = _classes("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
DFEW: Final = _classes(
    "not one class", "happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"
)
"""DFEW counts from 1; 0 marks clips without annotator agreement."""

AFEW_VA_RANGE: Final = 10.0
"""AFEW-VA's valence and arousal are integers in [-10, 10]; they are divided by this."""

DISFA_AUS: Final = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
INTENSITY_MAX: Final = 5
"""FACS intensities A to E as 1 to 5; 0 is absent."""
DISFA_PRESENT_FROM: Final = 2
"""Intensity from which an AU of DISFA counts as present; 2 (B) is usual, since A is a trace."""

# Codes of absent labels: the official one first; the others occur in merged copies (9 in the lists
# of JAA-Net and BP4D, 999 in some AU datasets, -2 for "no label of this task", 7 for an ignored
# expression of seven classes).
AU_ABSENT: Final = frozenset({AU_UNLABELED, 9, 999})
EXPRESSION_ABSENT: Final = frozenset({EXPRESSION_UNLABELED, -2, 999})
EXPRESSION_IGNORED: Final = 7
VA_ABSENT: Final = frozenset({float(VA_UNLABELED), -2.0, 999.0})


def au_column(number: int) -> int | None:
    """Column of an AU number, or None if it is not among the twelve."""
    name = f"AU{number}"
    return AU_NAMES.index(name) if name in AU_NAMES else None

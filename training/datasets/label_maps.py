"""How every data set's labels become ours: the one place for label orders, codes of absent labels,
thresholds.

Ours are those of Aff-Wild2 as used in ABAW2: `faceaffect.labels`. A map is a tuple: entry k is
our class of the set's class k, or NO_CLASS where the set has a class that is none of our seven.
The orders of AffectNet and ExpW are those that several public readers of these sets agree on;
the others follow the sets' own documentation.
"""

from __future__ import annotations

from typing import Final

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

NO_CLASS: Final = -1


def _classes(*names: str) -> tuple[int, ...]:
    """Our class of each name; names that are none of ours give NO_CLASS."""
    return tuple(
        EXPRESSION_NAMES.index(name) if name in EXPRESSION_NAMES else NO_CLASS for name in names
    )


ABAW1_AU_NAMES: Final = ("AU1", "AU2", "AU4", "AU6", "AU12", "AU15", "AU20", "AU25")
"""Columns of ABAW1 (2020). AU20 is none of our twelve and is left out; the other five of ours are
not annotated.
"""

ABAW2_EXPRESSIONS: Final = tuple(name.capitalize() for name in EXPRESSION_NAMES)
ABAW3_EXPRESSIONS: Final = (*ABAW2_EXPRESSIONS, "Other")
"""From ABAW3 on, class 7 is "Other": a true label, but none of our seven."""

AFFECTNET: Final = _classes(
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt", "none", "uncertain", "no face"
)  # fmt: skip
EXPW: Final = _classes("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
DFEW: Final = _classes(
    "not one class", "happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"
)
"""DFEW counts from 1; 0 marks clips that the voters did not agree on."""

AFEW_VA_RANGE: Final = 10.0
"""AFEW-VA's valence and arousal are whole numbers in [-10, 10]; ours are these divided by ten."""

DISFA_AUS: Final = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
BP4D_INTENSITY_AUS: Final = (6, 10, 12, 14, 17)
INTENSITY_MAX: Final = 5
"""FACS intensities A to E as 1 to 5; 0 is absent."""
DISFA_PRESENT_FROM: Final = 2
"""The intensity from which an AU of DISFA counts as present: 2 (B) is usual in the literature,
since A is a mere trace.
"""

# Codes of absent labels. The official marker comes first; the rest are met in merged copies (9 in
# JAA-Net's and BP4D's
# lists, 999 in some AU sets, -2 for "no label of this task", 7 for an ignored expression where
# there are seven classes).
AU_ABSENT: Final = frozenset({AU_UNLABELED, 9, 999})
EXPRESSION_ABSENT: Final = frozenset({EXPRESSION_UNLABELED, -2, 999})
EXPRESSION_IGNORED: Final = 7
VA_ABSENT: Final = frozenset({float(VA_UNLABELED), -2.0, 999.0})


def au_column(number: int) -> int | None:
    """Our column of an action unit's number, or None where it is none of our twelve."""
    name = f"AU{number}"
    return AU_NAMES.index(name) if name in AU_NAMES else None

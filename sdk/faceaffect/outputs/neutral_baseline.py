"""The per-person baseline of M7: a face whose rest looks like an action unit is measured against
its own rest.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from faceaffect.types import FloatArray

PERCENTILE: Final = 20.0
SAMPLE_STEP_S: Final = 0.2
MEMORY: Final = 300  # samples: one minute of a face
WARM_UP_S: Final = 5.0
LARGEST_SHIFT: Final = 4.0  # logits


class NeutralBaseline:
    """How far a face's logits at rest stand above those of people at rest, learned while it is
    watched.

    A low percentile of each AU's logit over the last minute stands for the face at rest (the
    running percentiles of M7, METHODS section 13.8, as a correction for any model). What it
    exceeds `neutral_logit` by is taken off again; a face that rests below is left alone. The
    correction grows from nothing to whole over the first five seconds. Somebody who never stops
    smiling comes to be seen as resting: that is why this is a switch and not the rule.
    """

    def __init__(self, neutral_logit: FloatArray) -> None:
        self._neutral = neutral_logit
        self._samples: deque[FloatArray] = deque(maxlen=MEMORY)
        self._first_s: float | None = None
        self._sampled_s = -np.inf
        self._excess = np.zeros_like(neutral_logit)

    def step(self, au_logit: FloatArray, time_s: float) -> FloatArray:
        """Corrected logits [12] of the frame at `time_s`."""
        if self._first_s is None:
            self._first_s = time_s
        if time_s - self._sampled_s >= SAMPLE_STEP_S - 1e-6:
            self._samples.append(au_logit.copy())
            self._sampled_s = time_s
            rest = np.percentile(np.array(self._samples), PERCENTILE, axis=0)
            self._excess = np.clip(rest - self._neutral, 0, LARGEST_SHIFT).astype(np.float32)
        share = np.float32(min(1.0, max(0.0, time_s - self._first_s) / WARM_UP_S))
        return np.asarray(au_logit - share * self._excess, np.float32)

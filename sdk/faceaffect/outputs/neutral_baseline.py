"""Per-person AU baseline, for faces whose neutral expression looks like an action unit."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from faceaffect.types import FloatArray

PERCENTILE: Final = 20.0
SAMPLE_STEP_S: Final = 0.2
MAX_SAMPLES: Final = 300  # one minute of a face
WARM_UP_S: Final = 5.0
MAX_CORRECTION: Final = 4.0  # logits


class NeutralBaseline:
    """Learns how far the AU logits of one neutral face exceed those of other neutral faces.

    A low percentile of each AU's logit over the last minute estimates the neutral face (the running
    percentiles of M7, as a correction for any model). Its excess over `neutral_logit` is
    subtracted; a face whose neutral logits are lower is left alone. The correction fades in over
    the first five seconds. The neutral face of somebody who never stops smiling becomes a smile,
    which is why this is an option and not the default.
    """

    def __init__(self, neutral_logit: FloatArray) -> None:
        self._neutral = neutral_logit
        self._samples: deque[FloatArray] = deque(maxlen=MAX_SAMPLES)
        self._first_s: float | None = None
        self._sampled_s = -np.inf
        self._excess = np.zeros_like(neutral_logit)

    def update(self, au_logit: FloatArray, time_s: float) -> FloatArray:
        """Corrected logits [12] of the frame at `time_s`."""
        if self._first_s is None:
            self._first_s = time_s
        if time_s - self._sampled_s >= SAMPLE_STEP_S - 1e-6:
            self._samples.append(au_logit.copy())
            self._sampled_s = time_s
            neutral = np.percentile(np.array(self._samples), PERCENTILE, axis=0)
            self._excess = np.clip(neutral - self._neutral, 0, MAX_CORRECTION).astype(np.float32)
        weight = np.float32(min(1.0, max(0.0, time_s - self._first_s) / WARM_UP_S))
        return np.asarray(au_logit - weight * self._excess, np.float32)

"""Initial attention maps of AUs, each around two landmarks (JAA-Net, Shao et al. 2021)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES, LANDMARK_COUNT

POINTS: Final = tuple(i for i in range(17, LANDMARK_COUNT) if i not in (60, 64))
"""The 49 points among the usual 68: no jaw line, no inner corners of the mouth."""

INNER_EYE_CORNERS: Final = (22, 25)  # of the 49; their distance is the unit of length
OUTER_AND_INNER_EYES: Final = ((19, 22), (25, 28))  # corners of the right and the left eye

# Two points of the 49 and a shift downwards in inner eye distances.
CENTERS: Final[dict[str, tuple[int, int, float]]] = {
    "AU1": (4, 5, -1 / 2),
    "AU2": (1, 8, -1 / 3),
    "AU4": (2, 7, 1 / 3),
    "AU6": (24, 29, 1.0),
    "AU7": (21, 26, 0.0),
    "AU10": (43, 45, 0.0),
    "AU12": (31, 37, 0.0),
    "AU15": (31, 37, 0.0),
    "AU23": (34, 40, 0.0),
    "AU24": (34, 40, 0.0),
    "AU25": (34, 40, 0.0),
    "AU26": (39, 41, 1 / 2),
}
_REACH: Final = 0.14  # half side of the square around a center, in sides of the grid
_FALL: Final = 0.56  # decrease over that half side


class AuAttention(nn.Module):
    """Landmarks [N, 49, 2] in crop pixels -> maps [N, 12, grid, grid], without gradient to the
    landmarks.

    A map is 1 at a center, decreases with the city-block distance inside a square around it and is
    0 outside; where two squares overlap, the larger value counts.
    """

    first: Tensor
    second: Tensor
    shift: Tensor
    cells: Tensor

    def __init__(self, size_px: int, grid: int) -> None:
        super().__init__()
        self.size_px, self.grid = size_px, grid
        self.reach = round((grid - 1) / 2 * _REACH)
        self.slope = _FALL / (grid * _REACH)
        rows = [CENTERS[name] for name in AU_NAMES]
        self.register_buffer("first", torch.tensor([row[0] for row in rows]), persistent=False)
        self.register_buffer("second", torch.tensor([row[1] for row in rows]), persistent=False)
        self.register_buffer("shift", torch.tensor([row[2] for row in rows]), persistent=False)
        self.register_buffer("cells", torch.arange(grid, dtype=torch.float32), persistent=False)

    def centers(self, landmarks: Tensor) -> Tensor:
        """Cells [N, 2, 12, 2] as (column, row), rounded to integers."""
        landmarks = landmarks.detach()
        left, right = INNER_EYE_CORNERS
        between = landmarks[:, left] - landmarks[:, right]
        eye_distance = (between * between).sum(dim=1).sqrt()
        down = (
            torch.stack([torch.zeros_like(self.shift), self.shift], dim=1)
            * eye_distance[:, None, None]
        )
        points = torch.stack(
            [landmarks[:, self.first] + down, landmarks[:, self.second] + down], dim=1
        )
        return (points * (self.grid / self.size_px)).round()

    def forward(self, landmarks: Tensor) -> Tensor:
        centers = self.centers(landmarks)
        across = (self.cells - centers[..., :1]).abs()[..., None, :]  # [N, 2, 12, 1, grid]
        down = (self.cells - centers[..., 1:]).abs()[..., :, None]  # [N, 2, 12, grid, 1]
        inside = (across <= self.reach).to(across.dtype) * (down <= self.reach).to(down.dtype)
        return (torch.relu(1 - (down + across) * self.slope) * inside).amax(dim=1)

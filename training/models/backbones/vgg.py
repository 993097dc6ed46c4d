"""VGG16 (Simonyan & Zisserman 2015) and narrower ones; with torchvision's parameter names."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

_CONVOLUTIONS: Final = (2, 2, 3, 3, 3)  # a max pooling after each group


class Vgg16(nn.Module):
    """[N, 3, 32 cells, 32 cells] -> [N, outputs].

    `base` channels grow to 8 `base`. The published input is 224 px, whose last map has 7 x 7
    cells; `cells` is the side of the last map for another crop size (the public network averages to
    7 x 7, which a fixed graph cannot do from fewer).
    """

    def __init__(
        self, outputs: int = 1000, base: int = 64, hidden: int = 4096, cells: int = 7
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for group, depth in enumerate(_CONVOLUTIONS):
            for _ in range(depth):
                width = base << min(group, 3)
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(channels * cells**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, outputs),
        )
        self.width = outputs
        for part in self.features:
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    def forward(self, crops: Tensor) -> Tensor:
        output: Tensor = self.classifier(self.features(crops).flatten(1))
        return output

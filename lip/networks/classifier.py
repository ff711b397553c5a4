"""The hourglass as a classifier."""

from __future__ import annotations

from torch import Tensor, nn

from lip.networks.encoder_decoder import Down, HourglassNet, block, centre

PRIOR_CHANNELS = 3
"""Channels of the images that the prior is for, in colour."""


class Classifier(HourglassNet):
    """An hourglass for colour images whose first two convolutions see pictures instead of the code.

    A linear layer over all positions replaces the output convolution, or is `appended` to it. Everything else is drawn
    as for the prior.
    """

    def __init__(
        self, depth: int, width: int, scales: int, skip: int, shape: tuple[int, int, int], classes: int, appended: bool
    ) -> None:
        """Take the hourglass's sizes, and the pictures' (height, width, channels)."""
        super().__init__(depth, PRIOR_CHANNELS, width, scales, skip)
        rows, columns, channels = shape
        first = self.down[0]
        assert isinstance(first, Down)
        if skip:
            first.skip = block(channels, skip, 1)
        first.stride = block(channels, width, 3, stride=2)
        if not appended:
            self.out = nn.Identity()
        features = PRIOR_CHANNELS if appended else width
        self.head = nn.Linear(features * rows * columns, classes)
        self.appended = appended

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits for the cross-entropy."""
        return super().forward(x) if self.appended else self.logits(x)

    def logits(self, x: Tensor) -> Tensor:
        return self.head(centre(super().logits(x), x).flatten(1))

"""A training step as a CUDA graph: recorded once, then replayed without Python in between.

What a graph reads and writes stays where it was when it was recorded, so a step must keep its state in place: weights,
gradients and the mask, Adam's moments, what backtracking remembers. No GPU was at hand to time it; it is off unless
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM = 3
"""Steps that are run as they are first, on a stream of their own, as PyTorch asks before a recording."""


class Captured:
    """Takes the place of a step; call it as often. Its results are overwritten by the next call."""

    def __init__(self, step: Callable[[], tuple[Tensor, ...]], *generators: torch.Generator) -> None:
        self.step = step
        self.generators: Sequence[torch.Generator] = generators
        self.calls = 0
        self.side = torch.cuda.Stream()

    def __call__(self) -> tuple[Tensor, ...]:
        self.calls += 1
        if self.calls <= WARM:
            self.side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.side):
                results = self.step()
            torch.cuda.current_stream().wait_stream(self.side)
            return results
        if self.calls == WARM + 1:
            self.graph = torch.cuda.CUDAGraph()
            for generator in self.generators:
                self.graph.register_generator_state(generator)
            with torch.cuda.graph(self.graph):
                self.results = self.step()
        self.graph.replay()
        return self.results

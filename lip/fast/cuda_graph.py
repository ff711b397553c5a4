"""Replay a training step as a CUDA graph: record it once, then run it without Python.

A graph reads and writes the memory that it was recorded with, so a step must keep its state in place: weights,
gradients, mask, Adam's moments, what backtracking remembers. No GPU was at hand to time it; it is off unless asked
for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3
"""Steps run eagerly first, on a stream of their own, as PyTorch asks before a recording."""


class CudaGraph:
    """Replace a step; each call overwrites the results of the call before."""

    def __init__(self, step: Callable[[], tuple[Tensor, ...]], *generators: torch.Generator) -> None:
        self.step = step
        self.generators: Sequence[torch.Generator] = generators
        self.calls = 0
        self.side = torch.cuda.Stream()

    def __call__(self) -> tuple[Tensor, ...]:
        self.calls += 1
        if self.calls <= WARM_UP:
            self.side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.side):
                results = self.step()
            torch.cuda.current_stream().wait_stream(self.side)
            return results
        if self.calls == WARM_UP + 1:
            self.graph = torch.cuda.CUDAGraph()
            for generator in self.generators:
                self.graph.register_generator_state(generator)
            with torch.cuda.graph(self.graph):
                self.results = self.step()
        self.graph.replay()
        return self.results

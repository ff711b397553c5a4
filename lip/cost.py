"""What a network costs, counted from shapes alone: nothing is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Work:
    """What computing takes: multiplications, and values written to memory."""

    multiplications: float
    values: float

    def __add__(self, other: Work) -> Work:
        return Work(self.multiplications + other.multiplications, self.values + other.values)

    def __rmul__(self, times: float) -> Work:
        return Work(times * self.multiplications, times * self.values)


def forward(build: Callable[[], nn.Module], draw: Callable[[], Tensor]) -> Work:
    """Count the work of a forward pass; `build` makes the network and `draw` its input."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    class Written(TorchDispatchMode):
        values = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = func(*args, **(kwargs or {}))
            if not func.is_view:
                made = output if isinstance(output, tuple) else (output,)
                self.values += sum(tensor.numel() for tensor in made if isinstance(tensor, torch.Tensor))
            return output

    with torch.device("meta"), torch.no_grad():  # tensors there have shapes and no memory
        network, given = build(), draw()
        with FlopCounterMode(display=False) as counter, Written() as written:
            network(given)
    return Work(counter.get_total_flops() / 2, written.values)  # an operation is a multiplication and an addition

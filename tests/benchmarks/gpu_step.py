"""Count the kernels and the bytes of a training step, without a GPU.

    python tests/benchmarks/gpu_step.py [SIZE] [WIDTH]

A step of the dense hourglass (default: 512 px, width 128) runs on the meta device. There every operation counts as one
kernel that reads its inputs and writes its outputs; views are free. Adam is one fused kernel.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lip.data.library import InputLibrary
from lip.specs.request import parse_trajectory
from lip.training.backtracking import backtracking_of
from lip.training.record import Recorder
from lip.training.restore import Restoration

ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "detach", "lift_fresh"}


class Count(TorchDispatchMode):
    """Count kernels, and the bytes that they read and write, by the name of the operation."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        is_view = any(r.alias_info and not r.alias_info.is_write for r in func._schema.returns)
        if not is_view and name not in ALLOCATIONS:
            touched = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)]
            self.kernels[name] += 1
            self.bytes[name] += sum(x.numel() * x.element_size() for x in touched)
        return result


def count(size: int, width: int) -> Count:
    """Count a step that the curve does not sample."""
    library = InputLibrary()
    values = {"image": "astronaut", "size": size, "width": width, "steps": 10**6}
    model = Restoration(parse_trajectory(values, library, "benchmark").fits[0], library.inputs)
    model.net.to("meta")
    model.code, model.observation, model.clean = (x.to("meta") for x in (model.code, model.observation, model.clean))
    model.flatten()
    theta, mask = model.theta, torch.ones_like(model.theta)
    backtracking = backtracking_of(model.schedule, theta)
    assert backtracking
    moments = torch.zeros_like(theta), torch.zeros_like(theta)
    recorder, counted = Recorder(model.schedule, model.task, model.clean), Count()

    def step(n: int) -> None:
        jitter = torch.empty_like(model.code).normal_(0, model.schedule.jitter)
        output = model.net(jitter.add_(model.code))
        loss = model.loss(output)
        model.differentiate(loss)
        undone = backtracking.check(model.backtracking_error(output, loss).detach())
        counted.kernels["adam"] += 1
        counted.bytes["adam"] += sum(2 * x.numel() * x.element_size() for x in (theta, *moments)) + mask.numel() * 4
        theta.data.mul_(mask)
        recorder.record(n, loss.detach(), output.detach(), undone)

    step(1)
    counted.kernels.clear()
    counted.bytes.clear()
    with counted:
        step(2)
    return counted


def main(size: int = 512, width: int = 128) -> None:
    counted = count(size, width)
    table = Table("operation", "kernels", "GB", title=f"a step at {size} px, width {width}")
    for name, amount in counted.bytes.most_common():
        table.add_row(name, str(counted.kernels[name]), f"{amount / 1e9:.2f}")
    table.add_section()
    table.add_row("all", str(counted.kernels.total()), f"{counted.bytes.total() / 1e9:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

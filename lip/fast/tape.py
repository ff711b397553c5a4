"""Record a network's step as calls on arrays that never move.

On small maps half of a step is not arithmetic but Python around it: nodes of autograd, small tensors, allocation. It is
the same at every step. So the network runs once on a `Traced` tensor, which writes what is done to it onto a `Tape`:
stages (`stages.py`) as calls of kernels, any other function as a call of PyTorch, which brings its gradient. Two lists
of calls are left, forward and backward; `replay.py` makes them again at every step.

The calls are those that the network itself would make, in the same order, so a replay computes the same bits. Memory is
lent again as soon as a step no longer needs what is in it: a tape takes no more of it than PyTorch, and never asks the
system for more.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

Array = np.ndarray
Call = tuple[Callable[..., Any], tuple[Any, ...]]
Backward = Callable[[Array], Sequence[Array | None]]

ALIGNMENT = 64
"""Bytes of a cache line and of the widest vector."""


class Tape:
    """Make calls and list them; lend the arrays that they work on.

    `lent` and `free` map the addresses of pieces of memory to their lengths, `bytes` counts them all.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.memory: list[Array] = []
        self.lent: dict[int, int] = {}
        self.free: dict[int, int] = {}
        self.bytes = 0

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        function(*arguments)
        self.calls.append((function, arguments))

    def empty(self, shape: Sequence[int], dtype: Any) -> Array:
        """Lend an array: part of the smallest free piece that has room for it, or new memory."""
        size = prod(shape) * np.dtype(dtype).itemsize
        room = -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        fitting = [address for address, length in self.free.items() if length >= room]
        if fitting:
            address = min(fitting, key=lambda address: self.free[address])
            if rest := self.free.pop(address) - room:
                self.free[address + room] = rest
        else:
            self.memory.append(np.empty(room + ALIGNMENT, np.uint8))
            address = -(-self.memory[-1].ctypes.data // ALIGNMENT) * ALIGNMENT
            self.bytes += room
        self.lent[address] = room
        offsets = ((memory, address - memory.ctypes.data) for memory in self.memory)
        memory, offset = next((m, n) for m, n in offsets if 0 <= n <= len(m) - room)
        return memory[offset : offset + size].view(dtype).reshape(shape)

    def release(self, address: int) -> None:
        """Make a lent piece free, as one with free pieces on either side."""
        length = self.lent.pop(address)
        length += self.free.pop(address + length, 0)
        before = next((start for start, size in self.free.items() if start + size == address), address)
        self.free[before] = self.free.get(before, 0) + length


@dataclass(eq=False)
class Value:
    """Hold a tensor's array and, when it is known, that of its gradient."""

    array: Array
    needs_grad: bool
    grad: Array | None = None


@dataclass
class Node:
    """Hold one computation: its output, what it takes the gradients of, how, and the arrays that needs."""

    output: Value
    sources: Sequence[Any]
    backward: Backward
    saved: Sequence[Any]


class Traced(Tensor):
    """Record what is done to a tensor."""

    recording: Recording
    value: Value

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves, structure = tree_flatten((args, kwargs or {}))
        recording = next(leaf.recording for leaf in leaves if isinstance(leaf, Traced))
        return recording.function(func, leaves, structure)


class Recording:
    """Write a network's forward pass onto a tape, then its backward pass.

    `grads` are the arrays for the gradients of the parameters, `functions` maps functions of PyTorch to stages.
    """

    def __init__(self, tape: Tape, grads: Mapping[Any, Array], functions: Mapping[Any, Any]) -> None:
        self.tape, self.grads, self.functions = tape, grads, functions
        self.written: set[Tensor] = set()
        self.nodes: list[Node] = []
        self.holders: Counter[int] = Counter()

    def traced(self, array: Array, needs_grad: bool) -> Traced:
        """Return a tensor that is recorded; its memory is held for as long as the network refers to it."""
        tensor = torch.from_numpy(array).as_subclass(Traced)
        tensor.recording, tensor.value = self, Value(array, needs_grad)
        self._hold([array])
        weakref.finalize(tensor, self._drop, [array])
        return tensor

    def stage(self, stage: Any, inputs: Sequence[Any]) -> Traced:
        """Record kernels."""
        self._release_unheld()
        tape, parameters = self.tape, stage.tensors()
        values = [None if x is None else x.value for x in inputs]
        arrays = [None if value is None else value.array for value in values]
        own = [None if p is None else p.detach().numpy() for p in parameters]
        y, saved = stage.forward_np(tape, *arrays, *own)
        needs_x_grad = any(value.needs_grad for value in values if value)
        return self._node(
            y,
            [*values, *parameters],
            lambda grad: stage.backward_np(tape, grad, saved, needs_x_grad),
            tree_leaves(saved),
        )

    def function(self, function: Any, leaves: Sequence[Any], structure: Any) -> Any:
        """Record a function of PyTorch, its arguments in a tree of `structure`; a shape or a size is passed on.

        Raises NotImplementedError if it returns several tensors.
        """
        if function in self.functions:
            return self.stage(self.functions[function], [leaf for leaf in leaves if isinstance(leaf, Traced)])
        sources = [leaf.value if isinstance(leaf, Traced) else leaf for leaf in leaves]
        inputs = [_tensor(source) if isinstance(source, Value) else source for source in sources]
        args, kwargs = tree_unflatten(inputs, structure)
        result = function(*args, **kwargs)
        if not isinstance(result, Tensor):
            if any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
                raise NotImplementedError(f"{function} returns several tensors")
            return result
        wanted = [n for n, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
        tensors = [inputs[n] for n in wanted]
        y = self.tape.empty(result.shape, result.detach().numpy().dtype)
        graph: list[Tensor] = []

        def forward() -> None:
            with torch.enable_grad():
                graph[:] = [function(*args, **kwargs)]
            np.copyto(y, graph[0].detach().numpy())

        def differentiate(grad: Tensor, *found: Array) -> None:
            for array, tensor in zip(found, torch.autograd.grad(graph.pop(), tensors, grad), strict=True):
                np.copyto(array, tensor.numpy())

        def backward(grad: Array) -> list[Array]:
            found = [self.tape.empty(tensor.shape, grad.dtype) for tensor in tensors]
            self.tape.call(differentiate, torch.from_numpy(grad), *found)
            return found

        self.tape.call(forward)
        return self._node(y, [sources[n] for n in wanted], backward, [*inputs, y])

    def _node(self, y: Array, sources: Sequence[Any], backward: Backward, saved: Sequence[Any]) -> Traced:
        output = self.traced(y, any(not isinstance(source, Value) or source.needs_grad for source in sources))
        self.nodes.append(Node(output.value, sources, backward, saved))
        self._hold(saved)
        self._release_unheld()
        return output

    def backward(self, output: Value, grad: Array) -> None:
        """Record how gradients flow from that of an output to the parameters."""
        output.grad = grad
        while self.nodes:
            node = self.nodes.pop()
            if node.output.needs_grad and node.output.grad is not None:
                for source, found in zip(node.sources, node.backward(node.output.grad), strict=True):
                    if found is not None:
                        self._add(source, found)
                self._drop([node.output.grad])
            self._drop(node.saved)
            self._release_unheld()

    def _add(self, source: Any, found: Array) -> None:
        """Let a gradient be that of a value or a parameter, or add it."""
        if isinstance(source, Value):
            if source.grad is None:
                source.grad = found
                self._hold([found])
            else:
                self.tape.call(np.add, source.grad, found, source.grad)
        else:
            grad, found = self.grads[source], found.reshape(source.shape)
            self.tape.call(*((np.add, grad, found, grad) if source in self.written else (np.copyto, grad, found)))
            self.written.add(source)

    def _hold(self, arrays: Iterable[Any]) -> None:
        self.holders.update(self._addresses(arrays))

    def _drop(self, arrays: Iterable[Any]) -> None:
        self.holders.subtract(self._addresses(arrays))

    def _release_unheld(self) -> None:
        for address in [address for address in self.tape.lent if not self.holders[address]]:
            self.tape.release(address)

    def _addresses(self, arrays: Iterable[Any]) -> list[int]:
        """Return the addresses of the lent pieces that these arrays and tensors are in."""
        addresses = [x.data_ptr() if isinstance(x, Tensor) else x.ctypes.data for x in arrays if hasattr(x, "ndim")]
        lent = self.tape.lent.items()
        return [start for address in addresses for start, length in lent if start <= address < start + length]


def _tensor(value: Value) -> Tensor:
    return torch.from_numpy(value.array).requires_grad_(value.needs_grad)

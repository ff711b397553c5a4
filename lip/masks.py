"""Masks: the prunable weights of a prior that are kept, with exact counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np

Covers = Literal["weights", "all"]
"""What a mask covers: the weights of the convolutions, or all parameters with biases and batch norm."""

PRUNED_PER_ROUND = 0.2
"""Fraction of the remaining weights that one round of IMP removes (Alg. 1 of the paper)."""


def kept_after(total: int, rounds: int) -> int:
    """Count the weights kept of `total` after rounds that each remove 20 % of the rest, to nearest."""
    for _ in range(rounds):
        total -= round(PRUNED_PER_ROUND * total)
    return total


@dataclass(frozen=True)
class Layer:
    """One prunable weight tensor: `name` ("s0 stride") and `shape` (out, in, height, width)."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)


def first_convolutions(layers: Iterable[Layer]) -> np.ndarray:
    """Mark the weights (bool, flat) of the two convolutions of an hourglass that see the code z."""
    return np.concatenate([np.full(layer.size, layer.name in ("s0 skip", "s0 stride")) for layer in layers])


@dataclass(frozen=True, eq=False)
class Mask:
    """One bit per prunable weight, True if it is kept, layers flattened in module order.

    Raises ValueError unless there is one boolean per weight of the layers.
    """

    layers: tuple[Layer, ...]
    bits: np.ndarray

    def __post_init__(self) -> None:
        total = sum(layer.size for layer in self.layers)
        if self.bits.dtype != np.bool_ or self.bits.shape != (total,):
            raise ValueError(
                f"a mask of {total} weights needs {total} booleans, not {self.bits.dtype}{self.bits.shape}"
            )
        self.bits.setflags(write=False)

    @classmethod
    def dense(cls, layers: Iterable[Layer]) -> Mask:
        """Return the mask that keeps everything."""
        layers = tuple(layers)
        return cls(layers, np.ones(sum(layer.size for layer in layers), np.bool_))

    @classmethod
    def keep_largest(cls, layers: Sequence[Layer], scores: np.ndarray, n_kept: int) -> Mask:
        """Keep exactly the `n_kept` weights of largest score over all layers together.

        Of equal scores the earlier weight is kept. Raises ValueError when a score is NaN, which has no rank.
        """
        if np.isnan(scores).any():
            raise ValueError("the weights cannot be ranked: some scores are NaN")
        bits = np.zeros(scores.shape, np.bool_)
        if n_kept:
            least = np.partition(scores, scores.size - n_kept)[scores.size - n_kept]
            bits = scores > least
            ties = np.flatnonzero(scores == least)
            bits[ties[: n_kept - np.count_nonzero(bits)]] = True
        return cls(tuple(layers), bits)

    def unmasked_first(self) -> Mask:
        """Return this mask without pruning the two convolutions that see the code z, as the released code."""
        return Mask(self.layers, self.bits | first_convolutions(self.layers))

    def onto(self, layers: Sequence[Layer]) -> Mask:
        """Transfer this mask to another network; layers that are not shared are not pruned.

        Raises ValueError when no layer is shared.
        """
        if layers == self.layers:
            return self
        ends = np.cumsum([layer.size for layer in self.layers])[:-1]
        own = dict(zip(self.layers, np.split(self.bits, ends), strict=True))
        if own.keys().isdisjoint(layers):
            raise ValueError(f"a mask of {len(self.layers)} layers for another network does not fit this one")
        return Mask(tuple(layers), np.concatenate([own.get(x, np.ones(x.size, np.bool_)) for x in layers]))

    @cached_property
    def n_kept(self) -> int:
        """Count the kept weights."""
        return int(np.count_nonzero(self.bits))

    @property
    def sparsity(self) -> float:
        """Return the fraction of the prunable weights that is pruned, 0 to 1."""
        return 1 - self.n_kept / self.bits.size

    @cached_property
    def kept_per_layer(self) -> list[int]:
        """Count the kept weights of every layer."""
        ends = np.cumsum([layer.size for layer in self.layers])
        return [int(np.count_nonzero(part)) for part in np.split(self.bits, ends[:-1])]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self.layers == other.layers and np.array_equal(self.bits, other.bits)

    __hash__ = None  # type: ignore[assignment]  # equal masks are rare; nobody should key by a megabyte

    def to_bytes(self, metadata: Mapping[str, str] = {}) -> bytes:
        """Write the mask as a safetensors file: packed bits, layers as JSON, and metadata.

        The layers are a tensor, because several entries of metadata are written in random order, and equal masks must
        be equal files.
        """
        from safetensors.numpy import save

        layers = json.dumps([[layer.name, list(layer.shape)] for layer in self.layers]).encode()
        return save({"bits": np.packbits(self.bits), "layers": np.frombuffer(layers, np.uint8)}, dict(metadata))

    @classmethod
    def from_bytes(cls, data: bytes) -> Mask:
        """Read what `to_bytes` wrote. Raises ValueError when the data are not a mask."""
        from safetensors import SafetensorError, deserialize

        try:
            tensors = dict(deserialize(data))
            listed = json.loads(bytes(tensors["layers"]["data"]))
            layers = tuple(Layer(str(name), tuple(map(int, shape))) for name, shape in listed)
            packed = np.frombuffer(tensors["bits"]["data"], np.uint8)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a mask: {error}") from error
        total = sum(layer.size for layer in layers)
        if packed.size != -(-total // 8):
            raise ValueError(f"not a mask: {packed.size} bytes of bits for {total} weights")
        return cls(layers, np.unpackbits(packed, count=total).astype(np.bool_))

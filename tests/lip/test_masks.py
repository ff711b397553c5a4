"""Masks keep exactly as many weights as they say, and only whole ones are ever read."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

from lip.masks import Layer, Mask, kept_after

LAYERS = (Layer("a", (2, 3, 1, 1)), Layer("b", (1, 1, 3, 3)), Layer("c", (4, 1, 1, 1)))  # 6 + 9 + 4 = 19 weights
RANDOM = Mask(LAYERS, np.random.default_rng(0).random(19) < 0.5)


# Rounds 0 to 16 of the paper's schedule on the hourglass's 2,208,768 prunable weights, and three at extreme sparsity.
PUBLISHED = [2208768, 1767014, 1413611, 1130889, 904711, 723769, 579015, 463212, 370570, 296456, 237165, 189732]
PUBLISHED += [151786, 121429, 97143, 77714, 62171]
KEPT = [*enumerate(PUBLISHED), (20, 25466), (24, 10430), (25, 8344)]


@pytest.mark.parametrize(("rounds", "kept"), KEPT)
def test_every_round_keeps_the_published_number_of_weights(rounds: int, kept: int) -> None:
    assert kept_after(2208768, rounds) == kept


def test_dense_keeps_everything() -> None:
    dense = Mask.dense(LAYERS)
    assert (dense.n_kept, dense.sparsity, dense.kept_per_layer) == (19, 0.0, [6, 9, 4])


@pytest.mark.parametrize("kept", [0, 1, 7, 18, 19])
def test_the_largest_scores_are_kept_over_all_layers_together(kept: int) -> None:
    scores = np.random.default_rng(1).permutation(19).astype(float)
    mask = Mask.keep_largest(LAYERS, scores, kept)
    assert np.array_equal(mask.bits, scores >= 19 - kept)
    assert mask.n_kept == kept
    assert mask.sparsity == pytest.approx(1 - kept / 19, abs=1e-15)


@pytest.mark.parametrize("kept", range(20))
def test_ties_are_broken_in_order_and_the_count_stays_exact(kept: int) -> None:
    scores = np.array([0.0, 1.0] * 9 + [0.0])
    order = [*range(1, 19, 2), *range(0, 19, 2)]
    assert np.flatnonzero(Mask.keep_largest(LAYERS, scores, kept).bits).tolist() == sorted(order[:kept])


def test_scores_that_are_not_numbers_are_refused() -> None:
    scores = np.ones(19)
    scores[-1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        Mask.keep_largest(LAYERS, scores, 1)


def test_kept_weights_are_counted_layer_by_layer() -> None:
    bits = np.zeros(19, bool)
    bits[[5, 6, 7, 18]] = True
    assert Mask(LAYERS, bits).kept_per_layer == [1, 2, 1]


@pytest.mark.parametrize("bits", [np.ones(18, bool), np.ones(20, bool), np.ones(19), np.ones((19, 1), bool)])
def test_bits_that_do_not_fit_the_layers_are_refused(bits: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a mask of 19 weights needs 19 booleans"):
        Mask(LAYERS, bits)


def test_bits_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Mask.dense(LAYERS).bits[0] = False


def test_masks_are_equal_in_layers_and_bits_and_cannot_be_keys() -> None:
    renamed = (Layer("x", (2, 3, 1, 1)), *LAYERS[1:])
    assert Mask(LAYERS, RANDOM.bits.copy()) == RANDOM
    assert Mask(LAYERS, ~RANDOM.bits) != RANDOM
    assert Mask(renamed, RANDOM.bits) != RANDOM
    with pytest.raises(TypeError):
        hash(RANDOM)


@pytest.mark.parametrize("mask", [RANDOM, Mask.dense(LAYERS), Mask.dense(LAYERS[:1]), Mask(LAYERS, np.zeros(19, bool))])
def test_bytes_and_back_is_the_same_mask(mask: Mask) -> None:
    assert Mask.from_bytes(mask.to_bytes()) == mask


def test_bytes_hold_one_bit_per_weight() -> None:
    layers = [Layer("big", (100, 10, 8, 1))]
    assert 1000 < len(Mask.dense(layers).to_bytes()) < 1200


def test_every_truncation_is_refused() -> None:
    data = RANDOM.to_bytes()
    for length in range(len(data)):
        with pytest.raises(ValueError, match="not a mask"):
            Mask.from_bytes(data[:length])


def text(layers: str) -> np.ndarray:
    return np.frombuffer(layers.encode(), np.uint8)


ONE_BYTE = {"bits": np.zeros(1, np.uint8)}


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" * 30,
        bytes(64),
        RANDOM.to_bytes() + b"\0",
        save(ONE_BYTE),
        save({"weights": np.zeros(1, np.uint8)} | {"layers": text(json.dumps([["a", [8]]]))}),
        save(ONE_BYTE | {"layers": text("[")}),
        save(ONE_BYTE | {"layers": text(json.dumps([["a"]]))}),
        save(ONE_BYTE | {"layers": text(json.dumps([["a", 8]]))}),
        save(ONE_BYTE | {"layers": text(json.dumps([["a", [9]]]))}),
        save(ONE_BYTE | {"layers": text(json.dumps([]))}),
    ],
    ids=range(10),
)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a mask"):
        Mask.from_bytes(data)


def test_equal_masks_are_equal_files() -> None:
    """Two that publish one ticket must not seem to differ."""
    mask = Mask.dense([Layer("a", (2, 3, 1, 1)), Layer("b", (4, 4, 3, 3))])
    assert len({mask.to_bytes({"schema": "2"}) for _ in range(50)}) == 1

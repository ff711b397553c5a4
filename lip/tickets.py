"""Tickets to take away: masks as files, and as plain tensors for one's own PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lip.errors import InputError
from lip.masks import Mask
from lip.paths import expand

if TYPE_CHECKING:
    from torch import Tensor

    from lip.ledger.ledger import Ledger
    from lip.specs.fit import Fit


def load_ticket(path: str | PathLike[str]) -> Mask:
    """Read a ticket: a file of a ledger's `next_masks`, or what `Mask.to_bytes` wrote. Raises InputError."""
    file = Path(expand(Path(path)))
    try:
        return Mask.from_bytes(file.read_bytes())
    except OSError as error:
        raise InputError(f"ticket {file} cannot be read ({error.strerror}); correct the path") from error
    except ValueError as error:
        raise InputError(f"ticket {file} is {error}; give a file of a ledger's next_masks") from error


def mask_of(fit: Fit, ledger: Ledger, inputs: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Return the mask of a fit as boolean tensors by the names of the parameters that it covers.

    True where a weight is kept. Names and shapes are those of the state dict of `build_model(fit, inputs).net`, so that
    `torch.nn.utils.prune.custom_from_mask` takes them. `inputs` are arrays by content hash (`InputLibrary.inputs`).
    Raises LookupError when the fit that the mask is cut from is not in the ledger.
    """
    import torch

    from lip.training.run import build_mask, build_model

    model = build_model(fit, inputs)
    mask = build_mask(fit, model, ledger)
    names = {id(parameter): name for name, parameter in model.net.named_parameters()}
    parts = torch.from_numpy(mask.bits.copy()).split([layer.size for layer in mask.layers])
    covered = [parameter for _, parameter in model.net.covered(fit.covers)]
    return {names[id(p)]: part.view_as(p) for p, part in zip(covered, parts, strict=True)}

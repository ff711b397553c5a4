"""Write a ticket for others: as itself, as tensors for PyTorch, or as a folder for a model hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lip.ledger.filesystem import write_whole, writing
from lip.tickets import IN_FOLDER, SUFFIX, Ticket, describe

if TYPE_CHECKING:
    from torch import Tensor

LICENCE = "apache-2.0"
"""Of masks and weights, which are made with this package from an image that may have a licence of its own."""

Weights = Mapping[str, "Tensor"]
"""Trained weights by name; empty where the ledger does not keep them."""


def export(ticket: Ticket, weights: Weights, to: str, out: Path) -> list[Path]:
    """Write a ticket in one of FORMATS to a file or a folder, and return the files. Raises InputError."""
    files = FORMATS[to](ticket, weights, out)
    with writing(f"--out {out}", "another"):
        for path, data in files.items():
            write_whole(path, data)
    return list(files)


def _ticket(ticket: Ticket, weights: Weights, out: Path) -> dict[Path, bytes]:
    return {out: ticket.to_bytes()}


def _torch(ticket: Ticket, weights: Weights, out: Path) -> dict[Path, bytes]:
    """Boolean masks by parameter name, and beside them the trained weights if they are kept."""
    files = {out: _tensors(ticket.masks())}
    return files | ({out.with_name(f"{out.stem}.weights{SUFFIX}"): _tensors(weights)} if weights else {})


def _prune(ticket: Ticket, weights: Weights, out: Path) -> dict[Path, bytes]:
    """The state dict of the network as `torch.nn.utils.prune` leaves it, at the trained weights if they are kept."""
    net = ticket.network()
    if weights:
        pruned = ticket.masks()
        net.load_state_dict(
            {f"{name}_orig" if name in pruned else name: value for name, value in weights.items()}, False
        )
    return {out: _tensors(net.state_dict())}


def _hub(ticket: Ticket, weights: Weights, out: Path) -> dict[Path, bytes]:
    """A folder with a model card, the ticket, its card as JSON, and the trained weights if they are kept."""
    files = {
        out / "README.md": _model_card(ticket, bool(weights), out.name).encode(),
        out / "config.json": (json.dumps(ticket.card, indent=2, sort_keys=True) + "\n").encode(),
        out / IN_FOLDER: ticket.to_bytes(),
    }
    return files | ({out / f"model{SUFFIX}": _tensors(weights)} if weights else {})


FORMATS: dict[str, Callable[[Ticket, Weights, Path], dict[Path, bytes]]] = {
    "ticket": _ticket,
    "torch": _torch,
    "prune": _prune,
    "hub": _hub,
}
"""What a ticket is written as, by the word that asks for it."""


def default_name(ticket: Ticket, to: str) -> str:
    """Return the name of a file, or of a folder, for a ticket of that format."""
    name = f"{ticket.card['fit']}.{to}"
    return name if to == "hub" else f"{name}{SUFFIX}"


def _tensors(tensors: Weights) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})


def _model_card(ticket: Ticket, has_weights: bool, name: str) -> str:
    card = ticket.card
    mask, image, scores = card["mask"], card["image"], card["metrics"]
    header: dict[str, Any] = {
        "license": LICENCE,
        "library_name": "lottery-image-priors",
        "pipeline_tag": "image-to-image",
        "tags": ["deep-image-prior", "lottery-ticket", "pruning", "sparsity", card["task"]["kind"]],
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "image-to-image", "name": card["task"]["kind"]},
                        "dataset": {"type": "image", "name": image["name"]},
                        "metrics": [{"type": key, "value": round(value, 4)} for key, value in scores.items()],
                    }
                ],
            }
        ],
    }
    weights = (
        "`model.safetensors` holds the weights after training."
        if has_weights
        else "The weights after training are not kept; those to begin with are rebuilt from the seed."
    )
    rows = "\n".join(f"| {key} | {value:.4g} |" for key, value in scores.items())
    return f"""---
{yaml.safe_dump(header, sort_keys=False).strip()}
---

# {name}

A lottery image prior: {describe(ticket)}. The mask keeps {mask["kept"]:,} of {mask["of"]:,} weights. It was found by
*{mask["pruner"]}* on one image ({image["name"]}, {image["width"]}×{image["height"]} pixels), with the network at the
initial weights of seed {card["seed"]}. {weights}

```python
import lip

ticket = lip.load_ticket("{name}")  # verified
net = ticket.network()  # pruned by torch.nn.utils.prune, at its initial weights
restored = lip.restore("photo.png", ticket=ticket)
```

| metric | value |
|---|---:|
{rows}

PSNR in dB and SSIM against the clean image, of the output at the last step, at a stop that needs no clean image, and at
the oracle peak; `ema` is the moving average of the outputs.

Method: [Chasing Better Deep Image Priors between Over- and Under-parameterization](https://arxiv.org/abs/2410.24187).
"""

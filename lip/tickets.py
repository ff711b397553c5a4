"""Tickets to take away: a mask, where it comes from, and how to rebuild the weights that it is for."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lip.errors import InputError, nearest
from lip.ledger.recall import PRIOR_CLASSES, named
from lip.ledger.schema import SCORES
from lip.masks import Covers, Mask
from lip.paths import expand
from lip.priors import Prior
from lip.specs.picture import DataSet, Picture
from lip.tasks import TASKS, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lip.ledger.ledger import Ledger
    from lip.networks.encoder_decoder import Network
    from lip.specs.fit import Fit

SHIPPED = Path(__file__).parent / "data" / "tickets"
"""The tickets that come with the package, each a file whose name is the ticket's."""
SUFFIX = ".safetensors"
IN_FOLDER = f"ticket{SUFFIX}"
"""The ticket in a folder that was exported for a model hub."""
_DIGEST = "lip_ticket"
"""Entry of a file's metadata: the SHA-256 of its tensors."""
METRICS = [f"{score}_{output}" for output in SCORES for score in ("psnr", "ssim")]
MADE_BY = ["started", "steps", "lr", "device", "cpu", "backend", "version_lip", "version_torch", "commit", "dirty"]


@dataclass(frozen=True, eq=False)
class Ticket:
    """A mask with its card, and the weights that it goes back to if those are not theta_0.

    The `card` holds JSON values: `prior`, `task`, `image` and `seed` of the fit that trained it, from which theta_0 is
    rebuilt, its `mask` and its `metrics`, and what it was `made_by`. A bare mask of a ledger has an empty card.
    """

    mask: Mask
    card: Mapping[str, Any] = field(default_factory=dict)
    rewound: Mapping[str, Tensor] | None = None

    @property
    def prior(self) -> Prior:
        """Return the network's spec. Raises InputError when the ticket is a bare mask."""
        with _understood():
            return named(PRIOR_CLASSES, self._described["prior"])

    @property
    def channels(self) -> int:
        """Return the channels of the images that its network makes: 1 grey, 3 RGB."""
        with _understood():
            return int(self._described["image"]["channels"])

    @property
    def theta_seed(self) -> int:
        """Return the seed that draws theta_0."""
        with _understood():
            return int(self._described["seed"])

    def masks(self) -> dict[str, Tensor]:
        """Return boolean tensors by parameter name, True where a weight is kept."""
        with _understood():
            return _by_name(self.mask, _network(self._described), self._described["covers"])

    def network(self) -> nn.Module:
        """Return the pruned network at the weights that the ticket goes back to, in PyTorch's own form.

        Its pruned parameters are those of `torch.nn.utils.prune`. Raises InputError when this PyTorch draws another
        theta_0, or when the mask is for another network.
        """
        from torch.nn.utils import prune

        card = self._described
        with _understood():
            net = _network(card)
            if self.rewound is not None:
                net.load_state_dict(dict(self.rewound))
            elif _digest_of(net) != card["theta_0"]:
                raise InputError(
                    f"ticket: this PyTorch draws another theta_0 than {card['made_by']['version_torch']} did; use that"
                )
            for name, mask in _by_name(self.mask, net, card["covers"]).items():
                module, _, parameter = name.rpartition(".")
                prune.custom_from_mask(net.get_submodule(module), parameter, mask)
        return net

    def to_bytes(self) -> bytes:
        """Write the ticket as a safetensors file: packed bits, layers and card as JSON, and a digest of all that."""
        from safetensors.numpy import load, save

        tensors = load(self.mask.to_bytes())
        tensors["card"] = np.frombuffer(json.dumps(self.card, sort_keys=True).encode(), np.uint8)
        for name, tensor in (self.rewound or {}).items():
            tensors[f"rewound.{name}"] = tensor.numpy()
        return save(tensors, {_DIGEST: _digest(tensors)})

    @property
    def _described(self) -> Mapping[str, Any]:
        if not self.card:
            raise InputError("ticket: a mask of a ledger does not say what network it is for; use lip export")
        return self.card


def load_ticket(path: str | PathLike[str]) -> Ticket:
    """Read and verify a ticket.

    `path` is a file that `lip export` wrote, its folder for a model hub, the name of a ticket that comes with the
    package, or a file of a ledger's `next_masks`, which is a bare mask. Raises InputError.
    """
    file = _find(path)
    try:
        return _parse(file.read_bytes())
    except OSError as error:
        raise InputError(f"ticket {file} cannot be read ({error.strerror}); correct the path") from error
    except ValueError as error:
        raise InputError(f"ticket {file} is {error}; give a file that lip export wrote") from error


def shipped() -> dict[str, Path]:
    """Return the files of the tickets that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob(f"*{SUFFIX}"))}


def describe(ticket: Ticket) -> str:
    """Say in a line what a ticket is."""
    card = ticket.card
    score = card["metrics"].get("psnr_last_ema")
    return (
        f"{card['prior']['kind']}, {card['mask']['sparsity']:.1%} pruned by {card['mask']['pruner']}, "
        f"{card['task']['kind']} {card['image']['name']}" + (f", {score:.2f} dB" if score else "")
    )


def mask_of(fit: Fit, ledger: Ledger, inputs: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Return the mask of a fit as boolean tensors by the names of the parameters that it covers.

    True where a weight is kept. Names and shapes are those of the state dict of `build_model(fit, inputs).net`, so that
    `torch.nn.utils.prune.custom_from_mask` takes them. `inputs` are arrays by content hash (`InputLibrary.inputs`).
    Raises LookupError when the fit that the mask is cut from is not in the ledger.
    """
    from lip.training.run import build_mask, build_model

    model = build_model(fit, inputs)
    return _by_name(build_mask(fit, model, ledger), model.net, fit.covers)


def ticket_of(fit: Fit, ledger: Ledger, inputs: Mapping[str, np.ndarray]) -> Ticket:
    """Return the ticket that a published fit trained.

    `inputs` as for `mask_of`. Raises LookupError when a mask or weights that it is made from are lost.
    """
    from lip.training.run import build_mask, build_model

    model = build_model(fit, inputs)
    mask = build_mask(fit, model, ledger)
    (row,) = ledger.fits(ids=[fit.id]).to_pylist()
    seed = fit.seed if fit.theta_seed is None else fit.theta_seed
    card = {
        "fit": fit.id,
        "prior": {"kind": fit.prior.kind, **fit.prior.model_dump()},
        "task": {"kind": fit.task.kind, **fit.task.model_dump(exclude={"inpaint_mask"})},
        "image": fit.picture.model_dump(),
        "covers": fit.covers,
        "seed": seed,
        "theta_0": _digest_of(model.net),
        "precision": row["precision"],
        "mask": {
            "pruner": fit.recipe.kind,
            "round": fit.recipe.round,
            "sparsity": mask.sparsity,
            "kept": mask.n_kept,
            "of": mask.bits.size,
            "cut_from": row["mask_fit"],
            "goes_back_to": row["start"],
        },
        "metrics": {name: row[name] for name in METRICS if row[name] is not None},
        "made_by": {name: row[name] if name != "started" else row[name].isoformat() for name in MADE_BY},
        "exported_by": {"lip": version("lottery-image-priors")},
    }
    if _digest_of(_network(card)) != card["theta_0"]:
        raise InputError(f"fit {fit.id}: its network cannot be rebuilt from its seed alone; export a restoration's")
    return Ticket(mask, card, ledger.weights(fit.start) if fit.start else None)


@contextmanager
def _understood() -> Iterator[None]:
    """Raise InputError for a card that does not describe a network of this version."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            f"ticket: its card does not describe a network of this version ({reason}); use another"
        ) from error


def _find(path: str | PathLike[str]) -> Path:
    file = Path(expand(Path(path)))
    if file.is_dir():
        return file / IN_FOLDER
    if not file.exists() and file.name == str(path) and not file.suffix:
        known = shipped()
        if str(path) not in known:
            hint = nearest(str(path), list(known)) if known else "give a file that lip export wrote"
            raise InputError(f"ticket: there is no file and no ticket {str(path)!r}; {hint}")
        return known[str(path)]
    return file


def _parse(data: bytes) -> Ticket:
    """Raises ValueError when the data are not a ticket, or not as they were written."""
    mask = Mask.from_bytes(data)
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    digest = header.get("__metadata__", {}).get(_DIGEST)
    if digest is None:
        return Ticket(mask)
    from safetensors.torch import load

    tensors = load(data)
    if _digest({name: tensor.numpy() for name, tensor in tensors.items()}) != digest:
        raise ValueError("damaged or changed: its content has another digest than its card")
    if "card" not in tensors:
        raise ValueError("without a card")
    rewound = {name.removeprefix("rewound."): value for name, value in tensors.items() if name.startswith("rewound.")}
    return Ticket(mask, json.loads(tensors["card"].numpy().tobytes()), rewound or None)


def _digest(tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype} {array.shape}\0".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _digest_of(net: nn.Module) -> str:
    return _digest({name: value.detach().cpu().numpy() for name, value in net.named_parameters()})


def _network(card: Mapping[str, Any]) -> Network:
    """Build the network of a card at theta_0."""
    import torch

    from lip.training.model import seeded, stream

    picture = card["image"]
    task: Task = named(TASKS, card["task"])
    with seeded(stream(card["seed"], "theta_0")):
        net = task.network(
            named(PRIOR_CLASSES, card["prior"]), (DataSet if "classes" in picture else Picture)(**picture)
        )
    return net.to(torch.float64) if card["precision"] == "float64" else net


def _by_name(mask: Mask, net: Network, covers: Covers) -> dict[str, Tensor]:
    """Return a mask by the names of the network's parameters. Raises InputError for a mask of another network."""
    import torch

    covered = list(net.covered(covers))
    if [(name, tuple(p.shape)) for name, p in covered] != [(layer.name, layer.shape) for layer in mask.layers]:
        raise InputError(f"ticket: a mask of {len(mask.layers)} layers does not fit this network; use its own")
    parts = torch.from_numpy(mask.bits.copy()).split([layer.size for layer in mask.layers])
    names = net.covered_names(covers)
    return {name: part.view_as(p) for name, (_, p), part in zip(names, covered, parts, strict=True)}

"""Published weights of generators, read without running any code in them.

Names in our checkpoints begin with `generator.`, `averaged.` (the moving average of a generator over its training)
or `critic.`; the last two may be missing.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from lip.errors import InputError
from lip.paths import expand

if TYPE_CHECKING:
    from torch import Tensor, nn

PUBLISHED = {
    # PyTorch GAN zoo's celebAHQ-256, which the paper starts from. Files there carry the first digits of their SHA-256
    "celebahq-256": ("https://dl.fbaipublicfiles.com/gan_zoo/PGAN/celebaHQ_s6_i80000-6196db68.pth", "6196db68"),
}

ZOO = {"netG": "generator", "avgG": "averaged", "netD": "critic"}

RENAMED = {
    r"\.module\b": "",
    r"\.formatLayer\b": ".first",
    r"\.groupScale0\.0\b": ".base",
    r"\.groupScaleZero\.0\b": ".base",
    r"\.groupScaleZero\.1\b": ".last",
    r"\.decisionLayer\b": ".decision",
    r"\.scaleLayers\b": ".scales",
    r"\.toRGBLayers\b": ".to_colours",
    r"\.fromRGBLayers\b": ".from_colours",
    r"^generator_deconv\b": "generator.blocks",  # github.com/fletchersarip93/face-generator
}
"""Our names for published ones."""


Value = TypeVar("Value")


class _Inert:
    """Replace the settings object in a checkpoint of the zoo by a class without methods, of which nothing is read."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights by name, packed."""

    name: str
    data: np.ndarray
    """The bytes of a safetensors file, uint8."""
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, name: str, weights: Mapping[str, Tensor]) -> Checkpoint:
        """Pack weights."""
        from safetensors.torch import save

        shapes = {key: tuple(value.shape) for key, value in weights.items()}
        return cls(name, np.frombuffer(save(dict(weights)), np.uint8), shapes)

    @cached_property
    def id(self) -> str:
        """Return 16 hex digits over names and values, independent of the file."""
        return hashlib.sha256(self.data.data).hexdigest()[:16]


def unpacked(data: np.ndarray) -> dict[str, Tensor]:
    """Unpack the weights of `Checkpoint.data` by name."""
    from safetensors.torch import load

    return load(data.tobytes())


def part(weights: Mapping[str, Value], name: str) -> dict[str, Value]:
    """Select one network's weights from a checkpoint; may be empty."""
    return {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}


def read(name: str) -> Checkpoint:
    """Read a checkpoint of PyTorch: a file, or one of PUBLISHED, which is downloaded once and checked.

    Raises InputError when it cannot be read or downloaded, and when it holds anything but plain values and tensors.
    """
    if name in PUBLISHED:
        return Checkpoint.of(name, _named(_loaded(_cached(name)), name))
    path = Path(expand(name))
    if not path.is_file():
        raise InputError(f"there is no checkpoint {name}; give a file, or {' or '.join(PUBLISHED)}")
    return Checkpoint.of(name, _named(_loaded(path), name))


def check(checkpoint: Checkpoint, networks: dict[str, nn.Module], kind: str) -> None:
    """Check that a checkpoint holds the weights of these networks, at least of the generator.

    Raises InputError.
    """
    for name, network in networks.items():
        theirs = part(checkpoint.shapes, name)
        ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        if theirs != ours and (theirs or name == "generator"):
            first = min(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
            raise InputError(
                f"{checkpoint.name} has another architecture: {name}.{first} is {_shape(theirs.get(first))} in it, "
                f"{_shape(ours.get(first))} in {kind}; give a checkpoint of {kind}, or another prior, size or width"
            )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape)) or "a number"


def _loaded(path: Path) -> object:
    import torch

    try:
        with torch.serialization.safe_globals([(_Inert, "models.utils.config.BaseConfig")]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns before it refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything from EOFError to RuntimeError
        if found := re.search(r"GLOBAL (\w+(?:\.\w+)*)", str(error)):
            raise InputError(
                f"{path} holds pickled code ({found[1]}), which is never run; give a checkpoint of tensors only"
            ) from error
        raise InputError(f"{path} is not a complete checkpoint of PyTorch; give an undamaged one") from error


def _named(content: object, name: str) -> dict[str, Tensor]:
    import torch

    if not isinstance(content, dict):
        raise InputError(f"{name} does not hold named weights; give a checkpoint of a generator")
    flat = {
        f"{ours}.{key}": value
        for theirs, ours in ZOO.items()
        if isinstance(content.get(theirs), dict)
        for key, value in content[theirs].items()
    } or content
    found: dict[str, Tensor] = {}
    for key, value in flat.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise InputError(f"{name}: {key} is not a tensor; give a checkpoint of a generator")
        if not _plain(value):
            raise InputError(f"{name}: {key} is not a dense tensor of finite numbers; give a checkpoint of a generator")
        for theirs, ours in RENAMED.items():
            key = re.sub(theirs, ours, key)
        found[key] = value.contiguous().clone()  # networks in one file may share them
    return found


def _plain(value: Tensor) -> bool:
    """Tell whether every value is stored and finite: a few bytes can claim terabytes."""
    import torch

    numbers = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)
    if value.layout is not torch.strided or value.is_nested or value.is_meta or value.dtype not in numbers:
        return False
    return value.nbytes <= value.untyped_storage().nbytes() and bool(value.isfinite().all())


def _cached(name: str) -> Path:
    import pooch

    url, digest = PUBLISHED[name]
    target = Path(pooch.os_cache("lottery-image-priors"), url.rpartition("/")[2])
    if not target.is_file():
        _download(url, digest, target)
    return target


def _download(url: str, digest: str, target: Path) -> None:
    import pooch

    remedy = "try again, or download it yourself and give the file"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Checked before it is moved into place, so that other processes see the right file or none.
        with tempfile.TemporaryDirectory(dir=target.parent) as beside:
            fetched = Path(beside, target.name)
            pooch.HTTPDownloader()(url, str(fetched), None)
            if not pooch.file_hash(str(fetched)).startswith(digest):
                raise InputError(f"{url} gave a file whose SHA-256 does not begin with {digest}; {remedy}")
            fetched.replace(target)
    except OSError as error:
        raise InputError(f"could not download {url} ({error}); {remedy}") from error

"""Ledgers to analyse: invented rows, whose truth is exact, and a few real fits for the way from end to end."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lip.ledger.blobs import BlobStore
from lip.ledger.filesystem import Storage
from lip.ledger.ledger import Ledger
from lip.ledger.next_masks import MaskStore
from lip.ledger.schema import FITS, SCORES, VERSION
from lip.masks import Layer, Mask, kept_after
from lip.priors import GENERATORS
from lip.specs.spec import id_of

if TYPE_CHECKING:
    import numpy as np

    from analysis.frames import Frames
    from lip.specs.fit import Fit

Psnr = Callable[..., float | None]

LAYERS = ["first", "second", "third", "fourth"]


def trajectory(
    image: str = "cat",
    pruner: str = "imp",
    seed: int = 0,
    rewind: float = 0.0,
    source: str | None = None,
    rounds: int = 3,
    compat: str | None = None,
) -> list[dict[str, Any]]:
    """The points of one trajectory, as `sweeps` records them."""
    name = f"{image}-{source}-{pruner}-{seed}-{rewind:g}" + (f"-{compat}" if compat else "")
    return [
        {
            "trajectory": name,
            "image": image,
            "source_image": source,
            "task": "denoise",
            "source_task": None,
            "pruner": pruner,
            "seed": seed,
            "rewind": rewind,
            "compat": compat,
            "round": k,
            "fit": _id(f"{name}-{k}" if k else f"{image}-{seed}-{compat}-dense"),
        }
        for k in range(rounds + 1)
    ]


SPECS: dict[str, str] = {}
"""What invented ids are the hashes of."""


def _id(name: str) -> str:
    text = json.dumps({"name": name})
    SPECS[id_of(text)] = text
    return id_of(text)


def row(point: dict[str, Any], psnr: float, **values: Any) -> dict[str, Any]:
    """A fit as the ledger holds it, with this PSNR in all outputs."""
    k = point["round"] or 0
    size = 1000
    kept = round(size * 0.8**k)
    return {
        "fit": point["fit"],
        "schema": VERSION,
        "spec": SPECS.get(point["fit"]),
        "image": point["image"],
        "content_hash": "0" * 16,
        "image_height": 64,
        "image_width": 48,
        "channels": 3,
        "task": "denoise",
        "sigma": 25.0,
        "prior": "hourglass",
        "width": 8,
        "steps": 20,
        "seed": point["seed"],
        "mask_kind": point["pruner"] if k else "dense",
        "round": k,
        "mask_image": (point["source_image"] or point["image"]) if k and point["pruner"] == "imp" else None,
        "sparsity": 1 - 0.8**k,
        "kept_parameters": 4 * kept + 10,
        "langevin": 0.0,
        "covers": "weights",
        "loss": 0.01,
        **{f"psnr_{score}": psnr for score in SCORES},
        "collapsed": False,
        "started": datetime(2026, 1, 2, tzinfo=UTC),
        "seconds": 60.0,
        "device": "cpu",
        "host": "bench",
        "threads": 1,
        "version_lip": "0.1.0",
        "version_python": "3.11.0",
        "version_torch": "2.9.0",
        "code": "abcdef012345",
        "curve_step": [10, 20],
        **{f"curve_{name}": [1.0, 2.0] for name in ("loss", "psnr", "psnr_ema", "ssim", "ssim_ema")},
        "layer_name": LAYERS,
        "layer_size": [size] * 4,
        "layer_kept": [kept] * 4,
        **values,
    }


def chance(point: dict[str, Any]) -> float:
    """Return what seed 0 loses and seed 2 gains by chance, which differs from one trajectory and round to the next."""
    if point["round"] == 0:
        return 0.0
    axes = ("image", "source_image", "task", "source_task", "pruner", "rewind", "compat", "round")
    drawn = zlib.crc32(repr([point[axis] for axis in axes]).encode()) % 1000
    return (point["seed"] - 1) * (0.5 + drawn / 1000)


class Invented:
    """A ledger filled by hand."""

    trajectory = staticmethod(trajectory)
    id = staticmethod(_id)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(folder)

    def publish(self, rows: Iterable[dict[str, Any]]) -> None:
        shelf = BlobStore(Storage(self.folder), "fits", ".parquet")
        for values in rows:
            buffer = io.BytesIO()
            pq.write_table(pa.Table.from_pylist([values], schema=FITS), buffer)
            shelf.put(values["fit"], buffer.getvalue())

    def sweep(
        self,
        trajectories: Iterable[list[dict[str, Any]]],
        psnr: Psnr = lambda **point: 30.0,
        values: Callable[..., dict[str, Any]] = lambda **point: {},
        name: str = "invented",
        profile: str = "smoke",
        spread: float = 1e-5,
    ) -> None:
        """Record a sweep and publish its fits; a PSNR of None leaves a fit unpublished.

        Seeds differ a little, so that there is a spread to test with; it cancels over seeds 0, 1 and 2.
        """
        points = [point for part in trajectories for point in part]
        self.ledger.record_sweep(name, profile, points)
        distinct = {point["fit"]: point for point in points}.values()
        self.publish(
            row(point, value + spread * chance(point), **values(**point))
            for point in distinct
            if (value := psnr(**point)) is not None
        )


@pytest.fixture
def invented(tmp_path: Path) -> Invented:
    """An empty ledger to be filled."""
    return Invented(tmp_path / "results")


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with the sweep `tiny` (profile smoke) of real fits: all pruners, a rewind and a transfer."""
    import numpy as np
    import torch

    from lip.priors import Hourglass
    from lip.specs.picture import Picture
    from lip.specs.schedule import Schedule
    from lip.specs.trajectory import MaskSource, Trajectory
    from lip.tasks.denoise import Denoise
    from lip.training.run import run_fit

    torch.set_num_threads(1)
    pixels = {
        name: np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        for seed, name in enumerate(("cat", "dog"))
    }
    keys = {name: hashlib.sha256(array.tobytes()).hexdigest()[:16] for name, array in pixels.items()}
    cat, dog = (Picture(name=name, content_hash=key, height=32, width=32, channels=3) for name, key in keys.items())
    task = Denoise()
    common: dict[str, Any] = {
        "task": task,
        "schedule": Schedule(steps=20),
        "prior": Hourglass(width=8, scales=2),
        "rounds": 2,
    }
    there = MaskSource(pictures=(cat,), task=task, schedule=common["schedule"])
    trajectories = [Trajectory(picture=cat, pruner=pruner, **common) for pruner in ("imp", "random", "snip")]
    trajectories += [
        Trajectory(picture=cat, pruner="imp", rewind=20.0, **common),
        Trajectory(picture=dog, pruner="imp", **common),
        Trajectory(picture=dog, pruner="imp", mask_source=there, **common),
    ]
    folder = tmp_path_factory.mktemp("measured") / "my results"
    ledger = Ledger(folder)
    points = []
    for each in trajectories:
        for k, fit in enumerate(each.fits):
            run_fit(fit, {keys[name]: array for name, array in pixels.items()}, ledger)
            points.append(
                {
                    "trajectory": each.id,
                    "image": each.picture.name,
                    "source_image": each.source_image,
                    "task": each.task.kind,
                    "source_task": each.source_task,
                    "pruner": each.pruner,
                    "seed": each.seed,
                    "rewind": each.rewind,
                    "compat": None,
                    "round": k,
                    "fit": fit.id,
                }
            )
    ledger.record_sweep("tiny", "smoke", points)
    return folder


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """The whole sweep `paper` at the profile smoke, as it would be planned, with invented results of three seeds."""
    import numpy as np
    from safetensors.numpy import save

    import analysis
    from sweeps.plan import Plan
    from sweeps.spec import read

    folder = tmp_path_factory.mktemp("paper")
    sweep = read("paper", "smoke")
    plan = Plan(sweep)
    shelf = BlobStore(Storage(folder), "outputs", ".safetensors")
    masks = MaskStore(Storage(folder), "next_masks")
    points = plan.points()
    chained = {point["fit"] for point in points if point["experiment"] == "overlap"}
    draw = np.random.default_rng(0)
    rows = []
    for fit in plan.fits.values():
        rows.append(row_of(fit, draw))
        if fit.id in sweep.outputs:
            image = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            images = {name: image for name in (*SCORES, "step_2_ema", "step_30_ema")}
            shelf.put(fit.id, save(images, {"schema": str(VERSION)}))
        if fit.id in chained and isinstance(fit.recipe.target, int):
            masks.put(fit, invented_mask(fit.seed, fit.recipe.target + 1, draw))
    ledger = Ledger(folder)
    ledger.record_sweep("paper", "smoke", points)
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=FITS), buffer)
    table = pq.read_table(io.BytesIO(buffer.getvalue()))
    with pytest.MonkeyPatch.context() as patched:  # one table rather than a thousand files
        patched.setattr(Ledger, "fits", lambda self, columns=None, ids=None: table)
        return analysis.load(folder, "paper")


def invented_mask(seed: int, rounds: int, draw: np.random.Generator) -> Mask:
    """A mask of LAYERS after so many rounds, of which a seed decides most and chance the rest."""
    import numpy as np

    layers = [Layer(name, (1000,)) for name in LAYERS]
    scores = np.random.default_rng(seed).random(4000) + draw.normal(0, 0.1, 4000)
    return Mask.keep_largest(layers, scores, kept_after(4000, rounds))


def row_of(fit: Fit, draw: np.random.Generator) -> dict[str, Any]:
    """An invented row of a planned fit: PSNR falls with sparsity, and a little by chance."""
    place = fit.recipe.target
    total, parameters = fit.task.counts(fit.prior, fit.picture, fit.covers)
    kept = kept_after(total, place) if isinstance(place, int) else place.n_kept(total, parameters)
    sparsity = 1 - kept / total
    loss = {"imp": 1.0, "random": 2.0, "snip": 1.5}.get(fit.recipe.kind, 1.2)
    psnr = 30 + fit.seed - 4 * sparsity * loss + draw.normal(0, 0.1)
    point = {
        "fit": fit.id,
        "image": fit.picture.name,
        "seed": fit.seed,
        "pruner": fit.recipe.kind,
        "round": fit.recipe.round,
    }
    scored, generator = getattr(fit.task, "has_clean_image", False), fit.prior.kind in GENERATORS
    accuracy = 0.9 - 0.1 * sparsity * loss if fit.task.kind == "classify" else None
    of_curves = {} if accuracy is None else {f"curve_{name}": None for name in ("psnr", "psnr_ema", "ssim", "ssim_ema")}
    return row(
        {**point, "source_image": None},
        psnr,
        **{f"psnr_{score}": psnr if scored else None for score in SCORES},
        **{f"step_{score}": 60 for score in SCORES},
        spec=fit.canonical_text,
        mask_fit=fit.source_fit.id if fit.source_fit else None,
        **of_curves,
        accuracy_peak=accuracy,
        accuracy_last=accuracy,
        **{name: value for name, value in fit.picture.columns().items() if name != "channels"},
        task=fit.task.kind,
        inpaint_mask=" ".join(picture.name for picture in fit.task.pictures) or None,
        **{name: getattr(fit.task, name, None) for name in ("sigma", "keep", "factor", "target")},
        prior=fit.prior.kind,
        **{name: getattr(fit.prior, name, None) for name in ("width", "scales", "skip", "depth")},
        **fit.schedule.columns(),
        **{name: getattr(fit, name) for name in ("covers", "theta_seed", "z_seed", "noise_seed")},
        sparsity=sparsity,
        kept_parameters=parameters - total + kept,
        ssim_last_ema=psnr / 40,
        psnr_mean=psnr + 0.5 if getattr(fit.schedule, "burn_in", None) is not None else None,
        **({f"mse_{which}": 4 * 10 ** (-psnr / 10) for which in ("peak", "last")} if generator and scored else {}),
        loss=0.01 * loss + 0.001 * abs((fit.recipe.round or 0) - 4),
    )

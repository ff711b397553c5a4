"""Restore a photograph that is itself degraded. No clean image is needed, and none is ever looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from math import ceil
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from pydantic import ValidationError

from lip import terminal
from lip.data import inpaint_mask
from lip.data.images import Image
from lip.data.photograph import Photograph, check_name, encode, read, to_pillow, with_profile
from lip.errors import InputError, explained, location, nearest
from lip.fast.backend import choose
from lip.ledger.filesystem import write_whole, writing
from lip.masks import Mask
from lip.priors import Hourglass, Prior
from lip.specs.fit import Fit
from lip.specs.picture import Picture
from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation
from lip.tasks.inpaint import Inpaint
from lip.tasks.restore import Restore
from lip.tasks.upscale import Upscale
from lip.tickets import Ticket, load_ticket
from lip.training.machine import check_device
from lip.training.memory import check_restoration

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from lip.training.record import RestorationResult

Given = str | PathLike[str] | np.ndarray | Any
"""A file, an array, or a Pillow image."""
Kind = Literal["denoise", "inpaint", "upscale"]
KINDS = get_args(Kind)

WIDTH, SCALES, STEPS = 32, 5, 1500
"""The network and the steps by default: a step on 128x128 pixels takes 46 ms of a core (n = 1200)."""


@dataclass(frozen=True, eq=False)
class Restored:
    """A restored photograph.

    `image` is of the kind that was given: a Pillow image for a file, an array of the same type for an array. `before`
    is what was given. `curve` holds sampled steps and their losses, of the first seed. `stop` says which output was
    chosen, and why. `record` is all that was done, as JSON values.
    """

    image: Any
    before: Any
    curve: Mapping[str, list[float]]
    stop: str
    record: Mapping[str, Any]

    def save(self, path: str | PathLike[str]) -> None:
        """Write the restored image in 8 bits: PNG, JPEG, TIFF or WebP. Raises InputError."""
        write_picture(to_pillow(self.image), Path(path))

    def save_all(self, path: str | PathLike[str]) -> list[Path]:
        """Write the image, before and after side by side, and the record as JSON; return the three paths."""
        files = outputs_of(Path(path))
        write_picture(to_pillow(self.image), files[0])
        write_picture(self.comparison(), files[1])
        write_whole(files[2], (json.dumps(self.record, indent=2) + "\n").encode())
        return files

    def comparison(self) -> PillowImage:
        """Return what was given and its restoration side by side, at the size of the restoration."""
        import PIL.Image

        before, after = (to_pillow(picture) for picture in (self.before, self.image))
        gap = max(4, after.width // 64)
        both = PIL.Image.new(after.mode, (2 * after.width + gap, after.height), "white")
        both.paste(before.resize(after.size, PIL.Image.Resampling.NEAREST))
        both.paste(after, (after.width + gap, 0))
        return with_profile(both, after.info.get("icc_profile"))

    def __repr__(self) -> str:
        return f"Restored({self.record['task']} of {self.record['image']}: {self.stop})"

    def _repr_png_(self) -> bytes:
        return encode(to_pillow(self.image), Path("image.png"))


def outputs_of(path: Path) -> list[Path]:
    """Return the files that a restoration to `path` consists of: the image, before and after, the record."""
    return [path, path.with_name(f"{path.stem}.before-after.png"), path.with_name(f"{path.stem}.json")]


def write_picture(picture: PillowImage, path: Path) -> None:
    """Write a Pillow image whole or not at all. Raises InputError when it cannot be written there."""
    check_name(path, picture.has_transparency_data)
    with writing(str(path), "another folder"):
        write_whole(path, encode(picture, path))


def restore(
    image: Given,
    task: Kind = "denoise",
    *,
    sigma: float | None = None,
    mask: Given | None = None,
    invert: bool = False,
    factor: Literal[2, 4, 8] | None = None,
    ticket: Ticket | Mask | str | PathLike[str] | None = None,
    steps: int = STEPS,
    width: int | None = None,
    scales: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    settings: Mapping[str, Any] | None = None,
    device: str = "cpu",
    threads: int | None = None,
    backend: str = "auto",
    progress: bool = True,
) -> Restored:
    """Restore a photograph that is degraded: noisy, damaged or small.

    `image` is a file, a Pillow image, or an array (height, width) or (height, width, channels) of uint8, uint16 or
    floats in [0, 1], grey or colour, with or without alpha. Any size is taken, padded by reflection and cropped.

    denoise: removes noise, or the artefacts of JPEG. `sigma` is the noise in 8-bit grey levels, estimated if not given;
    it is only compared with what was removed. inpaint: takes a `mask`, light (or True) where pixels are known, or the
    reverse with `invert`; known pixels stay as they are. upscale: takes a `factor` of 2, 4 or 8, by default 4.

    The network is an hourglass of `width` channels (32) and `scales` halvings (5), dense. A `ticket`, as `load_ticket`
    reads it, brings its own network and the seed of its initial weights; a bare mask is for an hourglass of that width
    and scales. Each of `seeds` fits takes at most `steps` steps, and the mean of their outputs at the early stop is
    returned. `settings` are other keys of the schedule, such as {"lr": 0.005}. Equal calls on one machine with as many
    `threads` (None: PyTorch's own) return equal bits. Raises InputError.
    """
    with terminal.bars(shown=progress) as bars:
        bar = bars.add_task("loading", total=None, score="")
        photograph = read(image)
        known = _known(task, mask, invert, photograph)
        found = _ticket(ticket)
        prior = _prior(found, width, scales, photograph)
        problem = _problem(photograph, task, factor, known, {**(settings or {}), "steps": steps}, prior, found, seed)
        if seeds < 1:
            raise InputError(f"seeds: {seeds} is less than one; use 1 or more")
        check_restoration(problem.network_fit, *photograph.size, problem.factor)
        noise = _noise(task, sigma, photograph)
        check_device(device)
        used = choose(backend, device).name
        if threads:
            import torch

            torch.set_num_threads(threads)
        fits = [problem.fit.replace(seed=seed + number) for number in range(seeds)]
        bars.update(bar, description=task, total=seeds * steps)
        results = []
        for number, fit in enumerate(fits):

            def watch(step: int, _: float, before: int = number * steps) -> None:
                bars.update(bar, completed=before + step)

            results.append(_train(fit, problem.inputs, found, device, used, watch))
        bars.update(bar, completed=seeds * steps)  # early stops skip the rest
    return _restored(problem, fits, results, noise, found)


@dataclass(frozen=True, eq=False)
class _Problem:
    """A photograph as a network is fitted to it."""

    photograph: Photograph
    task: Kind
    factor: int
    known: np.ndarray | None
    fit: Fit
    inputs: Mapping[str, np.ndarray]

    @property
    def network_fit(self) -> Fit:
        """Return a fit whose picture has the size of the network's output, for its memory."""
        picture = self.fit.picture
        return self.fit.replace(
            picture=picture.replace(height=picture.height * self.factor, width=picture.width * self.factor)
        )


@dataclass(frozen=True)
class _Noise:
    """The standard deviation of the noise in 8-bit grey levels, and whether it was estimated."""

    sigma: float
    is_estimated: bool


def _known(task: str, mask: Given | None, invert: bool, photograph: Photograph) -> np.ndarray | None:
    """Return the known pixels (height, width) that a mask is light at; None unless the task is to inpaint."""
    if task not in KINDS:
        raise InputError(f"task: there is no task {task!r}; {nearest(str(task), KINDS)}")
    if mask is None:
        if task == "inpaint":
            raise InputError("mask: to inpaint takes one; give a picture that is dark where pixels are missing")
        if invert:
            raise InputError("invert: there is no mask to invert; give one, or remove it")
        return None
    if task != "inpaint":
        raise InputError(f"mask: to {task} takes none; remove it, or use task inpaint")
    with location("mask"):
        return inpaint_mask.known_in(mask, inpaint_mask.Photograph(photograph.name, *photograph.size), invert)


def _noise(task: str, sigma: float | None, photograph: Photograph) -> _Noise | None:
    if task != "denoise":
        if sigma is not None:
            raise InputError(f"sigma: to {task} takes none; remove it, or use task denoise")
        return None
    if sigma is None:
        return _Noise(estimate_sigma(photograph.pixels), True)
    if not 0 < sigma <= 255:
        raise InputError(f"sigma: {sigma:g} is not between 0 and 255 grey levels; correct it")
    return _Noise(float(sigma), False)


def estimate_sigma(pixels: np.ndarray) -> float:
    """Estimate the standard deviation of white noise in an image (height, width, channels), in its own units.

    By the median absolute diagonal Haar wavelet coefficient (Donoho and Johnstone, 1994), mean over the channels.
    """
    x = pixels.astype(np.float64)
    if min(x.shape[:2]) < 2:
        return 0.0
    diagonal = (x[:-1, :-1] - x[:-1, 1:] - x[1:, :-1] + x[1:, 1:]) / 2
    return float(np.median(np.abs(diagonal), axis=(0, 1)).mean() / 0.6745)


def _problem(
    photograph: Photograph,
    task: Kind,
    factor: Literal[2, 4, 8] | None,
    known: np.ndarray | None,
    settings: Mapping[str, Any],
    prior: Prior,
    ticket: Ticket | None,
    seed: int,
) -> _Problem:
    if factor is not None and task != "upscale":
        raise InputError(f"factor: to {task} takes none; remove it, or use task upscale")
    try:
        enlarged = Upscale(factor=factor or 4) if task == "upscale" else None
        times = enlarged.factor if enlarged else 1
        multiple, least = max(1, prior.multiple // times), ceil(prior.smallest / times)
        picture, pixels = _picture(photograph.name, _padded(photograph.pixels, multiple, least))
        inputs = {picture.content_hash: pixels}
        own: Degradation = enlarged or Restore()
        if known is not None:
            mask, values = _picture(
                "mask", _padded(np.where(known, 255, 0).astype(np.uint8)[..., None], multiple, least)
            )
            inputs[mask.content_hash] = values
            own = Inpaint(inpaint_mask=mask)
        schedule = prior.schedule(own.schedules()["lip"]).replace(**{"until": "stop", **settings})
        theta_seed = ticket.theta_seed if ticket and ticket.card else None
        fit = Fit(picture=picture, task=own, schedule=schedule, prior=prior, seed=seed, theta_seed=theta_seed)
    except ValidationError as error:
        raise explained(error, list(Schedule.model_fields)) from error
    return _Problem(photograph, task, times, known, fit, inputs)


def _picture(name: str, pixels: np.ndarray) -> tuple[Picture, np.ndarray]:
    return Image(name, pixels, ()).spec, pixels


def _padded(pixels: np.ndarray, multiple: int, least: int) -> np.ndarray:
    """Reflect an image at its right and lower border, to multiples of `multiple` that are `least` or more."""
    more = [max(least, ceil(side / multiple) * multiple) - side for side in pixels.shape[:2]]
    return np.pad(pixels, [(0, more[0]), (0, more[1]), (0, 0)], mode="reflect")


def _ticket(given: Ticket | Mask | str | PathLike[str] | None) -> Ticket | None:
    if given is None or isinstance(given, Ticket):
        return given
    return Ticket(given) if isinstance(given, Mask) else load_ticket(given)


def _prior(ticket: Ticket | None, width: int | None, scales: int | None, photograph: Photograph) -> Prior:
    """Return the network of a ticket, or an hourglass."""
    given = {name: value for name, value in (("width", width), ("scales", scales)) if value is not None}
    if ticket is None or not ticket.card:
        try:
            return Hourglass(**{"width": WIDTH, "scales": SCALES} | given)
        except ValidationError as error:
            raise explained(error, []) from error
    own = ticket.prior
    for name, value in given.items():
        if value != getattr(own, name, None):
            raise InputError(f"{name}: the ticket is for a network with {getattr(own, name, None)}; leave it out")
    channels = photograph.pixels.shape[2]
    if ticket.channels != channels:
        raise InputError(
            f"ticket: it is for images of {ticket.channels} channels, and {photograph.name} has {channels}; use "
            "another ticket"
        )
    return own


def _train(
    fit: Fit, inputs: Mapping[str, np.ndarray], ticket: Ticket | None, device: str, backend: str, watch: Any
) -> RestorationResult:
    from lip.training.restore import Restoration, train

    model = Restoration(fit, inputs, device)
    if ticket is None:
        return train(model, Mask.dense(model.layers), None, watch, backend)
    if ticket.mask.layers != model.layers:
        raise InputError(
            f"ticket: it masks {len(ticket.mask.layers)} layers of another network than an hourglass of width "
            f"{fit.prior.width} and {fit.prior.scales} scales; use the width and scales that it was found with"  # type: ignore[attr-defined]
        )
    return train(model, ticket.mask, ticket.rewound, watch, backend)


def _restored(
    problem: _Problem, fits: list[Fit], results: list[RestorationResult], noise: _Noise | None, ticket: Ticket | None
) -> Restored:
    photograph, pairs = problem.photograph, list(zip(fits, results, strict=True))
    height, width = (problem.factor * side for side in photograph.size)
    images = [result.outputs["stop_ema"][:, :height, :width].transpose(1, 2, 0) for result in results]
    values = np.stack(images).mean(axis=0, dtype=np.float64)
    if problem.known is not None:
        values = np.where(problem.known[..., None], photograph.pixels / 255, values)
    return Restored(
        image=photograph.like(values),
        before=photograph.like(photograph.pixels / 255),
        curve={"step": [float(step) for step in results[0].curve.step], "loss": results[0].curve.loss},
        stop=_stop(*pairs[0]),
        record={
            "image": photograph.name,
            "size": [photograph.size[1], photograph.size[0]],
            "task": problem.task,
            **({"factor": problem.factor} if problem.task == "upscale" else {}),
            **({"sigma": round(noise.sigma, 2), "sigma_is_estimated": noise.is_estimated} if noise else {}),
            **({} if problem.known is None else {"share_hidden": round(1 - float(problem.known.mean()), 5)}),
            "prior": {"kind": fits[0].prior.kind, **fits[0].prior.model_dump()},
            **({"ticket": {"fit": ticket.card.get("fit"), "sparsity": ticket.mask.sparsity}} if ticket else {}),
            "schedule": fits[0].schedule.columns(),
            "fits": [_fit_record(*pair) for pair in pairs],
            "notes": [*photograph.notes, *_noise_notes(noise, results[0])],
            "versions": {"lip": version("lottery-image-priors"), "torch": version("torch")},
        },
    )


def _fit_record(fit: Fit, result: RestorationResult) -> dict[str, Any]:
    return {
        "seed": fit.seed,
        "steps": result.steps,
        "stop": _stop(fit, result),
        "seconds": round(result.seconds, 1),
        "device": result.device,
        "backend": result.backend,
    }


def _stop(fit: Fit, result: RestorationResult) -> str:
    """Say which output was chosen, and why."""
    step = result.scores["stop_ema"].step
    chosen = f"averaged output of step {step}, where the outputs varied least (ES-WMV)"
    if result.stop_found:
        return f"{chosen}; training ended at step {result.steps}"
    return f"{chosen} in all {fit.schedule.steps} steps; more steps may restore more"


def _noise_notes(noise: _Noise | None, result: RestorationResult) -> list[str]:
    """Say how much noise there was, and how much was taken away."""
    if noise is None:
        return []
    removed = 255 * 10 ** (-result.scores["stop_ema"].psnr / 20)  # without a clean image, compared with the photograph
    source = "estimated" if noise.is_estimated else "given"
    return [f"noise: {noise.sigma:.1f} grey levels ({source}); the restoration differs by {removed:.1f} (rms)"]

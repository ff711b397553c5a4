"""How good is it? Denoise photographs by priors at equal time, and by BM3D, non-local means and total variation.

    pip install bm3d     # else BM3D is left out
    python -m tests.benchmarks.restoration IMAGE... [--size 512x768] [--sigma 25] [--seconds 600] [--ticket NAME]...

Images are cut to their centre (turned if they are upright) and lose their noise by each method: the dense prior,
tickets, the deep decoder at its published size, each for as many steps as fit into `--seconds`, by the speed of its
first steps; and the classical methods, which take what they take and are told sigma. Seconds are CPU seconds of all
threads. All see the same noise. PSNR and SSIM are of images clipped to [0, 1]; of a prior at the last step, at the
stop that looks at no clean image, and at the oracle peak, which do not compare with one another.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from lip import Mask, Ticket, load_ticket
from lip.data import images
from lip.fast.backend import choose
from lip.priors import Decoder, Hourglass, Prior
from lip.specs.fit import Fit
from lip.tasks.denoise import Denoise
from lip.training.restore import Restoration, train

TIMED_STEPS = 12
"""Steps by which the speed of a prior is told; the first two are not counted."""
OUTPUTS = {"last_ema": "last", "stop_ema": "ES-WMV stop", "peak_ema": "oracle peak"}


class Result(NamedTuple):
    """One image by one method."""

    image: str
    method: str
    output: str
    psnr: float
    ssim: float
    seconds: float
    steps: int


def centre(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut the centre of a photograph, lying on its side if it is upright."""
    if (pixels.shape[0] > pixels.shape[1]) != (height > width):
        pixels = np.rot90(pixels)
    top, left = ((own - wanted) // 2 for own, wanted in zip(pixels.shape, (height, width), strict=False))
    if min(top, left) < 0:
        sys.exit(f"a photograph has {pixels.shape[1]}x{pixels.shape[0]} pixels; give a smaller --size")
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def classical(sigma: float) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return the classical methods by name, each from a noisy image (height, width, channels) to a restored one."""
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "total variation": lambda noisy: min(
            (denoise_tv_chambolle(noisy, weight, channel_axis=-1) for weight in (0.05, 0.08, 0.1, 0.12, 0.15, 0.2)),
            key=lambda restored: abs(float((noisy - restored).std()) - sigma),  # takes away as much as there is noise
        ),
        "non-local means": lambda noisy: denoise_nl_means(
            noisy, patch_size=5, patch_distance=6, h=0.6 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
        ),
    }
    if find_spec("bm3d"):
        import bm3d

        def by_bm3d(noisy: np.ndarray) -> np.ndarray:
            found = bm3d.bm3d_rgb(noisy, sigma) if noisy.shape[2] == 3 else bm3d.bm3d(noisy[..., 0], sigma)
            return np.asarray(found).reshape(noisy.shape)

        methods["BM3D"] = by_bm3d
    return methods


def timed_steps(fit: Fit, inputs: dict[str, np.ndarray], ticket: Ticket | None, seconds: float, backend: str) -> int:
    """Return how many steps a fit takes within so many seconds."""
    moments: list[float] = []
    short = fit.replace(schedule=fit.schedule.replace(steps=TIMED_STEPS))
    model = Restoration(short, inputs)
    mask = ticket.mask if ticket else Mask.dense(model.layers)
    train(model, mask, None, lambda *_: moments.append(time.process_time()), backend)
    per_step = (moments[-1] - moments[1]) / (len(moments) - 2)
    return max(TIMED_STEPS, int(seconds / per_step))


def by_prior(
    name: str, prior: Prior, ticket: Ticket | None, picture: images.Image, sigma: float, seconds: float, backend: str
) -> Iterator[Result]:
    """Denoise by a prior, for so many seconds."""
    task = Denoise(sigma=sigma)
    schedule = prior.published("denoise").get("decoder") or prior.schedule(task.schedules()["paper"])
    theta_seed = ticket.theta_seed if ticket else None
    fit = Fit(picture=picture.spec, task=task, schedule=schedule, prior=prior, theta_seed=theta_seed)
    inputs = {picture.id: picture.pixels}
    steps = timed_steps(fit, inputs, ticket, seconds, backend)
    model = Restoration(fit.replace(schedule=schedule.replace(steps=steps)), inputs)
    mask = ticket.mask if ticket else Mask.dense(model.layers)
    result = train(model, mask, ticket.rewound if ticket else None, None, backend)
    for output, label in OUTPUTS.items():
        restored = result.outputs[output].transpose(1, 2, 0)
        yield Result(picture.name, name, label, *scores(restored, picture.pixels), result.cpu_seconds, steps)


def scores(restored: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """Return PSNR and SSIM of an image in [0, 1] against uint8 pixels."""
    target, image = clean / 255, np.clip(restored, 0, 1).astype(np.float64)
    ssim = structural_similarity(target, image, channel_axis=-1, data_range=1)
    return float(peak_signal_noise_ratio(target, image, data_range=1)), float(ssim)


def results(picture: images.Image, options: argparse.Namespace) -> Iterator[Result]:
    """Denoise a photograph by all methods."""
    backend = choose(options.backend, "cpu").name
    prior = Hourglass(width=options.width, scales=options.scales)
    fit = Fit(
        picture=picture.spec, task=Denoise(sigma=options.sigma), schedule=Denoise().schedules()["paper"], prior=prior
    )
    observed = Restoration(fit, {picture.id: picture.pixels}).observation[0]
    noisy = observed.permute(1, 2, 0).numpy().astype(np.float64)
    yield Result(picture.name, "noisy", "", *scores(noisy, picture.pixels), 0.0, 0)
    for name, method in classical(options.sigma / 255).items():
        began = time.process_time()
        restored = method(noisy)
        yield Result(picture.name, name, "", *scores(restored, picture.pixels), time.process_time() - began, 0)
    priors: list[tuple[str, Prior, Ticket | None]] = [("dense prior", prior, None), ("deep decoder", Decoder(), None)]
    for given in options.ticket:
        ticket = load_ticket(given)
        priors.append((f"ticket {Path(given).stem}, {ticket.mask.sparsity:.0%} pruned", ticket.prior, ticket))
    for name, chosen, ticket in priors:
        yield from by_prior(name, chosen, ticket, picture, options.sigma, options.seconds, backend)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", nargs="+", help="names as in a sweep file, such as set14/lenna, or files")
    parser.add_argument("--size", default="512x768", help="height x width; multiples of 32")
    parser.add_argument("--sigma", type=float, default=25.0)
    parser.add_argument("--seconds", type=float, default=600.0, help="CPU seconds of each prior")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--scales", type=int, default=5)
    parser.add_argument("--ticket", action="append", default=[], help="a file of lip export, or a name")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--csv", type=Path, help="write every result to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    found: list[Result] = []
    for name in options.image:
        pixels = centre(images.load(name, size=None, multiple=1).pixels, height, width)
        for result in results(images.Image(name, pixels, ()), options):
            found.append(result)
            print(*result, file=sys.stderr, flush=True)
    if options.csv:
        with options.csv.open("w", newline="") as file:
            csv.writer(file).writerows([Result._fields, *found])
    table = Table("method", "output", "PSNR (dB)", "SSIM", "CPU seconds", "steps")
    table.title = f"{len(options.image)} photographs of {width}x{height} pixels, sigma {options.sigma:g}; means"
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in found:
        groups[result.method, result.output].append(result)
    for (method, output), some in groups.items():
        psnr, ssim, seconds, steps = (
            mean(getattr(one, key) for one in some) for key in ("psnr", "ssim", "seconds", "steps")
        )
        table.add_row(method, output, f"{psnr:.2f}", f"{ssim:.3f}", f"{seconds:.1f}", f"{steps:.0f}" if steps else "")
    Console().print(table)


if __name__ == "__main__":
    main()

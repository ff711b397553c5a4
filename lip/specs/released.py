"""Name each difference between the released code and the paper.

`compat: released` in a sweep file reproduces all of them, a list of names some of them, to measure what each did to the
paper's curves. Each flag is implemented where it applies; this file only lists them. The number of seeds and the use
of oracle PSNRs need no flag: every row stores all scores. Two differences of the released code for generators are not
offered: it also prunes the critic, and it prunes a ticket once more at random.
"""

from __future__ import annotations

import hashlib
from typing import Literal

ReleasedFlag = Literal[
    "schedule",
    "imp_target",
    "z",
    "noise",
    "shared_init",
    "random_double",
    "unmasked_first",
    "backtrack",
    "per_channel",
    "pad",
    "rewind_target",
    "stale_ranking",
    "head",
    "rewind_none",
    "quartic",
    "raw_generator",
    "untuned",
    "gan_batch",
]

RELEASED_FLAGS: dict[ReleasedFlag, str] = {
    "schedule": "steps, learning rate and jitter of the released code where the paper follows deep image prior",
    "imp_target": "IMP of denoising trains on the clean image",
    "z": "the code z is drawn anew in every round of IMP and for every mask that is evaluated",
    "noise": "the observation is drawn anew between IMP and evaluation",
    "shared_init": "inpainting, super-resolution and classification start every repeat from one theta_0",
    "random_double": "random pruning lists every layer twice, and removes 36 % a round instead of 20 %",
    "unmasked_first": "the two convolutions that see the code z are never masked, though their weights count as pruned",
    "backtrack": "a step is undone by comparing with the step before, except at every hundredth (inpainting: only at "
    "every hundredth), by the PSNR to the noisy image even where the clean one is fitted, and its update is applied "
    "all the same; never with several images",
    "per_channel": "inpainting draws each channel of a pixel on its own",
    "pad": "inpainting pads images by one reflected pixel",
    "rewind_target": "the weights that denoising rewinds to were trained on the clean image",
    "stale_ranking": "from the second round on IMP ranks the weights as they were before their last update",
    "head": "classification appends its linear layer to the output convolution, which stays, and puts a sigmoid before "
    "the cross-entropy",
    "rewind_none": "classification's IMP goes on from the trained weights in every round",
    "quartic": "a generator inpaints by the fourth power of the differences instead of their square",
    "raw_generator": "images are recovered by the generator as trained last, not by its moving average",
    "untuned": "a generator's tickets recover images without having been tuned",
    "gan_batch": "a generator sees one image a step where its critic sees a batch, and drift is the square of the "
    "critic's mean score",
}
"""What the released code does, by flag."""


def derived_seed(seed: int, *purpose: object) -> int:
    """Derive a seed from another and from its purpose."""
    return int.from_bytes(hashlib.sha256(repr((seed, *purpose)).encode()).digest()[:6], "little")

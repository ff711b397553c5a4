"""Every experiment of the paper on untrained priors can be declared: what each needs stands here, and is planned.

Photographs are stand-ins; sizes are those of the profile smoke.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lip.fit import Fit
from sweeps.plan import Plan
from sweeps.spec import read

PHOTOS = ["astronaut", "chelsea"]

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "Fig 2, restored images of dense and sparse priors": {
        "parts": [
            {"fixed": {"task": "inpaint", "mask": "text"}},
            {"fixed": {"task": "superres"}, "grid": {"factor": [4, 8]}},
            {"fixed": {"task": "denoise"}},
        ],
        "grid": {"image": PHOTOS},
    },
    "Fig 3 and 13, existence and when to stop": {"grid": {"image": PHOTOS, "pruner": ["imp", "random", "snip"]}},
    "Fig 4, masks of several images": {
        "grid": {"image": PHOTOS},
        "parts": [
            {"grid": {"source_image": PHOTOS}},
            {"fixed": {"source_image": ["chelsea", "coffee"]}, "grid": {"codes": ["shared", "per_image"]}},
        ],
    },
    "Fig 5, masks across tasks, and the deep decoder": {
        "fixed": {"image": "astronaut"},
        "parts": [
            {"grid": {"task": ["denoise", "inpaint", "superres"], "source_task": ["denoise", "inpaint", "superres"]}},
            {"fixed": {"prior": "decoder", "width": 128, "scales": 3}, "grid": {"task": ["denoise", "superres"]}},
        ],
    },
    "Fig 7, layers": {"fixed": {"image": "astronaut"}, "grid": {"pruner": ["imp", "snip", "random"]}},
    "Table 2 and 3, sizes matched to the deep decoder": {
        "fixed": {"image": "astronaut", "parameters": [9_000, 20_000], "width": 32},
        "profiles": {"smoke": {"width": 32}},
    },
    "Table 4, SynFlow at sparsities that are no rounds": {
        "fixed": {"image": "astronaut", "sparsities": [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]},
        "grid": {"pruner": ["imp", "synflow"]},
    },
    "Table 5, grey and colour sets": {"grid": {"image": ["camera", "astronaut"], "task": ["denoise", "inpaint"]}},
    "Fig 9, rewinding": {"fixed": {"image": "astronaut"}, "grid": {"rewind": [0, 5, 10, 20]}},
    "Fig 10, four targets": {
        "fixed": {"image": "astronaut", "task": "reconstruct", "sparsities": [0.89]},
        "grid": {"target": ["clean", "noisy", "shuffled", "noise"], "pruner": ["imp", "snip", "random"]},
    },
    "Fig 11, curves": {"fixed": {"image": "astronaut"}, "grid": {"pruner": ["imp", "snip", "random"]}},
    "Fig 12, without a reference": {"fixed": {"image": "astronaut", "task": "restore"}},
    "Fig 14, masks of other images": {"grid": {"image": PHOTOS, "source_image": [*PHOTOS, PHOTOS]}},
    "Fig 15, random pruning with the ratios of IMP": {
        "fixed": {"image": "astronaut"},
        "grid": {"pruner": ["imp", "shuffled", "random"]},
    },
    "Fig 16, SGLD": {"fixed": {"image": "astronaut", "schedule": "sgld"}},
    "Optimal Eye Surgeon on equal terms": {
        "fixed": {"image": "astronaut", "sparsities": [0.95]},
        "grid": {"covers": ["weights", "all"]},
        "parts": [
            {"grid": {"pruner": ["imp", "random", "magnitude"]}},
            {"fixed": {"pruner": "oes", "search": 2}},
            {"fixed": {"pruner": "shuffled", "counts_of": "oes", "search": 2}},
            {"fixed": {"pruner": "oes", "search": 2, "theta_seed": 7}},
        ],
    },
    "what each defect of the released code does": {
        "fixed": {"image": "astronaut"},
        "grid": {"pruner": ["imp", "random"], "compat": ["official", [], ["random_double"], ["unmasked_first"]]},
    },
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_can_be_declared(name: str, write: Callable[..., str]) -> None:
    blocks = {key: EXPERIMENTS[name].get(key) for key in ("fixed", "grid", "parts", "profiles")}
    plan = Plan(read(write(**blocks)), frozenset())
    order = list(plan.fits.values())
    seen: set[str] = set()
    for fit in order:
        assert {source.id for source in fit.sources} <= seen
        seen.add(fit.id)
    assert Counter(type(fit) for fit in order) == {Fit: len(plan.fits)}
    assert len({point["fit"] for point in plan.points()} - seen) == 0

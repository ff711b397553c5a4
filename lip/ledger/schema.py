"""The columns of a row, which is one fit. Every column is documented here and nowhere else."""

from __future__ import annotations

import pyarrow as pa

from lip.errors import InputError

VERSION = 2
"""Version of all files of a ledger. Raise it when what they say changes its meaning; an added column does not."""

WHICH = {
    "peak": "oracle: best of all steps against the clean image",
    "last": "last step",
    "stop": "reference-free early stop ES-WMV, where its variance is least; the last step if its window is longer",
}
"""The three reported outputs of a fit. Each also exists with `_ema`, for the moving average of the outputs."""

SCORES = [f"{which}{ema}" for which in WHICH for ema in ("", "_ema")]

_text, _int, _float, _bool = pa.string(), pa.int64(), pa.float64(), pa.bool_()

COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "id": (_text, "the fit: hash of its canonical spec"),
    "schema": (_int, "version of this list of columns"),
    "spec": (_text, "the canonical spec, as JSON"),
    # the model
    "image": (_text, "name of the image or the data set; of several fitted at once, joined by +"),
    "pixels": (_text, "hash of the (first) image's pixels, or of all of a data set"),
    "codes": (_text, "whether several images share one code or have one each"),
    "image_height": (_int, "pixels"),
    "image_width": (_int, "pixels"),
    "channels": (_int, "1 grey, 3 RGB"),
    "classes": (_int, "classify: classes of the data set"),
    "train_images": (_int, "classify: pictures trained on"),
    "test_images": (_int, "classify: pictures that accuracies are measured on"),
    "task": (_text, "restoration task, or classify, or generate"),
    "sigma": (_float, "denoise, reconstruct: noise standard deviation in 8-bit grey levels"),
    "keep": (_float, "inpaint: probability that a pixel is known, unless a mask is given"),
    "per_channel": (_bool, "inpaint: whether each channel of a pixel is known or not on its own"),
    "pad": (_int, "inpaint: pixels reflected at every border"),
    "hole": (_text, "inpaint: name of the mask"),
    "factor": (_int, "superres: how often the image is enlarged"),
    "quartic": (_bool, "inpaint: by the fourth power of the differences, as released for generators"),
    "measurements": (_int, "sense: how many"),
    "corrupted": (_int, "sense: how many of these are corrupted"),
    "measurement_noise": (_float, "sense: standard deviation"),
    "estimator": (_text, "sense: median_of_means or least_squares"),
    "rows": (_int, "sense: measurements in a block of which the mean is taken"),
    "gan_batch": (_bool, "generate: one image a step for the generator, as released"),
    "target": (_text, "reconstruct: clean, noisy, shuffled or noise"),
    "undo_sigma": (_float, "reconstruct: as released, undone by the PSNR to the image with noise of this sigma"),
    "head": (_text, "classify: linear, or sigmoid: as the released code has it"),
    "rewinds": (_bool, "classify: whether IMP goes back to theta_0"),
    # the prior and its training
    "prior": (_text, "network"),
    "width": (_int, "channels of every layer"),
    "scales": (_int, "hourglass: number of halvings; decoder: of doublings"),
    "skip": (_int, "hourglass: channels of a skip connection"),
    "depth": (_int, "hourglass: channels of the input code, which a classifier has pictures in place of"),
    "size": (_int, "generators: height and width of their images"),
    "checkpoint": (_text, "generators: hash of the pre-trained weights; null: they are another fit's"),
    "restarts": (_int, "generators: codes that are fitted, of which the one of least loss is kept"),
    "interleaved_groups": (_bool, "pggan: the critic's deviation within a batch as in the zoo before July 2019"),
    "raw": (_bool, "generators: recover by the weights as trained last, not by their average"),
    "net": (_text, "nas: number of the upsampling cell, and which scales are given which sources"),
    "seed": (_int, "draws theta_0, z, observation, jitter and random masks"),
    "theta_seed": (_int, "draws theta_0 instead; null: seed does"),
    "z_seed": (_int, "draws z instead; null: seed does"),
    "noise_seed": (_int, "draws the observation instead; null: seed does"),
    "steps": (_int, "steps of Adam; classify: epochs of SGD"),
    "lr": (_float, "learning rate"),
    "critic_lr": (_float, "generate: learning rate of the critic"),
    "batch": (_int, "classify, generate: pictures per update"),
    "momentum": (_float, "classify: of SGD"),
    "jitter": (_float, "standard deviation of the input noise"),
    "jitter_decay": (_float, "factor on the input noise after every 500 steps"),
    "ema": (_float, "weight of the past in the average of outputs; generate: of the generator's weights"),
    "backtrack": (_float, "dB of loss in a step that undo it; null: never"),
    "undo": (_text, "checked; official, or hundredths for inpainting: as the released code does"),
    "grace": (_int, "steps that are never undone, at the start and after each step undone"),
    "decay": (_float, "weight decay"),
    "langevin": (_float, "standard deviation of SGLD's noise on the weights"),
    "burn_in": (_float, "share of the steps after which outputs are averaged; null: never"),
    "stop_window": (_int, "outputs that ES-WMV takes the variance of; null: 100, at most half of the steps"),
    "stop_patience": (_int, "steps a minimum of ES-WMV or ES-EMV has to stand; null: 1000, at most a third of all"),
    "precision": (_text, "float32, which null means too; bf16: convolutions in bfloat16; float64"),
    # the mask
    "pruner": (_text, "kind of mask: dense, imp, random, snip, ..."),
    "covers": (_text, "what a mask covers: the weights of the convolutions, or all parameters"),
    "round": (_int, "how often 20 % of the remaining weights were removed; null at a level between two rounds"),
    "source": (_text, "imp: the fit this mask was cut from"),
    "source_image": (_text, "imp: the image of that fit"),
    "source_task": (_text, "imp: the task of that fit"),
    "start": (_text, "the fit whose trained weights this one started from; null: theta_0"),
    "start_steps": (_int, "steps of that fit: j of theta_j; 0 for theta_0"),
    "sparsity_asked": (_float, "1 - 0.8^round, or the level asked for; null where that was a number of parameters"),
    "sparsity": (_float, "fraction of the prunable weights that is pruned"),
    "prunable": (_int, "prunable weights of the network"),
    "kept": (_int, "prunable weights kept"),
    "parameters": (_int, "all parameters of the network"),
    "kept_parameters": (_int, "kept weights and all parameters that no mask covers"),
    "empty_layers": (_int, "prunable layers without a kept weight"),
    # results
    **{f"psnr_{s}": (_float, f"dB, {WHICH[s[:4]]}{', averaged outputs' * s.endswith('_ema')}") for s in SCORES},
    **{f"ssim_{s}": (_float, f"{WHICH[s[:4]]}{', averaged outputs' * s.endswith('_ema')}") for s in SCORES},
    **{f"step_{s}": (_int, f"step of that output, 1 to steps ({s})") for s in SCORES},
    "psnr_emv": (_float, "dB, reference-free early stop ES-EMV: its own average of the outputs"),
    "ssim_emv": (_float, "ES-EMV"),
    "step_emv": (_int, "step of that output, 1 to steps (emv)"),
    "emv_found": (_bool, "whether ES-EMV's patience ran out; if not, step_emv has the least variance of all steps"),
    "psnr_lowest_loss": (_float, "dB, output of the lowest training loss, as the deep decoder is published"),
    "ssim_lowest_loss": (_float, "output of the lowest training loss"),
    "step_lowest_loss": (_int, "step of that output"),
    "psnr_mean": (_float, "dB, SGLD's posterior mean: of the outputs after burn-in"),
    "ssim_mean": (_float, "SGLD's posterior mean"),
    "mse_peak": (
        _float,
        "generators: per pixel of images in [-1, 1], oracle: best of all steps",
    ),
    "mse_last": (_float, "generators: per pixel of images in [-1, 1], last step"),
    "accuracy_last": (_float, "classify: share of the test pictures that is told right after the last epoch"),
    "accuracy_peak": (_float, "classify: oracle, the best of all epochs; step_peak is the first that has it"),
    "loss": (
        _float,
        "training loss, mean of the last 100 steps; classify: of the last epoch; generate: the critic's distance",
    ),
    "stop_found": (_bool, "whether ES-WMV's patience ran out; if not, step_stop has the least variance of all steps"),
    "backtracks": (_int, "steps undone"),
    "collapsed": (_bool, "best output less than 1 dB better than a flat colour; classify: never better than one class"),
    "stalled": (_bool, "more than 5 % of its steps were undone: it hardly left the weights it started from"),
    "diverged": (_bool, "the loss was not finite towards the end"),
    # provenance
    "started": (pa.timestamp("ms", tz="UTC"), "when training began"),
    "seconds": (_float, "training time with its records"),
    "cpu_seconds": (_float, "CPU time of the process, all threads, in these seconds; null in older rows"),
    "steps_per_second": (_float, ""),
    "peak_memory_mb": (_float, "MiB: peak of the process, or of the fit on a CUDA device"),
    "device_memory_mb": (_float, "MiB: memory of the CUDA device"),
    "device": (_text, "cpu, or the GPU's name"),
    "threads": (_int, "CPU threads of the fit"),
    "backend": (
        _text,
        "dense: PyTorch alone; numba: compiled modules that leave out pruned weights; cuda_graph: a CUDA graph",
    ),
    "kernels": (_text, "backend numba: hash of the kernels' sources and of what compiled them, CPU features included"),
    "host": (_text, "machine"),
    "cpu": (_text, "model of the CPU"),
    "version_lip": (_text, ""),
    "version_python": (_text, ""),
    "version_torch": (_text, ""),
    "version_numpy": (_text, ""),
    "version_numba": (_text, "null: not installed"),
    "version_cuda": (_text, "that PyTorch is built for; null: none"),
    "version_cudnn": (_text, "that PyTorch uses; null: none"),
    "code": (_text, "hash of lip's sources"),
    "commit": (_text, "git commit of the checkout that lip was imported from; null: it was none"),
    "dirty": (_bool, "whether lip's sources differed from that commit"),
    # the curve and the layers: lists of one length
    "curve_step": (pa.list_(pa.int32()), "sampled steps"),
    **{
        f"curve_{name}": (pa.list_(pa.float32()), "per sampled step")
        for name in ("loss", "psnr", "psnr_ema", "ssim", "ssim_ema", "accuracy")
    },
    "layer_name": (pa.list_(_text), "prunable layers in module order, scale 0 is full resolution"),
    "layer_size": (pa.list_(pa.int64()), "weights of the layer"),
    "layer_kept": (pa.list_(pa.int64()), "weights kept"),
}

FITS = pa.schema([pa.field(name, kind) for name, (kind, _) in COLUMNS.items()])

_NAMES = list(COLUMNS)
PROVENANCE = _NAMES[_NAMES.index("started") : _NAMES.index("curve_step")]
"""How a fit was computed: what may differ between two rows of one fit."""
RESULTS = [name for name in _NAMES if name not in PROVENANCE]
"""What a fit is and gave: two rows of one fit that differ here are in conflict."""

POINTS = pa.schema(
    [
        ("sweep", _text),
        ("profile", _text),
        ("experiment", _text),
        ("trajectory", _text),
        ("image", _text),
        ("source_image", _text),
        ("task", _text),
        ("source_task", _text),
        ("pruner", _text),
        ("seed", _int),
        ("rewind", _float),
        ("compat", _text),
        ("round", _int),
        ("fit", _text),
    ]
)
"""A sweep is a list of trajectories, and this table lists their fits: one row per (experiment, trajectory, round).

`experiment` is the sweep itself or one that it includes; null in older files, which include none.
`rewind` is the percentage of the dense run's steps that weights are rewound to; `source_image` and `source_task` are
null where the masks come from the image and task themselves. `compat` names what is done as the released code does,
joined by +; null for nothing. `round` is null at a level between two rounds.
"""


def require_version(found: int, path: str) -> None:
    """Raise InputError for a file that was written by another version."""
    if found != VERSION:
        age, remedy = ("a newer", "upgrade lip") if found > VERSION else ("an older", "name an empty storage")
        raise InputError(f"{path} was written by {age} lip (schema {found}, this one reads {VERSION}); {remedy}")

"""The columns of the ledger's tables, each documented here and nowhere else."""

from __future__ import annotations

import json

import pyarrow as pa

from lip.errors import InputError

VERSION = 3
"""Version of all files of a ledger. Raise it when a column changes its name or meaning; a new column needs no raise."""

METADATA = {"schema": str(VERSION)}
"""Metadata of all files that are not tables of fits."""

Columns = dict[str, tuple[pa.DataType, str]]
"""Type and description of columns by name."""

_text, _int, _float, _bool = pa.string(), pa.int64(), pa.float64(), pa.bool_()

OUTPUTS = {"peak": "oracle peak", "last": "last output", "stop": "ES-WMV stop"}
"""The three reported outputs of a fit, and their labels. Each also exists averaged over steps (`_ema`)."""

_OUTPUT_STEPS = {
    "peak": "oracle: best of all steps against the clean image",
    "last": "last step",
    "stop": "reference-free early stop ES-WMV, at its least variance; the last step if its window is longer",
}

_SCORES = {
    f"{output}{ema}": f"{_OUTPUT_STEPS[output]}{', averaged outputs' if ema else ''}"
    for output in OUTPUTS
    for ema in ("", "_ema")
}

SCORES = list(_SCORES)
"""The outputs that are scored, by their columns' endings."""

SWEEP_COLUMNS: Columns = {
    "sweep": (_text, "name of the sweep"),
    "profile": (_text, "its profile"),
    "experiment": (_text, "the sweep itself, or the one among those it includes; null in older files"),
    "trajectory": (_text, "id of the trajectory"),
    "image": (_text, "name of the image that is restored, or of the data set"),
    "source_image": (_text, "image whose IMP masks are transferred; null in the ledger: its own"),
    "task": (_text, "restoration task, or classify"),
    "source_task": (_text, "task whose IMP masks are transferred; null in the ledger: its own"),
    "pruner": (_text, "of the trajectory: imp also at round 0 of an IMP trajectory"),
    "seed": (_int, "draws theta_0, z, observation, jitter and random masks"),
    "rewind": (_float, "percentage of the dense run's steps that weights are rewound to"),
    "compat": (_text, "what is done as the released code does, joined by +; null in the ledger: nothing"),
    "round": (_int, "how often 20 % of the remaining weights were removed; null at a level between two rounds"),
    "fit": (_text, "id of the fit"),
}
"""A sweep lists the fits of its trajectories: one row per experiment, trajectory and round."""

AXES = ["image", "source_image", "task", "source_task", "pruner", "seed", "rewind", "compat", "round"]
"""The columns that a sweep varies. Rows that agree in all of them are the same point of a sweep."""

COLUMNS: Columns = {
    "fit": (_text, "id of the fit: hash of its canonical spec"),
    "schema": (_int, "version of the files of a ledger"),
    "spec": (_text, "the canonical spec, as JSON"),
    # the model
    "image": (_text, "name of the image or the data set; several fitted together are joined by +"),
    "content_hash": (_text, "hash of the (first) image's pixels, or of a whole data set"),
    "codes": (_text, "whether several images share one code or have one each"),
    "image_height": (_int, "pixels"),
    "image_width": (_int, "pixels"),
    "channels": (_int, "1 grey, 3 RGB"),
    "classes": (_int, "classify: classes of the data set"),
    "train_images": (_int, "classify: pictures trained on"),
    "test_images": (_int, "classify: pictures that accuracies are measured on"),
    "task": (_text, "restoration task, or classify, or generate"),
    "sigma": (_float, "denoise, reconstruct: noise standard deviation in 8-bit grey levels"),
    "keep": (_float, "inpaint: probability that a pixel is known, unless there is a mask"),
    "per_channel": (_bool, "inpaint: whether each channel of a pixel is drawn separately"),
    "pad": (_int, "inpaint: pixels reflected at every border"),
    "inpaint_mask": (_text, "inpaint: name of the mask"),
    "factor": (_int, "superres: factor of enlargement"),
    "quartic": (_bool, "inpaint: fit the fourth power of the differences, as released for generators"),
    "measurements": (_int, "sense: number of measurements"),
    "corrupted": (_int, "sense: number of corrupted measurements"),
    "measurement_noise": (_float, "sense: standard deviation"),
    "estimator": (_text, "sense: median_of_means or least_squares"),
    "rows": (_int, "sense: measurements per block of the median of means"),
    "gan_batch": (_bool, "generate: one image a step for the generator, as released"),
    "target": (_text, "reconstruct: clean, noisy, shuffled or noise"),
    "backtrack_sigma": (
        _float,
        "reconstruct: as released, undo steps by the PSNR to the image with noise of this sigma",
    ),
    "head": (_text, "classify: linear, or sigmoid as in the released code"),
    "rewinds": (_bool, "classify: whether IMP goes back to theta_0"),
    # the prior and its training
    "prior": (_text, "network"),
    "width": (_int, "channels of every layer"),
    "scales": (_int, "hourglass: number of halvings; decoder: of upsamplings"),
    "skip": (_int, "hourglass: channels of a skip connection"),
    "depth": (_int, "hourglass: channels of the input code; a classifier has pictures instead"),
    "size": (_int, "generators: height and width of their images"),
    "checkpoint": (_text, "generators: hash of the pre-trained weights; null: those of another fit"),
    "restarts": (_int, "generators: number of fitted codes, of which the one of least loss is kept"),
    "interleaved_groups": (_bool, "pggan: the critic's deviation within a batch as in the zoo before July 2019"),
    "raw": (_bool, "generators: recover with the last weights, not with their average"),
    "net": (_text, "nas: number of the upsampling cell, and the sources of every scale"),
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
    "backtrack": (_float, "a step after which the loss rises by more dB is undone; null: never"),
    "backtrack_rule": (_text, "exact; as the released code: released, or hundredths for inpainting"),
    "grace": (_int, "steps that are not undone, at the start and after each step undone"),
    "decay": (_float, "weight decay"),
    "langevin": (_float, "standard deviation of SGLD's noise on the weights"),
    "burn_in": (_float, "share of the steps after which outputs are averaged; null: never"),
    "stop_window": (_int, "outputs that ES-WMV takes the variance of; null: 100, at most half of the steps"),
    "stop_patience": (_int, "steps that a minimum of ES-WMV or ES-EMV must last; null: 1000, at most a third of all"),
    "until": (_text, "stop: ended once ES-WMV's patience ran out, and reports its stop alone; null: after all steps"),
    "precision": (_text, "float32; bf16: convolutions in bfloat16; float64"),
    # the mask
    "mask_kind": (_text, "dense, imp, random, snip, ..."),
    "covers": (_text, "what a mask covers: the weights of the convolutions, or all parameters"),
    "round": (_int, "how often 20 % of the remaining weights were removed; null at a level between two rounds"),
    "mask_fit": (_text, "imp: the fit that the mask was cut from"),
    "mask_image": (_text, "imp: the image of that fit"),
    "mask_task": (_text, "imp: the task of that fit"),
    "start": (_text, "the fit from whose trained weights this one started; null: theta_0"),
    "start_steps": (_int, "steps of that fit: j of theta_j; 0 for theta_0"),
    "sparsity_asked": (_float, "1 - 0.8^round, or the level asked for; null where that was a number of parameters"),
    "sparsity": (_float, "fraction of the prunable weights that is pruned"),
    "n_prunable": (_int, "prunable weights of the network"),
    "n_kept": (_int, "prunable weights kept"),
    "parameters": (_int, "all parameters of the network"),
    "kept_parameters": (_int, "kept weights and all parameters that no mask covers"),
    "empty_layers": (_int, "prunable layers without a kept weight"),
    # results
    **{f"psnr_{score}": (_float, f"dB, {meaning}") for score, meaning in _SCORES.items()},
    **{f"ssim_{score}": (_float, meaning) for score, meaning in _SCORES.items()},
    **{f"step_{score}": (_int, f"step of that output, 1 to steps ({score})") for score in SCORES},
    "psnr_emv": (_float, "dB, reference-free early stop ES-EMV: its own average of the outputs"),
    "ssim_emv": (_float, "ES-EMV"),
    "step_emv": (_int, "step of that output, 1 to steps (emv)"),
    "emv_found": (_bool, "whether ES-EMV's patience ran out; if not, step_emv has the least variance of all steps"),
    "psnr_lowest_loss": (_float, "dB, output of the lowest training loss, as the deep decoder is published"),
    "ssim_lowest_loss": (_float, "output of the lowest training loss"),
    "step_lowest_loss": (_int, "step of that output"),
    "psnr_mean": (_float, "dB, SGLD's posterior mean: of the outputs after burn-in"),
    "ssim_mean": (_float, "SGLD's posterior mean"),
    "mse_peak": (_float, "generators: per pixel of images in [-1, 1], oracle: best of all steps"),
    "mse_last": (_float, "generators: per pixel of images in [-1, 1], last step"),
    "accuracy_last": (_float, "classify: share of test pictures classified correctly after the last epoch"),
    "accuracy_peak": (_float, "classify: oracle, the best of all epochs; step_peak is the first that has it"),
    "loss": (
        _float,
        "training loss, mean of the last 100 steps; classify: of the last epoch; generate: the critic's distance",
    ),
    "stop_found": (_bool, "whether ES-WMV's patience ran out; if not, step_stop has the least variance of all steps"),
    "steps_done": (_int, "until stop: the steps that were made; null: all"),
    "backtracks": (_int, "steps undone"),
    "collapsed": (
        _bool,
        "best output less than 1 dB better than a constant colour; classify: never better than one class",
    ),
    "stalled": (_bool, "more than 5 % of its steps were undone, so that it hardly left its initial weights"),
    "diverged": (_bool, "the loss was not finite at the end"),
    # provenance
    "started": (pa.timestamp("ms", tz="UTC"), "when training began"),
    "seconds": (_float, "training time, scoring included"),
    "cpu_seconds": (_float, "CPU time of the process, all threads"),
    "steps_per_second": (_float, "training speed"),
    "peak_memory_mb": (_float, "MiB: peak of the process, or of the fit on a CUDA device"),
    "device_memory_mb": (_float, "MiB: memory of the CUDA device"),
    "device": (_text, "cpu, or the GPU's name"),
    "threads": (_int, "CPU threads of the fit"),
    "backend": (
        _text,
        "dense: PyTorch alone; numba: compiled modules that leave out pruned weights; cuda_graph: a CUDA graph",
    ),
    "kernels": (_text, "backend numba: hash of the kernels' sources and of what compiled them, CPU features included"),
    "host": (_text, "name of the machine"),
    "cpu": (_text, "model of the CPU"),
    "version_lip": (_text, "version of lip"),
    "version_python": (_text, "version of python"),
    "version_torch": (_text, "version of torch"),
    "version_numpy": (_text, "version of numpy"),
    "version_numba": (_text, "version of numba; null: not installed"),
    "version_cuda": (_text, "CUDA that PyTorch is built for; null: none"),
    "version_cudnn": (_text, "cuDNN that PyTorch uses; null: none"),
    "code": (_text, "hash of lip's sources"),
    "commit": (_text, "git commit of the checkout that lip was imported from; null: no checkout"),
    "dirty": (_bool, "whether lip's sources differed from that commit"),
    "environment": (_text, "id of the record of all installed packages, the driver and changes of the checkout"),
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


def described(columns: Columns) -> pa.Schema:
    """Return the schema of columns, each with its description as metadata."""
    return pa.schema([pa.field(name, kind, metadata={"description": text}) for name, (kind, text) in columns.items()])


FITS = described(COLUMNS)
SWEEP_ROWS = described(SWEEP_COLUMNS)

_NAMES = list(COLUMNS)
PROVENANCE = _NAMES[_NAMES.index("started") : _NAMES.index("curve_step")]
"""How a fit was computed: these columns may differ between two rows of one fit."""
RESULTS = [name for name in _NAMES if name not in PROVENANCE]
"""What a fit is and its results: two rows of one fit that differ here are in conflict."""


def require_version(found: int, path: str) -> None:
    """Refuse a file that another version wrote. Raises InputError."""
    if found != VERSION:
        age, remedy = ("a newer", "upgrade lip") if found > VERSION else ("an older", "name an empty storage")
        raise InputError(f"{path} was written by {age} lip (schema {found}, this one reads {VERSION}); {remedy}")


def check_tensors(path: str, data: bytes) -> None:
    """Refuse what is not a safetensors file of this version. Raises InputError for another version's."""
    from safetensors import deserialize

    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    require_version(int(header.get("__metadata__", {}).get("schema", 1)), path)
    deserialize(data)

"""Turn a user's request, flat keys and plain values, into the specs of one trajectory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from lip.data.checkpoints import Checkpoint, check
from lip.data.images import HELD_OUT
from lip.data.library import InputLibrary
from lip.errors import InputError, explained, location, nearest
from lip.masks import PRUNED_PER_ROUND, Covers
from lip.priors import GENERATORS, PRIORS, Hourglass, Pretrained, Prior
from lip.pruners import PRUNERS
from lip.specs.fit import Seed
from lip.specs.picture import Codes, Picture
from lip.specs.released import RELEASED_FLAGS, ReleasedFlag
from lip.specs.schedule import Adversarial, Schedule, Training
from lip.specs.target import Level
from lip.specs.trajectory import SPARSITY_DIGITS, MaskSource, Pruning, Share, Trajectory
from lip.tasks import TASKS, Task
from lip.tasks.classify import Classify
from lip.tasks.degradation import Degradation
from lip.tasks.generate import Generate
from lip.tasks.sense import Sense
from lip.training.metrics import SSIM_WINDOW

SpecType = TypeVar("SpecType", bound=BaseModel)

WEIGHT_ONLY_FIELDS = (
    "backtrack",
    "backtrack_rule",
    "decay",
    "langevin",
    "jitter",
    "jitter_decay",
    "until",
    "precision",
)
"""Schedule fields that apply only when weights are trained."""

Side = Annotated[int, Field(ge=1, le=8192)]
"""Pixels; no network for a larger image fits into memory."""

INTERNAL_FIELDS = ("inpaint_mask", "total_epochs", "generator_frozen", "raw", "backtrack_sigma")
"""Spec fields that users cannot set; they are filled in while a request is parsed."""


class Request(BaseModel):
    """The keys of every trajectory, beside those of its task, its prior and its schedule."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str | None = None
    """A photograph of scikit-image (`astronaut`, `camera`, `chelsea`, `coffee`, `coins`, `moon`, `retina`, `rocket`), a
    file or glob, a member of `set5`, `set14`, `set12`, `cbm3d`, `bm3d` or `dip`, or a whole set. With a generator, one
    of the faces that it is not trained on: `held-out/0`, `held-out/1`, ..."""
    data: str | None = None
    """classify: the data set, in place of an image: `faces` (embedded), `digits` (with scikit-learn), `cifar10` (from
    the data folder, or downloaded once), a folder of class folders, or a text file that lists such folders."""
    source_image: str | list[str] | None = None
    """Transfer the IMP masks of this image, or of several fitted together (Alg. 2)."""
    source_data: str | None = None
    """Transfer the IMP masks of this data set; for generators, the faces that they are tuned on: a folder, or `lfw`
    (100 embedded ones)."""
    task: str = "denoise"
    """The task; its own keys are listed under it."""
    source_task: str | None = None
    """Transfer the IMP masks of this task at its defaults."""
    codes: Codes = "shared"
    """Let several source images share one code z, as in the paper, or have one each."""
    prior: str = "hourglass"
    """The network; its own keys are listed under it."""
    pruner: str = "imp"
    """The pruner; its own keys are listed under it."""
    rounds: Annotated[int, Field(ge=0, le=50)] | None = None
    """Rounds of pruning; 16 if there are no levels either."""
    pruned_share: Share = PRUNED_PER_ROUND
    """Share of the remaining weights that a round removes."""
    pruning: Pruning = "geometric"
    """`geometric`: every round removes the same share. `cubic`: the sparsity rises to that of the last round as
    1 - (1 - k/n)^3 over n rounds (arXiv 1710.01878)."""
    sparsities: list[float] = []
    """Levels instead of rounds: fractions of the prunable weights that are pruned. With `pruning: cubic` one, which the
    last round reaches."""
    parameters: list[int] = []
    """Levels instead of rounds: tickets with this many parameters in total, as many as another network has."""
    covers: Covers = "weights"
    """What masks cover: the weights of the convolutions, or all parameters."""
    seed: Seed = 0
    """Draws everything random, unless one of the next three draws it."""
    theta_seed: Seed | None = None
    """Draws theta_0 instead of `seed`; `z_seed` the code, `noise_seed` the observation."""
    z_seed: Seed | None = None
    """Draws the code z instead of `seed`."""
    noise_seed: Seed | None = None
    """Draws the observation instead of `seed`."""
    rewind: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Percentage of the dense run's steps to rewind to; 0: theta_0."""
    size: Side | None = None
    """Images are cut to a square and scaled to this many pixels; None keeps them, cropped to what the prior needs."""
    data_size: Side = 50
    """Pictures of a data set are cut to a square and scaled to this many pixels."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of a folder of faces that generators are trained on; the rest is held out."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Faces are cut to a square whose side is this share of the shorter one."""
    checkpoint: str | None = None
    """Pre-trained weights of a generator: a file of PyTorch's, or `celebahq-256` of PyTorch GAN zoo."""
    mask: str | None = None
    """inpaint: an image of the photograph's size, light where pixels are known; or `text`: lines of text."""
    invert: bool = False
    """inpaint: the mask is light where pixels are missing instead."""
    schedule: Literal["paper", "lip", "sgld", "decoder", "oes"] = "paper"
    """Train as in the paper, as in its released code (`lip`), by Langevin dynamics (`sgld`), or as published for the
    deep decoder or Optimal Eye Surgeon."""
    compat: Literal["released"] | list[str] = []
    """Do everything, or what is listed, as the released code does (`lip.specs.released`)."""

    def released_flags(self, *owners: type[Task] | type[Prior]) -> tuple[ReleasedFlag, ...]:
        """Return the flags that are asked for and exist for these tasks or this prior."""
        known = {name for owner in owners for name in owner.released_flags}
        asked = known if self.compat == "released" else self.compat
        return tuple(name for name in RELEASED_FLAGS if name in asked and name in known)


def check_value(key: str, value: Any) -> None:
    """Refuse a value that no task, prior or schedule takes for a key. Raises InputError."""
    errors: list[ValidationError] = []
    for model in _models_of_keys().get(key, []):
        try:
            model(**{key: value})
            return
        except ValidationError as error:
            errors.append(error)
    if errors:
        raise explained(errors[0], [key]) from errors[0]


@cache
def _models_of_keys() -> dict[str, list[type[BaseModel]]]:
    """Return for every key a model of it alone, for each of those that have it."""
    owners: list[type[BaseModel]] = [Request, *TASKS.values(), *PRIORS.values(), *GENERATORS.values()]
    owners += [task.training for task in TASKS.values()]
    found: dict[str, list[type[BaseModel]]] = {}
    for owner in dict.fromkeys(owners):
        for key, field in owner.model_fields.items():
            if key not in INTERNAL_FIELDS:
                alone: dict[str, Any] = {key: (field.annotation, field)}
                found.setdefault(key, []).append(create_model(key, __config__=ConfigDict(strict=True), **alone))
    return found


def parse_trajectory(values: Mapping[str, Any], library: InputLibrary, where: str) -> Trajectory:
    """Turn flat keys into a trajectory.

    Raises InputError; its sentence begins with `where`.
    """
    with location(where):
        asked = _Asked.of(_validate(Request, values), values, library)
        _check_words(asked)
        prior = _prior(asked)
        if isinstance(prior, Pretrained):
            asked = replace(asked, request=asked.request.model_copy(update={"size": prior.size}))  # its only size
        own = _own(asked, prior)
        source = _mask_source(own, asked, prior)
        request = asked.request
        (picture,) = own.pictures
        levels = _levels(request, own.task, prior, picture)
        shares_init = "shared_init" in asked.released_flags and own.task.shared_init
        trajectory = Trajectory(
            picture=picture,
            task=own.task,
            schedule=own.schedule,
            prior=prior,
            pruner=request.pruner,
            options=tuple((key, values[key]) for key in asked.options if key in values),
            rounds=_rounds(request, levels),
            levels=levels,
            pruned_share=request.pruned_share,
            pruning=request.pruning,
            covers=request.covers,
            seed=request.seed,
            theta_seed=0 if shares_init else request.theta_seed,
            z_seed=request.z_seed,
            noise_seed=request.noise_seed,
            rewind=request.rewind,
            mask_source=source if source.id != own.id else None,
            compat=asked.released_flags,
        )
        try:
            _ = trajectory.fits  # so that a pruner checks its options before any work
        except ValidationError as error:
            raise explained(error, asked.keys) from error
        if any(fit.source_fit and fit.source_fit.schedule.ends_early for fit in trajectory.fits):
            raise InputError(
                f"until: {request.pruner} cuts tickets from the weights after all steps; remove it, or use rounds: 0 "
                "or a pruner such as random"
            )
        return trajectory


@dataclass(frozen=True)
class _Asked:
    """A request, the classes that it names, and the library that loads its inputs."""

    request: Request
    values: Mapping[str, Any]
    """All flat keys, also those of its task, its prior and its schedule."""
    library: InputLibrary
    task: type[Task]
    source: type[Task]
    prior: type[Prior]
    options: list[str]

    @classmethod
    def of(cls, request: Request, values: Mapping[str, Any], library: InputLibrary) -> Self:
        priors = PRIORS | GENERATORS
        for key, name, known in (
            ("task", request.task, TASKS),
            ("source_task", request.source_task or request.task, TASKS),
            ("prior", request.prior, list(priors)),
            ("pruner", request.pruner, PRUNERS),
        ):
            if name not in known:
                raise InputError(f"{key}: there is no {key} {name!r}; {nearest(name, list(known))}")
        prior = priors[request.prior]
        source = Generate if issubclass(prior, Pretrained) else TASKS[request.source_task or request.task]
        return cls(request, values, library, TASKS[request.task], source, prior, _options(request.pruner, values))

    @property
    def pretrained(self) -> bool:
        return issubclass(self.prior, Pretrained)

    @property
    def keys(self) -> list[str]:
        """List the keys that these classes have."""
        owners: list[type[BaseModel]] = [Request, self.task, self.prior, self.task.training, self.source.training]
        return [key for owner in owners for key in owner.model_fields if key not in INTERNAL_FIELDS] + self.options

    @cached_property
    def released_flags(self) -> tuple[ReleasedFlag, ...]:
        return self.request.released_flags(*([self.prior] if self.pretrained else [self.task, self.source]))


def _check_words(asked: _Asked) -> None:
    """Refuse keys and names that the task, the prior or the pruner does not have."""
    request, keys, estimator = asked.request, asked.keys, asked.values.get("estimator")
    for key in asked.values:
        if key not in keys:
            raise InputError(_elsewhere(key) or f"there is no key {key!r}; {nearest(key, keys)}")
    for name in request.compat if isinstance(request.compat, list) else []:
        if name not in RELEASED_FLAGS:
            raise InputError(f"compat: the released code has no {name!r}; {nearest(name, list(RELEASED_FLAGS))}")
    for owner in (asked.task, asked.source):
        if owner.pruners and request.pruner not in owner.pruners:
            usable = ", ".join(owner.pruners)
            raise InputError(f"pruner: {request.pruner} cannot prune for {owner.kind}; use {usable}")
    for key in ("source_image", "source_data", "source_task"):
        if getattr(request, key) and not (asked.pretrained or PRUNERS[request.pruner].can_transfer):
            raise InputError(f"{key}: {request.pruner} uses no transferred masks; use pruner: imp")
    if request.mask and "inpaint_mask" not in asked.task.model_fields:
        raise InputError(f"mask: {request.task} does not inpaint; use task: inpaint, or remove it")
    if request.invert and not request.mask:
        raise InputError("invert: there is no mask to invert; give one, or remove it")
    if Sense in (asked.task, asked.source) and not (asked.pretrained or estimator == "least_squares"):
        raise InputError("estimator: median_of_means needs a generator; use least_squares")
    if request.parameters and asked.source.key != asked.task.key:
        raise InputError(f"parameters: masks of {asked.source.kind} belong to another network; use sparsities")
    if not _names(request, asked.task, ""):
        raise InputError(f"the key {asked.task.key!r} is missing; add it")
    if not _names(request, asked.source, "source_") and asked.source.key != asked.task.key:
        key = asked.source.key
        raise InputError(f"the key 'source_{key}' is missing; name the {key} of {asked.source.kind}")


def _elsewhere(key: str) -> str | None:
    """Name the tasks, priors or pruners that have a key; None if none has it."""
    owners: dict[str, dict[str, Iterable[str]]] = {
        "task": {name: {**task.model_fields, **task.training.model_fields} for name, task in TASKS.items()},
        "prior": {name: prior.model_fields for name, prior in (PRIORS | GENERATORS).items()},
        "pruner": {name: pruner.options for name, pruner in PRUNERS.items()},
    }
    for word, known in owners.items():
        if key not in INTERNAL_FIELDS and (found := [name for name, keys in known.items() if key in keys]):
            return f"{key}: it goes with {word}: {' or '.join(found)}; remove it, or use that"
    return None


def _own(asked: _Asked, prior: Prior) -> MaskSource:
    """Return the trajectory's own picture, task and schedule."""
    request = asked.request
    (name, *_) = _names(request, asked.task, "")
    picture = _picture(asked.task, name, prior, asked)
    mask = _inpaint_mask(asked, picture, prior)
    fields = {**_released_fields(asked.task, asked.released_flags), **asked.values, "inpaint_mask": mask}
    task = _validate(asked.task, fields)
    schedule = _schedule(task, prior, asked)
    _check_size(picture, task, prior)
    if request.rewind and round(schedule.steps * request.rewind / 100) == 0:
        least = 100 / schedule.steps
        raise InputError(
            f"rewind: {request.rewind:g} % of {schedule.steps} steps is not a step; use 0 or at least {least:g}"
        )
    if 0 < request.rewind < 1:
        raise InputError(
            f"rewind: {request.rewind:g} is a percentage of the steps; write {100 * request.rewind:g} for "
            f"{100 * request.rewind:g} %"
        )
    if request.rewind and task.saves_weights:
        raise InputError(f"rewind: {request.task} continues from trained weights; use 0, or remove rewind_none")
    return MaskSource(pictures=(picture,), task=task, schedule=schedule)


def _mask_source(own: MaskSource, asked: _Asked, prior: Prior) -> MaskSource:
    """Return where its masks come from: from its own fits unless the keys name another source."""
    request = asked.request
    names = _names(request, asked.source, "source_")
    sources = tuple(_picture(asked.source, name, prior, asked) for name in names) or own.pictures
    if asked.source.key == asked.task.key == "image":
        _check_sources(sources, own.pictures[0])
    source = own.replace(pictures=sources, codes=request.codes if len(sources) > 1 else "shared")
    if asked.source is not asked.task:
        task = _validate(asked.source, _released_fields(asked.source, asked.released_flags))
        source = source.replace(task=task, schedule=_schedule(task, prior, asked))
    for picture in sources:
        _check_size(picture, source.task, prior)
    if isinstance(prior, Pretrained):
        source = source.replace(prior=prior.as_trained())
        _check_generator(prior, asked, own.pictures[0], source)
    if "backtrack" in asked.released_flags and len(sources) > 1:
        source = source.replace(schedule=source.schedule.replace(backtrack=None))
    return source


def _picture(task: type[Task], name: str, prior: Prior, asked: _Asked) -> Picture:
    """Load the image or the data of a name. Raises InputError when the prior cannot take it."""
    request, library = asked.request, asked.library
    if issubclass(task, Generate):
        if not isinstance(prior, Pretrained):
            raise InputError(f"prior: {prior.kind} does not generate faces; use prior: dcgan or pggan")
        return library.faces(name, prior.size, request.share, request.crop)
    if issubclass(task, Classify):
        if not isinstance(prior, Hourglass):
            raise InputError(f"prior: {prior.kind} cannot classify; use prior: hourglass")
        if request.data_size <= prior.multiple:
            raise InputError(
                f"data_size: a net of {prior.scales} scales needs at least {prior.multiple + 1} pixels, not "
                f"{request.data_size}; use a larger size or fewer scales"
            )
        return library.data_set(name, request.data_size)
    assert issubclass(task, Degradation)
    if name.startswith(HELD_OUT):
        if not (request.source_data and request.size):
            raise InputError(f"image {name} is a face held out from a generator; name the faces with source_data")
        number = name.removeprefix(HELD_OUT)
        return library.held_out(number, request.source_data, request.size, request.share, request.crop)
    picture = library.picture(name, request.size, prior.multiple, task.half_pixel)
    for whose, least, remedy in (
        ("the net", prior.smallest, "a larger image, a larger size or fewer scales"),
        ("SSIM", SSIM_WINDOW, "a larger image or a larger size"),
    ):
        if min(picture.height, picture.width) < least:
            raise InputError(
                f"image {name} is {picture.width}x{picture.height} pixels, {whose} needs at least {least}x{least}; "
                f"use {remedy}"
            )
    return picture


def _inpaint_mask(asked: _Asked, picture: Picture, prior: Prior) -> Picture | None:
    request = asked.request
    if not request.mask:
        return None
    assert issubclass(asked.task, Degradation)
    half_pixel = asked.task.half_pixel
    return asked.library.mask(request.mask, picture, request.size, prior.multiple, half_pixel, request.invert)


def _check_size(picture: Picture, task: Task, prior: Prior) -> None:
    if objection := task.check(picture.height, picture.width, prior):
        raise InputError(objection)


def _prior(asked: _Asked) -> Prior:
    request, prior = asked.request, asked.prior
    if not issubclass(prior, Pretrained):
        if request.checkpoint:
            usable = " or ".join(GENERATORS)
            raise InputError(f"checkpoint: {request.prior} is trained from scratch; remove it, or use prior: {usable}")
        return _validate(prior, asked.values)
    found = _checkpoint(asked)
    internal = {"checkpoint": found and found.id, "raw": "raw_generator" in asked.released_flags}
    return _validate(prior, {**asked.values, **internal})


def _checkpoint(asked: _Asked) -> Checkpoint | None:
    name = asked.request.checkpoint
    with location("checkpoint"):
        return asked.library.checkpoint(name) if name else None


def _check_generator(prior: Pretrained, asked: _Asked, own: Picture, tuning: MaskSource) -> None:
    request = asked.request
    (seen,) = tuning.pictures
    assert isinstance(tuning.schedule, Adversarial)
    if request.source_task not in (None, Generate.kind):
        raise InputError(f"source_task: tickets of {prior.kind} are found by training it; remove it")
    for key, usual in (("pruned_share", PRUNED_PER_ROUND), ("pruning", "geometric")):
        if getattr(request, key) != usual:
            raise InputError(f"{key}: tickets of {prior.kind} are found in rounds of 20 %; remove it")
    if request.rewind:
        raise InputError(f"rewind: {prior.kind} goes back to its pre-trained weights; use 0")
    if own.channels != seen.channels:
        raise InputError(
            f"{own.name} has {own.channels} channels and the faces of {seen.name} have {seen.channels}; use "
            "images that are both grey or both in colour"
        )
    if found := _checkpoint(asked):
        with location("checkpoint"):
            check(found, prior.networks(seen.channels), request.prior)
    elif not tuning.schedule.pretraining:
        raise InputError(f"{prior.kind} has no pre-trained weights; give a checkpoint, or pretraining")


def _names(request: Request, task: type[Task], prefix: str) -> list[str]:
    """List the names of the images or data that a task is fitted to."""
    for key in ("image", "data"):
        if key != task.key and getattr(request, prefix + key):
            raise InputError(f"{prefix}{key}: {task.kind} is fitted to {prefix}{task.key}; remove it")
    names = getattr(request, prefix + task.key)
    return [names] if isinstance(names, str) else names or []


def _released_fields(task: type[Task], flags: tuple[ReleasedFlag, ...]) -> dict[str, Any]:
    """Return the fields of a task that these flags set."""
    return {key: value for name in flags for key, value in task.released_fields.get(name, {}).items()}


def _check_sources(sources: tuple[Picture, ...], own: Picture) -> None:
    for source in sources:
        if source.channels != own.channels:
            raise InputError(
                f"source_image: masks of {source.name} ({source.channels} channels) do not fit the network "
                f"for {own.name} ({own.channels}); use images that are both grey or both in colour"
            )
        if (source.height, source.width) != (sources[0].height, sources[0].width):
            raise InputError("source_image: images fitted together must be of one size; give one with size")


def _options(pruner: str, values: Mapping[str, Any]) -> list[str]:
    """List the options of a pruner, with those of the pruner whose counts it uses."""
    own, other = list(PRUNERS[pruner].options), values.get("counts_of")
    if "counts_of" in own and isinstance(other, str) and other in PRUNERS and other != pruner:
        return own + _options(other, values)
    return own


def _levels(request: Request, task: Task, prior: Prior, own: Picture) -> tuple[Level, ...]:
    if request.pruning == "cubic":
        _check_cubic(request)
    elif request.rounds is not None and (request.sparsities or request.parameters):
        key = "sparsities" if request.sparsities else "parameters"
        raise InputError(f"{key}: levels replace rounds; remove one of the two")
    for key in ("sparsities", "parameters"):
        if twice := [level for level, count in Counter(getattr(request, key)).items() if count > 1]:
            raise InputError(f"{key}: duplicate value {twice[0]}; remove one")
    for sparsity in request.sparsities:
        if not 0 < sparsity < 1:
            raise InputError(f"sparsities: {sparsity:g} is not a fraction; use one between 0 and 1, such as 0.9")
    if request.parameters:
        prunable, total = task.counts(prior, own, request.covers)
        least = total - prunable + 1
        for count in request.parameters:
            if not least <= count <= total:
                raise InputError(f"parameters: no ticket of {prior.kind} has {count:,}; use {least:,} to {total:,}")
    levels = [Level(sparsity=sparsity) for sparsity in request.sparsities]
    return tuple(levels + [Level(parameters=count) for count in request.parameters])


def _check_cubic(request: Request) -> None:
    if request.parameters:
        raise InputError("parameters: a cubic schedule ends at a sparsity; use sparsities, with one value")
    if (count := len(request.sparsities)) > 1:
        raise InputError(f"sparsities: a cubic schedule ends at one level, not {count}; give the last")


def _rounds(request: Request, levels: tuple[Level, ...]) -> int:
    """Return the rounds that are asked for; 0 if there are levels instead."""
    if levels and request.pruning != "cubic":
        return 0
    rounds = 16 if request.rounds is None else request.rounds
    if not levels and round((1 - request.pruned_share) ** rounds, SPARSITY_DIGITS) == 0:
        raise InputError(
            f"pruned_share: {rounds} rounds of {request.pruned_share:g} leave no weight; use fewer rounds or a smaller "
            "share"
        )
    return rounds


def _schedule(task: Task, prior: Prior, asked: _Asked) -> Training:
    request = asked.request
    named = dict(task.schedules())
    if isinstance(paper := named["paper"], Schedule):
        named["sgld"] = paper.sgld()
    published = prior.published(str(task.kind))
    named |= published
    flags = request.released_flags(type(task))
    name = "lip" if "schedule" in flags and request.schedule == "paper" else request.schedule
    if name not in named:
        raise InputError(
            f"schedule: there is no schedule {name!r} for {task.kind} with {prior.kind}; use {' or '.join(named)}"
        )
    chosen = named[name]
    if isinstance(chosen, Schedule):
        chosen = chosen if name in published else prior.schedule(chosen)
        if "backtrack" in flags and isinstance(task, Degradation):
            chosen = task.released_backtracking(chosen)
    schedule = _validate(type(chosen), {**dict(chosen), **asked.values})
    if isinstance(schedule, Schedule) and schedule.ends_early and schedule.burn_in is not None:
        raise InputError("until: the posterior mean averages outputs of all steps; remove it, or use burn_in: null")
    if not task.trains_weights(prior):
        own = prior.schedule(Schedule())
        idle = [key for key in WEIGHT_ONLY_FIELDS if getattr(schedule, key) != getattr(own, key)]
        if idle:
            raise InputError(f"{idle[0]}: the weights of {prior.kind} are not trained; leave it at its default")
    return schedule


def _validate(owner: type[SpecType], values: Mapping[str, Any]) -> SpecType:
    try:
        return owner(**{key: values[key] for key in owner.model_fields if key in values})
    except ValidationError as error:
        raise explained(error, list(owner.model_fields)) from error

"""One trajectory in a user's words: flat keys and plain values, checked and turned into specs."""

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
from lip.masks import Covers
from lip.priors import GENERATORS, PRIORS, Hourglass, Pretrained, Prior
from lip.pruners import PRUNERS
from lip.specs.fit import Seed
from lip.specs.picture import Codes, Picture
from lip.specs.released import OFFICIAL, Defect
from lip.specs.schedule import Adversarial, Schedule, Training
from lip.specs.target import Level
from lip.specs.trajectory import Origin, Trajectory
from lip.tasks import TASKS, Task
from lip.tasks.classify import Classify
from lip.tasks.degradation import Degradation
from lip.tasks.generate import Generate
from lip.tasks.sense import Sense
from lip.training.metrics import SSIM_WINDOW

Made = TypeVar("Made", bound=BaseModel)

OF_WEIGHTS = ("backtrack", "undo", "decay", "langevin", "jitter", "jitter_decay", "precision")
"""Fields of a schedule that mean nothing where the code alone is fitted."""

Side = Annotated[int, Field(ge=1, le=8192)]
"""Pixels; what is larger fits into no memory with a network around it."""

MADE_HERE = ("hole", "of", "generator_frozen", "raw", "undo_sigma")
"""Fields that are no keys: the first is what `mask` becomes, the others say how fits come of those asked for."""


class Request(BaseModel):
    """The keys of every trajectory; those of its task, its prior and its schedule come on top."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str | None = None
    """A photograph of scikit-image (`astronaut`, `camera`, `chelsea`, `coffee`, `coins`, `moon`, `retina`, `rocket`), a
    file or glob, a member of `set5`, `set14`, `set12`, `cbm3d`, `bm3d` or `dip`, or a whole set. With a generator, one
    of the faces that it is not trained on: `held-out/0`, `held-out/1`, ..."""
    data: str | None = None
    """classify: the data set, in place of an image: `faces` (embedded), `digits` (with scikit-learn), `cifar10` (from
    the data folder, or downloaded once), a folder of class folders, or a text file that lists such folders."""
    source_image: str | list[str] | None = None
    """The image whose IMP masks are used instead of the image's own; of several, fitted together (Alg. 2)."""
    source_data: str | None = None
    """The data set whose IMP masks are used instead; the faces that a generator is tuned on: a folder, or `lfw` (100
    embedded ones)."""
    task: str = "denoise"
    """The task; its own keys are listed under it."""
    source_task: str | None = None
    """The task, at its defaults, whose IMP masks are used instead of the task's own."""
    codes: Codes = "shared"
    """Whether several source images share one code z, as in the paper, or have one each."""
    prior: str = "hourglass"
    """The network; its own keys are listed under it."""
    pruner: str = "imp"
    """The pruner; its own keys are listed under it."""
    rounds: Annotated[int, Field(ge=0, le=50)] | None = None
    """Rounds of 20 %; 16 if nothing is said of levels either."""
    sparsities: list[float] = []
    """Levels instead of rounds: fractions of the prunable weights that are pruned."""
    parameters: list[int] = []
    """Levels instead of rounds: tickets with so many parameters in all, as many as another network has."""
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
    """Share of a folder of faces that generators are trained on; the others are held out."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Faces are cut to a square with sides of so many times the shorter one."""
    checkpoint: str | None = None
    """Pre-trained weights of a generator: a file of PyTorch's, or `celebahq-256` of PyTorch GAN zoo."""
    mask: str | None = None
    """inpaint: an image of the photograph's size, light where pixels are known; or `text`: lines of text."""
    invert: bool = False
    """inpaint: the mask is light where pixels are missing instead."""
    schedule: Literal["paper", "lip", "sgld", "decoder", "oes"] = "paper"
    """Train as the paper says, as its released code did, or by stochastic gradient Langevin dynamics; or a rival as
    published: the deep decoder, or Optimal Eye Surgeon."""
    compat: Literal["official"] | list[str] = []
    """Do all as the released code does, or what is named (`lip.specs.released`)."""

    def defects(self, *owners: type[Task] | type[Prior]) -> tuple[Defect, ...]:
        """Return what is done as the released code of these tasks, or for this prior, does."""
        known = {name for owner in owners for name in owner.defects}
        asked = OFFICIAL if self.compat == "official" else self.compat
        return tuple(name for name in OFFICIAL if name in asked and name in known)


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
            if key not in MADE_HERE:
                alone: dict[str, Any] = {key: (field.annotation, field)}
                found.setdefault(key, []).append(create_model(key, __config__=ConfigDict(strict=True), **alone))
    return found


def parse_trajectory(values: Mapping[str, Any], library: InputLibrary, where: str) -> Trajectory:
    """Turn flat keys into a trajectory. Raises InputError, its sentence beginning with `where`."""
    with location(where):
        asked = _Asked.of(_made(Request, values), values, library)
        _check_words(asked)
        prior = _prior(asked)
        if isinstance(prior, Pretrained):
            asked = replace(asked, request=asked.request.model_copy(update={"size": prior.size}))  # there is no other
        here = _own(asked, prior)
        there = _origin(here, asked, prior)
        request = asked.request
        (own,) = here.pictures
        levels = _levels(request, here.task, prior, own)
        shares_init = "shared_init" in asked.defects and here.task.shared_init
        chosen = Trajectory(
            picture=own,
            task=here.task,
            schedule=here.schedule,
            prior=prior,
            pruner=request.pruner,
            options=tuple((key, values[key]) for key in asked.options if key in values),
            rounds=0 if levels else 16 if request.rounds is None else request.rounds,
            levels=levels,
            covers=request.covers,
            seed=request.seed,
            theta_seed=0 if shares_init else request.theta_seed,
            z_seed=request.z_seed,
            noise_seed=request.noise_seed,
            rewind=request.rewind,
            origin=there if there.id != here.id else None,
            compat=asked.defects,
        )
        try:
            _ = chosen.fits  # made here, so that what a pruner has to say against its options comes before any work
        except ValidationError as error:
            raise explained(error, asked.keys) from error
        return chosen


@dataclass(frozen=True)
class _Asked:
    """A request with the classes it is about, and the library that its names are looked up in."""

    request: Request
    values: Mapping[str, Any]
    """The flat keys that the request was made of, those of its task, its prior and its schedule among them."""
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
        """All keys that go with these classes."""
        owners: list[type[BaseModel]] = [Request, self.task, self.prior, self.task.training, self.source.training]
        return [key for owner in owners for key in owner.model_fields if key not in MADE_HERE] + self.options

    @cached_property
    def defects(self) -> tuple[Defect, ...]:
        return self.request.defects(*([self.prior] if self.pretrained else [self.task, self.source]))


def _check_words(asked: _Asked) -> None:
    """Refuse keys and names that do not go with the task, the prior or the pruner."""
    request, keys, estimator = asked.request, asked.keys, asked.values.get("estimator")
    for key in asked.values:
        if key not in keys:
            raise InputError(_elsewhere(key) or f"there is no key {key!r}; {nearest(key, keys)}")
    for name in request.compat if isinstance(request.compat, list) else []:
        if name not in OFFICIAL:
            raise InputError(f"compat: the released code has no {name!r}; {nearest(name, OFFICIAL)}")
    for owner in (asked.task, asked.source):
        if owner.pruners and request.pruner not in owner.pruners:
            usable = ", ".join(owner.pruners)
            raise InputError(f"pruner: {request.pruner} cannot prune for {owner.kind}; use {usable}")
    for key in ("source_image", "source_data", "source_task"):
        if getattr(request, key) and not (asked.pretrained or PRUNERS[request.pruner].borrows):
            raise InputError(f"{key}: {request.pruner} takes no masks from elsewhere; use pruner: imp")
    if request.mask and "hole" not in asked.task.model_fields:
        raise InputError(f"mask: {request.task} has no use for one; use task: inpaint, or remove it")
    if request.invert and not request.mask:
        raise InputError("invert: there is no mask to invert; give one, or remove it")
    if Sense in (asked.task, asked.source) and not (asked.pretrained or estimator == "least_squares"):
        raise InputError("estimator: only generators have a tournament of codes; use least_squares")
    if request.parameters and asked.source.key != asked.task.key:
        raise InputError(f"parameters: masks of {asked.source.kind} are of another network; use sparsities")
    if not _names(request, asked.task, ""):
        raise InputError(f"the key {asked.task.key!r} is missing; add it")
    if not _names(request, asked.source, "source_") and asked.source.key != asked.task.key:
        key = asked.source.key
        raise InputError(f"the key 'source_{key}' is missing; say which {key} {asked.source.kind} is of")


def _elsewhere(key: str) -> str | None:
    """Say which tasks, priors or pruners a key goes with; None if it goes with none."""
    owners: dict[str, dict[str, Iterable[str]]] = {
        "task": {name: {**task.model_fields, **task.training.model_fields} for name, task in TASKS.items()},
        "prior": {name: prior.model_fields for name, prior in (PRIORS | GENERATORS).items()},
        "pruner": {name: pruner.options for name, pruner in PRUNERS.items()},
    }
    for word, known in owners.items():
        if key not in MADE_HERE and (found := [name for name, keys in known.items() if key in keys]):
            return f"{key}: it goes with {word}: {' or '.join(found)}; remove it, or use that"
    return None


def _own(asked: _Asked, prior: Prior) -> Origin:
    """Return what the trajectory itself is fitted to, and how."""
    request = asked.request
    (name, *_) = _names(request, asked.task, "")
    picture = _picture(asked.task, name, prior, asked)
    hole = _mask(asked, picture, prior)
    task = _made(asked.task, {**_released(asked.task, asked.defects), **asked.values, "hole": hole})
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
    if request.rewind and task.keeps_weights:
        raise InputError(f"rewind: {request.task} goes on from trained weights; use 0, or remove rewind_none")
    return Origin(pictures=(picture,), task=task, schedule=schedule)


def _origin(here: Origin, asked: _Asked, prior: Prior) -> Origin:
    """Return where its masks come from: `here`, unless the keys say otherwise."""
    request = asked.request
    names = _names(request, asked.source, "source_")
    sources = tuple(_picture(asked.source, name, prior, asked) for name in names) or here.pictures
    if asked.source.key == asked.task.key == "image":
        _check_sources(sources, here.pictures[0])
    there = here.replace(pictures=sources, codes=request.codes if len(sources) > 1 else "shared")
    if asked.source is not asked.task:
        task = _made(asked.source, _released(asked.source, asked.defects))
        there = there.replace(task=task, schedule=_schedule(task, prior, asked))
    for picture in sources:
        _check_size(picture, there.task, prior)
    if isinstance(prior, Pretrained):
        there = there.replace(prior=prior.as_trained())
        _check_generator(prior, asked, here.pictures[0], there)
    if "backtrack" in asked.defects and len(sources) > 1:
        there = there.replace(schedule=there.schedule.replace(backtrack=None))
    return there


def _picture(task: type[Task], name: str, prior: Prior, asked: _Asked) -> Picture:
    """Load what a name stands for. Raises InputError when that is nothing the prior can take."""
    request, library = asked.request, asked.library
    if issubclass(task, Generate):
        if not isinstance(prior, Pretrained):
            raise InputError(f"prior: {prior.kind} is no generator of faces; use prior: dcgan or pggan")
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
            raise InputError(f"image {name} is one of a generator's faces; say which those are, with source_data")
        number = name.removeprefix(HELD_OUT)
        return library.held_out(number, request.source_data, request.size, request.share, request.crop)
    taken = library.picture(name, request.size, prior.multiple, task.half_pixel)
    for whose, least, remedy in (
        ("the net", prior.smallest, "a larger image, a larger size or fewer scales"),
        ("SSIM", SSIM_WINDOW, "a larger image or a larger size"),
    ):
        if min(taken.height, taken.width) < least:
            raise InputError(
                f"image {name} is {taken.width}x{taken.height} pixels, {whose} needs at least {least}x{least}; "
                f"use {remedy}"
            )
    return taken


def _mask(asked: _Asked, picture: Picture, prior: Prior) -> Picture | None:
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
        return _made(prior, asked.values)
    found = _checkpoint(asked)
    made_here = {"checkpoint": found and found.id, "raw": "raw_generator" in asked.defects}
    return _made(prior, {**asked.values, **made_here})


def _checkpoint(asked: _Asked) -> Checkpoint | None:
    name = asked.request.checkpoint
    with location("checkpoint"):
        return asked.library.checkpoint(name) if name else None


def _check_generator(prior: Pretrained, asked: _Asked, own: Picture, tuning: Origin) -> None:
    request = asked.request
    (seen,) = tuning.pictures
    assert isinstance(tuning.schedule, Adversarial)
    if request.source_task not in (None, Generate.kind):
        raise InputError(f"source_task: tickets of {prior.kind} are found by training it; remove it")
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
    """Return the names of what a task is fitted to."""
    for key in ("image", "data"):
        if key != task.key and getattr(request, prefix + key):
            raise InputError(f"{prefix}{key}: {task.kind} is fitted to {prefix}{task.key}; remove it")
    names = getattr(request, prefix + task.key)
    return [names] if isinstance(names, str) else names or []


def _released(task: type[Task], defects: tuple[Defect, ...]) -> dict[str, Any]:
    """The fields of a task that are as in its released code."""
    return {key: value for name in defects for key, value in task.released.get(name, {}).items()}


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
    """The keys that a pruner understands, with those of the pruner whose counts it takes over."""
    own, other = list(PRUNERS[pruner].options), values.get("counts_of")
    if "counts_of" in own and isinstance(other, str) and other in PRUNERS and other != pruner:
        return own + _options(other, values)
    return own


def _levels(request: Request, task: Task, prior: Prior, own: Picture) -> tuple[Level, ...]:
    if request.rounds is not None and (request.sparsities or request.parameters):
        key = "sparsities" if request.sparsities else "parameters"
        raise InputError(f"{key}: levels stand instead of rounds; remove one of the two")
    for key in ("sparsities", "parameters"):
        if twice := [level for level, count in Counter(getattr(request, key)).items() if count > 1]:
            raise InputError(f"{key}: {twice[0]} stands here twice; remove one")
    for sparsity in request.sparsities:
        if not 0 < sparsity < 1:
            raise InputError(f"sparsities: {sparsity:g} is no fraction; use one between 0 and 1, such as 0.9")
    if request.parameters:
        covered, all_of_them = task.counts(prior, own, request.covers)
        least = all_of_them - covered + 1
        for count in request.parameters:
            if not least <= count <= all_of_them:
                raise InputError(
                    f"parameters: no ticket of {prior.kind} has {count:,}; use {least:,} to {all_of_them:,}"
                )
    levels = [Level(sparsity=sparsity) for sparsity in request.sparsities]
    return tuple(levels + [Level(parameters=count) for count in request.parameters])


def _schedule(task: Task, prior: Prior, asked: _Asked) -> Training:
    request = asked.request
    named = dict(task.schedules())
    if isinstance(paper := named["paper"], Schedule):
        named["sgld"] = paper.sgld()
    published = prior.published(str(task.kind))
    named |= published
    defects = request.defects(type(task))
    name = "lip" if "schedule" in defects and request.schedule == "paper" else request.schedule
    if name not in named:
        raise InputError(
            f"schedule: there is no schedule {name!r} for {task.kind} with {prior.kind}; use {' or '.join(named)}"
        )
    chosen = named[name]
    if isinstance(chosen, Schedule):
        chosen = chosen if name in published else prior.schedule(chosen)
        if "backtrack" in defects and isinstance(task, Degradation):
            chosen = task.released_backtracking(chosen)
    made = _made(type(chosen), {**dict(chosen), **asked.values})
    if not task.trains(prior):
        own = prior.schedule(Schedule())
        idle = [key for key in OF_WEIGHTS if getattr(made, key) != getattr(own, key)]
        if idle:
            raise InputError(f"{idle[0]}: weights of {prior.kind} are not trained here; leave it at its default")
    return made


def _made(owner: type[Made], values: Mapping[str, Any]) -> Made:
    try:
        return owner(**{key: values[key] for key in owner.model_fields if key in values})
    except ValidationError as error:
        raise explained(error, list(owner.model_fields)) from error

"""One trajectory in a user's words: flat keys and plain values, checked and turned into specs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lip.data import datasets, images
from lip.data.checkpoints import Checkpoint, check, read
from lip.data.faces import Faces
from lip.data.faces import load as load_faces
from lip.errors import InputError, nearest
from lip.masks import Covers
from lip.priors import GENERATORS, PRIORS, Pretrained, Prior
from lip.pruners import PRUNERS
from lip.specs.fit import Seed
from lip.specs.picture import Codes, DataSet, Picture
from lip.specs.released import OFFICIAL, Defect
from lip.specs.schedule import Schedule, Training
from lip.specs.target import Level
from lip.specs.trajectory import Origin, Trajectory
from lip.tasks import TASKS, Task
from lip.tasks.degradation import Degradation
from lip.tasks.generate import Adversarial, Generate
from lip.tasks.sense import Sense

Made = TypeVar("Made", bound=BaseModel)

OF_WEIGHTS = ("backtrack", "undo", "decay", "langevin", "jitter", "jitter_decay", "precision")
"""Fields of a schedule that mean nothing where the code alone is fitted."""

Side = Annotated[int, Field(ge=1, le=8192)]
"""Pixels; what is larger fits into no memory with a network around it."""

MADE_HERE = ("hole", "of", "generator_frozen", "raw", "undo_sigma")
"""Fields that are no keys: the first is what `mask` becomes, the others say how fits come of those asked for."""


class Point(BaseModel):
    """The keys of every trajectory; those of its task, its prior and its schedule come on top."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str | None = None
    data: str | None = None
    """classify: the data set, in place of an image."""
    source_image: str | list[str] | None = None
    """The image whose IMP masks are used instead of the image's own; of several, fitted together (Alg. 2)."""
    source_data: str | None = None
    """The data set whose IMP masks are used instead; the faces that a generator is tuned on."""
    task: str = "denoise"
    source_task: str | None = None
    """The task, at its defaults, whose IMP masks are used instead of the task's own."""
    codes: Codes = "shared"
    """Whether several source images share one code z, as in the paper, or have one each."""
    prior: str = "hourglass"
    pruner: str = "imp"
    rounds: Annotated[int, Field(ge=0, le=50)] | None = None
    """Rounds of 20 %; 16 if nothing is said of levels either."""
    sparsities: list[float] = []
    """Levels instead of rounds: fractions of the prunable weights that are pruned."""
    parameters: list[int] = []
    """Levels instead of rounds: tickets with so many parameters in all, as many as another network has."""
    covers: Covers = "weights"
    """What masks cover: the weights of the convolutions, or all parameters."""
    seed: Seed = 0
    theta_seed: Seed | None = None
    """Draws theta_0 instead of `seed`; `z_seed` the code, `noise_seed` the observation."""
    z_seed: Seed | None = None
    noise_seed: Seed | None = None
    rewind: Annotated[float, Field(ge=0, le=100)] = 0.0
    size: Side | None = None
    """Images are cut to a square and scaled to this many pixels; None keeps them, cropped to what the prior needs."""
    data_size: Side = 50
    """Pictures of a data set are cut to a square and scaled to this many pixels."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of a folder of faces that generators are trained on; the others are held out."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Faces are cut to a square with sides of so many times the shorter one."""
    checkpoint: str | None = None
    """Pre-trained weights of a generator: a file, or the name of published ones."""
    mask: str | None = None
    """inpaint: an image that is light where pixels are known, or `text` for one with lines of text."""
    schedule: Literal["paper", "lip", "sgld", "decoder", "oes"] = "paper"
    """Train as the paper says, as its released code did, or by stochastic gradient Langevin dynamics; or a rival as
    published: the deep decoder, or Optimal Eye Surgeon."""
    compat: Literal["official"] | list[str] = []
    """Do all as the released code does, or what is named (`lip.specs.released`)."""

    def defects(self, *owners: type[Task] | type[Prior]) -> tuple[Defect, ...]:
        """What is done as the released code of these tasks, or for this prior, does."""
        known = {name for owner in owners for name in owner.defects}
        asked = OFFICIAL if self.compat == "official" else self.compat
        return tuple(name for name in OFFICIAL if name in asked and name in known)


class Album:
    """Photographs, each loaded and prepared once. `data` is the folder of the standard sets."""

    def __init__(self, data: Path | None = None) -> None:
        self.data = data
        self._images: dict[tuple[Any, ...], images.Image] = {}
        self._sets: dict[tuple[str, int], datasets.Data] = {}
        self._faces: dict[tuple[str, int, float, float], Faces] = {}
        self._checkpoints: dict[str, Checkpoint] = {}

    def picture(self, name: str, size: int | None, multiple: int, half_pixel: images.HalfPixel = "down") -> Picture:
        """A reference to a photograph, cut to `size` if given and to multiples of `multiple`. Raises InputError."""
        key = (name, size, multiple, half_pixel)
        if key not in self._images:
            self._images[key] = images.load(name, size=size, multiple=multiple, half_pixel=half_pixel, data=self.data)
        return self._reference(self._images[key])

    @staticmethod
    def _reference(image: images.Image) -> Picture:
        height, width, channels = image.pixels.shape
        return Picture(name=image.name, pixels=image.id, height=height, width=width, channels=channels)

    def mask(self, name: str, size: int | None, multiple: int, like: Picture) -> Picture:
        """A reference to an inpainting mask: `text`, drawn at the size of a picture, or an image. Raises InputError."""
        if name != "text":
            return self.picture(name, size, multiple)
        key = ("text", (like.height, like.width))  # not that of an image file called text
        if key not in self._images:
            self._images[key] = images.Image("text", text_mask(like.height, like.width), ())
        return self._reference(self._images[key])

    def data_set(self, name: str, size: int) -> DataSet:
        """A reference to a data set, its pictures square with sides of `size` pixels. Raises InputError."""
        key = (name, size)
        if key not in self._sets:
            self._sets[key] = datasets.load(name, size, self.data)
        return self._sets[key].reference

    def faces(self, name: str, size: int, share: float, crop: float) -> Picture:
        """A reference to the faces of a folder that generators are trained on. Raises InputError."""
        found = self._folder(name, size, share, crop)
        height, width, channels = found.tuning.shape[1:]
        return Picture(name=name, pixels=found.id, height=height, width=width, channels=channels)

    def held_out(self, number: str, name: str, size: int, share: float, crop: float) -> Picture:
        """A reference to one of the faces of a folder that generators never see. Raises InputError."""
        held_out = self._folder(name, size, share, crop).held_out
        if not number.isdecimal() or int(number) >= len(held_out):
            raise InputError(
                f"there is no image {images.HELD_OUT}{number}; {name} has {images.HELD_OUT}0 to {len(held_out) - 1}"
            )
        image = images.Image(f"{images.HELD_OUT}{number}", np.ascontiguousarray(held_out[int(number)]), ())
        return self._reference(self._images.setdefault((number, name, size, share, crop), image))

    def _folder(self, *key: Any) -> Faces:
        if key not in self._faces:
            self._faces[key] = load_faces(*key)
        return self._faces[key]

    def checkpoint(self, name: str) -> Checkpoint:
        """Published weights. Raises InputError."""
        if name not in self._checkpoints:
            self._checkpoints[name] = read(name)
        return self._checkpoints[name]

    @property
    def pixels(self) -> dict[str, np.ndarray]:
        """The arrays of all that is loaded by hash, images as uint8 (height, width, channels)."""
        every = {image.id: image.pixels for image in self._images.values()}
        every |= {loaded.reference.pixels: loaded.records for loaded in self._sets.values()}
        every |= {loaded.id: loaded.tuning for loaded in self._faces.values()}
        return every | {loaded.id: loaded.data for loaded in self._checkpoints.values()}

    @property
    def notes(self) -> list[str]:
        """What was done to images and data sets, for the user to know."""
        loaded: list[images.Image | datasets.Data] = [*self._images.values(), *self._sets.values()]
        return list(dict.fromkeys(f"{one.name}: {note}" for one in loaded for note in one.notes))


def text_mask(height: int, width: int) -> np.ndarray:
    """An inpainting mask, uint8 (height, width, 1): black lines of text over the whole image, on white."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=max(6, height // 12))
    page = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(page)
    line = "lottery image prior " * (1 + width // 20)
    for row, top in enumerate(range(0, height, max(8, height // 6))):
        draw.text((-7 * row, top), line, fill=0, font=font)
    return np.where(np.asarray(page) < 128, 0, 255).astype(np.uint8)[..., None]


def trajectory_of(values: Mapping[str, Any], album: Album, where: str) -> Trajectory:
    """The trajectory that a point describes. Raises InputError, its sentence beginning with `where`."""
    point, priors = _made(Point, values, where), PRIORS | GENERATORS
    for key, name, known in (
        ("task", point.task, TASKS),
        ("source_task", point.source_task or point.task, TASKS),
        ("prior", point.prior, list(priors)),
        ("pruner", point.pruner, PRUNERS),
    ):
        if name not in known:
            raise InputError(f"{where}: {key}: there is no {key} {name!r}; {nearest(name, list(known))}")
    task_class, prior_class = TASKS[point.task], priors[point.prior]
    pretrained = issubclass(prior_class, Pretrained)
    source_class = Generate if pretrained else TASKS[point.source_task or point.task]
    owners: list[type[BaseModel]] = [Point, task_class, prior_class, task_class.training, source_class.training]
    keys = [key for owner in owners for key in owner.model_fields if key not in MADE_HERE]
    options = _options(point.pruner, values)
    keys += options
    for key in values:
        if key not in keys:
            raise InputError(f"{where}: there is no key {key!r}; {nearest(key, keys)}")
    for name in point.compat if isinstance(point.compat, list) else []:
        if name not in OFFICIAL:
            raise InputError(f"{where}: compat: the released code has no {name!r}; {nearest(name, OFFICIAL)}")
    for owner in (task_class, source_class):
        if owner.pruners and point.pruner not in owner.pruners:
            usable = ", ".join(owner.pruners)
            raise InputError(f"{where}: pruner: {point.pruner} cannot prune for {owner.kind}; use {usable}")
    defects = point.defects(prior_class) if pretrained else point.defects(task_class, source_class)
    prior = _prior(prior_class, point, defects, values, album, where)
    if isinstance(prior, Pretrained):
        point = point.model_copy(update={"size": prior.size})  # there is no other
    for key in ("source_image", "source_data", "source_task"):
        if getattr(point, key) and not (pretrained or PRUNERS[point.pruner].borrows):
            raise InputError(f"{where}: {key}: {point.pruner} takes no masks from elsewhere; use pruner: imp")
    own_names, source_names = _names(point, task_class, "", where), _names(point, source_class, "source_", where)
    if not own_names:
        raise InputError(f"{where}: the key {task_class.key!r} is missing; add it")
    if not source_names and source_class.key != task_class.key:
        key = source_class.key
        raise InputError(f"{where}: the key 'source_{key}' is missing; say which {key} {source_class.kind} is of")
    own = _taken(where, task_class.take, album, own_names[0], prior, point)
    sources = tuple(_taken(where, source_class.take, album, name, prior, point) for name in source_names) or (own,)
    if source_class.key == task_class.key == "image":
        _check_sources(sources, own, where)
    if point.mask and "hole" not in task_class.model_fields:
        raise InputError(f"{where}: mask: {point.task} has no use for one; use task: inpaint, or remove it")
    hole = point.mask and _taken(where, album.mask, point.mask, point.size, prior.multiple, own)
    task = _made(task_class, {**_released(task_class, defects), **values, "hole": hole}, where)
    if Sense in (task_class, source_class) and not (pretrained or values.get("estimator") == "least_squares"):
        raise InputError(f"{where}: estimator: only generators have a tournament of codes; use least_squares")
    schedule = _schedule(task, prior, point, values, where)
    here = Origin(pictures=(own,), task=task, schedule=schedule)
    there = here.replace(pictures=sources, codes=point.codes if len(sources) > 1 else "shared")
    if source_class is not task_class:
        other = _made(source_class, _released(source_class, defects), where)
        there = there.replace(task=other, schedule=_schedule(other, prior, point, values, where))
    for origin in (here, there):
        for picture in origin.pictures:
            if objection := origin.task.check(picture.height, picture.width, prior):
                raise InputError(f"{where}: {objection}")
    if isinstance(prior, Pretrained):
        there = there.replace(prior=prior.as_trained())
        _check_generator(prior, point, own, there, album, where)
    if "backtrack" in defects and len(sources) > 1:
        there = there.replace(schedule=there.schedule.replace(backtrack=None))
    if point.rewind and round(schedule.steps * point.rewind / 100) == 0:
        least = 100 / schedule.steps
        raise InputError(
            f"{where}: rewind: {point.rewind:g} % of {schedule.steps} steps is not a step; use 0 or at least {least:g}"
        )
    if point.rewind and task.keeps_weights:
        raise InputError(f"{where}: rewind: {point.task} goes on from trained weights; use 0, or remove rewind_none")
    if point.parameters and source_class.key != task_class.key:
        raise InputError(f"{where}: parameters: masks of {source_class.kind} are of another network; use sparsities")
    levels = _levels(point, task, prior, own, where)
    alike = ("inpaint", "superres", "classify")
    theta_seed = 0 if "shared_init" in defects and point.task in alike else point.theta_seed
    try:
        made = Trajectory(
            picture=own,
            task=task,
            schedule=schedule,
            prior=prior,
            pruner=point.pruner,
            options=tuple((key, values[key]) for key in options if key in values),
            rounds=0 if levels else 16 if point.rounds is None else point.rounds,
            levels=levels,
            covers=point.covers,
            seed=point.seed,
            theta_seed=theta_seed,
            z_seed=point.z_seed,
            noise_seed=point.noise_seed,
            rewind=point.rewind,
            origin=there if there.id != here.id else None,
            compat=defects,
        )
        _ = made.fits  # made here, so that what a pruner has to say against its options comes before any work
    except ValidationError as error:
        raise explained(where, error, keys) from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return made


def _prior(
    prior: type[Prior],
    point: Point,
    defects: tuple[Defect, ...],
    values: Mapping[str, Any],
    album: Album,
    where: str,
) -> Prior:
    if not issubclass(prior, Pretrained):
        if point.checkpoint:
            usable = " or ".join(GENERATORS)
            raise InputError(
                f"{where}: checkpoint: {point.prior} is trained from scratch; remove it, or use prior: {usable}"
            )
        return _made(prior, values, where)
    found = _checkpoint(point.checkpoint, album, where)
    made_here = {"checkpoint": found and found.id, "raw": "raw_generator" in defects}
    return _made(prior, {**values, **made_here}, where)


def _checkpoint(name: str | None, album: Album, where: str) -> Checkpoint | None:
    try:
        return album.checkpoint(name) if name else None
    except InputError as error:
        raise InputError(f"{where}: checkpoint: {error}") from error


def _check_generator(prior: Pretrained, point: Point, own: Picture, tuning: Origin, album: Album, where: str) -> None:
    (seen,) = tuning.pictures
    assert isinstance(tuning.schedule, Adversarial)
    if point.source_task not in (None, Generate.kind):
        raise InputError(f"{where}: source_task: tickets of {prior.kind} are found by training it; remove it")
    if point.rewind:
        raise InputError(f"{where}: rewind: {prior.kind} goes back to its pre-trained weights; use 0")
    if own.channels != seen.channels:
        raise InputError(
            f"{where}: {own.name} has {own.channels} channels and the faces of {seen.name} have {seen.channels}; use "
            "images that are both grey or both in colour"
        )
    if found := _checkpoint(point.checkpoint, album, where):
        try:
            check(found, prior.networks(seen.channels), point.prior)
        except InputError as error:
            raise InputError(f"{where}: checkpoint: {error}") from error
    elif not tuning.schedule.pretraining:
        raise InputError(f"{where}: {prior.kind} has no pre-trained weights; give a checkpoint, or pretraining")


def _names(point: Point, task: type[Task], prefix: str, where: str) -> list[str]:
    """What a task is fitted to, by name."""
    for key in ("image", "data"):
        if key != task.key and getattr(point, prefix + key):
            raise InputError(f"{where}: {prefix}{key}: {task.kind} is fitted to {prefix}{task.key}; remove it")
    names = getattr(point, prefix + task.key)
    return [names] if isinstance(names, str) else names or []


def _released(task: type[Task], defects: tuple[Defect, ...]) -> dict[str, Any]:
    """The fields of a task that are as in its released code."""
    return {key: value for name in defects for key, value in task.released.get(name, {}).items()}


def _check_sources(sources: tuple[Picture, ...], own: Picture, where: str) -> None:
    for source in sources:
        if source.channels != own.channels:
            raise InputError(
                f"{where}: source_image: masks of {source.name} ({source.channels} channels) do not fit the network "
                f"for {own.name} ({own.channels}); use images that are both grey or both in colour"
            )
        if (source.height, source.width) != (sources[0].height, sources[0].width):
            raise InputError(f"{where}: source_image: images fitted together must be of one size; give one with size")


def _options(pruner: str, values: Mapping[str, Any]) -> list[str]:
    """The keys that a pruner understands, with those of the pruner whose counts it takes over."""
    own, other = list(PRUNERS[pruner].options), values.get("counts_of")
    if "counts_of" in own and isinstance(other, str) and other in PRUNERS and other != pruner:
        return own + _options(other, values)
    return own


def _levels(point: Point, task: Task, prior: Prior, own: Picture, where: str) -> tuple[Level, ...]:
    if point.rounds is not None and (point.sparsities or point.parameters):
        key = "sparsities" if point.sparsities else "parameters"
        raise InputError(f"{where}: {key}: levels stand instead of rounds; remove one of the two")
    for key in ("sparsities", "parameters"):
        if twice := [level for level, count in Counter(getattr(point, key)).items() if count > 1]:
            raise InputError(f"{where}: {key}: {twice[0]} stands here twice; remove one")
    for sparsity in point.sparsities:
        if not 0 < sparsity < 1:
            raise InputError(f"{where}: sparsities: {sparsity:g} is no fraction; use one between 0 and 1, such as 0.9")
    if point.parameters:
        covered, all_of_them = task.counts(prior, own, point.covers)
        least = all_of_them - covered + 1
        for count in point.parameters:
            if not least <= count <= all_of_them:
                raise InputError(
                    f"{where}: parameters: no ticket of {prior.kind} has {count:,}; use {least:,} to {all_of_them:,}"
                )
    levels = [Level(sparsity=sparsity) for sparsity in point.sparsities]
    return tuple(levels + [Level(parameters=count) for count in point.parameters])


def _schedule(task: Task, prior: Prior, point: Point, values: Mapping[str, Any], where: str) -> Training:
    named = dict(task.schedules())
    if isinstance(paper := named["paper"], Schedule):
        named["sgld"] = paper.sgld()
    published = prior.published(task)
    named |= published
    defects = point.defects(type(task))
    name = "lip" if "schedule" in defects and point.schedule == "paper" else point.schedule
    if name not in named:
        raise InputError(
            f"{where}: schedule: there is no schedule {name!r} for {task.kind} with {prior.kind}; "
            f"use {' or '.join(named)}"
        )
    chosen = named[name]
    if isinstance(chosen, Schedule):
        chosen = chosen if name in published else prior.schedule(chosen)
        if "backtrack" in defects and isinstance(task, Degradation):
            chosen = task.released_backtracking(chosen)
    made = _made(type(chosen), {**dict(chosen), **values}, where)
    if not task.trains(prior):
        own = prior.schedule(Schedule())
        idle = [key for key in OF_WEIGHTS if getattr(made, key) != getattr(own, key)]
        if idle:
            raise InputError(
                f"{where}: {idle[0]}: weights of {prior.kind} are not trained here; leave it at its default"
            )
    return made


def _taken(where: str, take: Callable[..., Picture], *arguments: Any) -> Picture:
    try:
        return take(*arguments)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _made(owner: type[Made], values: Mapping[str, Any], where: str) -> Made:
    try:
        return owner(**{key: values[key] for key in owner.model_fields if key in values})
    except ValidationError as error:
        raise explained(where, error, list(owner.model_fields)) from error


def explained(where: str, error: ValidationError, keys: list[str]) -> InputError:
    """The first complaint of pydantic as a sentence for users; `keys` are those that would have been known."""
    first = error.errors()[0]
    # Of a union's branch, "list[str]", or of a key instead of its value, "[key]", pydantic says more than helps.
    key = ".".join(str(part) for part in first["loc"] if part != "str" and "[" not in str(part))
    if first["type"] == "extra_forbidden":
        return InputError(f"{where}: there is no key {key!r}; {nearest(key, keys)}")
    if first["type"] == "missing":
        return InputError(f"{where}: the key {key!r} is missing; add it")
    return InputError(f"{where}: {key}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}")

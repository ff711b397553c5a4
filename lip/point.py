"""One trajectory in a user's words: flat keys and plain values, checked and turned into specs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lip import images
from lip.compat import OFFICIAL, Defect
from lip.errors import InputError, nearest
from lip.fit import Seed
from lip.level import Level
from lip.picture import Codes, Picture
from lip.priors import PRIORS, Prior
from lip.priors.prior import Covers
from lip.pruners import PRUNERS
from lip.schedule import Schedule
from lip.tasks import TASKS, Task
from lip.trajectory import Origin, Trajectory

Made = TypeVar("Made", bound=BaseModel)


class Point(BaseModel):
    """The keys of every trajectory; those of its task, its prior and its schedule come on top."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str
    source_image: str | list[str] | None = None
    """The image whose IMP masks are used instead of the image's own; of several, fitted together (Alg. 2)."""
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
    size: Annotated[int, Field(ge=1)] | None = None
    """Images are cut to a square and scaled to this many pixels; None keeps them, cropped to what the prior needs."""
    mask: str | None = None
    """inpaint: an image that is light where pixels are known, or `text` for one with lines of text."""
    schedule: Literal["paper", "lip", "sgld"] = "paper"
    """Train as the paper says, as its released code did, or by stochastic gradient Langevin dynamics."""
    compat: Literal["official"] | list[Defect] = []
    """Do all as the released code does, or what is named (`lip.compat`)."""

    @property
    def defects(self) -> tuple[Defect, ...]:
        """What is done as the released code does."""
        return OFFICIAL if self.compat == "official" else tuple(name for name in OFFICIAL if name in self.compat)


class Album:
    """Photographs, each loaded and prepared once. `data` is the folder of the standard sets."""

    def __init__(self, data: Path | None = None) -> None:
        self.data = data
        self._images: dict[tuple[str, int | None, int], images.Image] = {}

    def picture(self, name: str, size: int | None, multiple: int) -> Picture:
        """A reference to a photograph, cut to `size` if given and to multiples of `multiple`. Raises InputError."""
        key = (name, size, multiple)
        if key not in self._images:
            self._images[key] = images.load(name, size=size, multiple=multiple, data=self.data)
        return self._reference(self._images[key])

    @staticmethod
    def _reference(image: images.Image) -> Picture:
        height, width, channels = image.pixels.shape
        return Picture(name=image.name, pixels=image.id, height=height, width=width, channels=channels)

    def mask(self, name: str, size: int | None, multiple: int, like: Picture) -> Picture:
        """A reference to an inpainting mask: `text`, drawn at the size of a picture, or an image. Raises InputError."""
        if name != "text":
            return self.picture(name, size, multiple)
        key = ("text", like.width, like.height)
        if key not in self._images:
            self._images[key] = images.Image("text", text_mask(like.height, like.width), ())
        return self._reference(self._images[key])

    @property
    def pixels(self) -> dict[str, np.ndarray]:
        """Every loaded image by the hash of its pixels, uint8 (height, width, channels)."""
        return {image.id: image.pixels for image in self._images.values()}

    @property
    def notes(self) -> list[str]:
        """What was done to the images, for the user to know."""
        return list(dict.fromkeys(f"{image.name}: {note}" for image in self._images.values() for note in image.notes))


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
    point = _made(Point, values, where)
    for key, name, known in (
        ("task", point.task, TASKS),
        ("source_task", point.source_task or point.task, TASKS),
        ("prior", point.prior, PRIORS),
        ("pruner", point.pruner, PRUNERS),
    ):
        if name not in known:
            raise InputError(f"{where}: {key}: there is no {key} {name!r}; {nearest(name, list(known))}")
    task_class, prior_class = TASKS[point.task], PRIORS[point.prior]
    owners: list[type[BaseModel]] = [Point, task_class, prior_class, Schedule]
    keys = [key for owner in owners for key in owner.model_fields if key != "hole"]  # that is what `mask` becomes
    options = _options(point.pruner, values)
    keys += options
    for key in values:
        if key not in keys:
            raise InputError(f"{where}: there is no key {key!r}; {nearest(key, keys)}")
    prior = _made(prior_class, values, where)
    for key in ("source_image", "source_task"):
        if getattr(point, key) and not PRUNERS[point.pruner].borrows:
            raise InputError(f"{where}: {key}: {point.pruner} takes no masks from elsewhere; use pruner: imp")

    def picture(name: str) -> Picture:
        taken = _taken(where, album.picture, name, point.size, prior.multiple)
        if min(taken.height, taken.width) < prior.smallest:
            raise InputError(
                f"{where}: image {name} is {taken.width}x{taken.height} pixels, the net needs at least "
                f"{prior.smallest}x{prior.smallest}; use a larger image, a larger size or fewer scales"
            )
        return taken

    own = picture(point.image)
    names = [point.source_image] if isinstance(point.source_image, str) else point.source_image or []
    sources = tuple(picture(name) for name in names) or (own,)
    _check_sources(sources, own, where)
    if point.mask and "hole" not in task_class.model_fields:
        raise InputError(f"{where}: mask: {point.task} has no use for one; use task: inpaint, or remove it")
    hole = point.mask and _taken(where, album.mask, point.mask, point.size, prior.multiple, own)
    defects = point.defects
    released = {"per_channel": "per_channel" in defects, "pad": int("pad" in defects)}
    task = _made(task_class, {**released, **values, "hole": hole}, where)
    if objection := task.check(own.height, own.width):
        raise InputError(f"{where}: {objection}")
    schedule = _schedule(task, prior, point, values, where)
    here = Origin(pictures=(own,), task=task, schedule=schedule)
    there = here.replace(pictures=sources, codes=point.codes if len(sources) > 1 else "shared")
    if point.source_task and point.source_task != point.task:
        other = _made(TASKS[point.source_task], released, where)
        there = there.replace(task=other, schedule=_schedule(other, prior, point, values, where))
    if "backtrack" in defects and len(sources) > 1:
        there = there.replace(schedule=there.schedule.replace(backtrack=None))
    if point.rewind and round(schedule.steps * point.rewind / 100) == 0:
        least = 100 / schedule.steps
        raise InputError(
            f"{where}: rewind: {point.rewind:g} % of {schedule.steps} steps is not a step; use 0 or at least {least:g}"
        )
    levels = _levels(point, prior, own.channels, where)
    theta_seed = 0 if "shared_init" in defects and point.task in ("inpaint", "superres") else point.theta_seed
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


def _levels(point: Point, prior: Prior, channels: int, where: str) -> tuple[Level, ...]:
    if point.rounds is not None and (point.sparsities or point.parameters):
        key = "sparsities" if point.sparsities else "parameters"
        raise InputError(f"{where}: {key}: levels stand instead of rounds; remove one of the two")
    for sparsity in point.sparsities:
        if not 0 < sparsity < 1:
            raise InputError(f"{where}: sparsities: {sparsity:g} is no fraction; use one between 0 and 1, such as 0.9")
    if point.parameters:
        covered, all_of_them = prior.counts(channels, point.covers)
        least = all_of_them - covered + 1
        for count in point.parameters:
            if not least <= count <= all_of_them:
                raise InputError(
                    f"{where}: parameters: no ticket of {prior.kind} has {count:,}; use {least:,} to {all_of_them:,}"
                )
    levels = [Level(sparsity=sparsity) for sparsity in point.sparsities]
    return tuple(levels + [Level(parameters=count) for count in point.parameters])


def _schedule(task: Task, prior: Prior, point: Point, values: Mapping[str, Any], where: str) -> Schedule:
    named = task.schedules() | {"sgld": task.schedules()["paper"].sgld()}
    name = "lip" if "schedule" in point.defects and point.schedule == "paper" else point.schedule
    chosen = prior.schedule(named[name])
    if chosen.backtrack and "backtrack" in point.defects:
        chosen = chosen.replace(undo="official")
    return _made(Schedule, {**dict(chosen), **values}, where)


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
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return InputError(f"{where}: there is no key {key!r}; {nearest(key, keys)}")
    if first["type"] == "missing":
        return InputError(f"{where}: the key {key!r} is missing; add it")
    return InputError(f"{where}: {key}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}")

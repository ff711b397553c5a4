"""Sweep files: an experiment as YAML, checked whole before anything starts.

    name: existence
    fixed: {task: denoise, sigma: 25, rounds: 16}
    grid: {image: [astronaut, chelsea], pruner: [imp, random, snip], seed: [0, 1, 2]}

`fixed` holds for every point; `grid` is multiplied out; the lists of `zip` are walked side by side; `profiles` adjusts
sizes of a profile for this experiment. Keys are those of a point (below) and the fields of its task, prior and
schedule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lip import images
from lip.errors import InputError, nearest
from lip.fit import Picture
from lip.priors import PRIORS
from lip.pruners import PRUNERS
from lip.schedule import Schedule
from lip.tasks import TASKS
from lip.trajectory import Trajectory
from sweeps.profiles import PROFILES, Profile

SPECS = Path(__file__).parent / "specs"


class SweepFile(BaseModel):
    """What stands in a sweep file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"[A-Za-z0-9_-]+")]
    profile: str = "mini"
    """The profile that is meant when none is asked for."""
    fixed: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    zip: dict[str, list[Any]] = {}
    profiles: dict[str, Profile] = {}


class Point(BaseModel):
    """One trajectory as a sweep file says it, apart from the fields of its task, prior and schedule."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str
    source_image: str | None = None
    """The image whose IMP masks are used instead of the image's own."""
    task: str = "denoise"
    prior: str = "hourglass"
    pruner: str = "imp"
    rounds: Annotated[int, Field(ge=0, le=50)] = 16
    seed: Annotated[int, Field(ge=0)] = 0
    rewind: Annotated[float, Field(ge=0, le=100)] = 0.0
    size: Annotated[int, Field(ge=1)] | None = None


class Sweep(BaseModel):
    """A checked sweep: its trajectories, and the pixels they need by hash."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str
    profile: str
    trajectories: list[Trajectory]
    pixels: dict[str, Any]
    notes: list[str]
    """What was done to the images, for the user to know."""


def find(spec: str) -> Path:
    """The file of a sweep given by path, or by the name of one that ships with the package."""
    shipped = {path.stem: path for path in sorted(SPECS.glob("*.yaml"))}
    if spec in shipped:
        return shipped[spec]
    if Path(spec).is_file():
        return Path(spec)
    if Path(spec).suffix or "/" in spec:
        raise InputError(f"there is no sweep file {spec}")
    raise InputError(f"there is no sweep {spec!r}; {nearest(spec, list(shipped))}")


def read(
    spec: str, profile: str | None = None, data: Path | None = None, only: Mapping[str, str] | None = None
) -> Sweep:
    """Read a sweep file and check all of it: keys, values, names, images, duplicates. Raises InputError.

    `only` picks the points whose value of a key reads so in the file, for example {"image": "astronaut", "seed": "0"}.
    """
    path = find(spec)
    file = _parse(path)
    chosen = profile or file.profile
    if chosen not in PROFILES:
        raise InputError(f"there is no profile {chosen!r}; {nearest(chosen, list(PROFILES))}")
    if unknown := file.profiles.keys() - PROFILES.keys():
        raise InputError(
            f"{path}: profiles: there is no profile {min(unknown)!r}; {nearest(min(unknown), list(PROFILES))}"
        )
    sizes = _set(PROFILES[chosen]) | _set(file.profiles.get(chosen, Profile()))
    seeds = sizes.pop("seeds", None)
    photographs: dict[tuple[str, int | None, int], images.Image] = {}

    def picture(name: str, size: int | None, multiple: int) -> Picture:
        key = (name, size, multiple)
        if key not in photographs:
            photographs[key] = images.load(name, size=size, multiple=multiple, data=data)
        image = photographs[key]
        height, width, channels = image.pixels.shape
        return Picture(name=image.name, pixels=image.id, height=height, width=width, channels=channels)

    trajectories: dict[str, Trajectory] = {}
    picked: list[Trajectory] = []
    for values in _points(path, file, seeds, data):
        trajectory = _trajectory(path, {**values, **sizes}, picture)
        if trajectory.id in trajectories:
            said = ", ".join(f"{key}: {value}" for key, value in values.items())
            raise InputError(f"{path}: the same trajectory stands here twice ({said}); remove one")
        trajectories[trajectory.id] = trajectory
        if _picked({**values, **sizes}, only or {}):
            picked.append(trajectory)
    if not picked:
        said = ", ".join(f"{key}={wanted}" for key, wanted in (only or {}).items())
        raise InputError(
            f"--only {said}: no trajectory of {path} is like that" if said else f"{path} holds no trajectory"
        )
    return Sweep(
        name=file.name,
        profile=chosen,
        trajectories=picked,
        pixels={image.id: image.pixels for image in photographs.values()},
        notes=[f"{image.name}: {note}" for image in photographs.values() for note in image.notes],
    )


def _parse(path: Path) -> SweepFile:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a sweep file is a mapping with the keys {', '.join(SweepFile.model_fields)}")
    try:
        file = SweepFile.model_validate(content)
    except ValidationError as error:
        raise _explained(path, error, list(SweepFile.model_fields)) from error
    if file.name != path.stem:
        raise InputError(f"{path}: name: {file.name!r} must be the file's own name, {path.stem!r}")
    blocks = {"fixed": file.fixed, "grid": file.grid, "zip": file.zip}
    for block, axes in blocks.items():
        for key, values in axes.items():
            if block != "fixed" and not values:
                raise InputError(f"{path}: {block}.{key} is empty; give it at least one value or remove it")
            for other, others in blocks.items():
                if other != block and key in others:
                    raise InputError(f"{path}: {key} stands in {block} and in {other}; keep one")
    if len({len(values) for values in file.zip.values()}) > 1:
        lengths = ", ".join(f"{key} has {len(values)}" for key, values in file.zip.items())
        raise InputError(f"{path}: zip: the lists must be of one length ({lengths})")
    return file


def _points(path: Path, file: SweepFile, seeds: int | None, data: Path | None) -> Iterator[dict[str, Any]]:
    grid = {
        key: [name for value in values for name in _names(path, key, value, data)] if "image" in key else values
        for key, values in file.grid.items()
    }
    if seeds is not None:
        grid["seed"] = list(range(seeds))
    rows = [dict(zip(file.zip, row, strict=True)) for row in zip(*file.zip.values(), strict=True)] or [{}]
    for row in rows:
        for combination in product(*grid.values()):
            yield {**file.fixed, **row, **dict(zip(grid, combination, strict=True))}


def _names(path: Path, key: str, value: Any, data: Path | None) -> list[str]:
    if not isinstance(value, str):
        raise InputError(f"{path}: grid.{key}: {value!r} is not the name of an image")
    return images.names(value, data=data)


def _trajectory(path: Path, values: dict[str, Any], picture: Any) -> Trajectory:
    try:
        point = Point.model_validate({key: values[key] for key in Point.model_fields if key in values})
    except ValidationError as error:
        raise _explained(path, error, list(Point.model_fields)) from error
    for key, name, known in (
        ("task", point.task, TASKS),
        ("prior", point.prior, PRIORS),
        ("pruner", point.pruner, PRUNERS),
    ):
        if name not in known:
            raise InputError(f"{path}: {key}: there is no {key} {name!r}; {nearest(name, list(known))}")
    task_class, prior_class = TASKS[point.task], PRIORS[point.prior]
    owners = [Point, task_class, prior_class, Schedule]
    keys = [key for owner in owners for key in owner.model_fields]
    for key in values:
        if key not in keys:
            raise InputError(
                f"{path}: there is no key {key!r} for {point.task} with {point.prior}; {nearest(key, keys)}"
            )

    def of(owner: type[BaseModel]) -> dict[str, Any]:
        return {key: values[key] for key in owner.model_fields if key in values}

    try:
        prior = prior_class(**of(prior_class))
        task = task_class(**of(task_class))
        schedule = task.schedule.replace(**of(Schedule))
    except ValidationError as error:
        raise _explained(path, error, keys) from error
    if point.rewind and round(schedule.steps * point.rewind / 100) == 0:
        raise InputError(f"{path}: rewind: {point.rewind} % of {schedule.steps} steps is no step; use 0 or more")
    if point.source_image and point.pruner != "imp":
        raise InputError(f"{path}: source_image: {point.pruner} finds no masks on other images; use pruner: imp")
    own, source = (
        name and _checked(path, picture(name, point.size, prior.multiple), prior.smallest)
        for name in (point.image, point.source_image)
    )
    return Trajectory(
        picture=own,
        task=task,
        schedule=schedule,
        prior=prior,
        pruner=point.pruner,
        rounds=point.rounds,
        seed=point.seed,
        rewind=point.rewind,
        source=None if source == own else source,
    )


def _picked(values: dict[str, Any], only: Mapping[str, str]) -> bool:
    for key in only:
        if key not in values:
            raise InputError(f"--only {key}={only[key]}: the sweep has no such key; {nearest(key, list(values))}")
    return all(str(values[key]) == wanted for key, wanted in only.items())


def _checked(path: Path, picture: Picture, smallest: int) -> Picture:
    if min(picture.height, picture.width) < smallest:
        raise InputError(
            f"{path}: image {picture.name} is {picture.width}x{picture.height} pixels, the net needs "
            f"{smallest}x{smallest}; use a larger image, a larger size or fewer scales"
        )
    return picture


def _set(profile: Profile) -> dict[str, Any]:
    return {key: value for key, value in profile if value is not None}


def _explained(path: Path, error: ValidationError, keys: list[str]) -> InputError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return InputError(f"{path}: there is no key {where!r}; {nearest(where, keys)}")
    if first["type"] == "missing":
        return InputError(f"{path}: the key {where!r} is missing; add it to fixed, grid or zip")
    return InputError(f"{path}: {where}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}")

"""Sweep files: an experiment as YAML, checked whole before anything starts.

    name: existence
    fixed: {task: denoise, sigma: 25, rounds: 16}
    grid: {image: [astronaut, chelsea], pruner: [imp, random, snip], seed: [0, 1, 2]}

`fixed` holds for every point; `grid` is multiplied out; `parts` are done one after the other, each with a `fixed` and a
`grid` of its own on top; `profiles` adjusts sizes of a profile for this experiment. Keys are those of a point
(`lip.point`), the fields of its task, prior and schedule, and the options of its pruner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lip import images
from lip.errors import InputError, nearest
from lip.point import Album, explained, trajectory_of
from lip.priors import GENERATORS
from lip.trajectory import Trajectory
from sweeps.profiles import PROFILES, Profile

SPECS = Path(__file__).parent / "specs"


class Part(BaseModel):
    """What a part of a sweep adds to the whole."""

    model_config = ConfigDict(extra="forbid", strict=True)

    fixed: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}


class SweepFile(BaseModel):
    """What stands in a sweep file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    profile: str = "mini"
    """The profile that is meant when none is asked for."""
    fixed: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    parts: list[Part] = [Part()]
    profiles: dict[str, Profile] = {}


class Sweep(BaseModel):
    """A checked sweep."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str
    profile: str
    whole: list[Trajectory]
    trajectories: list[Trajectory]
    """The part of the whole that is asked for."""
    pixels: dict[str, np.ndarray]
    """The images by hash, uint8 (height, width, channels)."""
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
    spec: str, profile: str | None = None, data: Path | None = None, only: Mapping[str, Any] | None = None
) -> Sweep:
    """Read a sweep file and check all of it: keys, values, names, images, duplicates. Raises InputError.

    `only` picks the points that have these values, for example {"image": "astronaut", "seed": 0}.
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
    album = Album(data)
    trajectories: dict[str, Trajectory] = {}
    picked: list[Trajectory] = []
    keys: set[str] = set()
    for values in _points(path, file, seeds, data):
        values |= {key: size for key, size in sizes.items() if _has(values, key)}
        keys.update(values)
        made = trajectory_of(values, album, str(path))
        if made.id in trajectories:
            said = ", ".join(f"{key}: {value}" for key, value in values.items())
            raise InputError(f"{path}: the same trajectory stands here twice ({said}); remove one")
        trajectories[made.id] = made
        if all(values.get(key, ...) == wanted for key, wanted in (only or {}).items()):
            picked.append(made)
    for key, wanted in (only or {}).items():
        if key not in keys:
            raise InputError(f"--only {key}={wanted}: the sweep has no such key; {nearest(key, sorted(keys))}")
    if not picked:
        said = ", ".join(f"{key}={wanted}" for key, wanted in (only or {}).items())
        raise InputError(
            f"--only {said}: no trajectory of {path} is like that" if said else f"{path} holds no trajectory"
        )
    return Sweep(
        name=file.name,
        profile=chosen,
        whole=list(trajectories.values()),
        trajectories=picked,
        pixels=album.pixels,
        notes=album.notes,
    )


class _Loader(yaml.SafeLoader):
    """Loads nothing but plain values, and refuses a key that stands twice (YAML itself takes the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _parse(path: Path) -> SweepFile:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a sweep file is a mapping with the keys {', '.join(SweepFile.model_fields)}")
    try:
        file = SweepFile.model_validate(content)
    except ValidationError as error:
        raise explained(str(path), error, list(SweepFile.model_fields)) from error
    if file.name != path.stem:
        raise InputError(f"{path}: name: {file.name!r} must be the file's own name, {path.stem!r}")
    if not file.parts:
        raise InputError(f"{path}: parts is empty; give it at least one part or remove it")
    for number, part in enumerate(file.parts, 1):
        _check_blocks(
            path,
            {
                "fixed": file.fixed,
                "grid": file.grid,
                f"parts {number} fixed": part.fixed,
                f"parts {number} grid": part.grid,
            },
        )
    return file


def _check_blocks(path: Path, blocks: Mapping[str, Mapping[str, Any]]) -> None:
    home: dict[str, str] = {}
    for block, axes in blocks.items():
        for key, values in axes.items():
            if block.endswith("grid") and not values:
                raise InputError(f"{path}: {block}: {key} is empty; give it at least one value or remove it")
            if key in home:
                raise InputError(f"{path}: {key} stands in {home[key]} and in {block}; keep one")
            home[key] = block


def _points(path: Path, file: SweepFile, seeds: int | None, data: Path | None) -> Iterator[dict[str, Any]]:
    for part in file.parts:
        fixed = file.fixed | part.fixed
        grid = {
            key: [name for value in values for name in _names(path, key, value, data)] if "image" in key else values
            for key, values in (file.grid | part.grid).items()
        }
        if seeds is not None and "seed" not in fixed:
            grid["seed"] = list(range(seeds))
        for combination in product(*grid.values()):
            yield {**fixed, **dict(zip(grid, combination, strict=True))}


def _names(path: Path, key: str, value: Any, data: Path | None) -> list[Any]:
    """The names that a name or glob stands for; a list of them is one value, of images that go together."""
    if isinstance(value, list):
        return [[name for part in value for name in _names(path, key, part, data)]]
    if not isinstance(value, str):
        raise InputError(f"{path}: grid.{key}: {value!r} is not the name of an image")
    try:
        return images.names(value, data=data)
    except InputError as error:
        raise InputError(f"{path}: grid.{key}: {error}") from error


def _has(values: Mapping[str, Any], size: str) -> bool:
    """Whether a point has a size for a profile to set: networks besides the hourglass are compared by theirs."""
    if size in ("width", "scales"):
        return values.get("prior", "hourglass") == "hourglass"
    if size in ("tuning", "pretraining"):
        return values.get("prior") in GENERATORS
    if size in ("size", "steps"):
        return bool(values.keys() & {"image", "source_image"})
    if size in ("data_size", "epochs"):
        return bool(values.keys() & {"data", "source_data"})
    return size != "rounds" or not (values.get("sparsities") or values.get("parameters"))


def _set(profile: Profile) -> dict[str, Any]:
    return {key: value for key, value in profile if value is not None}

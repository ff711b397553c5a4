"""Sweep files: an experiment as YAML, checked whole before anything starts.

    name: existence
    fixed: {task: denoise, sigma: 25, rounds: 16}
    grid: {image: [astronaut, chelsea], pruner: [imp, random, snip], seed: [0, 1, 2]}

`fixed` holds for every point; `grid` is multiplied out; `parts` are done one after the other, each with a `fixed` and a
`grid` of its own on top; `profiles` adjusts a profile for this experiment: its sizes, and what stands `instead` of some
values (the paper's photographs instead of those that need no network, for one). Keys are those of a point
(`lip.specs.request`), the fields of its task, prior and schedule, and its pruner's options. `include` names sweeps
that belong to this one, and what they share is done once. `outputs: true` keeps the restored images.

What a file says wins over its own default profile, which only fills the sizes that the file leaves open. A profile that
the user names replaces the file's sizes, and `Sweep.replaced` says each replacement; only a seed in `fixed` stays. The
sizes under `profiles` are the file's words for that profile: they apply whenever it is in force.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lip.data import images
from lip.data.library import InputLibrary
from lip.errors import InputError, explained, location, nearest
from lip.priors import GENERATORS
from lip.specs.request import parse_trajectory
from lip.specs.trajectory import Trajectory
from sweeps.profiles import PROFILES, Profile

SPECS = Path(__file__).parent / "specs"

MOST_POINTS = 200_000
"""A grid of more is refused: planning so many takes a minute, and more sooner fill the memory."""


class Part(BaseModel):
    """A part of a sweep: what it adds to the whole."""

    model_config = ConfigDict(extra="forbid", strict=True)

    fixed: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}


class ProfileOverride(Profile):
    """A sweep's own changes to a profile."""

    instead: dict[str, dict[Any, Any]] = Field(default_factory=dict)
    """By key, what stands in place of a value of the file: {"image": {"astronaut": "cbm3d/F16"}}. Within a list, a list
    stands for several."""


class SweepFile(BaseModel):
    """The content of a sweep file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    profile: str = "mini"
    """The profile that is meant when none is asked for."""
    fixed: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    parts: list[Part] = [Part()]
    include: list[str] = []
    """Sweeps that belong to this one: names of shipped ones, or files beside it."""
    outputs: bool = False
    """Whether the restored images of its fits are kept."""
    profiles: dict[str, ProfileOverride] = {}


class Member(NamedTuple):
    """A trajectory in the experiment that asks for it: the sweep itself, or one that it includes."""

    experiment: str
    trajectory: Trajectory


class Sweep(BaseModel):
    """A checked sweep."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str
    profile: str
    members: list[Member]
    """The whole sweep; a trajectory stands here once for every experiment that it belongs to."""
    trajectories: list[Trajectory]
    """The part of the whole that is asked for, each once."""
    outputs: frozenset[str]
    """The ids of the fits whose restored images are kept."""
    pixels: dict[str, np.ndarray]
    """The images by hash, uint8 (height, width, channels)."""
    notes: list[str]
    """What was done to the images, for the user to know."""
    replaced: list[str]
    """Which sizes of the file the named profile has replaced, a line per key: `size 64 instead of 32`."""


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
    library = InputLibrary(data)
    members: dict[tuple[str, str, str], Member] = {}
    picked: dict[str, Trajectory] = {}
    outputs: set[str] = set()
    keys: set[str] = set()
    replaced: dict[str, tuple[list[str], list[str]]] = {}
    for experiment, values, where, olds in _points(path, file, chosen, profile is not None, {}, data):
        keys.update(values)
        for size, old in olds.items():
            new_and_old = replaced.setdefault(size, ([], []))
            for known, value in zip(new_and_old, (values[size], old), strict=True):
                known += [] if str(value) in known else [str(value)]
        made = parse_trajectory(values, library, str(where))
        key = (experiment.name, made.id, made.picture.name)  # sets share photographs, under names of their own
        if key in members and olds:
            continue  # of an axis of sizes, a profile that is named leaves one
        if key in members:
            said = ", ".join(f"{key}: {value}" for key, value in values.items())
            raise InputError(f"{where}: the same trajectory stands here twice ({said}); remove one")
        members[key] = Member(experiment.name, made)
        if experiment.outputs:
            outputs.update(fit.id for fit in made.fits)
        if all(values.get(key, ...) == wanted for key, wanted in (only or {}).items()):
            picked.setdefault(made.id, made)
    for asked, wanted in (only or {}).items():
        if asked not in keys:
            raise InputError(f"--only {asked}={wanted}: the sweep has no such key; {nearest(asked, sorted(keys))}")
    if not picked:
        said = ", ".join(f"{key}={wanted}" for key, wanted in (only or {}).items())
        raise InputError(
            f"--only {said}: no trajectory of {path} is like that" if said else f"{path} holds no trajectory"
        )
    return Sweep(
        name=file.name,
        profile=chosen,
        members=list(members.values()),
        trajectories=list(picked.values()),
        outputs=frozenset(outputs),
        pixels=library.inputs,
        notes=library.notes,
        replaced=[f"{key} {', '.join(new)} instead of {', '.join(old)}" for key, (new, old) in replaced.items()],
    )


class _Loader(yaml.SafeLoader):
    """Loads nothing but plain values, and refuses a key that stands twice (YAML itself takes the last).

    And aliases: a few lines of them make lists of billions, or one that contains itself.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            raise yaml.composer.ComposerError(
                None, None, f"write out what *{event.anchor} stands for", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        made = super().construct_mapping(node, deep)
        if len(made) < len(node.value):
            keys = Counter(self.construct_object(key, deep=True) for key, _ in node.value)
            key = max(keys, key=keys.__getitem__)
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return made


def _parse(path: Path) -> SweepFile:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: no UTF-8, a month 13
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a sweep file is a mapping with the keys {', '.join(SweepFile.model_fields)}")
    try:
        file = SweepFile.model_validate(content)
    except ValidationError as error:
        with location(str(path)):
            raise explained(error, list(SweepFile.model_fields)) from error
    if file.name != path.stem:
        raise InputError(f"{path}: name: {file.name!r} must be the file's own name, {path.stem!r}")
    if unknown := file.profiles.keys() - PROFILES.keys():
        raise InputError(
            f"{path}: profiles: there is no profile {min(unknown)!r}; {nearest(min(unknown), list(PROFILES))}"
        )
    if len(set(file.include)) < len(file.include):
        raise InputError(f"{path}: include: a sweep stands here twice; remove one")
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
    _check_instead(path, file)
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


def _points(
    path: Path,
    file: SweepFile,
    profile: str,
    named: bool,
    over: dict[str, Any],
    data: Path | None,
    above: tuple[str, ...] = (),
) -> Iterator[tuple[SweepFile, dict[str, Any], Path, dict[str, Any]]]:
    """Yield the points of a sweep and of those it includes, with their file and what the profile has replaced in them.

    `named`: the user asks for the profile. `over`: sizes that an including file says.
    """
    adjusted = file.profiles.get(profile, ProfileOverride())
    over = _set(adjusted) | over
    usual = _set(PROFILES[profile])
    for part in file.parts if not file.include or file.fixed or file.grid or file.parts != [Part()] else []:
        fixed = _swapped(file.fixed | part.fixed, adjusted.instead)
        grid = _swapped(file.grid | part.grid, adjusted.instead)
        for key in grid:
            if "image" in key:
                grid[key] = [name for value in grid[key] for name in _names(path, key, value, data)]
        old_seeds: dict[str, Any] = {}
        if "seed" not in fixed and ("seeds" in over or ("seeds" in usual and (named or "seed" not in grid))):
            seeds = list(range((usual | over)["seeds"]))
            if "seeds" not in over and grid.get("seed", seeds) != seeds:
                old_seeds["seed"] = ", ".join(map(str, grid["seed"]))
            grid["seed"] = seeds
        if (count := prod(map(len, grid.values()))) > MOST_POINTS:
            raise InputError(
                f"{path}: grid: {count:,} points are more than {MOST_POINTS:,}; split it into sweeps of their own"
            )
        for combination in product(*grid.values()):
            said = {**fixed, **dict(zip(grid, combination, strict=True))}
            values = said | {
                key: size
                for key, size in (usual | over).items()
                if _has(said, key) and (named or key in over or key not in said)
            }
            olds = {key: old for key, old in said.items() if values[key] != old and key not in over}
            yield file, values, path, old_seeds | olds
    for name in file.include:
        beside = path.parent / name
        try:
            included = beside if beside.is_file() else find(name)
        except InputError as error:
            raise InputError(f"{path}: include: {error}") from error
        content = _parse(included)
        if content.name in (*above, file.name):
            raise InputError(f"{path}: include: {name} includes this sweep itself; remove one")
        yield from _points(included, content, profile, named, over, data, (*above, file.name))


def _swapped(block: Mapping[str, Any], instead: Mapping[str, Mapping[Any, Any]]) -> dict[str, Any]:
    return {key: _swap(value, instead[key]) if key in instead else value for key, value in block.items()}


def _swap(value: Any, table: Mapping[Any, Any]) -> Any:
    if not isinstance(value, list):
        return table.get(value, value)
    swapped: list[Any] = []
    for part in value:
        new = _swap(part, table)
        several = isinstance(new, list) and not isinstance(part, list)
        swapped += new if several else [new]
    return swapped


def _check_instead(path: Path, file: SweepFile) -> None:
    blocks = [file.fixed, file.grid, *(block for part in file.parts for block in (part.fixed, part.grid))]
    for profile, adjusted in file.profiles.items():
        for key, table in adjusted.instead.items():
            said = [value for block in blocks for value in _flat(block.get(key, []))]
            for old in table:
                if old not in said:
                    hint = f"what stands there is {', '.join(map(str, said))}" if said else "that key stands nowhere"
                    raise InputError(f"{path}: profiles: {profile}: instead: {key} is nowhere {old}; {hint}")


def _flat(value: Any) -> list[Any]:
    return [part for each in value for part in _flat(each)] if isinstance(value, list) else [value]


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
    """Tell whether a point has a size for a profile to set.

    Networks besides the hourglass are compared by theirs; levels, and no rounds at all, stand instead of rounds.
    """
    if size == "seeds":
        return False
    if size in ("width", "scales"):
        return values.get("prior", "hourglass") == "hourglass"
    if size in ("tuning", "pretraining"):
        return values.get("prior") in GENERATORS
    if size in ("size", "steps"):
        return bool(values.keys() & {"image", "source_image"})
    if size in ("data_size", "epochs"):
        return bool(values.keys() & {"data", "source_data"})
    levels = values.get("sparsities") or values.get("parameters") or values.get("rounds") == 0
    return size != "rounds" or not levels


def _set(profile: Profile) -> dict[str, Any]:
    """The sizes that a profile sets."""
    return {key: size for key in Profile.model_fields if (size := getattr(profile, key)) is not None}

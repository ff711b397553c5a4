"""Sweep files: an experiment as YAML, checked completely before anything starts.

    name: existence
    fixed: {task: denoise, sigma: 25, rounds: 16}
    grid: {image: [astronaut, chelsea], pruner: [imp, random, snip], seed: [0, 1, 2]}

`fixed` holds for every request, and `grid` is multiplied out: a request is one trajectory in flat keys
(`lip.specs.request`). `parts` are done one after the other, each adding a `fixed` and a `grid` of its own. `profiles`
changes sizes for one profile, and can `replace` values, such as photographs that need no network by the paper's.
`include` names sweeps that belong to this one; what they share is done once. `outputs: true` keeps the restored images,
`outputs: false` does not even keep small ones, `weights: true` keeps the trained weights.

The file wins over its own default profile, which only fills in sizes that the file leaves open. A profile that the user
names replaces the file's sizes, except a seed in `fixed`; `Sweep.replaced` lists each replacement. The sizes under
`profiles` belong to the file: they apply whenever that profile is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from lip.paths import expand
from lip.priors import GENERATORS
from lip.specs.request import check_value, parse_trajectory
from lip.specs.trajectory import Trajectory
from lip.tasks.degradation import Degradation
from lip.values import load
from sweeps.profiles import PROFILES, Profile

SPECS = Path(__file__).parent / "specs"

MAX_REQUESTS = 200_000
"""The largest grid. Planning it takes a minute; larger ones may fill the memory."""


SMALL = 128
"""Pixels of a side up to which restored images are kept by default: half a megabyte a fit."""


class Part(BaseModel):
    """A part of a sweep file, added to its `fixed` and `grid`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    fixed: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}


class ProfileOverride(Profile):
    """A sweep file's own changes to a profile."""

    new_values: dict[str, dict[Any, Any]] = Field(default_factory=dict, alias="replace")
    """By key, the new values of old ones: {"image": {"astronaut": "cbm3d/F16"}}.

    Within a list, one value can be replaced by a list of several."""


class SweepFile(BaseModel):
    """The content of a sweep file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    profile: str = "mini"
    """The default profile."""
    fixed: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    parts: list[Part] = [Part()]
    include: list[str] = []
    """Sweeps that belong to this one: names of shipped ones, or files in the same folder."""
    outputs: bool | None = None
    """Keep the restored images of its fits; None: of small images, of fits that are trained anyway."""
    weights: bool = False
    """Keep the trained weights of its fits."""
    profiles: dict[str, ProfileOverride] = {}


class Entry(NamedTuple):
    """A trajectory, and the experiment that asks for it."""

    experiment: str
    trajectory: Trajectory


class Sweep(BaseModel):
    """A checked sweep."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str
    profile: str
    entries: list[Entry]
    """The whole sweep. A trajectory has an entry for each experiment that it belongs to."""
    trajectories: list[Trajectory]
    """The selected part of the sweep, each trajectory once."""
    outputs: frozenset[str]
    """The ids of the fits whose restored images are asked for: without them they are not published."""
    weights: frozenset[str]
    """The same of trained weights."""
    small: frozenset[str]
    """The ids of further fits whose restored images are kept if they are trained, because they are small."""
    pixels: dict[str, np.ndarray]
    """The images by hash, uint8 (height, width, channels)."""
    notes: list[str]
    """What was done to the images, for the user to know."""
    replaced: list[str]
    """The sizes of the file that a named profile replaces, a line per key: `size 64 instead of 32`."""


class _Request(NamedTuple):
    """The flat keys of one trajectory."""

    path: Path
    file: SweepFile
    keys: dict[str, Any]
    replaced: dict[str, Any]
    """The file's values of those keys that a named profile replaces."""


class _Profile(NamedTuple):
    """The profile that is used."""

    name: str
    named: bool
    """The user names it; if not, it is the file's default."""


def find(spec: str) -> Path:
    """Return the file of a sweep, given by path or shipped name."""
    shipped = {path.stem: path for path in sorted(SPECS.glob("*.yaml"))}
    if spec in shipped:
        return shipped[spec]
    if Path(expand(spec)).is_file():
        return Path(expand(spec))
    if Path(spec).suffix or "/" in spec:
        raise InputError(f"there is no sweep file {spec}")
    raise InputError(f"there is no sweep {spec!r}; {nearest(spec, list(shipped))}")


def read(
    spec: str, profile: str | None = None, data: Path | None = None, only: Mapping[str, Sequence[Any]] | None = None
) -> Sweep:
    """Read a sweep file, and check all of it.

    `only` selects the trajectories that have one of these values, for example {"image": ["astronaut"], "seed": [0, 1]}.
    Raises InputError.
    """
    path, only = find(spec), only or {}
    file = _parse(path)
    chosen = _Profile(profile or file.profile, profile is not None)
    if chosen.name not in PROFILES:
        raise InputError(f"there is no profile {chosen.name!r}; {nearest(chosen.name, list(PROFILES))}")
    library = InputLibrary(data)
    entries: dict[tuple[str, str, str], Entry] = {}
    selected: dict[str, Trajectory] = {}
    outputs: set[str] = set()
    weights: set[str] = set()
    small: set[str] = set()
    known: dict[str, dict[str, Any]] = {}
    replaced: dict[str, tuple[list[str], list[str]]] = {}
    for request in _requests(path, file, chosen, {}, data):
        for key, value in request.keys.items():
            values = known.setdefault(key, {})
            if key in only:
                values[str(value)] = value
        _note_replaced(replaced, request)
        trajectory = parse_trajectory(request.keys, library, str(request.path))
        entry = request.file.name, trajectory.id, trajectory.picture.name  # sets name shared photographs differently
        if entry in entries and request.replaced:
            continue  # a named profile leaves one of several sizes
        if entry in entries:
            raise InputError(f"{request.path}: duplicate trajectory ({_in_words(request.keys)}); remove one")
        entries[entry] = Entry(request.file.name, trajectory)
        if len(entries) > MAX_REQUESTS:
            raise InputError(f"{path}: its parts have more than {MAX_REQUESTS:,} trajectories; split the sweep")
        fits = [fit.id for fit in trajectory.fits]
        outputs.update(fits if request.file.outputs else ())
        weights.update(fits if request.file.weights else ())
        small.update(fits if request.file.outputs is None and _is_small(trajectory) else ())
        if all(request.keys.get(key, ...) in values for key, values in only.items()):
            selected.setdefault(trajectory.id, trajectory)
    _check_only(path, only, known, bool(selected))
    return Sweep(
        name=file.name,
        profile=chosen.name,
        entries=list(entries.values()),
        trajectories=list(selected.values()),
        outputs=frozenset(outputs),
        weights=frozenset(weights),
        small=frozenset(small),
        pixels=library.inputs,
        notes=library.notes,
        replaced=[f"{key} {', '.join(new)} instead of {', '.join(old)}" for key, (new, old) in replaced.items()],
    )


def _is_small(trajectory: Trajectory) -> bool:
    """Tell whether its restored images are so small that they are kept unless the sweep says otherwise."""
    restores = isinstance(trajectory.task, Degradation)
    return restores and max(trajectory.picture.height, trajectory.picture.width) <= SMALL


def _check_only(
    path: Path, only: Mapping[str, Sequence[Any]], known: Mapping[str, Mapping[str, Any]], found: bool
) -> None:
    """Refuse to select values that the sweep does not have, or nothing. `known` has its values by key and text."""
    for key, values in only.items():
        if key not in known:
            raise InputError(f"--only {key}={values[0]}: the sweep has no such key; {nearest(key, sorted(known))}")
        for value in values:
            if value not in known[key].values():
                hint = nearest(str(value), list(known[key]))
                raise InputError(f"--only {key}={value}: the sweep has no such {key}; {hint}")
    if not found:
        asked = ", ".join(f"{key}={value}" for key, values in only.items() for value in values)
        raise InputError(f"--only {asked}: {path} has no such trajectory" if only else f"{path} has no trajectory")


def _note_replaced(replaced: dict[str, tuple[list[str], list[str]]], request: _Request) -> None:
    """Add new and old values to those collected by key, each once."""
    for key, old in request.replaced.items():
        for known, value in zip(replaced.setdefault(key, ([], [])), (request.keys[key], old), strict=True):
            if str(value) not in known:
                known.append(str(value))


def _in_words(keys: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in keys.items())


def _parse(path: Path) -> SweepFile:
    try:
        content = load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: not UTF-8
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
        raise InputError(f"{path}: include: duplicate sweep; remove one")
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
    _check_replace(path, file)
    return file


def _check_blocks(path: Path, blocks: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse empty axes, and keys that are in two blocks."""
    home: dict[str, str] = {}
    for block, values in blocks.items():
        for key, value in values.items():
            if block.endswith("grid") and not value:
                raise InputError(f"{path}: {block}: {key} is empty; give it at least one value or remove it")
            if key in home:
                raise InputError(f"{path}: {key} is in both {home[key]} and {block}; keep one")
            home[key] = block


def _check_replace(path: Path, file: SweepFile) -> None:
    """Refuse to replace a value that the file does not have."""
    blocks = [file.fixed, file.grid, *(block for part in file.parts for block in (part.fixed, part.grid))]
    for profile, override in file.profiles.items():
        for key, table in override.new_values.items():
            values = [value for block in blocks for value in _flat(block.get(key, []))]
            for old in table:
                if old not in values:
                    hint = f"values are: {', '.join(map(str, values))}" if values else "the file has no such key"
                    raise InputError(f"{path}: profiles: {profile}: replace: no value {old!r} for {key}; {hint}")


def _requests(
    path: Path,
    file: SweepFile,
    profile: _Profile,
    sizes: dict[str, Any],
    data: Path | None,
    including: tuple[str, ...] = (),
) -> Iterator[_Request]:
    """Yield the requests of a sweep and of those it includes.

    `sizes` are set by the files that include it, whose names are `including`.
    """
    override = file.profiles.get(profile.name, ProfileOverride())
    sizes = _sizes(override) | sizes
    if not file.include or file.fixed or file.grid or file.parts != [Part()]:
        for part in file.parts:
            fixed = _replace_values(file.fixed | part.fixed, override.new_values)
            grid = _replace_values(file.grid | part.grid, override.new_values)
            grid |= {
                key: [name for value in values for name in _names(path, key, value, data)]
                for key, values in grid.items()
                if "image" in key
            }
            for keys, replaced in _multiplied_out(path, fixed, grid, profile, sizes):
                yield _Request(path, file, keys, replaced)
    for name in file.include:
        beside = path.parent / name
        with location(f"{path}: include"):
            included = beside if beside.is_file() else find(name)
        content = _parse(included)
        if content.name in (*including, file.name):
            raise InputError(f"{path}: include: {name} includes this sweep itself; remove one")
        yield from _requests(included, content, profile, sizes, data, (*including, file.name))


def _multiplied_out(
    path: Path, fixed: dict[str, Any], grid: Mapping[str, Sequence[Any]], profile: _Profile, sizes: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Multiply out a grid.

    Yields the keys of each request, and the file's values of those that the profile replaces.
    """
    usual = _sizes(PROFILES[profile.name])
    old_seeds: dict[str, Any] = {}
    if "seed" not in fixed and ("seeds" in sizes or ("seeds" in usual and (profile.named or "seed" not in grid))):
        seeds = range((usual | sizes)["seeds"])
        if "seeds" not in sizes and "seed" in grid and grid["seed"] != list(seeds):
            old_seeds["seed"] = ", ".join(map(str, grid["seed"]))
        grid = {**grid, "seed": seeds}
    if (count := prod(map(_length, grid.values()))) > MAX_REQUESTS:
        raise InputError(f"{path}: grid: {count:,} trajectories are more than {MAX_REQUESTS:,}; split the sweep")
    for combination in product(*grid.values()):
        given = {**fixed, **dict(zip(grid, combination, strict=True))}
        keys = given | {
            key: size
            for key, size in (usual | sizes).items()
            if _accepts(given, key) and (profile.named or key in sizes or key not in given)
        }
        hidden = {key: old for key, old in given.items() if keys[key] != old}
        with location(str(path)):
            for key, old in hidden.items():
                check_value(key, old)
        replaced = {key: old for key, old in hidden.items() if key not in sizes}
        yield keys, old_seeds | replaced


def _length(axis: Sequence[Any]) -> int:
    return axis.stop - axis.start if isinstance(axis, range) else len(axis)  # len(range(10**20)) overflows


def _replace_values(block: Mapping[str, Any], tables: Mapping[str, Mapping[Any, Any]]) -> dict[str, Any]:
    return {key: _replaced(value, tables[key]) if key in tables else value for key, value in block.items()}


def _replaced(value: Any, table: Mapping[Any, Any]) -> Any:
    if not isinstance(value, list):
        return table.get(value, value)
    replaced: list[Any] = []
    for part in value:
        new = _replaced(part, table)
        several = isinstance(new, list) and not isinstance(part, list)
        replaced += new if several else [new]
    return replaced


def _flat(value: Any) -> list[Any]:
    return [part for each in value for part in _flat(each)] if isinstance(value, list) else [value]


def _names(path: Path, key: str, value: Any, data: Path | None) -> list[Any]:
    """Return the names that a name or glob stands for.

    A list is one value: images that are fitted together.
    """
    if isinstance(value, list):
        return [[name for part in value for name in _names(path, key, part, data)]]
    with location(f"{path}: grid.{key}"):
        if not isinstance(value, str):
            raise InputError(f"{value!r} is not the name of an image")
        return images.names(value, data=data)


def _accepts(keys: Mapping[str, Any], size: str) -> bool:
    """Tell whether a profile may set a size of a request.

    Not of networks that are compared by their size, and no rounds where there are levels or are to be no rounds.
    """
    if size == "seeds":
        return False
    if size in ("width", "scales"):
        return keys.get("prior", "hourglass") == "hourglass"
    if size in ("tuning", "pretraining"):
        return keys.get("prior") in GENERATORS
    if size in ("size", "steps"):
        return bool(keys.keys() & {"image", "source_image"})
    if size in ("data_size", "epochs"):
        return bool(keys.keys() & {"data", "source_data"})
    levels = keys.get("sparsities") or keys.get("parameters") or keys.get("rounds") == 0
    return size != "rounds" or not levels


def _sizes(profile: Profile) -> dict[str, Any]:
    """Return the sizes that a profile sets."""
    return {key: size for key in Profile.model_fields if (size := getattr(profile, key)) is not None}

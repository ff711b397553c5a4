"""Sweep files: an experiment as YAML, checked completely before anything starts.

    name: existence
    fixed: {task: denoise, sigma: 25, rounds: 16}
    grid: {image: [astronaut, chelsea], pruner: [imp, random, snip], seed: [0, 1, 2]}

`fixed` holds for every request, and `grid` is multiplied out: a request is one trajectory in flat keys
(`lip.specs.request`). `parts` are done one after the other, each adding a `fixed` and a `grid` of its own. `profiles`
changes sizes for one profile, and can `replace` values, such as photographs that need no network by the paper's.
`include` names sweeps that belong to this one; what they share is done once. `outputs: true` keeps the restored images,
`outputs: false` does not even keep small ones, `weights: true` keeps the trained weights.
`search` looks for good values of keys (`sweeps.search`), and judges each setting on all requests of the file.

The file wins over its own default profile, which only fills in sizes that the file leaves open. A profile that the user
names replaces the file's sizes, except a seed in `fixed`; `Sweep.replaced` lists each replacement. The sizes under
`profiles` belong to the file: they apply whenever that profile is used.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from pathlib import Path
from types import MappingProxyType
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
from sweeps.search.block import SearchBlock, parse_search
from sweeps.search.space import Setting
from sweeps.search.study import Search

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
    search: dict[str, Any] = Field(default_factory=dict)
    """Parts of the file's search that this profile replaces; of its space, the keys that are given."""


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
    search: dict[str, Any] | None = None
    """What is searched (`sweeps.search.block`)."""
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
    outputs: set[str] = set()
    """The ids of the fits whose restored images are asked for: without them they are not published."""
    weights: set[str] = set()
    """The same of trained weights."""
    small: set[str] = set()
    """The ids of further fits whose restored images are kept if they are trained, because they are small."""
    pixels: dict[str, np.ndarray]
    """The images by hash, uint8 (height, width, channels)."""
    notes: list[str]
    """What was done to the images, for the user to know."""
    replaced: list[str]
    """The sizes of the file that a named profile replaces, a line per key: `size 64 instead of 32`."""
    searches: list[Search] = []
    """What is searched; a plan adds their trajectories as they become known."""

    @property
    def title(self) -> str:
        """Name it with its profile."""
        return f"{self.name} ({self.profile})"

    def keep(self, trajectory: Trajectory, outputs: bool | None, weights: bool) -> None:
        """Note what is to be kept of a trajectory, as the keys of its file say."""
        fits = {fit.id for fit in trajectory.fits}
        if outputs:
            self.outputs |= fits
        elif outputs is None and _is_small(trajectory):
            self.small |= fits
        if weights:
            self.weights |= fits


class _Profile(NamedTuple):
    """The profile that is used."""

    name: str
    named: bool
    """The user names it; if not, it is the file's default."""


class _File(NamedTuple):
    """A sweep file, or one that it includes, with the sizes that it is run at."""

    path: Path
    content: SweepFile
    profile: _Profile
    sizes: dict[str, Any]
    """Sizes that the file and those that include it set for the profile."""
    data: Path | None

    @property
    def override(self) -> ProfileOverride:
        """Return the file's own changes to the profile."""
        return self.content.profiles.get(self.profile.name, ProfileOverride())


class _Request(NamedTuple):
    """The flat keys of one trajectory."""

    path: Path
    keys: dict[str, Any]
    replaced: dict[str, Any]
    """The file's values of those keys that a named profile replaces."""


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
    file = parse(path)
    chosen = _Profile(profile or file.profile, profile is not None)
    if chosen.name not in PROFILES:
        raise InputError(f"there is no profile {chosen.name!r}; {nearest(chosen.name, list(PROFILES))}")
    library = InputLibrary(data)
    entries: dict[tuple[str, str, str], Entry] = {}
    selected: dict[str, Trajectory] = {}
    contents: dict[str, SweepFile] = {}
    known: dict[str, dict[str, Any]] = {}
    replaced: dict[str, tuple[list[str], list[str]]] = {}
    searches: list[Search] = []
    for part in _files(_File(path, file, chosen, {}, data)):
        name = part.content.name
        contents[name] = part.content
        if part.content.search is not None:
            searches.append(_search(part, library, replaced))
            continue
        for request in _requests(part):
            for key, value in request.keys.items():
                values = known.setdefault(key, {})
                if key in only:
                    values[str(value)] = value
            _note_replaced(replaced, request)
            trajectory = parse_trajectory(request.keys, library, str(request.path))
            entry = name, trajectory.id, trajectory.picture.name  # sets name shared photographs differently
            if entry in entries and request.replaced:
                continue  # a named profile leaves one of several sizes
            if entry in entries:
                raise _duplicate(request)
            entries[entry] = Entry(name, trajectory)
            if len(entries) > MAX_REQUESTS:
                raise InputError(f"{path}: its parts have more than {MAX_REQUESTS:,} trajectories; split the sweep")
            if all(request.keys.get(key, ...) in values for key, values in only.items()):
                selected.setdefault(trajectory.id, trajectory)
    if searches and only:
        raise InputError(f"--only {min(only)}: a search is judged on all its blocks; remove it")
    if not searches:
        _check_only(path, only, known, bool(selected))
    sweep = Sweep(
        name=file.name,
        profile=chosen.name,
        entries=list(entries.values()),
        trajectories=list(selected.values()),
        pixels=library.inputs,
        notes=library.notes,
        replaced=[f"{key} {', '.join(new)} instead of {', '.join(old)}" for key, (new, old) in replaced.items()],
        searches=searches,
    )
    for experiment, trajectory in sweep.entries:
        sweep.keep(trajectory, contents[experiment].outputs, contents[experiment].weights)
    return sweep


def _search(file: _File, library: InputLibrary, replaced: dict[str, tuple[list[str], list[str]]]) -> Search:
    """Check the search of a file, and note what a named profile replaces. Raises InputError."""
    given, changed = file.content.search or {}, file.override.search

    def trajectories(block: SearchBlock, setting: Setting, held_out: bool) -> list[Trajectory]:
        if held_out and not block.held_out:
            return []
        made: dict[str, Trajectory] = {}
        for request in _requests(file, setting, block.held_out if held_out else {}):
            if not setting:
                _note_replaced(replaced, request)
            trajectory = _parse_setting(request, library)
            if trajectory.id in made and not request.replaced:
                raise _duplicate(request)
            made[trajectory.id] = trajectory
        return sorted(made.values(), key=lambda trajectory: trajectory.seed)  # the first blocks show all photographs

    with location(f"{file.path}: search"):
        for key in changed.keys() | given.keys():
            if key == "space" and not all(isinstance(part.get(key, {}), dict) for part in (given, changed)):
                raise InputError("space: it is a mapping of keys to distributions")
        space = given.get("space", {}) | changed.get("space", {})
        _check_searched(file, space.keys(), changed.get("space", {}).keys())
        return parse_search(
            {**given, **changed, "space": space},
            file.path,
            trajectories,
            lambda: library.inputs,
            file.content.outputs,
            file.content.weights,
        )


def _parse_setting(request: _Request, library: InputLibrary) -> Trajectory:
    """Parse the request of a setting; an InputError does not name the file, which the search does."""
    try:
        return parse_trajectory(request.keys, library, "setting")
    except InputError as error:
        raise InputError(str(error).removeprefix("setting: ")) from error


def _check_searched(file: _File, keys: Iterable[str], of_profile: Container[str]) -> None:
    """Refuse to search a key that something else fixes. `of_profile` are those that the profile gives a space."""
    content, name = file.content, file.profile.name
    homes = {"fixed": content.fixed, "grid": content.grid}
    for number, part in enumerate(content.parts, 1):
        homes |= {f"parts {number} fixed": part.fixed, f"parts {number} grid": part.grid}
    for key in keys:
        if home := next((home for home, block in homes.items() if key in block), None):
            raise InputError(f"{key} is searched, and is in {home} as well; keep one")
        if key in file.sizes:
            raise InputError(f"{key} is searched, and profile {name} of the file fixes it; keep one")
        other = file.profile.named and name != content.profile
        if other and key in _sizes(PROFILES[name]) and key not in of_profile:
            raise InputError(
                f"{key} is searched, and --profile {name} fixes it; leave out --profile, or give "
                f"profiles: {name}: search: space: {key}"
            )


def _duplicate(request: _Request) -> InputError:
    return InputError(f"{request.path}: duplicate trajectory ({_in_words(request.keys)}); remove one")


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


def parse(path: Path) -> SweepFile:
    """Read a sweep file, and check what can be checked without its images. Raises InputError."""
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
    held_out = (file.search or {}).get("held_out")
    blocks += [held_out] if isinstance(held_out, dict) else []
    for profile, override in file.profiles.items():
        for key, table in override.new_values.items():
            values = [value for block in blocks for value in _flat(block.get(key, []))]
            for old in table:
                if old not in values:
                    hint = f"values are: {', '.join(map(str, values))}" if values else "the file has no such key"
                    raise InputError(f"{path}: profiles: {profile}: replace: no value {old!r} for {key}; {hint}")


def _files(file: _File, including: tuple[str, ...] = ()) -> Iterator[_File]:
    """Yield a sweep file, unless it only includes others, and those that it includes.

    Its own sizes do not count where the files that include it, whose names are `including`, set others.
    """
    file, content = file._replace(sizes=_sizes(file.override) | file.sizes), file.content
    if not content.include or content.fixed or content.grid or content.search or content.parts != [Part()]:
        yield file
    for name in content.include:
        beside = file.path.parent / name
        with location(f"{file.path}: include"):
            included = beside if beside.is_file() else find(name)
        other = parse(included)
        if other.name in (*including, content.name):
            raise InputError(f"{file.path}: include: {name} includes this sweep itself; remove one")
        yield from _files(file._replace(path=included, content=other), (*including, content.name))


def _requests(
    file: _File, setting: Mapping[str, Any] = MappingProxyType({}), axes: Mapping[str, list[Any]] = MappingProxyType({})
) -> Iterator[_Request]:
    """Yield the requests of a file: with these values of searched keys, and with these axes instead of its own."""
    path, content, new_values = file.path, file.content, file.override.new_values
    for part in content.parts:
        fixed = {key: value for key, value in (content.fixed | part.fixed).items() if key not in axes}
        grid = _replace_values(content.grid | part.grid | dict(axes), new_values)
        grid |= {
            key: [name for value in values for name in _names(path, key, value, file.data)]
            for key, values in grid.items()
            if "image" in key
        }
        for keys, replaced in _multiplied_out(file, _replace_values(fixed, new_values), grid, setting):
            yield _Request(path, keys, replaced)


def _multiplied_out(
    file: _File, fixed: dict[str, Any], grid: Mapping[str, Sequence[Any]], setting: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Multiply out a grid.

    Yields the keys of each request, and the file's values of those that the profile replaces. No profile replaces the
    values of searched keys, `setting`.
    """
    path, profile, sizes = file.path, file.profile, file.sizes
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
        given = {**fixed, **dict(zip(grid, combination, strict=True)), **setting}
        keys = given | {
            key: size
            for key, size in (usual | sizes).items()
            if key not in setting and _accepts(given, key) and (profile.named or key in sizes or key not in given)
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

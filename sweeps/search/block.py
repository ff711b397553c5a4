"""The block `search` of a sweep file, checked before any work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lip.errors import InputError, explained, location
from lip.specs.fit import Fit
from lip.specs.request import check_value
from lip.specs.spec import id_of
from lip.specs.trajectory import Trajectory
from sweeps.search.objective import objective
from sweeps.search.racing import Racing
from sweeps.search.samplers import sampler
from sweeps.search.space import Setting, Space
from sweeps.search.study import Search

MAX_TRIALS = 100_000


class SearchBlock(BaseModel):
    """The block `search` of a sweep file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    space: dict[str, Any]
    """By key, the distribution of its values (`sweeps.search.space`)."""
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] | None = None
    """Settings to propose; a grid may leave it out."""
    sampler: str = "random"
    """How they are proposed: `random`, `grid`, or `tpe`, which needs Optuna."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws the settings."""
    objective: str | None = None
    """The column of the ledger that is made large, or small if it is a loss or an error."""
    parallel: Annotated[int, Field(ge=1)] = 4
    """Settings under way at a time, where the next one depends on the scores of others."""
    racing: Any = False
    """Drop a setting once it is clearly worse than the best: true, or the fields of `Racing`."""
    baseline: dict[str, Any] = {}
    """The setting that the best one is compared with; a key that is left out has its default."""
    held_out: dict[str, list[Any]] = {}
    """Axes of the grid with other values: on these the best setting is compared with the baseline in the end."""


def parse_search(
    content: Mapping[str, Any],
    file: Path,
    trajectories: Callable[[SearchBlock, Setting, bool], list[Trajectory]],
    inputs: Callable[[], Mapping[str, np.ndarray]],
    outputs: bool | None,
    weights: bool,
) -> Search:
    """Check the block of a search. `trajectories` makes those of a setting. Raises InputError."""
    block = _validated(content)
    space = Space.parse(block.space)
    make = partial(sampler, block.sampler, space, block.seed)
    _check_keys(block, space)
    make_trajectories = partial(trajectories, block)
    with location("baseline") if block.baseline else nullcontext():
        baseline = make_trajectories(block.baseline, False)
    _check_held_out(block, baseline, make_trajectories)
    chosen = objective(block.objective, baseline[0].fits[-1])
    ends = _check_settings(space, chosen.column, baseline, make_trajectories)
    racing = _racing(block.racing, len(baseline))
    proposing = make()
    size = proposing.size
    if block.trials is None and size is None:
        raise InputError(f"trials is missing; say how many settings {block.sampler} proposes")
    definition = {
        "space": block.space,
        "sampler": f"{block.sampler} ({proposing.version})",
        "seed": block.seed,
        "baseline": block.baseline,
        "blocks": id_of(" ".join(trajectory.id for trajectory in baseline)),
    }
    if proposing.learns or racing:
        definition |= {
            "parallel": block.parallel,
            "racing": racing and racing.model_dump(),
            "objective": chosen.column,
        }
    return Search(
        experiment=file.stem,
        file=file,
        trials=min(count for count in (block.trials, size) if count is not None),
        parallel=block.parallel,
        baseline=block.baseline,
        objective=chosen,
        racing=racing,
        sampler=make,
        trajectories=make_trajectories,
        inputs=inputs,
        definition=definition,
        ends=ends,
        outputs=outputs,
        weights=weights,
    )


def _validated(content: Mapping[str, Any]) -> SearchBlock:
    try:
        return SearchBlock(**content)
    except ValidationError as error:
        raise explained(error, list(SearchBlock.model_fields)) from error


def _racing(given: Any, blocks: int) -> Racing | None:
    """Return how settings are raced on so many blocks; None for not at all. Raises InputError."""
    if given is False:
        return None
    if given is not True and not isinstance(given, dict):
        raise InputError(f"racing: {given!r} is neither true nor a mapping; write true, or {{first: 3}}")
    try:
        racing = Racing(**({} if given is True else given))
    except ValidationError as error:
        with location("racing"):
            raise explained(error, list(Racing.model_fields)) from error
    if racing.first >= blocks:
        raise InputError(
            f"racing: the first comparison comes after {racing.first} blocks, and there are {blocks}; "
            "give the grid more photographs or seeds, or remove racing"
        )
    return racing


def _check_held_out(
    block: SearchBlock, baseline: list[Trajectory], trajectories: Callable[[Setting, bool], list[Trajectory]]
) -> None:
    """Refuse axes that are empty, or that hold nothing out."""
    with location("held_out"):
        for key, values in block.held_out.items():
            if not values:
                raise InputError(f"{key} is empty; give it at least one value or remove it")
        apart = trajectories(block.baseline, True)
        if {trajectory.id for trajectory in apart} & {trajectory.id for trajectory in baseline}:
            raise InputError("it has a block of the search itself; use other photographs or seeds")


def _check_keys(block: SearchBlock, space: Space) -> None:
    for key in block.baseline:
        if key not in space.keys:
            raise InputError(f"baseline: {key} is not searched; put it into fixed, or into the space")


def _check_settings(
    space: Space,
    column: str,
    baseline: list[Trajectory],
    trajectories: Callable[[Setting, bool], list[Trajectory]],
) -> list[Fit]:
    """Return the fits at the ends of a space.

    Raises InputError for an end that no fit can have, or whose task does not have the objective.
    """
    ends: list[Fit] = []
    for key, setting in space.ends():
        try:
            check_value(key, setting[key])
            made = trajectories(setting, False)
        except InputError as error:
            raise InputError(f"space: {key}: {str(error).removeprefix(f'{key}: ')}") from error
        objective(column, made[0].fits[-1])
        if len(made) != len(baseline):
            raise InputError(f"space: {key}: {setting[key]} changes the number of blocks; keep it out of the space")
        ends += [trajectory.fits[-1] for trajectory in made]
    return ends

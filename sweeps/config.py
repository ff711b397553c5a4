"""Describe a trajectory in plain values, as the config of a trial of Tune."""

from __future__ import annotations

from typing import Any

from lip.specs.trajectory import Trajectory


def config_of(trajectory: Trajectory, label: str) -> dict[str, Any]:
    """Return what a trajectory is: image, task, prior, pruner, schedule and seeds, with the names of a sweep's keys.

    `trajectory` is its `label`. What is not set is left out.
    """
    values = {
        **trajectory.picture.columns(),
        **trajectory.task.model_dump(exclude={"inpaint_mask"}),
        **trajectory.prior.model_dump(),
        **trajectory.schedule.columns(),
        **dict(trajectory.options),
        **trajectory.model_dump(include={"covers", "pruned_share", "pruning", "rewind", "pruner", "seed"}),
        **trajectory.model_dump(include={"theta_seed", "z_seed", "noise_seed"}),
        "image": trajectory.picture.name,
        "source_image": trajectory.source_image,
        "task": trajectory.task.kind,
        "source_task": trajectory.source_task,
        "prior": trajectory.prior.kind,
        "rounds": len(trajectory.fits) - 1,
        "compat": "+".join(trajectory.compat) or None,
        "trajectory": label,
    }
    return {name: value for name, value in values.items() if value is not None}

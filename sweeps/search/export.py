"""Write the best setting of a search as a sweep file, and as arguments of `lip restore`."""

from __future__ import annotations

import shlex

import yaml

from lip.errors import InputError
from lip.priors import Hourglass
from lip.specs.fit import Fit
from lip.specs.recipe import Dense
from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation
from lip.tasks.inpaint import Inpaint
from lip.tasks.restore import Restore
from lip.tasks.upscale import Upscale
from sweeps.search.study import Candidate, Study
from sweeps.search.words import score_in_words
from sweeps.spec import SweepFile

TASKS: dict[str, tuple[str, Degradation]] = {
    "denoise": ("denoise", Restore()),
    "restore": ("denoise", Restore()),
    "inpaint": ("inpaint", Inpaint()),
    "superres": ("upscale", Upscale()),
}
"""Tasks of a sweep file that `lip restore` does on photographs: their names there, and whose schedule it uses."""


def best_of(study: Study) -> Candidate:
    """Return the best setting so far. Raises InputError if none is fitted to all blocks."""
    if study.best is None:
        name = study.search.experiment
        raise InputError(
            f"search {name} has no setting yet that is fitted to all blocks; run `python -m sweeps run {name}`"
        )
    return study.best


def as_sweep(study: Study, file: SweepFile, name: str, profile: str) -> str:
    """Return a sweep file that runs the best setting on the blocks of the search, at the sizes of its profile."""
    best = best_of(study)
    content = file.model_dump(exclude_defaults=True, exclude={"search", "include", "profiles"})
    content |= {"name": name, "profile": profile, "fixed": file.fixed | best.setting}
    if profile in file.profiles:
        sizes = file.profiles[profile].model_dump(exclude_defaults=True, by_alias=True, exclude={"search"})
        content |= {"profiles": {profile: sizes}} if sizes else {}
    head = f"# Setting {best.number} of the search {study.search.experiment}: {score_in_words(study, best)} on average."
    return f"{head}\n{yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)}"


def as_restore(study: Study) -> str | None:
    """Return the command that restores a photograph with the best setting; None if `lip restore` cannot use it."""
    fit = best_of(study).trajectories[0].fits[-1]
    task, prior, schedule = fit.task, fit.prior, fit.schedule
    if not _restores_so(fit):
        return None
    assert isinstance(prior, Hourglass)
    name, own_task = TASKS[str(task.kind)]
    usual = dict(own_task.schedules()["lip"])
    given = ("steps", "until")  # by an option, and by lip restore itself
    values = {key: value for key, value in dict(schedule).items() if key not in given and value != usual[key]}
    words = ["python -m lip restore PHOTO", f"--task {name}", f"--steps {schedule.steps}"]
    words += [f"--width {prior.width}", f"--scales {prior.scales}"]
    words += [f"--factor {task.factor}"] if hasattr(task, "factor") else []
    words += ["--mask MASK"] if task.kind == "inpaint" else []
    return " ".join([*words, *(f"--set {shlex.quote(f'{key}={_plain(value)}')}" for key, value in values.items())])


def _restores_so(fit: Fit) -> bool:
    """Tell whether `lip restore` can train a fit like this one: a dense hourglass of its usual shape."""
    prior = fit.prior
    usual = isinstance(prior, Hourglass) and prior == Hourglass(width=prior.width, scales=prior.scales)
    return usual and fit.task.kind in TASKS and isinstance(fit.recipe, Dense) and isinstance(fit.schedule, Schedule)


def _plain(value: object) -> object:
    return "null" if value is None else value

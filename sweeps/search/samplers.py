"""Samplers: how the next setting of a search is proposed."""

from __future__ import annotations

from importlib.util import find_spec
from math import inf
from typing import Any, ClassVar

from lip.errors import InputError, nearest
from sweeps.search.space import Setting, Space


class Sampler:
    """Propose settings by their number, from 1 on. What it proposes depends on nothing but what it was told."""

    learns: ClassVar[bool] = False
    """Whether what it is told changes what it proposes."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed

    @property
    def size(self) -> int | None:
        """Count the settings that there are; None: as many as one likes."""
        return None

    @property
    def version(self) -> str:
        """Name what proposes: another version may propose other settings."""
        return "1"

    def propose(self, number: int) -> Setting:
        """Return the setting of a number."""
        return self.space.draw(self.seed, number)

    def example(self, number: int) -> Setting:
        """Return a setting that it could propose, to estimate what those to come will cost."""
        return self.propose(number)

    def tell(self, setting: Setting, score: float) -> None:
        """Take in the score of a setting; more is better, and minus infinity is a setting that failed."""


class Random(Sampler):
    """Independent draws."""


class Grid(Sampler):
    """All combinations."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._settings = space.grid()

    @property
    def size(self) -> int:
        return len(self._settings)

    def propose(self, number: int) -> Setting:
        return self._settings[number - 1]


class Tpe(Sampler):
    """Optuna's tree-structured Parzen estimator, which draws near the best tenth of what it was told.

    It is asked for a setting at a time, by a sampler whose seed is the setting's number, and knows nothing of settings
    under way: so a rebuilt study proposes the same as one that never stopped.
    """

    learns = True
    WORST = -1e12
    """The score of a setting that failed."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        if find_spec("optuna") is None:
            raise InputError("sampler: tpe needs Optuna; run pip install '.[search]', or use random")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._study = optuna.create_study(direction="maximize")
        self._distributions: dict[str, Any] = {
            key: optuna.distributions.IntDistribution(0, levels.size - 1)
            if levels.is_ordered
            else optuna.distributions.CategoricalDistribution(range(levels.size))
            for key, levels in space.keys.items()
        }

    @property
    def version(self) -> str:
        return f"optuna {self._optuna.__version__}"

    def propose(self, number: int) -> Setting:
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=(self.seed * 1_000_003 + number) % 2**32, constant_liar=False
        )
        trial = self._study.ask()
        setting: Setting = {}
        for key in self.space.keys:
            if self.space.is_active(key, setting):
                setting[key] = self.space.keys[key].level(self._suggest(trial, key))
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)  # of no effect: it is told by `tell`
        return setting

    def example(self, number: int) -> Setting:
        return self.space.draw(self.seed, number)

    def _suggest(self, trial: Any, key: str) -> int:
        levels = self.space.keys[key]
        if levels.is_ordered:
            return int(trial.suggest_int(key, 0, levels.size - 1))
        return int(trial.suggest_categorical(key, range(levels.size)))

    def tell(self, setting: Setting, score: float) -> None:
        self._study.add_trial(
            self._optuna.trial.create_trial(
                params={key: self.space.keys[key].index(value) for key, value in setting.items()},
                distributions={key: self._distributions[key] for key in setting},
                value=self.WORST if score == -inf else score,
            )
        )


SAMPLERS: dict[str, type[Sampler]] = {"random": Random, "grid": Grid, "tpe": Tpe}


def sampler(name: str, space: Space, seed: int) -> Sampler:
    """Return a sampler by name. Raises InputError."""
    if name not in SAMPLERS:
        raise InputError(f"sampler: there is no sampler {name!r}; {nearest(name, list(SAMPLERS))}")
    return SAMPLERS[name](space, seed)

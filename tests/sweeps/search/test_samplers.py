"""What is proposed depends on the number and on what was told, and on nothing else."""

from __future__ import annotations

from math import inf, log

import pytest

from lip.errors import InputError
from sweeps.search import samplers
from sweeps.search.samplers import Tpe, sampler
from sweeps.search.space import Setting, Space

SPACE = Space.parse(
    {
        "lr": {"log": [1e-3, 1e-1]},
        "pruner": {"choice": ["imp", "snip"]},
        "rewind": {"choice": [0, 5, 10], "when": {"pruner": ["imp"]}},
    }
)


def score(setting: Setting) -> float:
    return -abs(log(setting["lr"] / 0.01)) - (setting["pruner"] == "snip") - setting.get("rewind", 0) / 10


def test_random_settings_depend_on_seed_and_number_alone() -> None:
    first, again = sampler("random", SPACE, 4), sampler("random", SPACE, 4)
    again.propose(17)
    again.tell(again.propose(3), 1.0)
    assert first.propose(9) == again.propose(9)
    assert first.propose(9) != sampler("random", SPACE, 5).propose(9)


def test_tpe_proposes_the_same_whether_it_went_on_or_was_told_all_at_once() -> None:
    went_on = Tpe(SPACE, 1)
    settings = []
    for number in range(1, 31):
        settings.append(went_on.propose(number))
        went_on.tell(settings[-1], -inf if number == 7 else score(settings[-1]))
    rebuilt = Tpe(SPACE, 1)
    for number, setting in enumerate(settings, 1):
        rebuilt.tell(setting, -inf if number == 7 else score(setting))
    assert [rebuilt.propose(number) for number in (31, 32)] == [went_on.propose(number) for number in (31, 32)]


def test_tpe_learns() -> None:
    learner, drawn = Tpe(SPACE, 0), []
    for number in range(1, 61):
        drawn.append(learner.propose(number))
        learner.tell(drawn[-1], score(drawn[-1]))
    assert sum(map(score, drawn[40:])) > sum(map(score, drawn[:20])) + 10


def test_a_condition_holds_for_what_tpe_proposes() -> None:
    learner = Tpe(SPACE, 0)
    for number in range(1, 30):
        setting = learner.propose(number)
        assert ("rewind" in setting) == (setting["pruner"] == "imp")
        learner.tell(setting, score(setting))


def test_an_unknown_sampler_and_one_that_is_not_installed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="sampler: there is no sampler 'tpee'; did you mean 'tpe'"):
        sampler("tpee", SPACE, 0)
    monkeypatch.setattr(samplers, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"tpe needs Optuna; run pip install '\.\[search\]'"):
        sampler("tpe", SPACE, 0)

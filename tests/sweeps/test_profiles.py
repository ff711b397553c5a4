from __future__ import annotations

from lip.specs.schedule import Schedule
from sweeps.profiles import PROFILES, Profile


def test_a_profile_leaves_open_what_it_does_not_set() -> None:
    assert set(Profile().model_dump().values()) == {None}


def test_the_profile_paper_sets_no_sizes() -> None:
    """So that images keep theirs, and tasks and priors are at the paper's defaults."""
    assert PROFILES["paper"] == Profile(seeds=10)


def test_profiles_grow_from_smoke_to_paper() -> None:
    smoke, mini = PROFILES["smoke"], PROFILES["mini"]
    for key in ("size", "width", "scales", "steps"):
        assert getattr(smoke, key) < getattr(mini, key)
    assert mini.steps is not None
    assert mini.steps < Schedule().steps

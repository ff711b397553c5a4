"""What a fit builds on and what it leaves to others."""

import pytest
from pydantic import ValidationError

from lip.pruners import Imp, Random, Snip


@pytest.mark.parametrize(
    ("percent", "steps"), [(5, 150), (10, 300), (20, 600), (100, 3000), (0.02, 1), (0.05, 2), (0.0567, 2)]
)
def test_rewound_is_the_same_run_after_a_percentage_of_its_steps(tiny, percent: float, steps: int) -> None:
    dense = tiny.fit(steps=3000, seed=3)
    rewound = dense.rewound(percent)
    assert rewound == dense.replace(schedule=dense.schedule.replace(steps=steps), saves_weights=True)
    assert rewound.id != dense.id


def test_rewinding_to_no_step_at_all_is_refused(tiny) -> None:
    with pytest.raises(ValidationError):
        tiny.fit(steps=30).rewound(1)


def test_sources_are_the_weights_to_start_from_and_then_the_fit_to_cut(tiny) -> None:
    dense = tiny.fit(steps=30)
    start, imp = dense.rewound(10), Imp(trained=dense)
    assert dense.dependencies == ()
    assert dense.replace(recipe=imp).dependencies == (dense,)
    assert dense.replace(recipe=Random(target=1), start=start).dependencies == (start,)
    assert dense.replace(recipe=imp, start=start).dependencies == (start, dense)


def test_every_link_of_an_imp_chain_yields_a_ticket_and_nothing_else_does(tiny) -> None:
    dense = tiny.fit(steps=30)
    assert dense.has_next_mask
    assert dense.replace(recipe=Imp(trained=dense)).has_next_mask
    assert not dense.replace(recipe=Random(target=1)).has_next_mask
    assert not dense.replace(recipe=Snip(target=1)).has_next_mask
    assert not dense.rewound(10).has_next_mask

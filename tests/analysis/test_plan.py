from __future__ import annotations

from analysis.plan import seeds_note


def test_a_plan_says_what_its_seeds_can_show():
    assert seeds_note(["stop_rule"], 3) == (
        "2 claims of this sweep test a margin of 0.1 dB: if differences vary by 0.1 dB over seeds around zero,"
        " 3 seeds show it with 32%, 8 with 80%"
    )


def test_fewer_than_three_seeds_show_nothing():
    assert "2 seeds show it with no chance, 8 with 80%" in seeds_note(["stop_rule"], 2)


def test_a_sweep_without_a_margin_needs_no_note():
    assert seeds_note(["bird"], 3) == ""

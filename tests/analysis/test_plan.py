from __future__ import annotations

import json
import subprocess
import sys

from analysis.plan import MARGINS, margins, seeds_note


def test_what_plans_say_of_claims_is_up_to_date():
    assert json.loads(MARGINS.read_text()) == margins(), "python -m analysis register"


def test_the_note_loads_nothing_heavy():
    code = "import sys, analysis.plan; analysis.plan.seeds_note(['existence'], 3); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"pandas", "scipy", "matplotlib", "seaborn", "torch", "numpy"} & set(done.stdout.split())


def test_more_seeds_than_are_known_show_no_less():
    assert "1000 seeds show it with 100%" in seeds_note(["stop_rule"], 1000)


def test_a_plan_says_what_its_seeds_can_show():
    assert seeds_note(["stop_rule"], 3) == (
        "2 claims of this sweep test a margin of 0.1 dB: if differences vary by 0.1 dB over seeds around zero,"
        " 3 seeds show it with 32%, 8 with 80%"
    )


def test_fewer_than_three_seeds_show_nothing():
    assert "2 seeds show it with no chance, 8 with 80%" in seeds_note(["stop_rule"], 2)


def test_a_sweep_without_a_margin_needs_no_note():
    assert seeds_note(["bird"], 3) == ""

"""Analysis is cheap to import, and never needs what runs sweeps."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import analysis


def loaded(code: str) -> set[str]:
    """The modules that are loaded after running code in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy():
    heavy = {"torch", "ray", "sweeps", "pandas", "pyarrow", "seaborn", "matplotlib", "scipy", "numpy"}
    assert not heavy & loaded("import analysis")


def test_nothing_needs_torch_or_ray():
    modules = loaded("import analysis, analysis.cli, analysis.report; analysis.load, analysis.EXHIBITS")
    assert not {"torch", "ray", "sweeps"} & modules
    assert "pandas" in modules


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "ray", "numba"):
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
from sweeps.program import main
main()
"""


@pytest.mark.parametrize("command", ["report sample --out OUT", "dataset --out OUT", "sweep compare SAMPLE SAMPLE"])
def test_readers_of_results_need_neither_torch_nor_ray(command: str, tmp_path: Path):
    places = {"OUT": str(tmp_path), "SAMPLE": str(analysis.SAMPLE)}
    arguments = [places.get(word, word) for word in command.split()]
    environment = os.environ | {"LIP_STORAGE": str(analysis.SAMPLE)}
    done = subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_the_requirements_of_readers_are_those_of_the_package_but_torch_and_ray():
    top = Path(analysis.__file__).parents[1]
    needed = tomllib.loads((top / "pyproject.toml").read_text())["project"]["dependencies"]
    listed = [line for line in (top / "analysis/requirements.txt").read_text().splitlines() if line[0] != "#"]
    assert listed == [one for one in needed if re.split(r"[\[>]", one)[0] not in ("torch", "ray")]


def test_every_public_name_is_there():
    for name in analysis.__all__:
        assert getattr(analysis, name) is not None
    assert dir(analysis) == sorted(analysis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = analysis.nonsense

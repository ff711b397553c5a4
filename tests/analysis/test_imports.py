"""Analysis is cheap to import, and never needs what runs sweeps."""

import subprocess
import sys

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


def test_every_public_name_is_there():
    for name in analysis.__all__:
        assert getattr(analysis, name) is not None
    assert dir(analysis) == sorted(analysis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = analysis.nonsense
